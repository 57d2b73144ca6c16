//! The backend by poll(2), which every system has.

use super::level::Call;
use crate::sys::level::{self, Asked};
use std::io;
use std::os::fd::RawFd;
use std::time::Instant;

#[derive(Debug)]
pub(crate) struct ByPoll;

pub(crate) type Poll = super::level::Level<ByPoll>;

impl Call for ByPoll {
    const VAGUE: bool = false;

    fn call(list: &mut [Asked], deadline: Option<Instant>) -> io::Result<()> {
        level::poll(list, deadline)
    }

    fn takes(_: RawFd) -> bool {
        true
    }
}
