//! A call of `dsx` that goes on, read line by line as it speaks.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use serde_json::Value;

use crate::DEADLINE;
use crate::dsx::Call;

/// Lines that may wait to be read; past them the call itself waits.
const AHEAD: usize = 64;

/// A call under way. Killed when it is dropped.
#[derive(Debug)]
pub struct Lines {
    child: Child,
    lines: Receiver<String>,
}

impl Lines {
    /// Starts a call whose standard output is read from here.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn of(call: Call) -> Self {
        let mut command = Command::new(&call.program);
        command.args(&call.args).current_dir(&call.dir).env_clear().envs(call.env);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().expect("starting dsx");
        let stdout = child.stdout.take().expect("a piped stdout");
        let (said, lines) = sync_channel(AHEAD);
        thread::spawn(move || {
            let all = BufReader::new(stdout).lines().map_while(Result::ok);
            all.take_while(|line| said.send(line.clone()).is_ok()).for_each(drop);
        });
        Self { child, lines }
    }

    /// The process id of the call.
    #[must_use]
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a pid")
    }

    /// The next line; `None` at the end of what it says.
    ///
    /// # Panics
    /// When neither comes within [`DEADLINE`].
    pub fn next_line(&mut self) -> Option<String> {
        use std::sync::mpsc::RecvTimeoutError::{Disconnected, Timeout};
        match self.lines.recv_timeout(DEADLINE) {
            Ok(line) => Some(line),
            Err(Disconnected) => None,
            Err(Timeout) => panic!("no line came"),
        }
    }

    /// The next line, which must be JSON.
    ///
    /// # Panics
    /// When it is not, or there is none.
    pub fn json(&mut self) -> Value {
        let line = self.next_line().expect("another line");
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("not JSON ({e}): {line}"))
    }

    /// Lines of JSON up to and with the first that is looked for.
    pub fn json_until(&mut self, is_it: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut all = Vec::new();
        while !all.last().is_some_and(&is_it) {
            all.push(self.json());
        }
        all
    }

    /// Its exit code, after its last line.
    pub fn code(mut self) -> Option<i32> {
        while self.next_line().is_some() {}
        self.child.wait().expect("waiting for dsx").code()
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        // Both do nothing to a child that was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
