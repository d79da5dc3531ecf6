//! People who look at the terminal and type into it.

use std::collections::HashMap;

use dsx_core::Mode;
use dsx_protocol::{Attach, Reply};

use super::task::Task;
use crate::serve::ReplyTo;

#[derive(Default)]
pub(super) struct Viewers {
    attached: HashMap<u64, ReplyTo>,
}

impl Viewers {
    pub(super) fn count(&self) -> u32 {
        self.attached.len() as u32
    }
}
