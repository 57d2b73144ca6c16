//! Who unwinds from a panic stops for nobody (I12): while it does, its thread is one that panics to
//! whoever runs there.

use super::{LONG, Tally, explore, runtime};
use crate::park::Turns;
use crate::sync::thread::{self, panicking, unwinding};
use crate::task::{self, JoinError};
use std::future::pending;
use std::io::{self, ErrorKind};
use std::sync::Arc;

fn refused<T>(result: io::Result<T>) {
    assert_eq!(result.map(drop).unwrap_err().kind(), ErrorKind::Deadlock);
}

/// Others of the worker are ready all the time, and news comes, and none of them sees it unwind.
#[test]
fn shuttle_who_unwinds_makes_room_for_nobody() {
    explore(|| {
        let runtime = runtime(1);
        let turns = Arc::new(Turns::new());
        let (held, theirs) = (Tally::default(), Arc::clone(&turns));
        let told = held.clone();
        let holds = runtime.spawn(move || {
            let _turn = theirs.enter(|| Ok(None)).unwrap();
            told.add();
            let slept = task::sleep(LONG);
            assert!(!panicking());
            slept
        });
        let awaited = held.clone();
        let unwinds = runtime.spawn(move || {
            awaited.wait_for(1).unwrap();
            let sibling = task::spawn(|| assert!(!panicking()));
            unwinding(|| {
                task::yield_now();
                refused(task::sleep(LONG));
                refused(task::wait(pending::<()>()));
                refused(turns.enter(|| Ok(None)));
                let joined = sibling.join();
                assert!(matches!(joined, Err(JoinError::NotJoined(_))), "{joined:?}");
                task::scope(|scope| {
                    let child = scope.spawn(|| unreachable!("its scope would not wait")).join();
                    assert!(matches!(child.map(|()| ()), Err(JoinError::NotRun(_))));
                });
            });
            // Afterwards it waits like anybody else.
            awaited.wait_for(2).unwrap();
        });
        let wakes = thread::spawn(move || held.add());
        let comes = runtime.spawn(|| assert!(!panicking()));
        comes.join().unwrap();
        unwinds.join().unwrap();
        wakes.join().unwrap();
        holds.cancel();
        assert!(holds.join().is_ok());
        runtime.shutdown().unwrap();
    });
}
