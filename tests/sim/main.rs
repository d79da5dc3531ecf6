//! Seeded simulation of the core: one agent or several in a world of simulated time, whose supervisor may
//! die between any two effects.
//!
//! `DSX_SIM_SEEDS` sets how many seeds are run, `DSX_SIM_SEED` runs one and prints all that happened in it.

mod agent;
mod checks;
mod clients;
mod endings;
mod plan;
mod program;
mod questions;
mod rng;
mod screen;
mod shell;
mod sources;
mod world;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rng::Rng;
use world::{Count, World};

const SEEDS: u64 = 100_000;
/// More happenings than any world that ends has.
const ENDLESS: u64 = 200_000;

fn run(seed: u64, traced: bool) -> Result<Count, String> {
    let mut rng = Rng::new(seed);
    let sessions = if rng.chance(850) { 1 } else { rng.range(2, 3) };
    let mut worlds: Vec<World> =
        (0..sessions).map(|n| World::new(n as usize, Rng::new(rng.next()), traced)).collect();
    for world in &mut worlds {
        world.create()?;
    }
    for _ in 0..ENDLESS {
        let next =
            (0..worlds.len()).filter(|n| worlds[*n].next_at().is_some()).min_by_key(|n| worlds[*n].next_at());
        let Some(next) = next else {
            let mut more = false;
            for world in &mut worlds {
                more |= world.finish().map_err(|why| format!("{why} (session {})", world.number))?;
            }
            if more {
                continue;
            }
            return Ok(worlds.iter().fold(Count::default(), |sum, w| sum.plus(w.count)));
        };
        let now = worlds[next].next_at().unwrap_or_default();
        let crashes = worlds[next].count.crashes;
        worlds[next].step()?;
        if worlds[next].count.crashes > crashes {
            // One supervisor: what kills it kills it for every session.
            for (at, world) in worlds.iter_mut().enumerate() {
                if at != next && world.is_up() {
                    world.now = now;
                    world.crash();
                }
            }
        }
    }
    Err("the world never comes to rest".into())
}

fn judged(seed: u64, traced: bool) -> Result<Count, String> {
    catch_unwind(AssertUnwindSafe(|| run(seed, traced))).unwrap_or_else(|_| Err("the core panicked".into()))
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn explain(seed: u64) -> String {
    let said = judged(seed, true);
    format!(
        "seed {seed}: {}\nagain: DSX_SIM_SEED={seed} cargo test -p dsx-tests --test sim -- --nocapture",
        said.err().unwrap_or_else(|| "passes when traced; the simulation is not deterministic".into())
    )
}

#[test]
fn no_order_of_events_breaks_a_promise() {
    if let Some(seed) = number("DSX_SIM_SEED") {
        println!("{}", explain(seed));
        let said = judged(seed, false);
        assert!(said.is_ok(), "{said:?}");
        return;
    }
    let (seeds, first) = (number("DSX_SIM_SEEDS").unwrap_or(SEEDS), number("DSX_SIM_FIRST").unwrap_or(0));
    let (next, failed) = (AtomicU64::new(first), AtomicU64::new(u64::MAX));
    let survey = std::env::var_os("DSX_SIM_SURVEY").is_some();
    let kinds: Mutex<BTreeMap<String, (u64, u64)>> = Mutex::default();
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let work = || {
        let mut sum = Count::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + seeds || failed.load(Ordering::Relaxed) != u64::MAX {
                return sum;
            }
            match judged(seed, false) {
                Ok(count) => sum = sum.plus(count),
                Err(why) if survey => {
                    let kind: String = why.chars().take(48).filter(|c| !c.is_ascii_digit()).collect();
                    if let Ok(mut kinds) = kinds.lock() {
                        let (times, _) = kinds.entry(kind).or_insert((0_u64, seed));
                        *times += 1;
                    }
                }
                Err(_) => {
                    failed.fetch_min(seed, Ordering::Relaxed);
                }
            }
        }
    };
    let sum = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().filter_map(|w| w.join().ok()).fold(Count::default(), Count::plus)
    });
    let failed = failed.load(Ordering::Relaxed);
    assert!(failed == u64::MAX, "{}", explain(failed));
    for (kind, (times, seed)) in kinds.into_inner().unwrap_or_default() {
        println!("{times:>7} times, first by seed {seed}: {kind}");
    }
    println!("{seeds} seeds: {sum}");
}
