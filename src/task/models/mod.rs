//! Models of whole runtimes: the very code, with threads that shuttle runs in orders drawn at random.
//! Each model must come to its end in all of them; where a wake is lost nobody goes on, and shuttle
//! reports a deadlock.

mod ends;
mod rounds;
mod scopes;
mod turns;
mod unwinding;

use crate::park::{Unparker, park_until};
use crate::task::{Builder, Runtime};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::sync::Mutex;
use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

/// So many orders of each kind, unless `AQUEDUCT_MODEL_ROUNDS` says otherwise.
const ROUNDS: usize = 300;

/// Carries `model` out in random orders, and in those with few changes between threads at places
/// drawn at random, which find other mistakes.
pub(crate) fn explore(model: impl Fn() + Send + Sync + Clone + 'static) {
    explore_fairly(model.clone());
    run(PctScheduler::new_from_seed(seed(), 3, rounds()), model);
}

/// Random orders alone: where somebody never waits, others must come to their turn.
fn explore_fairly(model: impl Fn() + Send + Sync + 'static) {
    run(RandomScheduler::new_from_seed(seed(), rounds()), model);
}

fn rounds() -> usize {
    let rounds = std::env::var("AQUEDUCT_MODEL_ROUNDS").ok();
    rounds.map_or(ROUNDS, |text| text.parse().expect("a number"))
}

/// Given to a test by `SHUTTLE_RANDOM_SEED`, it repeats what failed.
fn seed() -> u64 {
    let seed = RandomState::new().build_hasher().finish();
    eprintln!("SHUTTLE_RANDOM_SEED={seed}");
    seed
}

fn run(scheduler: impl Scheduler + 'static, model: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    config.stack_size = 256 << 10;
    config.silence_warnings = true;
    config.failure_persistence = FailurePersistence::None;
    config.max_steps = MaxSteps::FailAfter(200_000);
    Runner::new(scheduler, config).run(model);
}

/// A runtime of so many workers that waits for its tasks' ends, however long they take.
pub(crate) fn runtime(workers: usize) -> Runtime {
    builder(workers).build().unwrap()
}

fn builder(workers: usize) -> Builder {
    Runtime::builder().workers(workers).stack_size(64 << 10).patience(Duration::MAX)
}

const LONG: Duration = Duration::from_secs(3600);

/// A number that tasks and threads wait for.
#[derive(Clone, Default)]
struct Tally(Arc<(AtomicUsize, Mutex<Vec<Unparker>>)>);

impl Tally {
    fn add(&self) {
        self.0.0.fetch_add(1, Ordering::SeqCst);
        let waiting = std::mem::take(&mut *self.0.1.lock().unwrap());
        waiting.iter().for_each(Unparker::unpark);
    }

    fn get(&self) -> usize {
        self.0.0.load(Ordering::SeqCst)
    }

    fn wait_for(&self, n: usize) -> std::io::Result<()> {
        while self.get() < n {
            self.0.1.lock().unwrap().push(Unparker::current());
            // It may have been reached before that.
            if self.get() < n {
                park_until(None)?;
            }
        }
        Ok(())
    }
}

/// Counts how often it was dropped.
struct Dropped(Tally);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.add();
    }
}
