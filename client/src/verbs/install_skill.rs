//! `dsx install-skill`: agents learn to use dsx.

use serde_json::json;

use super::{Outcome, print, print_line};
use crate::cli::InstallSkillArgs;
use crate::failure::Failure;
use crate::output::sanitize::one_line;
use crate::skills::{Agent, Around, Place, Scope, Step, examine, places, write};

pub(super) fn run(args: &InstallSkillArgs) -> Outcome {
    let here = std::env::current_dir().map_err(|e| {
        Failure::failed(format!("the current directory cannot be used: {e}"), "change to another")
    })?;
    let scope = if args.scope.global { Scope::Global } else { Scope::Local };
    let named = [(args.claude, Agent::Claude), (args.codex, Agent::Codex)];
    let named: Vec<Agent> = named.into_iter().filter(|(named, _)| *named).map(|(_, agent)| agent).collect();
    let places = places(&Around::of(std::env::vars_os(), here), scope, &named)?;
    // All are looked at before the first is touched.
    let mut steps = Vec::new();
    for place in &places {
        steps.push((place, examine(place)?));
    }
    for (place, step) in steps {
        if step.writes() && !args.dry_run {
            write(place)?;
        }
        show(place, step, args)?;
    }
    Ok(0)
}

fn show(place: &Place, step: Step, args: &InstallSkillArgs) -> Result<(), Failure> {
    let path = place.file();
    let text = place.skill.file();
    let would = step.writes() && args.dry_run;
    if args.json {
        let what = match step {
            Step::Install => "install",
            Step::Upgrade => "upgrade",
            Step::UpToDate => "up_to_date",
            Step::Newer => "newer",
        };
        return print_line(&json!({
            "agent": place.agent.name(), "skill": place.skill.name, "path": path.to_string_lossy(),
            "step": what, "changed": step.writes() && !args.dry_run, "text": would.then_some(text),
        }));
    }
    let what = match (step, args.dry_run) {
        (Step::Install, false) => "installed",
        (Step::Install, true) => "would install",
        (Step::Upgrade, false) => "upgraded",
        (Step::Upgrade, true) => "would upgrade",
        (Step::UpToDate, _) => "up to date:",
        (Step::Newer, _) => "left alone, a newer dsx installed it:",
    };
    print(&format!("{}\n", one_line(&format!("{what} {}", path.display()))))?;
    if would { print(&format!("\n{text}\n")) } else { Ok(()) }
}
