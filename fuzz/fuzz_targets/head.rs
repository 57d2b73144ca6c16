//! Heads get one verdict, however they arrive.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| aqueduct::http::fuzzing::head(bytes));
