//! A real Claude Code in a raw PTY, without dsx: ready, unattended, talking to its own scripted server.

use std::path::Path;
use std::time::Duration;

use dsx_tests::DEADLINE;
use dsx_tests::agents::{CLAUDE, Package, install_or_skip};
use dsx_tests::home::Home;
use dsx_tests::model_server::ModelServer;
use dsx_tests::pty::{Pty, PtyCommand, Seen};

// Dropped in this order: the agent before its home, the home before the server it talks to.
pub struct Claude {
    pub pty: Pty,
    _home: Home,
    pub server: ModelServer,
}

impl Claude {
    /// Starts `package` and waits until it takes input; `None` when it cannot be had (said aloud).
    pub fn start(package: Package, test: &str) -> Option<Self> {
        let agent = install_or_skip(package, test)?;
        let server = ModelServer::start();
        let home = Home::with_agent(&agent, &server);
        let settings = r#"{"skipDangerousModePermissionPrompt":true}"#;
        let args = ["--dangerously-skip-permissions", "--settings", settings];
        let pty = PtyCommand::new(&home, Path::new("claude"), args).spawn();
        let claude = Self { pty, _home: home, server };
        if package.version == CLAUDE.version {
            claude.wait_report("state=idle", 0);
        } else {
            // No dialog sets the title or draws an empty box.
            claude.pty.wait(DEADLINE, |seen| seen.find(b"\x1b]0;", 0));
            claude.pty.wait(DEADLINE, |seen| is_empty(seen).then_some(()));
        }
        Some(claude)
    }

    /// How many OSC 7501 reports there were so far.
    pub fn reports(&self) -> usize {
        self.pty.look(|seen| seen.reports().len())
    }

    /// Waits for a report that contains `word`, the first `from` not counted.
    pub fn wait_report(&self, word: &str, from: usize) {
        self.pty.wait(DEADLINE, |seen| {
            seen.reports().iter().skip(from).any(|(_, report)| report.contains(word)).then_some(())
        });
    }

    /// Types a message and submits it once it is drawn. 2.1.197 sometimes takes a CR that comes early for
    /// nothing and leaves the text in the box: then, and only then, it is pressed again.
    pub fn submit(&self, text: &str) {
        self.pty.write(text);
        self.pty.wait_screen(DEADLINE, text);
        for _ in 0..5 {
            self.pty.write("\r");
            if self.pty.try_wait(Duration::from_secs(3), |seen| is_empty(seen).then_some(())).is_ok() {
                return;
            }
        }
        panic!("the message was not taken: {text}");
    }

    /// Waits until the input box is empty, or not.
    pub fn wait_empty(&self, empty: bool) {
        self.pty.wait(DEADLINE, |seen| (is_empty(seen) == empty).then_some(()));
    }

    /// Whether a report containing `word` comes within a short while, the first `from` not counted. Only
    /// for what must not come: everything else is waited for.
    pub fn reports_soon(&self, word: &str, from: usize) -> bool {
        let came = |seen: &Seen| {
            seen.reports().iter().skip(from).any(|(_, report)| report.contains(word)).then_some(())
        };
        self.pty.try_wait(Duration::from_millis(500), came).is_ok()
    }
}

/// Whether the input box holds nothing but, at most, a dim hint.
pub fn is_empty(seen: &Seen) -> bool {
    let screen = seen.cells();
    let (row, column) = screen.cursor_position();
    let prompt = screen.cell(row, 0).is_some_and(|cell| cell.contents() == "❯");
    let blank = (2..screen.size().1.get()).all(|at| {
        let Some(cell) = screen.cell(row, at) else { return true };
        cell.contents().trim().is_empty() || cell.dim() || cell.inverse()
    });
    prompt && column == 2 && blank
}
