//! Who starts a supervisor, who waits for it, and what is in the way.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::sync::Barrier;

use dsx_supervisor::launch::lock::{Holder, Lock, is_held};
use dsx_supervisor::launch::{DirectoryError, LaunchError, connect_existing};
use nix::sys::signal::Signal;

use super::home::{Home, Process, send};

#[test]
fn of_many_simultaneous_clients_one_starts_the_keeper() {
    let home = Home::new();
    let barrier = Barrier::new(12);
    let seen: Vec<(u32, u32)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..12)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    let mut client = home.connect();
                    (client.about("keeper"), client.about("pid"))
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(seen.iter().all(|pids| *pids == seen[0]), "{seen:?}");
    assert_eq!((home.daemons().len(), home.starts()), (2, 1));
}

#[test]
fn the_daemons_are_daemons() {
    let home = Home::new();
    // Returns only when nobody has its output open any more, as `$(dsx create -q)` does.
    let output = Command::new(Home::exe()).arg("connect").args(home.origin().to_args()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "connected\n");
    let daemons = home.daemons();
    assert_eq!(daemons.len(), 2);
    for pid in daemons {
        for fd in 0..3 {
            assert_eq!(fs::read_link(format!("/proc/{pid}/fd/{fd}")).unwrap().to_str(), Some("/dev/null"));
        }
        assert_eq!(fs::read_link(format!("/proc/{pid}/cwd")).unwrap().to_str(), Some("/"));
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        assert_eq!(stat.split(' ').nth(6), Some("0"), "no terminal: {stat}");
    }
    assert_eq!(fs::metadata(&home.paths.socket).unwrap().mode() & 0o777, 0o600);
    assert_eq!(home.holder().socket, home.paths.socket);
    assert!(is_held(&home.paths.lock()).unwrap());
}

#[test]
fn a_stale_socket_and_lock_are_recovered() {
    let home = Home::new();
    let first = home.connect().about("keeper");
    home.kill_all();
    assert!(home.paths.socket.exists() && home.paths.lock().exists());
    assert!(matches!(connect_existing(&home.paths), Err(LaunchError::NotRunning { .. })));
    assert_ne!(home.connect().about("keeper"), first);
    assert!(connect_existing(&home.paths).is_ok());
}

#[test]
fn nothing_is_started_by_connect_existing() {
    let home = Home::new();
    assert!(matches!(connect_existing(&home.paths), Err(LaunchError::NotRunning { .. })));
    assert_eq!(fs::read_dir(home.dir.path()).unwrap().count(), 0, "it has left something");
}

#[test]
fn a_lock_that_is_held_is_not_stolen() {
    let home = Home::new();
    let lock = Lock::try_take(&home.paths.lock()).unwrap().unwrap();
    let elsewhere = home.state("elsewhere");
    lock.name(&Holder { keeper_pid: 4_000_001, socket: elsewhere.clone() }).unwrap();
    let error = home.try_connect().map(|_| ()).unwrap_err();
    assert!(matches!(&error, LaunchError::Unreachable { socket, .. } if *socket == elsewhere), "{error}");
    assert!(error.to_string().contains("4000001"), "{error}");
    assert!(home.daemons().is_empty());
    // Where the holder listens is found through the lock, whatever the client's environment says.
    let listener = UnixListener::bind(&elsewhere).unwrap();
    assert!(home.try_connect().is_ok());
    assert!(connect_existing(&home.paths).is_ok());
    assert!(home.daemons().is_empty());
    // It comes free while a client waits: that one starts a keeper.
    drop(listener);
    let pid = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| home.connect().about("keeper"));
        drop(lock);
        waiting.join().unwrap()
    });
    assert_eq!(home.holder().keeper_pid, pid);
}

#[test]
fn a_keeper_is_not_started_beside_one_that_lives() {
    let home = Home::new();
    let mut client = home.connect();
    let keeper = client.about("keeper");
    // A stopped supervisor still holds the lock and the socket: a client connects and is served later.
    let supervisor = client.about("pid");
    send(supervisor, Signal::SIGSTOP);
    let stream = home.try_connect().unwrap();
    send(supervisor, Signal::SIGCONT);
    let mut second = stream;
    assert_eq!((second.about("keeper"), second.about("pid")), (keeper, supervisor));
    assert_eq!(home.daemons().len(), 2);
}

#[test]
fn a_directory_that_others_may_enter_is_refused() {
    let home = Home::new();
    fs::set_permissions(home.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let error = home.try_connect().map(|_| ()).unwrap_err();
    assert!(matches!(error, LaunchError::Directory(DirectoryError::Mode { mode: 0o755, .. })), "{error}");
    assert_eq!(fs::read_dir(home.dir.path()).unwrap().count(), 0, "it has left something");
    fs::set_permissions(home.dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
    home.connect();
    // A supervisor that runs is not talked to through such a directory either.
    fs::set_permissions(home.dir.path(), fs::Permissions::from_mode(0o750)).unwrap();
    assert!(matches!(home.try_connect().map(|_| ()), Err(LaunchError::Directory(_))));
}

#[test]
fn a_supervisor_that_cannot_serve_says_why_and_nothing_stays() {
    let home = Home::new();
    fs::write(home.state("refuse"), "the database is from the future").unwrap();
    let error = home.try_connect().map(|_| ()).unwrap_err();
    assert!(
        matches!(&error, LaunchError::Failed { reason } if reason.contains("from the future")),
        "{error}"
    );
    assert_eq!(home.starts(), 1);
    wait_until_gone(&home);
    fs::remove_file(home.state("refuse")).unwrap();

    // One that dies without a word is tried again, but not for ever.
    fs::write(home.state("crash"), "").unwrap();
    let error = home.try_connect().map(|_| ()).unwrap_err();
    assert!(matches!(&error, LaunchError::Failed { reason } if reason.contains("exit code 1")), "{error}");
    assert_eq!(home.starts(), 1 + 5);
    wait_until_gone(&home);
    fs::remove_file(home.state("crash")).unwrap();
    home.connect();
}

fn wait_until_gone(home: &Home) {
    home.daemons().into_iter().filter_map(Process::of).for_each(|process| process.wait());
    assert!(!home.paths.socket.exists());
    assert!(!is_held(&home.paths.lock()).unwrap());
}

#[test]
fn a_binary_that_is_not_there_is_named() {
    let home = Home::new();
    let nowhere = home.state("bin/dsx");
    let error = dsx_supervisor::launch::connect(&home.paths, &nowhere).unwrap_err();
    assert!(matches!(&error, LaunchError::Start { exe, .. } if *exe == nowhere), "{error}");
    assert!(!is_held(&home.paths.lock()).unwrap());
}

#[test]
fn a_home_with_a_long_name_is_served_from_a_short_socket() {
    let home = Home::new();
    let deep = home.dir.path().join("d".repeat(120));
    let value = deep.clone().into_os_string();
    let uid = nix::unistd::geteuid().as_raw();
    let lookup = |name: &str| (name == "DSX_HOME").then(|| value.clone());
    let paths = dsx_supervisor::launch::Paths::resolve(lookup, uid).unwrap();
    let served = Home { dir: tempfile::tempdir_in("/tmp").unwrap(), paths };
    let mut client = served.connect();
    let daemons = [client.about("pid"), client.about("keeper")].map(|pid| Process::of(pid).unwrap());
    assert_eq!(fs::metadata(served.paths.socket_directory()).unwrap().mode() & 0o777, 0o700);
    assert!(deep.join("dsx.lock").exists());
    drop(client.try_ask(&serde_json::json!({"op": "shutdown"})));
    daemons.iter().for_each(Process::wait);
    fs::remove_dir(served.paths.socket_directory()).unwrap();
}
