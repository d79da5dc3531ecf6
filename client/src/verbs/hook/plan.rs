//! The text of a plan that is to be approved. Claude 2.1.197 tells its hook nothing of it: the plan lies in a file,
//! whose name stands in the conversation's transcript.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use serde_json::Value;

/// How far back in the transcript the plan's name is looked for.
const LOOK_BACK: u64 = 4 * 1024 * 1024;
/// How much later than it asks Claude may write its transcript: it does so in batches.
const BATCH: Duration = Duration::from_millis(800);
/// The longest plan that is read.
const PLAN_MAX: u64 = 1024 * 1024;

/// The payload with its plan, where it asks for one to be approved and does not tell it.
pub(super) fn with_plan(mut payload: Value) -> Option<Vec<u8>> {
    if payload["tool_name"] != "ExitPlanMode" || payload["tool_input"]["plan"].is_string() {
        return None;
    }
    let plan = written(Path::new(payload["transcript_path"].as_str()?))?;
    payload.as_object_mut()?.insert("dsx_plan".to_owned(), plan.into());
    serde_json::to_vec(&payload).ok()
}

/// The plan, once its name is in the transcript: Claude may write that later than it asks.
fn written(transcript: &Path) -> Option<String> {
    let flags = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_MOVED_TO;
    let changes = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).ok()?;
    if changes.add_watch(transcript.parent()?, flags).is_err() {
        return plan(transcript);
    }
    let deadline = Instant::now() + BATCH;
    loop {
        if let Some(plan) = plan(transcript) {
            return Some(plan);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let patience = PollTimeout::try_from(left).ok().filter(|_| !left.is_zero())?;
        // A signal only makes it look once more.
        let _ = poll(&mut [PollFd::new(changes.as_fd(), PollFlags::POLLIN)], patience);
        let _ = changes.read_events();
    }
}

fn plan(transcript: &Path) -> Option<String> {
    let name = name(&end_of(transcript)?)?;
    // <config>/projects/<directory>/<conversation>.jsonl
    let config = transcript.ancestors().nth(3)?;
    let mut text = String::new();
    let file = File::open(config.join("plans").join(format!("{name}.md"))).ok()?;
    file.take(PLAN_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

fn end_of(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOOK_BACK))).ok()?;
    let mut bytes = Vec::new();
    file.take(LOOK_BACK).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The newest name, which must be nothing but a name.
fn name(transcript: &str) -> Option<String> {
    let lines = transcript.lines().rev().filter(|l| l.contains("\"slug\""));
    let names =
        lines.filter_map(|l| Some(serde_json::from_str::<Value>(l).ok()?["slug"].as_str()?.to_owned()));
    let plain = |name: &String| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    names.filter(|n| !n.is_empty()).find(plain)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_plan_is_found_by_its_name_in_the_transcript() {
        let dir = tempfile::tempdir().unwrap();
        let (plans, project) = (dir.path().join("plans"), dir.path().join("projects/p"));
        fs::create_dir_all(&plans).unwrap();
        fs::create_dir_all(&project).unwrap();
        fs::write(plans.join("b-two.md"), "the plan").unwrap();
        let transcript = project.join("c.jsonl");
        let lines = "{\"slug\":\"a-one\"}\n{\"slug\":\"b-two\"}\n{\"slug\":\"../../x\"}\n{\"half";
        fs::write(&transcript, lines).unwrap();
        let asks = |input: Value| {
            serde_json::json!({
                "tool_name": "ExitPlanMode", "transcript_path": transcript, "tool_input": input,
            })
        };
        let told: Value = serde_json::from_slice(&with_plan(asks(serde_json::json!({}))).unwrap()).unwrap();
        assert_eq!(told["dsx_plan"], "the plan");
        assert_eq!(with_plan(asks(serde_json::json!({"plan": "p"}))), None);
        fs::remove_file(plans.join("b-two.md")).unwrap();
        assert_eq!(with_plan(asks(serde_json::json!({}))), None);
        assert_eq!(with_plan(serde_json::json!({"tool_name": "Bash"})), None);
        assert_eq!(with_plan(Value::Null), None);
    }
}
