//! What the demo agent does with a message: decided by its first words, and by nothing else.

/// Lines that `long` writes at most.
const LINES_MAX: u64 = 100_000;
/// Milliseconds that `slow` and `wait` take at most: a day.
const WAIT_MAX_MS: u64 = 24 * 60 * 60 * 1000;

/// What a human sees of the language.
pub(super) const HELP: &str = "\
I am a scripted stand-in for a coding agent. What I do depends on
how your message begins:
  say X            X
  slow N X         X after N seconds (or 250ms); so does wait N X
  ask Q | A | B    a question with the options A and B
  fail X           a failed turn with the error X
  long N           N lines
  hash X           the FNV-1a digest of X and its length in bytes
  read FILE        does what the file says
  crash            ends the program with status 3
  help             this
Anything else is answered with what you said.
Esc interrupts, Ctrl-C twice leaves.";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Plan {
    Say(String),
    /// Work for so many milliseconds, then say it.
    Work {
        ms: u64,
        then: String,
    },
    Ask(Question),
    Fail(String),
    /// Do what this file says.
    Read(String),
    Crash,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) text: String,
    /// None: any text is an answer.
    pub(super) options: Vec<String>,
}

pub(super) fn plan(message: &str) -> Plan {
    if let Some(path) = message_file(message) {
        return Plan::Read(path.to_owned());
    }
    let (word, rest) = first_word(message);
    match word.to_ascii_lowercase().as_str() {
        "say" => Plan::Say(rest.to_owned()),
        "echo" => Plan::Say(format!("You said: {rest}")),
        "slow" | "wait" => wait(rest),
        "ask" => ask(rest),
        "fail" if rest.trim().is_empty() => Plan::Fail("failed, as asked".to_owned()),
        "fail" => Plan::Fail(rest.to_owned()),
        "long" => long(rest),
        "hash" => Plan::Say(digest(rest.as_bytes())),
        "read" if !rest.trim().is_empty() => Plan::Read(rest.trim().to_owned()),
        "crash" if rest.trim().is_empty() => Plan::Crash,
        "help" if rest.trim().is_empty() => Plan::Say(HELP.to_owned()),
        _ => Plan::Say(format!("You said: {message}")),
    }
}

/// The path in a message that stands for a longer one. (A message that would not survive being typed comes
/// by a file.)
fn message_file(message: &str) -> Option<&str> {
    let rest = message.strip_prefix("Your message is in the file ")?;
    rest.strip_suffix(" - read that file and do what it says.")
}

/// The first word, and what follows the one space behind it, exactly.
fn first_word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let mut rest = text[end..].chars();
    rest.next();
    (&text[..end], rest.as_str())
}

fn wait(rest: &str) -> Plan {
    let (amount, then) = first_word(rest);
    let Some(ms) = milliseconds(amount) else {
        return Plan::Say("I need to know how long: slow 2 hello, or slow 250ms hello".to_owned());
    };
    let then = match then.trim().is_empty() {
        true => format!("waited {amount}"),
        false => then.to_owned(),
    };
    Plan::Work { ms, then }
}

fn milliseconds(amount: &str) -> Option<u64> {
    if let Some(ms) = amount.strip_suffix("ms") {
        return ms.parse().ok().filter(|ms| *ms <= WAIT_MAX_MS);
    }
    let seconds: f64 = amount.strip_suffix('s').unwrap_or(amount).parse().ok()?;
    let ms = seconds * 1000.0;
    // Not a number is in no range.
    (0.0..=WAIT_MAX_MS as f64).contains(&ms).then_some(ms as u64)
}

fn ask(rest: &str) -> Plan {
    let mut parts = rest.split('|').map(str::trim);
    let text = parts.next().unwrap_or_default().to_owned();
    let options: Vec<String> = parts.filter(|o| !o.is_empty()).map(str::to_owned).collect();
    match text.is_empty() {
        true => Plan::Say("I need a question: ask Which colour? | red | blue".to_owned()),
        false => Plan::Ask(Question { text, options }),
    }
}

fn long(rest: &str) -> Plan {
    match rest.trim().parse() {
        Ok(lines @ 1..=LINES_MAX) => {
            let lines: Vec<String> = (1..=lines).map(|n| format!("line {n}")).collect();
            Plan::Say(lines.join("\n"))
        }
        _ => Plan::Say(format!("I need a number from 1 to {LINES_MAX}: long 100")),
    }
}

/// FNV-1a, 64 bits: a check of what arrived, not a secret.
pub(super) fn digest(bytes: &[u8]) -> String {
    let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, fold);
    format!("fnv1a64 {hash:016x} of {} bytes", bytes.len())
}

impl Question {
    /// The answer that a typed text stands for: a number, a label, or without options the text itself.
    pub(super) fn answer(&self, typed: &str) -> Option<String> {
        let typed = typed.trim();
        if self.options.is_empty() {
            return (!typed.is_empty()).then(|| typed.to_owned());
        }
        // A label wins: an option may be a number itself.
        let same = |option: &&String| option.to_lowercase() == typed.to_lowercase();
        let numbered = || self.options.get(typed.parse::<usize>().ok()?.checked_sub(1)?);
        self.options.iter().find(same).or_else(numbered).cloned()
    }

    /// The option that a digit chooses at once, without Enter: where no other answer begins with it.
    pub(super) fn at_once(&self, digit: char) -> Option<String> {
        let starts_so = |o: &String| o.starts_with(|c: char| c.is_ascii_digit());
        if self.options.len() > 9 || self.options.iter().any(starts_so) {
            return None;
        }
        self.options.get(digit.to_digit(10)?.checked_sub(1)? as usize).cloned()
    }

    /// In one line, with its options.
    pub(super) fn summary(&self) -> String {
        match self.options.is_empty() {
            true => self.text.clone(),
            false => format!("{} ({})", self.text, self.options.join(" · ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(text: &str) -> Plan {
        Plan::Say(text.to_owned())
    }

    #[test]
    fn the_first_word_decides() {
        assert_eq!(plan("say hello"), say("hello"));
        assert_eq!(plan("SAY  two\nlines \n"), say(" two\nlines \n"));
        assert_eq!(plan("say"), say(""));
        assert_eq!(plan("echo x"), say("You said: x"));
        assert_eq!(plan("saying"), say("You said: saying"));
        assert_eq!(plan("helpful things"), say("You said: helpful things"));
        assert_eq!(plan("help me"), say("You said: help me"));
        assert_eq!(plan("crash test"), say("You said: crash test"));
        assert_eq!(plan("crash"), Plan::Crash);
        assert_eq!(plan("Help"), say(HELP));
        assert_eq!(plan("fail no luck"), Plan::Fail("no luck".into()));
        assert_eq!(plan("fail"), Plan::Fail("failed, as asked".into()));
        assert_eq!(plan("read /a b"), Plan::Read("/a b".into()));
        assert_eq!(plan(""), say("You said: "));
    }

    #[test]
    fn a_message_may_be_in_a_file() {
        let typed = "Your message is in the file /d/messages/t3.md - read that file and do what it says.";
        assert_eq!(plan(typed), Plan::Read("/d/messages/t3.md".into()));
    }

    #[test]
    fn durations_have_a_unit_and_a_bound() {
        let work = |ms, then: &str| Plan::Work { ms, then: then.to_owned() };
        assert_eq!(plan("slow 2 X  Y"), work(2000, "X  Y"));
        assert_eq!(plan("wait 250ms"), work(250, "waited 250ms"));
        assert_eq!(plan("slow 0.5s x"), work(500, "x"));
        assert_eq!(plan("slow 0 x"), work(0, "x"));
        for bad in
            ["slow", "slow x", "slow -1 x", "slow NaN x", "slow 1e99 x", "slow inf", "wait 99999999999ms"]
        {
            assert!(matches!(plan(bad), Plan::Say(text) if text.contains("how long")), "{bad}");
        }
    }

    #[test]
    fn questions_take_numbers_and_labels() {
        let Plan::Ask(q) = plan("ask Which? | Red | Dark blue |") else { panic!("no question") };
        assert_eq!(q.options, ["Red", "Dark blue"]);
        assert_eq!(q.summary(), "Which? (Red · Dark blue)");
        assert_eq!(q.answer("2"), Some("Dark blue".into()));
        assert_eq!(q.answer(" dark BLUE\n"), Some("Dark blue".into()));
        assert_eq!((q.answer("3"), q.answer("0"), q.answer(""), q.answer("Re")), (None, None, None, None));
        assert_eq!(q.at_once('1'), Some("Red".into()));
        assert_eq!((q.at_once('0'), q.at_once('3'), q.at_once('x')), (None, None, None));
        let Plan::Ask(q) = plan("ask Which year? | 1999 | 1") else { panic!("no question") };
        assert_eq!(
            (q.at_once('1'), q.answer("1"), q.answer("2")),
            (None, Some("1".into()), Some("1".into()))
        );
        let Plan::Ask(q) = plan("ask Name?") else { panic!("no question") };
        assert_eq!((q.answer(" Bo "), q.at_once('1')), (Some("Bo".into()), None));
        assert!(matches!(plan("ask | a"), Plan::Say(_)));
    }

    #[test]
    fn long_is_bounded() {
        assert_eq!(plan("long 3"), say("line 1\nline 2\nline 3"));
        for bad in ["long", "long 0", "long 100001", "long -1", "long many"] {
            assert!(matches!(plan(bad), Plan::Say(text) if text.contains("number")), "{bad}");
        }
    }

    #[test]
    fn the_digest_is_the_known_one() {
        assert_eq!(plan("hash "), say("fnv1a64 cbf29ce484222325 of 0 bytes"));
        assert_eq!(plan("hash a"), say("fnv1a64 af63dc4c8601ec8c of 1 bytes"));
        assert_eq!(plan("hash foobar"), say("fnv1a64 85944171f73967e8 of 6 bytes"));
    }
}
