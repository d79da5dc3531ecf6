//! Which session a word means.

use dsx_tests::dsx::Dsx;
use dsx_tests::home::Home;

use crate::job::{create, dsx, error};

fn status_of(dsx: &Dsx<'_>, word: &str) -> serde_json::Value {
    dsx.json(["status", word])["session"].clone()
}

#[test]
fn a_prefix_that_fits_one_session_is_enough() {
    let home = Home::new();
    let dsx = dsx(&home);
    let ids: Vec<String> = (0..8).map(|_| create(&dsx, &["--", "cat"])).collect();
    for id in &ids {
        let (champion, role) = id.split_once('-').unwrap();
        assert!(champion.len() >= 2 && !role.is_empty(), "{id}");
        for length in 1..=id.len() {
            let prefix = &id[..length];
            let fits: Vec<&String> = ids.iter().filter(|other| other.starts_with(prefix)).collect();
            if fits.len() == 1 {
                assert_eq!(status_of(&dsx, prefix), id.as_str(), "{prefix}");
                continue;
            }
            let told = error(&dsx.run(["status", "--json", prefix]).expect_code(3));
            let message = told["message"].as_str().unwrap();
            assert!(fits.iter().all(|f| message.contains(f.as_str())), "{message}");
        }
    }
    let upper = ids[0].to_uppercase();
    dsx.run(["status", &upper]).expect_code(3);
}

#[test]
fn an_ambiguous_prefix_changes_nothing() {
    let home = Home::new();
    let dsx = dsx(&home);
    // Of more sessions than letters two must begin alike.
    let home_limit = [("DSX_MAX_SESSIONS_PER_CREATOR", "40")];
    let ids: Vec<String> = (0..27)
        .map(|_| {
            let mut call = dsx.call(["create", "-q", "--", "cat"]);
            call.env.extend(home_limit.map(|(k, v)| (k.into(), v.into())));
            call.run().expect_code(0).line().to_owned()
        })
        .collect();
    let alike = |id: &&String| ids.iter().filter(|o| o[..1] == id[..1]).count() > 1;
    let letter = &ids.iter().find(alike).unwrap()[..1];
    for args in [&["kill", letter][..], &["send", letter, "hi"], &["keys", letter, "C-c"], &["wait", letter]]
    {
        let told = dsx.run(args).expect_code(3);
        assert!(told.stderr.contains("several") && told.stderr.contains("more of the id"), "{told:?}");
    }
    assert_eq!(dsx.json(["list"]).as_array().unwrap().len(), 27);
}

#[test]
fn last_is_the_callers_newest() {
    let home = Home::new();
    let dsx = dsx(&home);
    let first = create(&dsx, &["--", "cat"]);
    assert_eq!(status_of(&dsx, "@last"), first.as_str());
    let second = create(&dsx, &["--", "cat"]);
    // Being used makes nothing newer.
    assert_eq!(crate::job::answer(&dsx, &first, "hi"), "hi");
    assert_eq!(status_of(&dsx, "@last"), second.as_str());
    dsx.run(["kill", "@last"]).expect_code(0);
    assert_eq!(status_of(&dsx, "@last"), first.as_str());
}

#[test]
fn concurrent_creates_never_share_an_id() {
    let home = Home::new();
    let dsx = dsx(&home);
    // The first call of all of them starts the supervisor, whichever it is.
    let calls: Vec<_> = (0..10).map(|_| dsx.spawn(["create", "-q", "--", "cat"])).collect();
    let mut ids: Vec<String> =
        calls.into_iter().map(|call| call.wait().expect_code(0).line().to_owned()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 10);
    assert_eq!(dsx.json(["list"]).as_array().unwrap().len(), 10);
}
