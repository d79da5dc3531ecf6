//! What the agent shows.

use dsx_core::{Cli, ScreenText};

use crate::agent::State;
use crate::world::World;

impl World {
    pub fn screen(&self) -> ScreenText {
        let rule = "─".repeat(20);
        let lines: Vec<String> = match (self.agent.state, self.agent.dialog) {
            (State::Starting, Some(selected)) => {
                let mark = |n: usize| if n == selected { " ❯ " } else { "   " };
                vec![
                    " Is this a project you trust?".into(),
                    String::new(),
                    format!("{}No, exit", mark(0)),
                    format!("{}Yes, I trust it", mark(1)),
                ]
            }
            (State::Idle | State::Working(_), _) => {
                let mut lines = vec![rule.clone()];
                let pointer = if self.plan.cli == Cli::Demo { '>' } else { '❯' };
                let text = format!("{pointer} {}", self.agent.inbox);
                lines.extend(text.split('\n').map(str::to_owned));
                lines.push(rule);
                lines
            }
            (State::Asking(_), Some(selected)) if self.plan.cli == Cli::Claude => {
                let mark = |n: usize| if n == selected { " ❯ " } else { "   " };
                vec![
                    " Do you want to proceed?".into(),
                    format!("{}1. Yes", mark(0)),
                    format!("{}2. No", mark(1)),
                    String::new(),
                    " Esc to cancel".into(),
                ]
            }
            _ => vec![String::new()],
        };
        ScreenText { solid: lines.clone(), lines, ..ScreenText::default() }
    }
}
