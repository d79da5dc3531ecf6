//! The open prompts of several sessions.

use dsx_protocol::{OpenPrompts, Reply};
use tokio::sync::oneshot;

use super::reply::ReplyTo;
use crate::session::{Command, SessionHandle};

/// Asks each session that has any, and answers with all of them, oldest first.
pub(super) async fn list(handles: Vec<SessionHandle>, to: ReplyTo) {
    let mut prompts = Vec::new();
    for handle in handles {
        if handle.summary.borrow().prompts == 0 {
            continue;
        }
        let (answer, told) = oneshot::channel();
        handle.deliver(Command::Prompts(answer)).await;
        // A session that is gone asks nothing.
        prompts.extend(told.await.unwrap_or_default());
    }
    prompts.sort_by_key(|p: &dsx_protocol::Prompt| p.opened_at);
    to.answer(Ok(Reply::Prompts(OpenPrompts { prompts })));
}
