//! The worker's round: news, wakes, sleeps.

use super::{explore, runtime};
use crate::task;

#[test]
fn shuttle_tasks_that_are_left_by_others_are_run() {
    explore(|| {
        let runtime = runtime(2);
        let tasks = [1, 2, 3].map(|n| {
            runtime.spawn(move || {
                task::yield_now();
                n
            })
        });
        let sum = tasks.map(|task| task.join().unwrap()).iter().sum::<u32>();
        assert_eq!(sum, 6);
        runtime.shutdown().unwrap();
    });
}
