//! What the keeper and the supervisor are told when they are started, as arguments: nothing of it is secret, and
//! `ps` then shows whose they are.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::paths::Paths;

/// Where the binary is, where the files lie, and what agents are given that the daemons have changed for themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The `dsx` binary; the next supervisor or keeper is started from it, so a new version there is an upgrade.
    pub exe: PathBuf,
    /// The places.
    pub paths: Paths,
    /// The soft limit on open files that agents get. The keeper raises its own, and hands this one on.
    pub open_files: Option<u64>,
}

/// Arguments that no dsx wrote.
#[derive(Debug, thiserror::Error)]
pub enum OriginError {
    /// One is missing.
    #[error("`{0}` is missing: this command is started by dsx itself; run `dsx list` and it will be")]
    Missing(&'static str),
    /// One has no meaning.
    #[error("`{0}` is not understood: this command is started by dsx itself; run `dsx list` and it will be")]
    Unknown(String),
}

impl Origin {
    /// The arguments from which [`Origin::from_args`] makes the same again.
    #[must_use]
    pub fn to_args(&self) -> Vec<OsString> {
        let mut args: Vec<OsString> = Vec::new();
        let mut path = |flag: &str, value: &Path| args.extend([flag.into(), value.into()]);
        path("--exe", &self.exe);
        path("--state", &self.paths.state);
        path("--socket", &self.paths.socket);
        path("--config", &self.paths.config);
        if let Some(limit) = self.open_files {
            args.extend(["--open-files".into(), limit.to_string().into()]);
        }
        args
    }

    /// Reads what [`Origin::to_args`] wrote. `args` are those after the subcommand.
    ///
    /// # Errors
    /// [`OriginError`] naming the argument that is missing or not understood.
    pub fn from_args(args: impl IntoIterator<Item = OsString>) -> Result<Origin, OriginError> {
        let (mut exe, mut state, mut socket, mut config, mut open_files) = (None, None, None, None, None);
        let mut args = args.into_iter();
        while let Some(flag) = args.next() {
            let known = match flag.to_str() {
                Some("--exe") => &mut exe,
                Some("--state") => &mut state,
                Some("--socket") => &mut socket,
                Some("--config") => &mut config,
                Some("--open-files") => &mut open_files,
                _ => return Err(OriginError::Unknown(flag.to_string_lossy().into_owned())),
            };
            *known = args.next();
        }
        let path = |value: Option<OsString>, flag| value.map(PathBuf::from).ok_or(OriginError::Missing(flag));
        let open_files = match open_files {
            None => None,
            Some(value) => match value.to_str().and_then(|text| text.parse().ok()) {
                Some(limit) => Some(limit),
                None => return Err(OriginError::Unknown(value.to_string_lossy().into_owned())),
            },
        };
        let paths = Paths {
            state: path(state, "--state")?,
            socket: path(socket, "--socket")?,
            config: path(config, "--config")?,
        };
        Ok(Origin { exe: path(exe, "--exe")?, paths, open_files })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn arguments_come_back_byte_for_byte() {
        let odd = PathBuf::from(OsString::from_vec(b"/a\xff b\n--exe".to_vec()));
        let paths = Paths { state: odd.clone(), socket: odd.join("s"), config: odd.join("c") };
        let mut origin = Origin { exe: odd, paths, open_files: Some(1024) };
        assert_eq!(Origin::from_args(origin.to_args()).unwrap(), origin);
        origin.open_files = None;
        assert_eq!(Origin::from_args(origin.to_args()).unwrap(), origin);
    }

    #[test]
    fn what_is_missing_or_foreign_is_named() {
        assert!(matches!(Origin::from_args([]), Err(OriginError::Missing("--state"))));
        assert!(
            matches!(Origin::from_args(["--colour".into()]), Err(OriginError::Unknown(flag)) if flag == "--colour")
        );
        assert!(matches!(Origin::from_args(["--state".into()]), Err(OriginError::Missing("--state"))));
    }
}
