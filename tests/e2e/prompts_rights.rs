//! Who may answer: the owner, and a creator for what it created; never the one who asks, unless the owner said so.

use std::fs;

use dsx_tests::agents::CLAUDE;
use dsx_tests::dsx::Dsx;
use dsx_tests::home::Home;

use crate::job::{answer, create, dsx, eventually, fifo, heard, with_claude};

/// A shell session, in whose commands `$DSX` is the product.
fn shell(dsx: &Dsx<'_>, more: &[&str]) -> String {
    let program = format!("DSX={}", dsx.program().display());
    let mut args = vec!["--env", &program, "--env", "PS1=$ ", "--cols", "400"];
    args.extend(more);
    args.extend(["--", "bash", "--norc", "--noprofile"]);
    create(dsx, &args)
}

/// Has a shell session claim that it asks something.
fn asks(dsx: &Dsx<'_>, id: &str) {
    dsx.run(["send", id, r"printf '\033]7501;state=blocked:msg=T0s/\007'; head -n 1"]).expect_code(0);
    eventually(dsx, id, || dsx.run(["status", id]).line() == "waiting_for_input");
}

#[test]
fn nobody_answers_his_own_or_his_creators_prompts() {
    let home = Home::new();
    let dsx = dsx(&home);
    let outer = shell(&dsx, &[]);
    let inner = answer(&dsx, &outer, "$DSX create -q -- bash --norc --noprofile");
    let product = dsx.program().display();
    let from =
        |inside: &str, verb: &str| answer(&dsx, inside, &format!("{product} {verb} 2>&1; echo code $?"));
    for verb in ["respond @self --allow", "respond @self --prompt p1 --text x"] {
        let told = from(&inner, verb);
        assert!(told.contains("code 7") && told.contains("may not answer"), "{told}");
    }
    let told = from(&outer, "attach @self");
    assert!(told.contains("code 7"), "{told}");
    // To be done while it asks.
    let verbs = ["keys @self x Enter", "respond @self --text x"];
    let calls: String = verbs
        .iter()
        .map(|verb| format!("$DSX {verb} </dev/null >/dev/null 2>&1; codes=\"$codes $?\"; "))
        .collect();
    let loose = format!("(until [ -e go ]; do sleep 0.1; done; {calls} echo $codes >told) &");
    answer(&dsx, &outer, &loose);
    asks(&dsx, &outer);
    for verb in ["respond", "keys"] {
        let what = if verb == "respond" { "--text x" } else { "x Enter" };
        let told = from(&inner, &format!("{verb} {outer} {what}"));
        assert!(told.contains("code 7"), "{verb}: {told}");
    }
    // Neither does what runs in the session itself.
    let told = fifo(&home, "told");
    assert_eq!(dsx.run(["status", &outer]).line(), "waiting_for_input");
    fs::write(home.project().join("go"), "").unwrap();
    assert_eq!(heard(&told), "7 7\n");
    assert_eq!(dsx.run(["status", &outer]).line(), "waiting_for_input");
    // The owner can, and a creator for what it created.
    dsx.run(["respond", &outer, "--text", "x"]).expect_code(0);
    dsx.run(["wait", &outer, "--until", "idle"]).expect_code(0);
    let demo = answer(&dsx, &outer, "$DSX create -q --cli demo");
    dsx.run(["send", &demo, "ask Which? | red | blue"]).expect_code(0);
    dsx.run(["wait", &demo]).expect_code(4);
    assert!(from(&inner, &format!("respond {demo} --choice red")).contains("code 7"));
    assert!(from(&outer, &format!("respond {demo} --choice red")).contains("code 0"));
    dsx.run(["wait", &demo]).expect_code(0);
    // One that its owner trusts.
    let trusted = shell(&dsx, &["--may-respond"]);
    let told = from(&trusted, "respond @self --allow");
    assert!(told.contains("code 7") && told.contains("asks nothing"), "{told}");
}

#[test]
fn an_agent_does_not_answer_itself() {
    with_claude(CLAUDE, "an_agent_does_not_answer_itself", |dsx, _| {
        let product = dsx.program().display();
        for (more, right) in [(&[][..], "may not"), (&["--may-respond"], "asks nothing")] {
            let id = create(dsx, more);
            let told =
                answer(dsx, &id, &format!("tool bash {product} respond @self --allow 2>&1; echo code $?"));
            assert!(told.contains("code 7") && told.contains(right), "{told}");
        }
    });
}
