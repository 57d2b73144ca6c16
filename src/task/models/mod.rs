//! Models of whole runtimes: the very code, with threads that shuttle runs in orders drawn at random.
//! Each model must come to its end in all of them; where a wake is lost nobody goes on, and shuttle
//! reports a deadlock.

mod rounds;

use crate::task::{Builder, Runtime};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner};
use std::time::Duration;

/// So many orders of each kind, unless `AQUEDUCT_MODEL_ROUNDS` says otherwise.
const ROUNDS: usize = 300;

/// Carries `model` out in random orders, and in those with few changes between threads at places
/// drawn at random, which find other mistakes.
fn explore(model: impl Fn() + Send + Sync + Clone + 'static) {
    let rounds = std::env::var("AQUEDUCT_MODEL_ROUNDS").ok();
    let rounds = rounds.map_or(ROUNDS, |text| text.parse().expect("a number"));
    run(RandomScheduler::new(rounds), model.clone());
    run(PctScheduler::new(3, rounds), model);
}

fn run(scheduler: impl Scheduler + 'static, model: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    config.stack_size = 256 << 10;
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(model);
}

/// A runtime of so many workers that waits for its tasks' ends, however long they take.
fn runtime(workers: usize) -> Runtime {
    builder(workers).build().unwrap()
}

fn builder(workers: usize) -> Builder {
    Runtime::builder().workers(workers).stack_size(64 << 10).patience(Duration::MAX)
}

const LONG: Duration = Duration::from_secs(3600);
