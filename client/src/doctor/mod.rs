//! What `dsx doctor` looks at. Each topic is a file of its own: `look` gathers, `judge` decides from values alone.
//!
//! Invariants: nothing is started, created or repaired, and whatever does not answer (a file system, a program, a
//! supervisor) costs one check its answer and never the whole report. Absences: no advice is carried out here.

mod agents;
mod database;
mod directories;
mod kernel;
mod limits;
mod looking;
mod space;
mod supervisor;
mod terminal;

use std::time::{Duration, Instant};

use dsx_supervisor::launch::{Paths, PathsError};
use looking::Looking;
use nix::unistd::geteuid;

/// How long all of it may take together. Each topic has its own thread, and a shorter patience where it can.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Ok,
    /// Something does not work as well as it could, or not everywhere.
    Warning,
    /// Sessions cannot be started, or not safely.
    Problem,
}

impl State {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// One line of the report. Its texts may hold what files and programs said: they are not sanitised yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    pub name: &'static str,
    pub state: State,
    pub found: String,
    /// The next step; none where nothing needs one.
    pub advice: Option<String>,
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, state: State::Ok, found: found.into(), advice: None }
    }

    fn warning(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, state: State::Warning, found: found.into(), advice: Some(advice.into()) }
    }

    fn problem(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, state: State::Problem, found: found.into(), advice: Some(advice.into()) }
    }
}

/// The whole report, in a fixed order. Returns after [`PATIENCE`] at the latest.
pub(crate) fn examine() -> Vec<Check> {
    let deadline = Instant::now() + PATIENCE;
    let mut all = Vec::new();
    match Paths::resolve(|name| std::env::var_os(name), geteuid().as_raw()) {
        Ok(paths) => all.extend(of_places(&paths)),
        Err(error) => all.push(Looking::done(nowhere(&error))),
    }
    all.push(Looking::start("claude", || agents::claude(geteuid().is_root())));
    all.push(Looking::start("codex", || vec![agents::codex()]));
    all.push(Looking::start("terminal", || vec![terminal::term(), terminal::locale()]));
    all.push(Looking::start("open_files", || vec![limits::open_files()]));
    all.push(Looking::start("inotify", || vec![limits::inotify()]));
    all.push(Looking::start("kernel", kernel::look));
    all.into_iter().flat_map(|looking| looking.finish(deadline)).collect()
}

fn of_places(paths: &Paths) -> Vec<Looking> {
    let with = |look: fn(&Paths) -> Vec<Check>| {
        let paths = paths.clone();
        move || look(&paths)
    };
    vec![
        Looking::start("directories", with(directories::look)),
        Looking::start("space", with(|paths| vec![space::look(&paths.state)])),
        Looking::start("write", with(|paths| vec![space::look_write(&paths.state)])),
        Looking::start("database", with(database::look)),
        Looking::start("supervisor", with(|paths| vec![supervisor::look(paths)])),
    ]
}

fn nowhere(error: &PathsError) -> Check {
    let advice = match error {
        PathsError::NoHome => "export HOME, or DSX_HOME=/a/directory/of/your/own".to_owned(),
        PathsError::Relative { variable, .. } => {
            format!("export {variable} with a path that starts with '/'")
        }
    };
    Check::problem("directories", error.to_string(), advice)
}

/// A path as a shell takes it, whatever is in it.
fn quoted(path: &std::path::Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_place_at_all_is_one_problem_with_a_way_out() {
        let check = nowhere(&PathsError::NoHome);
        assert_eq!(check.state, State::Problem);
        assert!(check.advice.unwrap().contains("DSX_HOME"));
        let relative = PathsError::Relative { variable: "HOME", value: "here".into() };
        assert!(nowhere(&relative).advice.unwrap().contains("HOME"));
    }

    #[test]
    fn advice_can_be_pasted_into_a_shell() {
        assert_eq!(quoted("/it's".as_ref()), r"'/it'\''s'");
    }
}
