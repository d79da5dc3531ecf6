//! What lies where a skill is to be, and putting it there.

use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access, geteuid};
use uuid::Uuid;

use super::{Place, Step, judge, refused};
use crate::failure::Failure;

/// More is no skill of ours, in bytes.
const LIMIT: u64 = 256 * 1024;
/// What an installation that was cut off leaves.
const UNFINISHED: &str = ".SKILL.md.dsx-";

const AWAY: &str = "move it away, then run this again";
const OWNER: &str = "let its owner do it, or choose another place";

/// What is to be done at a place. Changes nothing.
///
/// # Errors
/// `Refused`, naming the path, where something is in the way that is not ours to change.
pub(crate) fn examine(place: &Place) -> Result<Step, Failure> {
    let root = match place.root.canonicalize() {
        Ok(root) => Some(root),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(unreadable(&place.root, &error)),
    };
    let there = own_file(place)?;
    let step = judge(place.skill, there.as_deref()).map_err(|why| refused(&place.file(), why, AWAY))?;
    if step.writes() {
        check_way(place, root.as_deref())?;
    }
    Ok(step)
}

/// The text of the file that is there.
fn own_file(place: &Place) -> Result<Option<String>, Failure> {
    let Some(dir) = look(&place.dir)? else { return Ok(None) };
    if dir.is_symlink() {
        return Err(refused(&place.dir, "it is a link, which dsx did not make", AWAY));
    }
    if !dir.is_dir() {
        return Err(refused(&place.dir, "it is there already and no directory", AWAY));
    }
    check_owner(&place.dir, &dir)?;
    let file = place.file();
    let Some(found) = look(&file)? else {
        let entries = fs::read_dir(&place.dir).map_err(|error| unreadable(&place.dir, &error))?;
        let foreign = entries
            .flatten()
            .any(|entry| !entry.file_name().to_str().is_some_and(|name| name.starts_with(UNFINISHED)));
        return match foreign {
            true => Err(refused(&place.dir, "it is there already, and dsx did not make it", AWAY)),
            false => Ok(None),
        };
    };
    if !found.is_file() || found.len() > LIMIT {
        return Err(refused(&file, "it is there already and no skill of dsx", AWAY));
    }
    check_owner(&file, &found)?;
    let mut bytes = Vec::new();
    let opened = fs::File::open(&file).and_then(|f| f.take(LIMIT + 1).read_to_end(&mut bytes));
    opened.map_err(|error| unreadable(&file, &error))?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(refused(&file, "it is there already and no skill of dsx", AWAY)),
    }
}

/// The nearest directory that is there is ours to write in, and where it seems to be.
fn check_way(place: &Place, root: Option<&Path>) -> Result<(), Failure> {
    let nearest = place.dir.ancestors().find_map(|dir| match fs::metadata(dir) {
        Ok(found) => Some(Ok((dir, found))),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !dir.is_symlink() => None,
        Err(error) => Some(Err(unreadable(dir, &error))),
    });
    let Some(nearest) = nearest else { return Ok(()) };
    let (dir, found) = nearest?;
    if !found.is_dir() {
        return Err(refused(dir, "it is no directory", AWAY));
    }
    let real = dir.canonicalize().map_err(|error| unreadable(dir, &error))?;
    // Where the root itself is still to be made, nothing that is there is below it.
    if let Some(root) = root.filter(|root| !real.starts_with(root)) {
        let why = format!("it leads to {}, outside of {}", real.display(), root.display());
        return Err(refused(dir, &why, "put a directory in the place of the link"));
    }
    check_owner(dir, &found)?;
    access(dir, AccessFlags::W_OK | AccessFlags::X_OK)
        .map_err(|error| refused(dir, &format!("it cannot be written in: {}", error.desc()), OWNER))
}

fn check_owner(path: &Path, found: &Metadata) -> Result<(), Failure> {
    match found.uid() == geteuid().as_raw() {
        true => Ok(()),
        false => Err(refused(path, &format!("it belongs to another user ({})", found.uid()), OWNER)),
    }
}

/// What is there, a link itself and not what it leads to.
fn look(path: &Path) -> Result<Option<Metadata>, Failure> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        // A part of the way is a file.
        Err(error) => Err(unreadable(path, &error)),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    refused(path, &format!("it cannot be looked at: {error}"), OWNER)
}

/// Puts the skill there, whole or not at all.
///
/// # Errors
/// `Failed`, naming the path.
pub(crate) fn write(place: &Place) -> Result<(), Failure> {
    let (file, new) = (place.file(), place.dir.join(format!("{UNFINISHED}{}", Uuid::new_v4().simple())));
    let written = fs::create_dir_all(&place.dir)
        .and_then(|()| sweep(&place.dir))
        .and_then(|()| fill(&new, place.skill.file().as_bytes()))
        .and_then(|()| fs::rename(&new, &file));
    written.map_err(|error| {
        // It may never have come to be.
        let _ = fs::remove_file(&new);
        Failure::failed(
            format!("{} cannot be written: {error}", file.display()),
            "check the disk, run it again",
        )
    })
}

fn fill(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Removes what an installation that was cut off has left.
fn sweep(dir: &Path) -> io::Result<()> {
    let left: Vec<PathBuf> = fs::read_dir(dir)?
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with(UNFINISHED)))
        .map(|entry| entry.path())
        .collect();
    left.into_iter().try_for_each(fs::remove_file)
}
