//! The real boundary around dsx: directories that only their owner can enter. Looked at through a descriptor that
//! follows no link, so that what was checked is what is there.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::libc;

/// Why a directory is not used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// It is missing and cannot be made.
    #[error("cannot create the directory `{}`: {source}; make it yourself with mode 700, or set DSX_HOME", path.display())]
    Create {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It cannot be looked at.
    #[error("cannot open the directory `{}`: {source}; check who owns it and its parents", path.display())]
    Open {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file or a link is in its place. Links are not followed: whoever owns the link decides where it leads.
    #[error("`{}` is not a directory (links are not followed); move it away, or set DSX_HOME to another place", path.display())]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// It belongs to someone else, who could put a socket of his own there.
    #[error("the directory `{}` belongs to user {owner}, not to you ({uid}); set DSX_HOME to a directory of your own", path.display())]
    Owner {
        /// The directory.
        path: PathBuf,
        /// The user id that owns it.
        owner: u32,
        /// Ours.
        uid: u32,
    },
    /// Others may enter it, or we may not.
    #[error("the directory `{}` has mode {mode:o}, but only you may enter it; run: chmod 700 '{}'", path.display(), path.display())]
    Mode {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

/// Creates `path` with mode 0700 if it is missing (and its parents), then checks it.
///
/// # Errors
/// [`DirectoryError`], naming the directory, the reason and the remedy.
pub fn ensure(path: &Path) -> Result<(), DirectoryError> {
    if check(path)? {
        return Ok(());
    }
    let failed = |source| DirectoryError::Create { path: path.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
    if check(path)? { Ok(()) } else { Err(failed(io::Error::from_raw_os_error(libc::ENOENT))) }
}

/// Whether `path` exists; if so it is a real directory of ours with mode 0700.
///
/// # Errors
/// [`DirectoryError`] if it exists and is not that.
pub fn check(path: &Path) -> Result<bool, DirectoryError> {
    let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW;
    match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(dir) => examine(path, &dir).map(|()| true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(refusal(path, e)),
    }
}

/// Opening says too little of a directory we may not read: the entry itself tells whose it is.
fn refusal(path: &Path, source: io::Error) -> DirectoryError {
    match path.symlink_metadata() {
        Ok(found) if !found.is_dir() => DirectoryError::NotADirectory { path: path.to_owned() },
        Ok(found) => match judge(path, &found) {
            Err(error) => error,
            Ok(()) => DirectoryError::Open { path: path.to_owned(), source },
        },
        Err(_) => DirectoryError::Open { path: path.to_owned(), source },
    }
}

fn examine(path: &Path, dir: &File) -> Result<(), DirectoryError> {
    let found = dir.metadata().map_err(|source| DirectoryError::Open { path: path.to_owned(), source })?;
    judge(path, &found)
}

fn judge(path: &Path, found: &std::fs::Metadata) -> Result<(), DirectoryError> {
    let uid = nix::unistd::geteuid().as_raw();
    let mode = found.mode() & 0o777;
    if found.uid() != uid {
        return Err(DirectoryError::Owner { path: path.to_owned(), owner: found.uid(), uid });
    }
    if mode != 0o700 {
        return Err(DirectoryError::Mode { path: path.to_owned(), mode });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_missing_one_is_made_private_with_its_parents() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a/b");
        assert!(!check(&path).unwrap());
        ensure(&path).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o700);
        assert!(check(&path).unwrap());
    }

    #[test]
    fn an_open_one_is_refused_with_the_remedy() {
        let home = tempfile::tempdir().unwrap();
        std::fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
        let error = ensure(home.path()).unwrap_err();
        assert!(matches!(error, DirectoryError::Mode { mode: 0o755, .. }));
        let text = error.to_string();
        assert!(
            text.contains(home.path().to_str().unwrap())
                && text.contains("755")
                && text.contains("chmod 700")
        );
    }

    #[test]
    fn a_link_and_a_file_are_refused() {
        let home = tempfile::tempdir().unwrap();
        let real = home.path().join("real");
        ensure(&real).unwrap();
        let link = home.path().join("link");
        symlink(&real, &link).unwrap();
        assert!(matches!(ensure(&link), Err(DirectoryError::NotADirectory { .. })));
        let file = home.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(matches!(ensure(&file), Err(DirectoryError::NotADirectory { .. })));
        assert!(matches!(
            ensure(&file.join("below")),
            Err(DirectoryError::Open { .. } | DirectoryError::Create { .. })
        ));
    }

    #[test]
    fn one_of_another_user_is_refused() {
        // Only the superuser can make one for the test; for everyone else `/` is somebody else's.
        let foreign = Path::new("/");
        if nix::unistd::geteuid().is_root() {
            let home = tempfile::tempdir().unwrap();
            std::os::unix::fs::chown(home.path(), Some(12345), None).unwrap();
            assert!(matches!(ensure(home.path()), Err(DirectoryError::Owner { owner: 12345, .. })));
        } else {
            assert!(matches!(ensure(foreign), Err(DirectoryError::Owner { owner: 0, .. })));
        }
    }
}
