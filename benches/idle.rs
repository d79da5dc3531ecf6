//! A hundred sessions in which nothing happens: the processor time of dsx's own processes, which must be
//! none that the clock can see, and their memory, beside tmux's.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::process::ExitCode;
use std::time::Duration;

use dsx_benches::figures::{ms, note, title, verdict};
use dsx_benches::process::{Cpu, Memory};
use dsx_benches::tmux::Tmux;
use dsx_tests::dsx::Dsx;
use dsx_tests::home::Home;

const SESSIONS: usize = 100;
const WINDOW: Duration = Duration::from_secs(20);
/// What was begun when the last session was made is over by then.
const SETTLING: Duration = Duration::from_secs(5);
/// The kernel counts a process's time in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

fn main() -> ExitCode {
    let mut home = Home::new();
    home.set("DSX_MAX_SESSIONS_PER_CREATOR", (SESSIONS + 1).to_string());
    let dsx = Dsx::new(&home, env!("CARGO_BIN_EXE_dsx-under-bench"));
    let create = || drop(dsx.run(["create", "-q", "--", "cat"]).expect_code(0));
    create();
    let ours = processes(&dsx);
    let ours_with_one = memory(&ours);
    let tmux = Tmux::new(&home);
    if let Some(tmux) = &tmux {
        tmux.session("session-0", "cat");
    }
    let theirs = tmux.as_ref().map(|tmux| vec![tmux.pid()]);
    let theirs_with_one = theirs.as_deref().map(memory);
    for n in 1..SESSIONS {
        create();
        if let Some(tmux) = &tmux {
            tmux.session(&format!("session-{n}"), "cat");
        }
    }
    pass(SETTLING);
    title(&format!("{SESSIONS} idle sessions"));
    let per_session = |name: &str, one: Memory, all: Memory| {
        let each = |one: u64, all: u64| all.saturating_sub(one) / (SESSIONS as u64 - 1);
        let said = format!(
            "{} KiB each ({} KiB of it in no file), {} KiB in all",
            each(one.pss, all.pss),
            each(one.anonymous, all.anonymous),
            all.pss
        );
        note(name, &said);
    };
    per_session("memory of dsx (supervisor and keeper)", ours_with_one, memory(&ours));
    if let (Some(one), Some(theirs)) = (theirs_with_one, &theirs) {
        per_session("memory of tmux", one, memory(theirs));
    }
    let before = (cpu(&ours), theirs.as_deref().map(cpu));
    pass(WINDOW);
    let spent = cpu(&ours).since(before.0);
    if let (Some(theirs), Some(before)) = (&theirs, before.1) {
        note("processor time of tmux", &shown(cpu(theirs).since(before)));
    }
    // A tick may be due for what was spent before: less than one was spent all the same.
    let within = spent.ticks == 0 || spent.exact < TICK;
    verdict("processor time of dsx", &shown(spent), "0 ticks", within);
    if within { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The supervisor and the keeper.
fn processes(dsx: &Dsx<'_>) -> Vec<u32> {
    let status = dsx.json(["supervisor", "status"]);
    let pid = |field: &str| status[field].as_u64().and_then(|pid| u32::try_from(pid).ok());
    vec![pid("pid").expect("the supervisor's pid"), pid("keeper_pid").expect("the keeper's pid")]
}

fn cpu(pids: &[u32]) -> Cpu {
    pids.iter().map(|pid| Cpu::of(*pid)).fold(Cpu::default(), |all, one| all + one)
}

fn memory(pids: &[u32]) -> Memory {
    pids.iter().map(|pid| Memory::of(*pid)).fold(Memory::default(), |all, one| all + one)
}

fn shown(cpu: Cpu) -> String {
    format!("{} ticks ({:.3} ms) in {} s", cpu.ticks, ms(cpu.exact), WINDOW.as_secs())
}

/// The passing of time is what is measured here; nothing is waited for.
#[allow(clippy::disallowed_methods)]
fn pass(time: Duration) {
    std::thread::sleep(time);
}
