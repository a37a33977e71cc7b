//! Whether the server is there, as all slots of a shift know it together.
//!
//! With a lease nobody waits for a server that is away: the first call that finds it so says it to
//! all, and until a look in the background finds it again no slot calls it. Without a lease every
//! call is made, as patiently as ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

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
    /// Ends the calls that are under way when it is found away.
    lost: Notify,
}

impl Default for Link {
    fn default() -> Link {
        Link {
            made: Instant::now(),
            away: AtomicBool::default(),
            leased: AtomicBool::default(),
            looked: AtomicU64::default(),
            lost: Notify::new(),
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
        if away && leased {
            self.lost.notify_waiters();
        }
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
        let lost = self.link.lost.notified(); // from here on, not from the first await
        if self.link.is_away() {
            return Err(silent());
        }
        // Whether a call that is given up took effect is not known, as with any that is lost.
        let answer = tokio::select! {
            answer = call => answer,
            () = lost => return Err(silent()),
        };
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

    #[tokio::test]
    async fn a_call_that_hangs_ends_when_the_server_is_found_away() {
        let known = Known {
            server: (),
            link: Arc::default(),
        };
        known.link.looked(true);
        let hangs = known.call(std::future::pending::<Result<(), CallError>>());
        let found = async { known.link.set_away(true) };
        let (ended, ()) = tokio::join!(hangs, found);
        assert!(matches!(ended, Err(CallError::Unavailable { .. })));
    }
}
