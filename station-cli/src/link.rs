//! Whether the server is there, as all slots of a shift know it together.
//!
//! With a lease nobody waits for a server that is away: the first call that finds it so says it to
//! all, and until a look in the background finds it again no slot calls it. Without a lease every
//! call is made, as patiently as ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::calls::{CallError, silent};

/// What is known of the server.
#[derive(Debug, Default)]
pub(crate) struct Link {
    away: AtomicBool,
    /// Whether there is a lease to go on with.
    leased: AtomicBool,
}

impl Link {
    /// Whether it was away at the last look, and the line goes on without it.
    pub(crate) fn is_away(&self) -> bool {
        self.away.load(Ordering::Relaxed)
    }

    pub(crate) fn set_away(&self, away: bool) {
        let leased = self.leased.load(Ordering::Relaxed);
        self.away.store(away && leased, Ordering::Relaxed);
    }

    pub(crate) fn set_leased(&self, leased: bool) {
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
            known.link.set_leased(leased);
            let lost: Result<(), CallError> = known.call(async { Err(silent()) }).await;
            assert!(lost.is_err());
            assert_eq!(known.link.is_away(), leased);
            assert_eq!(known.call(async { Ok(()) }).await.is_err(), leased);
            known.link.set_away(false);
            assert!(known.call(async { Ok(()) }).await.is_ok());
        }
    }
}
