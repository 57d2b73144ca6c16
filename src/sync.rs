//! What threads share and wait by: std's, or in models of it that of the program which checks them.
//!
//! loom tries all orders of a few steps, memory's own among them; shuttle runs whole runtimes in orders
//! drawn at random.

#[cfg(all(test, aqueduct_loom))]
pub(crate) use self::loomed::{OnceLock, locals as thread_local};
#[cfg(all(test, aqueduct_shuttle))]
pub(crate) use self::shuttled::thread;
#[cfg(all(test, aqueduct_loom))]
pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard, atomic};
#[cfg(all(test, aqueduct_shuttle))]
pub(crate) use shuttle::{
    sync::{Condvar, Mutex, MutexGuard, atomic},
    thread_local,
};
#[cfg(not(all(test, aqueduct_loom)))]
pub(crate) use std::sync::OnceLock;
#[cfg(not(all(test, any(aqueduct_loom, aqueduct_shuttle))))]
pub(crate) use std::{
    sync::{Condvar, Mutex, MutexGuard, atomic},
    thread_local,
};
// No model of loom's reaches what runs tasks.
#[cfg(not(all(test, aqueduct_shuttle)))]
pub(crate) use std::thread;

#[cfg(all(test, aqueduct_loom))]
mod loomed {
    use loom::sync::atomic::{AtomicBool, Ordering};

    /// loom's does not know `const`.
    macro_rules! locals {
        ($($(#[$attr:meta])* static $name:ident: $type:ty = $init:expr;)*) => {$(
            loom::thread_local! { $(#[$attr])* static $name: $type = $init }
        )*};
    }
    pub(crate) use locals;

    /// std's, whose acquire and release loom sees.
    #[derive(Debug)]
    pub(crate) struct OnceLock<T> {
        is_set: AtomicBool,
        value: std::sync::OnceLock<T>,
    }

    impl<T> Default for OnceLock<T> {
        fn default() -> Self {
            Self { is_set: AtomicBool::new(false), value: std::sync::OnceLock::new() }
        }
    }

    impl<T> OnceLock<T> {
        pub(crate) fn get(&self) -> Option<&T> {
            if self.is_set.load(Ordering::Acquire) { self.value.get() } else { None }
        }

        /// For one thread that sets it.
        pub(crate) fn get_or_init(&self, init: impl FnOnce() -> T) -> &T {
            let value = self.value.get_or_init(init);
            self.is_set.store(true, Ordering::Release);
            value
        }
    }
}

#[cfg(all(test, aqueduct_shuttle))]
mod shuttled {
    /// All threads of a model are one to std. So of which of them unwinds the model keeps account.
    pub(crate) mod thread {
        pub(crate) use shuttle::thread::*;
        use std::cell::Cell;

        shuttle::thread_local! {
            static UNWINDS: Cell<bool> = const { Cell::new(false) };
        }

        pub(crate) fn panicking() -> bool {
            UNWINDS.try_with(Cell::get).unwrap_or(false)
        }

        /// Calls `f` as if from a destructor, while the thread unwinds.
        pub(crate) fn unwinding<T>(f: impl FnOnce() -> T) -> T {
            UNWINDS.with(|unwinds| unwinds.set(true));
            let result = f();
            UNWINDS.with(|unwinds| unwinds.set(false));
            result
        }
    }
}
