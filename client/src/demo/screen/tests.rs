use std::num::NonZero;

use super::*;
use crate::demo::draft::Draft;
use crate::demo::script::Question;

fn at_least_one(cells: u16) -> NonZero<u16> {
    NonZero::new(cells).unwrap()
}

fn terminal(rows: u16, cols: u16) -> vt100::Parser {
    vt100::Parser::new(at_least_one(rows), at_least_one(cols), 0)
}

/// A terminal, and the screen that is drawn on it.
struct Shown {
    screen: Screen,
    terminal: vt100::Parser,
    draft: Draft,
    queued: VecDeque<String>,
    question: Option<Question>,
    working: Option<(u64, usize)>,
}

impl Shown {
    fn new(rows: u16, cols: u16) -> Self {
        Self {
            screen: Screen::new(Size { cols, rows }, Paint::COLOURED),
            terminal: terminal(rows, cols),
            draft: Draft::default(),
            queued: VecDeque::new(),
            question: None,
            working: None,
        }
    }

    fn draw(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        let view = View {
            working: self.working,
            question: self.question.as_ref(),
            queued: &self.queued,
            draft: &self.draft,
            hint: "a hint",
        };
        self.screen.draw(&view, &mut out);
        self.terminal.process(&out);
        out
    }

    fn resize(&mut self, rows: u16, cols: u16) {
        self.terminal.screen_mut().set_size(at_least_one(rows), at_least_one(cols));
        self.screen.resize(Size { cols, rows });
    }

    fn rows(&self) -> Vec<String> {
        let screen = self.terminal.screen();
        screen.rows(0, screen.size().1.get()).map(|r| r.trim_end().to_owned()).collect()
    }

    /// The region lies where the screen believes it to be, whole, with the cursor in its place.
    fn check(&self) {
        let (row, col) = self.terminal.screen().cursor_position();
        let (in_region, at) = self.screen.cursor;
        assert_eq!(usize::from(col), at, "{:#?}", self.rows());
        let top = usize::from(row).checked_sub(in_region).unwrap();
        let rows = self.rows();
        for (n, row) in self.screen.region.iter().enumerate() {
            let mut plain = terminal(2, self.screen.size.cols);
            plain.process(row.as_bytes());
            let plain = plain.screen().rows(0, self.screen.size.cols).next().unwrap();
            assert_eq!(rows[top + n], plain.trim_end(), "row {n} of {rows:#?}");
        }
        assert!(rows[top + self.screen.region.len()..].iter().all(String::is_empty), "{rows:#?}");
    }
}

#[test]
fn a_turn_leaves_its_lines_above_the_box() {
    let mut shown = Shown::new(12, 30);
    shown.screen.banner("1.0");
    shown.screen.status(&Status::Idle);
    shown.draw();
    shown.screen.show(&Block::User("say hello\nyou".into()));
    shown.working = Some((3, 1));
    shown.draw();
    assert!(shown.rows().contains(&"✢ working… 3s".to_owned()), "{:#?}", shown.rows());
    shown.working = None;
    shown.screen.show(&Block::Answer("hello\n\x1b[2Jyou".into()));
    shown.draw();
    shown.check();
    let rows = shown.rows();
    let at = rows.iter().position(|r| r == "> say hello").unwrap();
    let rule = "─".repeat(30);
    let expected = ["> say hello", "  you", "● hello", "  ␛[2Jyou", "", &rule, ">", &rule, "  a hint"];
    assert_eq!(rows[at..at + 9], expected, "{rows:#?}");
}

#[test]
fn a_status_follows_the_picture_it_is_of() {
    let mut shown = Shown::new(12, 30);
    shown.screen.status(&Status::Working);
    shown.screen.show(&Block::Answer("x".into()));
    shown.screen.status(&Status::Done);
    let drawn = String::from_utf8(shown.draw()).unwrap();
    assert!(drawn.ends_with("\x1b]7501;state=working\x07\x1b]7501;state=done\x07"), "{drawn:?}");
    assert!(shown.draw().is_empty());
}

#[test]
fn only_what_changed_is_drawn_again() {
    let mut shown = Shown::new(24, 80);
    shown.working = Some((0, 0));
    shown.draw();
    shown.working = Some((0, 1));
    assert!(shown.draw().len() < 80);
    assert!(shown.draft.insert("x"));
    assert!(shown.draw().len() < 40);
    shown.check();
}

#[test]
fn the_region_fits_every_screen_and_the_box_is_the_last_to_go() {
    for rows in 1..30 {
        for cols in [1, 2, 3, 7, 8, 20, 200] {
            let mut screen = Screen::new(Size { cols, rows }, Paint::PLAIN);
            screen.banner("1.0");
            screen.show(&Block::User("漢字 and a long line of words".into()));
            let question = Question { text: "Which one?".into(), options: vec!["漢".into(); 12] };
            let queued = VecDeque::from(vec!["later".to_owned(); 9]);
            let mut draft = Draft::default();
            assert!(draft.insert("some text\nin lines"));
            let (question, working) = (Some(&question), Some((1, 2)));
            let view = View { working, question, queued: &queued, draft: &draft, hint: "hint" };
            let (region, cursor) = screen.region_of(&view);
            assert!(region.len() <= usize::from(rows), "{region:?} on {rows} rows");
            assert!(region.iter().all(|row| width(row) <= usize::from(cols)), "{region:?} on {cols}");
            assert!(cursor.0 < region.len() && cursor.1 < usize::from(cols));
            let mut out = Vec::new();
            screen.draw(&view, &mut out);
            screen.resize(Size { cols, rows });
            screen.draw(&view, &mut out);
        }
    }
}

#[test]
fn it_stays_where_it_belongs_whatever_happens() {
    let texts =
        ["a", "two\nlines", "漢字 wide", "a long line of many words, longer than most screens are", "\t\x07"];
    let sizes = [(24, 80), (3, 9), (10, 12), (2, 40), (40, 8), (6, 33)];
    let mut seed: u64 = 7;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    let mut shown = Shown::new(24, 80);
    for step in 0..4_000 {
        let text = texts[random(texts.len())];
        match random(9) {
            0 => shown.screen.show(&Block::User(text.into())),
            1 => shown.screen.show(&Block::Answer(text.repeat(3))),
            2 => shown.screen.show(&Block::Note(text.into())),
            3 => assert!(shown.draft.insert(text)),
            4 => drop(shown.draft.take()),
            5 => shown.draft.left(),
            6 => shown.queued = vec![text.to_owned(); random(6)].into(),
            7 => shown.working = Some((step, random(9))).filter(|_| random(2) == 0),
            _ if random(4) == 0 => {
                let (rows, cols) = sizes[random(sizes.len())];
                shown.resize(rows, cols);
            }
            _ => {
                let options = texts[..random(4)].iter().map(|t| (*t).to_owned()).collect();
                shown.question = Some(Question { text: text.into(), options }).filter(|_| random(2) == 0);
            }
        }
        shown.draw();
        shown.check();
    }
    assert!(shown.screen.kept.len() <= KEPT_LINES);
    let mut out = Vec::new();
    shown.screen.close(&mut out);
    shown.terminal.process(&out);
    assert!(!shown.rows().contains(&"  a hint".to_owned()));
}
