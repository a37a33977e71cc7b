//! Whether the server is there, as all slots of a shift know it together.
//!
//! With a lease nobody waits for a server that is away: the first call that finds it so says it to
//! all, and until a look in the background finds it again no slot calls it. Without a lease every
//! call is made, as patiently as ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::calls::{CallError, silent};

/// Who says so has looked within this time; after it nobody looks out any more, and calls are made.
const FRESH: Duration = Duration::from_secs(30);

/// What is known of the server.
#[derive(Debug)]
pub(crate) struct Link {
    made: Instant,
    away: AtomicBool,
    /// Whether there is a lease to go on with.
    leased: AtomicBool,
    /// When that was looked at last, in milliseconds after `made`.
    looked: AtomicU64,
}

impl Default for Link {
    fn default() -> Link {
        Link {
            made: Instant::now(),
            away: AtomicBool::default(),
            leased: AtomicBool::default(),
            looked: AtomicU64::default(),
        }
    }
}

impl Link {
    /// Whether it was away at the last look, and the line goes on without it.
    pub(crate) fn is_away(&self) -> bool {
        let looked = Duration::from_millis(self.looked.load(Ordering::Relaxed));
        let fresh = self.made.elapsed() < looked + FRESH;
        self.away.load(Ordering::Relaxed) && fresh
    }

    pub(crate) fn set_away(&self, away: bool) {
        let leased = self.leased.load(Ordering::Relaxed);
        self.away.store(away && leased, Ordering::Relaxed);
    }

    /// Somebody has looked whether there is a lease to go on with.
    pub(crate) fn looked(&self, leased: bool) {
        let now = u64::try_from(self.made.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.looked.store(now, Ordering::Relaxed);
        self.leased.store(leased, Ordering::Relaxed);
        if !leased {
            self.away.store(false, Ordering::Relaxed);
        }
    }
}

/// A server that is not called while it is known to be away.
#[derive(Clone)]
pub(crate) struct Known<S> {
    pub(crate) server: S,
    pub(crate) link: Arc<Link>,
}

impl<S> Known<S> {
    /// Makes a call, if there is anybody to call; and notes what became of it.
    pub(crate) async fn call<T>(
        &self,
        call: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, CallError> {
        if self.link.is_away() {
            return Err(silent());
        }
        let answer = call.await;
        if let Err(CallError::Unavailable { reason: None, .. }) = &answer {
            self.link.set_away(true);
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_with_a_lease_is_a_server_left_alone() {
        for leased in [false, true] {
            let known = Known {
                server: (),
                link: Arc::default(),
            };
            known.link.looked(leased);
            let lost: Result<(), CallError> = known.call(async { Err(silent()) }).await;
            assert!(lost.is_err());
            assert_eq!(known.link.is_away(), leased);
            assert_eq!(known.call(async { Ok(()) }).await.is_err(), leased);
            known.link.set_away(false);
            assert!(known.call(async { Ok(()) }).await.is_ok());
        }
    }
}
