//! Models of descriptors that come and go while another thread polls the backend.

use super::{Batch, Desc, Registry};
use crate::sys::model::{arrive_at_last, descriptor};
use loom::thread;
use std::time::Instant;

/// An event of a descriptor that has left, on its way already, never reaches the one that has
/// got its slot.
#[test]
fn loom_an_event_of_one_generation_does_not_touch_the_next() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(|| {
        let registry = Registry::new(None, false).unwrap();
        let (first, second) = (Desc::new(), Desc::new());
        assert!(first.settle(descriptor(0), &registry, crate::poll::Interest::BOTH).unwrap());
        let _ = second.read.word().drained(second.read.begin().unwrap().seen);
        arrive_at_last(descriptor(0), 1);
        let poller = {
            let registry = std::sync::Arc::clone(&registry);
            thread::spawn(move || registry.turn(Some(Instant::now()), &mut Batch::default(), || {}))
        };
        first.leave(descriptor(0));
        assert!(second.settle(descriptor(1), &registry, crate::poll::Interest::BOTH).unwrap());
        poller.join().unwrap().unwrap();
        let seen = second.read.begin().unwrap().seen;
        assert!(!seen.is_ready() && !seen.is_hung_up());
        second.leave(descriptor(1));
    });
}
