//! Models of waiting for two streams at once, as a copy does.

use super::super::{Desc, Local};
use super::{Wait, What, look, wait};
use crate::sys::model::{arrive, descriptor, read};
use loom::thread;
use std::io::{self, ErrorKind};
use std::mem::ManuallyDrop;
use std::sync::Arc;

type Descs = [Arc<Desc>; 2];
type Step = fn(&Descs);

/// Which of both has bytes, once one of them has.
fn either(descs: &Descs) -> io::Result<usize> {
    loop {
        if let Some(n) = (0..2).find(|n| read(descriptor(*n), &mut [0]).is_ok()) {
            return Ok(n);
        }
        let mut waits = [0, 1].map(|n| Wait::new(descriptor(n), What::Readable, Some(&descs[n])));
        look(&mut waits)?;
        if !waits.iter().any(|wait| wait.fired) {
            wait(&mut waits, None)?;
        }
    }
}

/// A wait for both beside these, on a plain thread and on one with a backend of its own.
fn wait_beside(steps: &'static [Step], ends: &'static [Result<usize, ErrorKind>]) {
    for backend in [false, true] {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(2);
        builder.check(move || {
            let descs: &Descs = Box::leak(Box::new([Desc::new(), Desc::new()]));
            let threads: Vec<_> =
                steps.iter().map(|step| thread::spawn(move || step(descs))).collect();
            let local = backend.then(|| ManuallyDrop::new(Local::new().unwrap()));
            let end = either(descs).map_err(|error| error.kind());
            assert!(ends.contains(&end), "{end:?}");
            local.map(ManuallyDrop::into_inner);
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
    }
}

fn first_byte(_: &Descs) {
    arrive(descriptor(0), 1);
}

fn second_byte(_: &Descs) {
    arrive(descriptor(1), 1);
}

fn second_close(descs: &Descs) {
    descs[1].close();
}

#[test]
fn loom_a_byte_of_either_ends_the_wait() {
    wait_beside(&[second_byte], &[Ok(1)]);
    wait_beside(&[first_byte, second_byte], &[Ok(0), Ok(1)]);
}

#[test]
fn loom_a_close_of_either_ends_the_wait() {
    wait_beside(&[second_close], &[Err(ErrorKind::NotConnected)]);
    wait_beside(&[first_byte, second_close], &[Ok(0), Err(ErrorKind::NotConnected)]);
}
