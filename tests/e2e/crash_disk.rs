//! A full disk: errors name it, sessions go on, and what was refused is not done after all.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use dsx_tests::crash;
use dsx_tests::home::Home;

use crate::job::{answer, create, dsx, last};

/// A small file system of its own; gone when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None`, visibly, where none can be had.
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let said =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=6m,mode=0700", "tmpfs"]).arg(at).output();
        if !said.as_ref().is_ok_and(|o| o.status.success()) {
            eprintln!("SKIPPED: a small file system cannot be mounted here (it takes root): {said:?}");
            return None;
        }
        Some(Self(at.to_owned()))
    }

    /// Fills it to the last byte.
    fn fill(&self) {
        let mut file = fs::File::create(self.0.join("filler")).unwrap();
        while file.write_all(&[0x5a; 4096]).is_ok() {}
        while file.write_all(&[0x5a]).is_ok() {}
    }

    fn empty(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_named_and_ends_nothing() {
    let home = Home::new();
    let Some(disk) = SmallDisk::mount(&home.dsx_home()) else { return };
    let dsx = dsx(&home);
    let demo = create(&dsx, &["--cli", "demo"]);
    let shell = create(&dsx, &["--", "sh"]);
    assert_eq!(answer(&dsx, &demo, "say before"), "before");
    disk.fill();
    // The write-ahead log may have a little room left; not for this.
    let long = format!("say {}", "x".repeat(40_000));
    let refused = dsx.call(["send", &demo, "-", "--json"]).stdin(long).run().expect_code(1);
    assert!(refused.stderr.contains("full"), "{refused:?}");
    let refused = dsx.run(["create", "--cli", "demo"]).expect_code(1);
    assert!(refused.stderr.contains("space") || refused.stderr.contains("full"), "{refused:?}");
    // Programs print on: past the segment that was there, into memory.
    dsx.run(["keys", &shell, "seq 100000; echo $((6*7)) are there", "Enter"]).expect_code(0);
    crate::job::eventually(&dsx, &shell, || crate::job::screen(&dsx, &shell).contains("42 are there"));
    assert_eq!(dsx.json(["list"]).as_array().unwrap().len(), 2);
    disk.empty();
    assert_eq!(answer(&dsx, &demo, "say after"), "after");
    let all = dsx.json(["last-message", &demo, "-n", "9"]);
    let texts: Vec<&str> = all.as_array().unwrap().iter().filter_map(|m| m["text"].as_str()).collect();
    assert_eq!(texts, ["before", "after"], "what was refused was not sent");
    crash::kill_supervisor(&dsx);
    assert_eq!(last(&dsx, &demo), "after");
    // What was in memory is gone with that supervisor, so where its prompt stood is not known.
    assert!(answer(&dsx, &shell, "echo on").starts_with("on"));
    let log = fs::read_to_string(home.dsx_home().join("supervisor.log")).unwrap();
    assert!(!log.contains("panic"), "{log}");
}
