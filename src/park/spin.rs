//! Looking for a while before it pays to park.

use std::cell::Cell;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

/// Looks for `ready` as long as that is cheaper than to park, and says whether it has come. Not
/// at all where whoever is to bring it needs this processor: in a task, or if it is the only one.
pub(crate) fn spin_until(ready: impl FnMut() -> bool) -> bool {
    super::hook().is_none() && spin(ready)
}

/// About what a sleep and a wake cost the two threads where a processor has to be roused for it.
/// To spin for that long is never worse than twice the better choice.
const SPIN: Duration = Duration::from_micros(15);

/// As [`spin_until`], in a thread without tasks. On a busy machine whoever is to come waits for this
/// very processor more often than not, so that who has spun in vain leaves it out for a while.
pub(super) fn spin(mut ready: impl FnMut() -> bool) -> bool {
    if alone() || !LUCK.with(|luck| with(luck, Luck::tries)) {
        return false;
    }
    let mut start = None;
    let came = loop {
        // How long a pause is differs twentyfold between processors, and a look at the clock is
        // as long as several.
        let came = (0..32).any(|_| {
            std::hint::spin_loop();
            ready()
        });
        if came || start.get_or_insert_with(Instant::now).elapsed() > SPIN {
            break came;
        }
    };
    LUCK.with(|luck| with(luck, |luck| luck.learn(came)));
    came
}

fn alone() -> bool {
    static ALONE: OnceLock<bool> = OnceLock::new();
    *ALONE.get_or_init(|| {
        cfg!(any(miri, aqueduct_loom, aqueduct_shuttle))
            || thread::available_parallelism().map_or(true, |n| n.get() == 1)
    })
}

thread_local! {
    static LUCK: Cell<Luck> = const { Cell::new(Luck { failure: 0, left: 0 }) };
}

fn with<T>(place: &Cell<Luck>, change: impl FnOnce(&mut Luck) -> T) -> T {
    let mut luck = place.get();
    let answer = change(&mut luck);
    place.set(luck);
    answer
}

/// How a thread has fared with its spins.
#[derive(Debug, Clone, Copy)]
struct Luck {
    /// How many chances the last failures have cost, each about twice as many as the one before.
    failure: u8,
    left: u8,
}

impl Luck {
    /// So that spins in vain cost a quarter of a microsecond a chance.
    const MOST: u8 = 63;

    /// Whether this chance is taken.
    fn tries(&mut self) -> bool {
        let tries = self.left == 0;
        self.left = self.left.saturating_sub(1);
        tries
    }

    fn learn(&mut self, came: bool) {
        self.failure = if came { 0 } else { (2 * self.failure + 1).min(Self::MOST) };
        self.left = self.failure;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_tried_ever_more_seldom_until_one_comes_off() {
        let mut luck = Luck { failure: 0, left: 0 };
        let mut tried = |came: bool, chances: usize| {
            let taken = (0..chances).filter(|_| {
                let tries = luck.tries();
                if tries {
                    luck.learn(came);
                }
                tries
            });
            taken.count()
        };
        assert_eq!(tried(true, 100), 100);
        assert_eq!(tried(false, 63), 6);
        assert_eq!(tried(false, 64 * 100), 100);
        assert_eq!(tried(true, 63), 0);
        assert_eq!(tried(true, 100), 100);
    }
}
