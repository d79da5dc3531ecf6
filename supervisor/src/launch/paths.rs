//! Where the files of dsx lie. Decided once by the process that starts the keeper, and handed on as arguments from
//! there, so that two processes with different environments cannot disagree about a running supervisor.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::private_dir::{self, DirectoryError};

/// The longest path a Unix socket may have on Linux, in bytes (`sun_path` holds 108 with the closing NUL).
pub const SOCKET_PATH_LIMIT: usize = 107;

/// The places dsx uses. All are absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// Directory of the database, the logs and the lock; 0700.
    pub state: PathBuf,
    /// The socket that clients connect to; its directory is 0700, it is 0600.
    pub socket: PathBuf,
    /// The configuration file. It need not exist.
    pub config: PathBuf,
}

/// Why no places could be chosen.
#[derive(Debug, thiserror::Error)]
pub enum PathsError {
    /// `DSX_HOME` or `HOME` is set to a relative path. Daemons run in `/`, so it would mean another place there.
    #[error("{variable} is `{}`, which is not a full path; set it to one that starts with `/`", value.display())]
    Relative {
        /// The variable.
        variable: &'static str,
        /// What it holds.
        value: PathBuf,
    },
    /// Nothing says where the state belongs.
    #[error(
        "there is no place for dsx's state: HOME, XDG_STATE_HOME and DSX_HOME are all unset; set one of them"
    )]
    NoHome,
}

impl Paths {
    /// Chooses the places from the environment that `lookup` answers for (never from the process's own), for the
    /// user `uid`.
    ///
    /// `DSX_HOME` puts everything under it. Otherwise XDG decides; a runtime directory that is missing or not the
    /// user's (as after `su`) is passed over for the state directory. A socket path too long for the kernel moves
    /// to a directory in `/tmp` whose name follows from the state directory.
    ///
    /// # Errors
    /// [`PathsError`] if the environment names no usable place.
    pub fn resolve(lookup: impl Fn(&str) -> Option<OsString>, uid: u32) -> Result<Paths, PathsError> {
        let value = |name: &str| lookup(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        if let Some(home) = value("DSX_HOME") {
            let home = absolute("DSX_HOME", home)?;
            let socket = short_enough(home.join("sock"), &home, uid);
            return Ok(Paths { config: home.join("config.toml"), socket, state: home });
        }
        // The XDG specification has relative values ignored.
        let xdg = |name: &str| value(name).filter(|path| path.is_absolute());
        let home = || match value("HOME") {
            Some(home) => absolute("HOME", home),
            None => Err(PathsError::NoHome),
        };
        let state = match xdg("XDG_STATE_HOME") {
            Some(dir) => dir.join("dsx"),
            None => home()?.join(".local/state/dsx"),
        };
        let config = match xdg("XDG_CONFIG_HOME") {
            Some(dir) => dir.join("dsx/config.toml"),
            None => {
                home().map_or_else(|_| state.join("config.toml"), |dir| dir.join(".config/dsx/config.toml"))
            }
        };
        let socket = match xdg("XDG_RUNTIME_DIR").filter(|dir| belongs_to(dir, uid)) {
            Some(dir) => dir.join("dsx/sock"),
            None => state.join("sock"),
        };
        Ok(Paths { socket: short_enough(socket, &state, uid), config, state })
    }

    /// The lock that the keeper and the supervisor share; it lies beside the database and names the socket.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.state.join("dsx.lock")
    }

    /// The lock that a client holds while it starts a keeper, so that others wait for the outcome.
    #[must_use]
    pub fn start_lock(&self) -> PathBuf {
        self.state.join("start.lock")
    }

    /// The directory of the socket.
    #[must_use]
    pub fn socket_directory(&self) -> &Path {
        self.socket.parent().unwrap_or(&self.state)
    }

    /// Where the socket goes when its own directory is taken away.
    #[must_use]
    pub fn fallback_socket(&self, uid: u32) -> PathBuf {
        short_enough(self.state.join("sock"), &self.state, uid)
    }

    /// Creates the directories of state and socket where they are missing, and checks that both are private.
    ///
    /// # Errors
    /// [`DirectoryError`] naming the directory that is not a real directory of ours with mode 0700.
    pub fn ensure(&self) -> Result<(), DirectoryError> {
        private_dir::ensure(&self.state)?;
        private_dir::ensure(self.socket_directory())
    }

    /// Checks the directories that exist, and creates none.
    ///
    /// # Errors
    /// As [`Paths::ensure`], for directories that exist.
    pub fn check(&self) -> Result<(), DirectoryError> {
        private_dir::check(&self.state)?;
        private_dir::check(self.socket_directory()).map(|_| ())
    }
}

fn absolute(variable: &'static str, value: PathBuf) -> Result<PathBuf, PathsError> {
    if value.is_absolute() { Ok(value) } else { Err(PathsError::Relative { variable, value }) }
}

/// A runtime directory of another user is what `su` and `sudo -E` leave behind: what we put there would be in the
/// way of its owner.
fn belongs_to(dir: &Path, uid: u32) -> bool {
    std::fs::metadata(dir).is_ok_and(|found| found.is_dir() && found.uid() == uid)
}

/// The name in `/tmp` is a function of the state directory: every client finds it, and two states do not share one.
/// `/tmp` is anyone's, which is why the directory is checked like every other before use.
fn short_enough(socket: PathBuf, state: &Path, uid: u32) -> PathBuf {
    if socket.as_os_str().len() <= SOCKET_PATH_LIMIT {
        return socket;
    }
    let hash = state.as_os_str().as_bytes().iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    PathBuf::from(format!("/tmp/dsx-{uid}-{hash:016x}/sock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(vars: &[(&str, &str)], uid: u32) -> Result<Paths, PathsError> {
        Paths::resolve(|name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| OsString::from(v)), uid)
    }

    #[test]
    fn dsx_home_holds_everything() {
        let paths = resolve(&[("DSX_HOME", "/h"), ("XDG_STATE_HOME", "/s"), ("HOME", "/u")], 1).unwrap();
        assert_eq!(paths.state, Path::new("/h"));
        assert_eq!(paths.socket, Path::new("/h/sock"));
        assert_eq!(paths.config, Path::new("/h/config.toml"));
        assert_eq!(paths.lock(), Path::new("/h/dsx.lock"));
    }

    #[test]
    fn xdg_decides_otherwise() {
        let dir = tempfile::tempdir().unwrap();
        let uid = nix::unistd::geteuid().as_raw();
        let runtime = dir.path().to_str().unwrap();
        let vars = [("XDG_STATE_HOME", "/s"), ("XDG_RUNTIME_DIR", runtime), ("XDG_CONFIG_HOME", "/c")];
        let paths = resolve(&vars, uid).unwrap();
        assert_eq!(paths.state, Path::new("/s/dsx"));
        assert_eq!(paths.socket, dir.path().join("dsx/sock"));
        assert_eq!(paths.config, Path::new("/c/dsx/config.toml"));
        // The same directory, seen by another user, is passed over.
        assert_eq!(resolve(&vars, uid + 1).unwrap().socket, Path::new("/s/dsx/sock"));
    }

    #[test]
    fn home_is_the_default_and_the_state_holds_the_socket_without_a_runtime_directory() {
        let paths = resolve(&[("HOME", "/u"), ("XDG_STATE_HOME", "relative"), ("DSX_HOME", "")], 1).unwrap();
        assert_eq!(paths.state, Path::new("/u/.local/state/dsx"));
        assert_eq!(paths.socket, Path::new("/u/.local/state/dsx/sock"));
        assert_eq!(paths.config, Path::new("/u/.config/dsx/config.toml"));
    }

    #[test]
    fn what_is_relative_or_missing_is_named() {
        assert!(matches!(
            resolve(&[("DSX_HOME", "x")], 1),
            Err(PathsError::Relative { variable: "DSX_HOME", .. })
        ));
        assert!(matches!(resolve(&[("HOME", "x")], 1), Err(PathsError::Relative { variable: "HOME", .. })));
        assert!(matches!(resolve(&[], 1), Err(PathsError::NoHome)));
    }

    #[test]
    fn a_long_socket_path_moves_to_a_short_one_that_depends_on_the_state() {
        let deep = format!("/{}", "d".repeat(SOCKET_PATH_LIMIT));
        let one = resolve(&[("DSX_HOME", &deep)], 7).unwrap();
        assert!(one.socket.starts_with("/tmp") && one.socket.as_os_str().len() <= SOCKET_PATH_LIMIT);
        assert_eq!(one.socket, resolve(&[("DSX_HOME", &deep)], 7).unwrap().socket);
        assert_ne!(one.socket, resolve(&[("DSX_HOME", &format!("{deep}e"))], 7).unwrap().socket);
        let fits = format!("/{}", "d".repeat(SOCKET_PATH_LIMIT - "/".len() - "/sock".len()));
        assert_eq!(resolve(&[("DSX_HOME", &fits)], 7).unwrap().socket, Path::new(&fits).join("sock"));
    }
}
