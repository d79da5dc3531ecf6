//! What viewers may see of the stream: everything but the queries.
//!
//! A query that reached a viewer's terminal would be answered a second time, into the agent's input.
//! So what is not known to be silent is left out: OSCs pass by a list, DCS and APC never do (kitty
//! graphics answer, and dsx says it has none), and an OSC 7501 is dsx's own.

use super::answer::is_query;
use super::csi::Csi;
use super::interpret::split_osc;
use super::scan::{Scanner, Sink, StringKind, Terminator};

/// The filter between a session's log and its viewers; one per session, or one per viewer from the
/// offset of its repaint on. Holds back the bytes of an unfinished sequence.
#[derive(Debug, Default)]
pub struct ViewerFilter {
    scanner: Scanner,
}

impl ViewerFilter {
    /// A filter for a stream that begins outside of any sequence.
    pub fn new() -> Self {
        Self::default()
    }

    /// A filter that goes on where the checkpoint was taken: its viewers got that terminal's repaint.
    pub fn after(checkpoint: &super::Checkpoint) -> Self {
        Self { scanner: checkpoint.scanner() }
    }

    pub(super) fn resume(scanner: Scanner) -> Self {
        Self { scanner }
    }

    /// Appends to `out` what viewers see of the next bytes.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        out.reserve(bytes.len());
        self.scanner.feed(bytes, &mut Visible { out });
    }
}

struct Visible<'a> {
    out: &'a mut Vec<u8>,
}

impl Sink for Visible<'_> {
    fn text(&mut self, text: &[u8], _at: u64) {
        self.out.extend_from_slice(text);
    }

    fn control(&mut self, byte: u8, _at: u64) {
        // ENQ: some terminals answer it.
        if byte != 0x05 {
            self.out.push(byte);
        }
    }

    fn escape(&mut self, intermediates: &[u8], last: u8, _at: u64) {
        // ESC Z asks for the terminal's identity; ESC \ ends strings, none of which is open here.
        if intermediates.is_empty() && matches!(last, b'Z' | b'\\') {
            return;
        }
        // ESC % takes the viewer's terminal out of UTF-8.
        if intermediates.first() == Some(&b'%') {
            return;
        }
        self.out.push(0x1b);
        self.out.extend_from_slice(intermediates);
        self.out.push(last);
    }

    fn csi(&mut self, csi: &Csi<'_>, _at: u64) {
        if is_query(csi) || !self.passes(csi) {
            return;
        }
        self.out.extend_from_slice(b"\x1b[");
        self.out.extend_from_slice(csi.raw);
        self.out.push(csi.last);
    }

    fn osc(&mut self, body: &[u8], end: Terminator, _at: u64) {
        let (number, rest) = split_osc(body);
        let asks = rest.split(|b| *b == b';').any(|part| part.first() == Some(&b'?'));
        let silent = matches!(
            number,
            Some(0..=2 | 4 | 7..=12 | 17 | 19 | 22 | 52 | 104 | 110..=112 | 117 | 119 | 133 | 777)
        );
        // A title or a notification may begin with a question mark, and asks nothing.
        let free_text = matches!(number, Some(0..=2 | 9 | 777));
        if !silent || (asks && !free_text) {
            return;
        }
        self.out.extend_from_slice(b"\x1b]");
        self.out.extend_from_slice(body);
        match end {
            Terminator::Bel => self.out.push(0x07),
            Terminator::St => self.out.extend_from_slice(b"\x1b\\"),
        }
    }

    fn string(&mut self, _kind: StringKind, _body: &[u8], _at: u64) {}
}

impl Visible<'_> {
    /// Sequences that are no query and yet not for viewers.
    fn passes(&mut self, csi: &Csi<'_>) -> bool {
        match csi.kind() {
            // Window operations move and resize the user's window; the title stack is harmless.
            (0, 0, b't') => matches!(csi.param(0, 0), 22 | 23),
            (b'?', 0, b'h' | b'l') => {
                // Each on its own: one that must not pass takes no other with it.
                for group in csi.params().groups() {
                    if !matches!(group[0], 3 | 40 | 69 | 1016 | 2027 | 2048) {
                        let mode = format!("\x1b[?{}{}", group[0], char::from(csi.last));
                        self.out.extend_from_slice(mode.as_bytes());
                    }
                }
                false
            }
            // Media copy prints on paper, and may report.
            (0 | b'?', 0, b'i') => false,
            // Saving and restoring modes behind the ledger's back.
            (b'?', 0, b's' | b'r') => false,
            // With parameters it sets left and right margins, which the screen here does not have.
            (0, 0, b's') => !csi.has_params(),
            // Presentation state, rectangles and their checksums, locator: some report, and none of the
            // others is known to the screen here.
            (_, b'$' | b'*' | b'\'' | b'"' | b'&', _) => false,
            (_, 0xff, _) => false,
            _ => true,
        }
    }
}
