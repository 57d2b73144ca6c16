//! The backend by select(2), the eldest.

use super::level::Call;
use crate::sys::level::{self, Asked};
use std::io;
use std::os::fd::RawFd;
use std::time::Instant;

#[derive(Debug)]
pub(crate) struct BySelect;

pub(crate) type Select = super::level::Level<BySelect>;

impl Call for BySelect {
    const VAGUE: bool = true;

    fn call(list: &mut [Asked], deadline: Option<Instant>) -> io::Result<()> {
        level::select(list, deadline)
    }

    fn takes(fd: RawFd) -> bool {
        level::select_takes(fd)
    }
}
