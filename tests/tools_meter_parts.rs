//! The unit tests of meter's parts. Cargo builds an example either as a program or as a test, and
//! the other tests need the program.
#![cfg(unix)]

#[allow(dead_code, reason = "only the parts' tests are run")]
#[path = "../examples/meter.rs"]
mod meter;
