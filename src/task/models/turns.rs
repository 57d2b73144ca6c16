//! Taking turns, between tasks and threads, some of which give up.

use super::{explore, runtime};
use crate::error::is_cancelled;
use crate::park::Turns;
use crate::task;
use shuttle::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

/// A turn that came to somebody who has given up meanwhile is passed on.
#[test]
fn shuttle_a_turn_is_not_lost_with_who_was_cancelled() {
    explore(|| {
        let runtime = runtime(2);
        let shared = Arc::new((Turns::new(), AtomicUsize::new(0)));
        let takes = |shared: Arc<(Turns, AtomicUsize)>| {
            move || {
                let turn = shared.0.enter(|| Ok(None))?;
                assert_eq!(shared.1.fetch_add(1, Ordering::SeqCst), 0, "two have the turn");
                task::yield_now();
                shared.1.fetch_sub(1, Ordering::SeqCst);
                drop(turn);
                Ok::<(), std::io::Error>(())
            }
        };
        let [a, b] = [(); 2].map(|()| runtime.spawn(takes(Arc::clone(&shared))));
        a.cancel();
        takes(shared)().unwrap();
        b.join().unwrap().unwrap();
        if let Ok(Err(error)) = a.join() {
            assert!(is_cancelled(&error));
        }
        runtime.shutdown().unwrap();
    });
}
