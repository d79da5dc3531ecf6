//! A tmux of its own: private socket, no configuration.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use dsx_tests::home::Home;
use dsx_tests::on_path;

use crate::process::{command, timed};

/// A tmux server; killed when dropped.
#[derive(Debug)]
pub struct Tmux<'h> {
    home: &'h Home,
    socket: PathBuf,
}

impl<'h> Tmux<'h> {
    /// `None`, said aloud, on a machine without tmux.
    #[must_use]
    pub fn new(home: &'h Home) -> Option<Self> {
        if !on_path("tmux") {
            println!("SKIPPED: tmux is not installed; its side of the figures is missing");
            return None;
        }
        Some(Self { home, socket: home.path().join("tmux") })
    }

    /// A session of 120x40 that runs `program`.
    pub fn session(&self, name: &str, program: &str) {
        self.timed(&["new-session", "-d", "-x", "120", "-y", "40", "-s", name, program]);
    }

    /// How long `tmux ARGS` takes as a whole process.
    pub fn timed(&self, args: &[&str]) -> Duration {
        timed(&mut self.call(args))
    }

    /// The server's process id.
    ///
    /// # Panics
    /// When no server runs.
    #[must_use]
    pub fn pid(&self) -> u32 {
        let mut call = self.call(&["display-message", "-p", "#{pid}"]);
        let said = call.stdout(Stdio::piped()).output().expect("starting tmux");
        String::from_utf8_lossy(&said.stdout).trim().parse().expect("the pid of the tmux server")
    }

    fn call(&self, args: &[&str]) -> Command {
        let socket = self.socket.to_str().expect("a UTF-8 path");
        command(self.home, "tmux", ["-S", socket, "-f", "/dev/null"].iter().chain(args))
    }
}

impl Drop for Tmux<'_> {
    fn drop(&mut self) {
        let _ = self.call(&["kill-server"]).status();
    }
}
