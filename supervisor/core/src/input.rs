//! What goes into a session and what comes out of it.

use dsx_protocol::{Respond, Responded, SendReceipt, Settled, TurnId, WireError};

use crate::adapter::Script;
use crate::evidence::{Evidence, Source};
use crate::fact::{Exit, Fact};

/// Where the world stands, as the shell saw it when the input came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since 1970.
    pub ms: u64,
    /// The end of the output log.
    pub output: u64,
    /// Whether the program asked for bracketed paste.
    pub bracketed: bool,
}

/// A request whose reply is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(pub u64);

/// A wait whose settlement is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WaiterId(pub u64);

#[derive(Debug, Clone, Default, PartialEq)]
pub struct SendRequest {
    pub text: String,
    pub key: Option<String>,
    /// Queue it whatever is in its way.
    pub queue: bool,
    pub command: bool,
    /// Stop the running turn first.
    pub interrupt: bool,
    /// Join the running turn.
    pub steer: bool,
    /// Milliseconds to wait while somebody's draft is in the input box; none is 30,000.
    pub draft_ms: Option<u64>,
    /// It has variables, which are given the values of this session and turn.
    pub template: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Until {
    #[default]
    Ended,
    Idle,
    Waiting,
    Exited,
}

/// At most one of each is armed; arming replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Timer {
    /// The agent should have shown by now that it took the message.
    Confirm(TurnId),
    /// The typed message should have left the input box by now.
    StillThere(TurnId),
    /// A key should have changed a start-up dialog by now.
    Dialog,
    /// Sources should agree by now that the turn is over.
    Settle(TurnId),
    /// The input box should have been read by now.
    Composer,
    /// A command's output has been quiet.
    Quiet(TurnId),
    /// Whoever sent it should be told that somebody's draft is in its way.
    Held(TurnId),
    /// That draft should have been sent or taken back by now.
    Draft(TurnId),
    /// The hook of a question should have told of it by now.
    Hook,
    /// A dialog should stand on the screen by now, for whoever chose by its labels.
    Labels,
    /// A question that is answered by itself should have its hook by now.
    Unattended,
    /// Hooks that lost their supervisor should have come back by now.
    Unheld,
    /// The agent should have gone on with a decision by now.
    Verify,
    /// A key should have moved a dialog's pointer by now.
    Pick,
    /// Nobody has used the session for as long as it may live then.
    TimeToLive,
}

/// The text on the screen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScreenText {
    pub lines: Vec<String>,
    /// The same rows with what is drawn dim or inverse left blank: hints are no content.
    pub solid: Vec<String>,
    pub cursor_row: u16,
    pub cursor_col: u16,
}

/// What the new supervisor found of the delivery that was under way when the old one died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// Nothing of it was submitted: the submitting byte was provably not written.
    NotSubmitted,
    /// It may have been submitted.
    Unknown,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    Started {
        pid: u32,
        start_time: u64,
    },
    Exited(Exit),
    Send {
        request: RequestId,
        send: SendRequest,
    },
    Interrupt {
        request: RequestId,
    },
    /// Keys that are no turn went to the agent's terminal: a viewer's, or of `dsx keys`. Said before they are
    /// written, and while a turn is typed they are neither written nor said.
    Keys,
    /// So many people look at its terminal now.
    Viewers(u32),
    /// Give it a name, or take its name away. Nobody else has it.
    Rename {
        request: RequestId,
        name: Option<String>,
    },
    /// Say what it is for; nothing takes away what was said.
    Describe {
        request: RequestId,
        description: String,
    },
    Wait {
        waiter: WaiterId,
        turn: Option<TurnId>,
        until: Until,
    },
    Unwait {
        waiter: WaiterId,
    },
    /// A hook waits for the decision on the question it reported under this key.
    Hold {
        request: RequestId,
        key: String,
    },
    /// It does not any more.
    Unhold {
        request: RequestId,
    },
    Respond {
        request: RequestId,
        /// Who answers: `user`, or a session's id.
        by: String,
        respond: Respond,
    },
    /// A source said something, at a time of its own.
    Said {
        source: Source,
        at: u64,
        evidence: Evidence,
    },
    /// The submitting write of a turn is about to be made: what the agent says from here on may be of it.
    Submitting {
        turn: TurnId,
    },
    /// The script of a turn was carried out up to and with its submitting write.
    Typed {
        turn: TurnId,
    },
    /// It was typed and not submitted: the input box holds something else as well.
    Mixed {
        turn: TurnId,
    },
    /// It could not be; `submitted` tells whether the submitting write had begun.
    TypeFailed {
        turn: TurnId,
        submitted: bool,
        error: String,
    },
    /// The file of a message could not be written.
    MessageFailed {
        turn: TurnId,
        error: String,
    },
    /// Answer to [`Effect::Look`].
    Looked(ScreenText),
    /// Answer to [`Effect::Capture`].
    Captured {
        turn: TurnId,
        text: String,
    },
    /// Output came while [`Effect::WatchOutput`] was on.
    Output,
    Fired(Timer),
    /// The end of a restart: all that could be read back has been said before it, and no request was put.
    Recovered(Recovery),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Must be durable before any later effect of this list is carried out.
    Persist(Fact),
    /// Type a turn; answered by `Typed` or `TypeFailed`. People's keys are held meanwhile. What tells a restart
    /// whether its submitting write had begun is kept until a later turn is typed.
    Type {
        turn: TurnId,
        script: Script,
    },
    /// Type something that is no turn (an interrupt, a dialog's answer, clearing the input box).
    Press(Script),
    /// Give me the screen once it has been quiet for so long; with `fresh` only after new output. A new look
    /// replaces the one before: only the newest is answered.
    Look {
        quiet_ms: u64,
        fresh: bool,
    },
    /// Say, as [`Evidence::Quiet`], whether the program itself is in the foreground of its PTY.
    Foreground,
    /// Give me the plain text of the output since an offset.
    Capture {
        turn: TurnId,
        from: u64,
    },
    /// Tell me of output, or stop telling.
    WatchOutput(bool),
    Arm {
        timer: Timer,
        after_ms: u64,
    },
    Disarm(Timer),
    Sent {
        request: RequestId,
        result: Result<SendReceipt, WireError>,
    },
    /// The reply is owed for longer: somebody's draft is in the way of the turn.
    Held {
        request: RequestId,
        turn: TurnId,
    },
    Done {
        request: RequestId,
        result: Result<(), WireError>,
    },
    /// What a hook that waits is to print; empty where the agent is to do without.
    Decide {
        request: RequestId,
        output: String,
    },
    Responded {
        request: RequestId,
        result: Result<Responded, WireError>,
    },
    /// The turn a wait was bound to.
    Bound {
        waiter: WaiterId,
        turn: Option<TurnId>,
    },
    Settle {
        waiter: WaiterId,
        result: Result<Settled, WireError>,
    },
    /// Write a message's text to a file of the session before it is typed.
    WriteMessage {
        turn: TurnId,
        path: String,
        text: String,
    },
    /// End the session and forget it: its time to live is over.
    Expire,
    /// The summary that `list` shows has changed.
    Changed,
}
