use crate::job::{answer, create, eventually, transcripts, with_each_claude};

#[test]
fn scratch() {
    let n = std::sync::atomic::AtomicU32::new(0);
    with_each_claude("scratch", |dsx, _| {
        let id = create(dsx, &["--cli", "claude"]);
        answer(dsx, &id, "tool bash echo hi; echo there");
        answer(dsx, &id, "tool bash echo no >&2; exit 3");
        answer(dsx, &id, &format!("tool write {}/x.txt some text", dsx.home().project().display()));
        answer(dsx, &id, &format!("tool read {}/x.txt", dsx.home().project().display()));
        answer(dsx, &id, "parallel echo 1 | echo 2");
        dsx.run(["send", &id, "fail 500"]).expect_code(0);
        dsx.run(["wait", &id]).expect_code(5);
        dsx.run(["send", &id, "slow 100000 abc def"]).expect_code(0);
        dsx.run(["interrupt", &id]).expect_code(0);
        dsx.run(["wait", &id]);
        dsx.run(["send", "--command", &id, "/clear"]).expect_code(0);
        dsx.run(["wait", &id]);
        answer(dsx, &id, "say after");
        eventually(dsx, &id, || transcripts(dsx.home()).len() == 2);
        let v = n.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        for (i, t) in transcripts(dsx.home()).iter().enumerate() {
            std::fs::copy(t, format!("/tmp/ctr/{v}-{i}.jsonl")).unwrap();
        }
    });
}
