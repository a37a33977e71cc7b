//! One waits for the disk, for all who came by then: what a ledger calls group commit, for the slots
//! of a station. Deliberately absent: timers. Who is alone waits for nobody.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What the slots of one process want done, of one kind and at one place.
#[derive(Debug)]
pub(crate) struct Together<T> {
    waiting: Mutex<Waiting<T>>,
    /// How many are done. Held by the one that does it.
    done: Mutex<u64>,
}

#[derive(Debug)]
struct Waiting<T> {
    all: Vec<T>,
    /// How many there were ever.
    count: u64,
}

impl<T> Default for Together<T> {
    fn default() -> Together<T> {
        Together {
            waiting: Mutex::new(Waiting {
                all: Vec::new(),
                count: 0,
            }),
            done: Mutex::new(0),
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Together<T> {
    /// Returns when `one` is done, by whoever came first to it.
    ///
    /// # Errors
    /// Those of `all`, to each who waited: what was not done is tried again by each of them.
    pub(crate) fn done(&self, one: T, all: impl Fn(&[T]) -> io::Result<()>) -> io::Result<()> {
        let mine = {
            let mut waiting = locked(&self.waiting);
            waiting.all.push(one);
            waiting.count += 1;
            waiting.count
        };
        let mut done = locked(&self.done);
        if *done >= mine {
            return Ok(());
        }
        let (these, count) = {
            let mut waiting = locked(&self.waiting);
            (std::mem::take(&mut waiting.all), waiting.count)
        };
        let ended = all(&these);
        match &ended {
            Ok(()) => *done = count,
            Err(_) => drop(locked(&self.waiting).all.splice(..0, these)),
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_while_one_is_at_it_waits_for_one_more_and_nothing_is_lost() {
        let together = Together::default();
        let (calls, found) = (Mutex::new(0), Mutex::new(Vec::new()));
        let (together, calls, found) = (&together, &calls, &found);
        let held = locked(&together.done);
        std::thread::scope(|scope| {
            for slot in 0..8 {
                scope.spawn(move || {
                    let write = |these: &[u32]| {
                        *locked(calls) += 1;
                        locked(found).extend_from_slice(these);
                        Ok(())
                    };
                    together.done(slot, write).unwrap();
                });
            }
            while locked(&together.waiting).count < 8 {
                std::thread::yield_now();
            }
            drop(held);
        });
        let mut found = locked(found).clone();
        found.sort_unstable();
        assert_eq!(found, [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(*locked(calls), 1);
    }

    #[test]
    fn what_could_not_be_done_is_said_to_each_and_tried_again() {
        let together = Together::default();
        let full = |_: &[u32]| Err(io::ErrorKind::StorageFull.into());
        assert!(together.done(1, full).is_err());
        let written = Mutex::new(Vec::new());
        let write = |these: &[u32]| {
            locked(&written).extend_from_slice(these);
            Ok(())
        };
        together.done(2, write).unwrap();
        assert_eq!(*locked(&written), [1, 2]);
    }
}
