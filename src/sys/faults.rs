//! A switch for tests: makes calls of this thread fail, fall short or be interrupted.

use super::Call;
use std::cell::RefCell;
use std::io;

/// What is to go wrong.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    /// These calls always answer this error number.
    pub(crate) off: Vec<(Call, i32)>,
    /// The n-th call from now on (0 is the next) answers this error number, once.
    pub(crate) once: Option<(u64, i32)>,
    /// Transfers are cut to these lengths, in turn.
    pub(crate) lengths: Vec<usize>,
    /// Every other call is interrupted first.
    pub(crate) interrupt: bool,
    /// How many calls there were.
    pub(crate) calls: u64,
    /// Whether `once` has happened.
    pub(crate) fired: Option<Call>,
    /// Whether the last call was interrupted.
    pub(crate) turn: bool,
}

thread_local! {
    static FAULTS: RefCell<Option<Faults>> = const { RefCell::new(None) };
}

/// Runs `test` with `faults` in force on this thread; answers what is left of them too.
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "its users are Linux's alone"))]
pub(crate) fn with<T>(faults: Faults, test: impl FnOnce() -> T) -> (T, Faults) {
    FAULTS.set(Some(faults));
    let result = test();
    (result, FAULTS.take().unwrap_or_default())
}

/// Every call passes here with the length it asks for, and goes on with the answer.
pub(crate) fn gate(call: Call, len: usize) -> io::Result<usize> {
    FAULTS.with_borrow_mut(|faults| match faults {
        None => Ok(len),
        Some(faults) => faults.pass(call, len),
    })
}

impl Faults {
    fn pass(&mut self, call: Call, len: usize) -> io::Result<usize> {
        if self.interrupt {
            self.turn = !self.turn;
            if self.turn {
                return Err(io::ErrorKind::Interrupted.into());
            }
        }
        let number = self.calls;
        self.calls += 1;
        if let Some(&(_, errno)) = self.off.iter().find(|(off, _)| *off == call) {
            return Err(io::Error::from_raw_os_error(errno));
        }
        if let Some((at, errno)) = self.once {
            if number >= at {
                self.once = None;
                self.fired = Some(call);
                return Err(io::Error::from_raw_os_error(errno));
            }
        }
        match self.lengths.len() {
            0 => Ok(len),
            n => Ok(len.min(self.lengths[number as usize % n].max(1))),
        }
    }
}
