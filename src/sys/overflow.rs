//! What happens when a task's stack overflows: a message and an end, instead of a bare SIGSEGV.
//!
//! The guard below a stack faults. The handler runs on a stack of its own, sees by the address
//! that it was a guard, says whose, and ends the process. Every other fault goes to whoever
//! handled such signals before.
#![expect(unsafe_code, reason = "signal handlers are set up by raw calls")]

use std::cell::Cell;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Once;

/// A stack that tasks run on.
#[derive(Debug)]
pub(crate) struct Bounds {
    /// The guard's addresses.
    pub(crate) guard: (usize, usize),
    /// What may be used, in bytes.
    pub(crate) size: usize,
    /// The name of the task that is on it, which outlives its stay.
    pub(crate) name: Cell<*const str>,
}

crate::sync::thread_local! {
    // No initialiser and no destructor: the handler may look at it at any time.
    static BOUNDS: Cell<*const Bounds> = const { Cell::new(ptr::null()) };
}

/// The thread runs on this stack from now on, or on its own. Returns where it was before.
///
/// # Safety
///
/// `bounds` stay where they are until that is taken back.
pub(crate) unsafe fn on(bounds: *const Bounds) -> *const Bounds {
    BOUNDS.with(|place| place.replace(bounds))
}

/// Another task runs on the stack now.
///
/// # Safety
///
/// Its name is there until the next one is told.
pub(crate) unsafe fn rename(name: *const str) {
    let bounds = BOUNDS.with(Cell::get);
    if !bounds.is_null() {
        // SAFETY: whoever called `on` keeps it there.
        unsafe { (*bounds).name.set(name) };
    }
}

static INSTALL: Once = Once::new();
static mut BEFORE: [MaybeUninit<libc::sigaction>; 2] = [const { MaybeUninit::zeroed() }; 2];
const SIGNALS: [libc::c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

/// The stack on which this thread handles signals, if it had none.
#[derive(Debug)]
pub(crate) struct SignalStack(Option<Vec<u8>>);

/// Prepares the process, once, and the calling thread, until the result is dropped.
pub(crate) fn prepare() -> io::Result<SignalStack> {
    INSTALL.call_once(install);
    let mut now = MaybeUninit::<libc::stack_t>::uninit();
    // SAFETY: it only asks, and fills `now` in.
    let now = unsafe {
        if libc::sigaltstack(ptr::null(), now.as_mut_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
        now.assume_init()
    };
    if now.ss_flags & libc::SS_DISABLE == 0 {
        return Ok(SignalStack(None));
    }
    let mut room = vec![0_u8; libc::SIGSTKSZ.max(64 << 10)];
    let stack = libc::stack_t { ss_sp: room.as_mut_ptr().cast(), ss_flags: 0, ss_size: room.len() };
    // SAFETY: `room` stays until `SignalStack::drop` has taken it from the thread again.
    match unsafe { libc::sigaltstack(&raw const stack, ptr::null_mut()) } {
        0 => Ok(SignalStack(Some(room))),
        _ => Err(io::Error::last_os_error()),
    }
}

impl Drop for SignalStack {
    fn drop(&mut self) {
        if let Some(room) = &mut self.0 {
            let stack = libc::stack_t {
                ss_sp: room.as_mut_ptr().cast(),
                ss_flags: libc::SS_DISABLE,
                ss_size: room.len(),
            };
            // SAFETY: the thread is not on it now, for this is no handler.
            unsafe { libc::sigaltstack(&raw const stack, ptr::null_mut()) };
        }
    }
}

fn install() {
    for (i, signal) in SIGNALS.into_iter().enumerate() {
        // SAFETY: the structure is plain data, for which zero is in order; the handler keeps to
        // what handlers may do; and BEFORE is written here alone, once, before it can be read.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handler as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigemptyset(&raw mut action.sa_mask);
            libc::sigaction(signal, &raw const action, BEFORE[i].as_mut_ptr());
        }
    }
}

extern "C" fn handler(signal: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the system passes a valid description of the fault.
    let at = unsafe { (*info).si_addr() } as usize;
    // SAFETY: it is null, or whoever called `on` keeps it there.
    let bounds = unsafe { BOUNDS.with(Cell::get).as_ref() };
    if let Some(bounds) = bounds.filter(|it| it.guard.0 <= at && at < it.guard.1) {
        // SAFETY: the task is on its stack at this very moment, so its name is there.
        let name = unsafe { &*bounds.name.get() };
        say(&["aqueduct: the task "]);
        match name {
            "" => say(&["without a name"]),
            name => say(&["'", name, "'"]),
        }
        let mut digits = [0; 20];
        say(&[" has overflowed its stack of ", number(bounds.size >> 10, &mut digits), " KiB\n"]);
        // SAFETY: it takes nothing and does not return.
        unsafe { libc::abort() };
    }
    // Not ours. Whoever was here before gets it, when the same instruction faults again.
    let place = usize::from(signal != SIGNALS[0]);
    // SAFETY: `install` has filled the place in before this could run.
    unsafe { libc::sigaction(signal, BEFORE[place].as_ptr(), ptr::null_mut()) };
}

fn say(parts: &[&str]) {
    for part in parts {
        // SAFETY: the pointer and the length are those of a string. write(2) is for handlers.
        unsafe { libc::write(2, part.as_ptr().cast(), part.len()) };
    }
}

/// Decimal, without allocating.
fn number(mut n: usize, digits: &mut [u8; 20]) -> &str {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            return std::str::from_utf8(&digits[at..]).unwrap_or("?");
        }
    }
}
