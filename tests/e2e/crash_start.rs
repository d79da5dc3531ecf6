//! Starting: many at once, over what a dead one left, and on a disk that takes nothing.

use std::fs;
use std::os::unix::net::UnixListener;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use dsx_tests::crash::{self, kill9};
use dsx_tests::home::Home;
use serde_json::json;

use crate::job::{answer, create, dsx};

#[test]
fn thirty_clients_at_once_end_with_one_supervisor() {
    let mut home = Home::new();
    home.set("DSX_MAX_SESSIONS_PER_CREATOR", "100");
    let dsx = dsx(&home);
    let creating: Vec<_> = (0..15).map(|_| dsx.spawn(["create", "-q", "--cli", "demo"])).collect();
    let listing: Vec<_> = (0..15).map(|_| dsx.spawn(["list", "--json"])).collect();
    let mut ids: Vec<String> =
        creating.into_iter().map(|c| c.wait().expect_code(0).line().to_owned()).collect();
    listing.into_iter().for_each(|l| drop(l.wait().expect_code(0)));
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 15);
    assert_eq!(dsx.json(["list"]).as_array().unwrap().len(), 15);
    assert_eq!(supervisors(&home), [crash::supervisor(&dsx)]);
    assert_eq!(answer(&dsx, &ids[0], "say hi"), "hi");
}

/// The supervisors of a home, by their command lines.
fn supervisors(home: &Home) -> Vec<i32> {
    let state = home.dsx_home().into_os_string().into_encoded_bytes();
    let pids = fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_str()?.parse().ok());
    let is_one = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut words = line.split(|b| *b == 0);
        words.any(|w| w == b"supervise") && line.windows(state.len()).any(|w| w == state)
    };
    pids.filter(is_one).collect()
}

#[test]
fn what_a_dead_one_left_is_no_obstacle_and_a_live_one_is_never_replaced() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &["--cli", "demo"]);
    let status = dsx.json(["supervisor", "status"]);
    let socket = status["socket"].as_str().unwrap().to_owned();
    let (supervisor, keeper) = (crash::supervisor(&dsx), crash::keeper(&dsx));
    // Alive: even with its socket taken away it is found, or says where it went.
    for _ in 0..3 {
        dsx.run(["list"]).expect_code(0);
    }
    assert_eq!(supervisors(&home), [supervisor]);
    crash::stop(supervisor);
    kill9(keeper);
    kill9(supervisor);
    // Dead: its socket, its lock and the write-ahead log of its database are still there.
    assert!(fs::symlink_metadata(&socket).is_ok());
    assert!(home.dsx_home().join("dsx.db-wal").exists());
    let thirty: Vec<_> = (0..30).map(|_| dsx.spawn(["status", &id])).collect();
    for one in thirty {
        assert_eq!(one.wait().expect_code(0).line(), "exited");
    }
    assert_eq!(supervisors(&home).len(), 1);
    let id = create(&dsx, &["--cli", "demo"]);
    assert_eq!(answer(&dsx, &id, "say hi"), "hi");
}

#[test]
fn a_socket_that_nobody_listens_on_is_no_obstacle() {
    let home = Home::new();
    let dsx = dsx(&home);
    dsx.run(["list"]).expect_code(0);
    let status = dsx.json(["supervisor", "status"]);
    let socket = status["socket"].as_str().unwrap().to_owned();
    dsx.run(["supervisor", "stop"]).expect_code(0);
    drop(UnixListener::bind(&socket).unwrap());
    assert_eq!(dsx.json(["list"]), json!([]));
    dsx.run(["supervisor", "stop"]).expect_code(0);
    fs::write(&socket, "no socket at all").unwrap();
    let said = dsx.run(["list", "--json"]);
    assert!(said.code == 0 || (said.code == 8 && said.stderr.contains("socket")), "{said:?}");
}

/// The supervisor is killed at many moments of a create: a repeat of the client's own makes it one session.
#[test]
fn a_create_cut_off_anywhere_yields_one_session() {
    // The fifth death within ten seconds is waited after: a home for every four.
    for seed in 0..4 {
        cut_four_creates(seed);
    }
}

fn cut_four_creates(seed: u64) {
    let home = Home::new();
    let dsx = dsx(&home);
    let mut made = Vec::new();
    for n in (0..4).map(|n| n * 4 + seed) {
        let supervisor = {
            dsx.run(["list"]).expect_code(0);
            crash::supervisor(&dsx)
        };
        let creating = dsx.spawn(["create", "-q", "--cli", "demo"]);
        // A moment, not a wait for anything: no two runs are alike, and all must come out the same.
        let (_never, moment) = sync_channel::<()>(0);
        let _ = moment.recv_timeout(Duration::from_millis(n * 3));
        kill9(supervisor);
        made.push(creating.wait().expect_code(0).line().to_owned());
    }
    made.sort();
    let listed = dsx.json(["list", "-a"]);
    let mut ids: Vec<&str> = listed.as_array().unwrap().iter().map(|s| s["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, made);
    assert!(listed.as_array().unwrap().iter().all(|s| s["status"] == "idle"), "{listed}");
    let dirs = fs::read_dir(home.dsx_home().join("sessions")).unwrap().count();
    assert!(dirs >= made.len());
}
