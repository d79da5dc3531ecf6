//! `dsx doctor`

use serde_json::{Value, json};

use super::{Outcome, print, print_line};
use crate::cli::JsonArgs;
use crate::doctor::{Check, State, examine};
use crate::output::colour::{Paint, Style};
use crate::output::sanitize::one_line;

pub(super) fn run(args: &JsonArgs) -> Outcome {
    let checks = examine();
    if args.json {
        print_line(&as_json(&checks))?;
    } else {
        print(&as_text(&checks, Paint::stdout()))?;
    }
    Ok(u8::from(count(&checks, State::Problem) > 0))
}

fn count(checks: &[Check], state: State) -> usize {
    checks.iter().filter(|check| check.state == state).count()
}

fn as_json(checks: &[Check]) -> Value {
    let each = |check: &Check| {
        json!({
            "name": check.name, "state": check.state.name(), "found": check.found, "advice": check.advice,
        })
    };
    let all: Vec<Value> = checks.iter().map(each).collect();
    json!({ "checks": all, "problems": count(checks, State::Problem) })
}

/// Never cut, however narrow the terminal is: half an advice is none.
fn as_text(checks: &[Check], paint: Paint) -> String {
    let widest = checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for check in checks {
        // The state is padded by hand: a colour must not count as width.
        let (state, style) = (check.state.name(), style(check.state));
        let gap = " ".repeat(State::Problem.name().len() - state.len());
        let (name, found) = (check.name, one_line(&check.found));
        text.push_str(&format!("{}{gap}  {name:widest$}  {found}\n", paint.paint(style, state)));
        if let Some(advice) = &check.advice {
            let indent = State::Problem.name().len() + 2 + widest + 2;
            text.push_str(&format!("{:indent$}→ {}\n", "", one_line(advice)));
        }
    }
    text.push_str(&summary(count(checks, State::Problem), count(checks, State::Warning)));
    text
}

const fn style(state: State) -> Style {
    match state {
        State::Ok => Style::Green,
        State::Warning => Style::Yellow,
        State::Problem => Style::Red,
    }
}

fn summary(problems: usize, warnings: usize) -> String {
    let counted = |n: usize, what: &str| match n {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    };
    format!("{}, {}\n", counted(problems, "problem"), counted(warnings, "warning"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checks() -> [Check; 2] {
        let evil = "a \u{1b}[31mname\nand\u{202e} more".to_owned();
        let advice = Some("chmod 700 '/x'".to_owned());
        [
            Check { name: "space", state: State::Ok, found: "70 GB free".to_owned(), advice: None },
            Check { name: "state_directory", state: State::Problem, found: evil, advice },
        ]
    }

    #[test]
    fn the_text_is_aligned_and_sanitised() {
        let expected = "\
ok       space            70 GB free
problem  state_directory  a ␛[31mname and more
                          → chmod 700 '/x'
1 problem, no warnings
";
        assert_eq!(as_text(&checks(), Paint::PLAIN), expected);
        let coloured = as_text(&checks(), Paint::COLOURED);
        assert!(coloured.contains("\u{1b}[31mproblem\u{1b}[0m  state_directory"), "{coloured}");
        assert_eq!(summary(0, 2), "no problems, 2 warnings\n");
    }

    #[test]
    fn the_json_has_every_field() {
        let value = as_json(&checks());
        assert_eq!(value["problems"], 1);
        assert_eq!(value["checks"][0]["advice"], Value::Null);
        assert_eq!(value["checks"][1]["state"], "problem");
        assert_eq!(value["checks"][1]["advice"], "chmod 700 '/x'");
    }
}
