//! What threads share and wait by.
//!
//! It is std's. In models it is shuttle's, which runs threads in every order that it can think of.

#[cfg(all(test, aqueduct_shuttle))]
pub(crate) use shuttle::{
    sync::{Condvar, Mutex, MutexGuard, atomic},
    thread, thread_local,
};
#[cfg(not(all(test, aqueduct_shuttle)))]
pub(crate) use std::{
    sync::{Condvar, Mutex, MutexGuard, atomic},
    thread, thread_local,
};
