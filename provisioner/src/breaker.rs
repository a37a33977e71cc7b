//! One breaker between the server and its token: what is gone is not hammered.
//!
//! A command that finds the token gone opens it; from then on every command is refused at once, and
//! one probe at a time asks until the token answers again. No restart, and no call is spent on
//! finding out. A call that is under way while the token hangs is bounded by the token's own
//! time-outs, not by this.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use hsm::{Description, Hsm, HsmError, Key, KeyFacts, Wrapping};
use zeroize::Zeroizing;

/// What the probe has the token MAC: a command that needs the login, a key and the silicon.
const PROBE: &[u8] = b"birthmark probe";

/// A token behind a breaker. Only [`Breaker::probe`] reaches it while it is open.
pub(crate) struct Breaker {
    token: Arc<dyn Hsm>,
    lost: Mutex<Option<Lost>>,
    /// Commands that the token has answered, yes or no.
    answered: AtomicU64,
}

struct Lost {
    since: Instant,
    why: String,
}

impl Breaker {
    /// Closed: the token has just been opened.
    pub(crate) fn new(token: Arc<dyn Hsm>) -> Breaker {
        Breaker {
            token,
            lost: Mutex::new(None),
            answered: AtomicU64::new(0),
        }
    }

    /// Whether commands are refused.
    pub(crate) fn is_open(&self) -> bool {
        self.lost().is_some()
    }

    /// Commands that the token has answered: one that moves on is there, however long a probe waits
    /// for its turn among many.
    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Refuses every command from now on, as when a probe is not answered in time.
    pub(crate) fn open(&self, why: &str) {
        let mut lost = self.lost();
        if lost.is_none() {
            tracing::error!(
                why,
                "the HSM is lost: nothing is issued until it answers again"
            );
            let (since, why) = (Instant::now(), why.to_owned());
            *lost = Some(Lost { since, why });
        }
    }

    /// Asks the token, and lets commands pass again when it answers. One at a time, please.
    ///
    /// # Errors
    /// [`HsmError`] when it does not, or when it answers that it is not as it was.
    pub(crate) fn probe(&self) -> Result<(), HsmError> {
        let answer = self.token.describe();
        match answer.and_then(|_| self.token.mac(Key::Fingerprint, PROBE)) {
            Ok(_) => {
                if let Some(lost) = self.lost().take() {
                    let away_ms = lost.since.elapsed().as_millis();
                    tracing::info!(away_ms, "the HSM answers again");
                }
                Ok(())
            }
            Err(error) => {
                self.open(&error.to_string());
                Err(error)
            }
        }
    }

    fn pass<T>(
        &self,
        command: impl FnOnce(&dyn Hsm) -> Result<T, HsmError>,
    ) -> Result<T, HsmError> {
        if let Some(lost) = self.lost().as_ref() {
            return Err(HsmError::Unavailable {
                reason: format!("it was lost ({}) and is asked until it answers", lost.why),
            });
        }
        let answer = command(&*self.token);
        if !matches!(answer, Err(HsmError::Unavailable { .. })) {
            self.answered.fetch_add(1, Ordering::Relaxed);
        }
        answer.inspect_err(|error| match error {
            HsmError::Unavailable { reason } => self.open(reason),
            // It has another PIN now, or another token is in its place.
            HsmError::WrongPin => self.open(&error.to_string()),
            HsmError::NoSuchKey(_)
            | HsmError::WrongKind(_)
            | HsmError::TooLong { .. }
            | HsmError::Refused { .. }
            | HsmError::Store { .. } => {}
        })
    }

    fn lost(&self) -> MutexGuard<'_, Option<Lost>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hsm for Breaker {
    fn describe(&self) -> Result<Description, HsmError> {
        self.pass(|token| token.describe())
    }

    fn random(&self, out: &mut [u8]) -> Result<(), HsmError> {
        self.pass(|token| token.random(out))
    }

    fn mac(&self, key: Key, data: &[u8]) -> Result<[u8; 32], HsmError> {
        self.pass(|token| token.mac(key, data))
    }

    fn sign(&self, key: Key, message: &[u8]) -> Result<Vec<u8>, HsmError> {
        self.pass(|token| token.sign(key, message))
    }

    fn public_key(&self, key: Key) -> Result<Vec<u8>, HsmError> {
        self.pass(|token| token.public_key(key))
    }

    fn wrap(&self, key: Key, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, HsmError> {
        self.pass(|token| token.wrap(key, aad, plain))
    }

    fn unwrap(&self, key: Key, aad: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, HsmError> {
        self.pass(|token| token.unwrap(key, aad, wrapped))
    }

    fn wrapping(&self) -> Wrapping {
        self.token.wrapping()
    }

    fn make_key(&self, key: Key) -> Result<(), HsmError> {
        self.pass(|token| token.make_key(key))
    }

    fn key_facts(&self, key: Key) -> Result<KeyFacts, HsmError> {
        self.pass(|token| token.key_facts(key))
    }

    fn high_water(&self, log: &str) -> Result<Option<u64>, HsmError> {
        self.pass(|token| token.high_water(log))
    }

    fn raise_high_water(&self, log: &str, size: u64) -> Result<(), HsmError> {
        self.pass(|token| token.raise_high_water(log, size))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize};

    use super::*;

    /// A token that is there or not, and counts what reaches it.
    #[derive(Default)]
    struct Token {
        gone: AtomicBool,
        asked: AtomicUsize,
    }

    impl Token {
        fn answer<T>(&self, answer: T) -> Result<T, HsmError> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            if self.gone.load(Ordering::SeqCst) {
                let reason = "unplugged".to_owned();
                return Err(HsmError::Unavailable { reason });
            }
            Ok(answer)
        }
    }

    impl Hsm for Token {
        fn describe(&self) -> Result<Description, HsmError> {
            self.answer(Description {
                model: "token".to_owned(),
                serial: "1".to_owned(),
                firmware: String::new(),
                simulated: true,
            })
        }

        fn random(&self, _: &mut [u8]) -> Result<(), HsmError> {
            self.answer(())
        }

        fn mac(&self, _: Key, _: &[u8]) -> Result<[u8; 32], HsmError> {
            self.answer([1; 32])
        }

        fn sign(&self, key: Key, _: &[u8]) -> Result<Vec<u8>, HsmError> {
            self.answer(())?;
            Err(HsmError::NoSuchKey(key))
        }

        fn public_key(&self, _: Key) -> Result<Vec<u8>, HsmError> {
            self.answer(Vec::new())
        }

        fn wrap(&self, _: Key, _: &[u8], _: &[u8]) -> Result<Vec<u8>, HsmError> {
            self.answer(Vec::new())
        }

        fn unwrap(&self, _: Key, _: &[u8], _: &[u8]) -> Result<Zeroizing<Vec<u8>>, HsmError> {
            self.answer(Zeroizing::default())
        }

        fn make_key(&self, _: Key) -> Result<(), HsmError> {
            self.answer(())
        }
    }

    #[test]
    fn a_token_that_is_gone_is_asked_by_the_probe_alone() {
        let token = Arc::new(Token::default());
        let breaker = Breaker::new(Arc::clone(&token) as Arc<dyn Hsm>);
        assert!(breaker.random(&mut [0]).is_ok());
        token.gone.store(true, Ordering::SeqCst);
        assert!(breaker.random(&mut [0]).is_err());
        assert!(breaker.is_open());
        let asked = token.asked.load(Ordering::SeqCst);
        for _ in 0..100 {
            let refused = breaker.mac(Key::Fingerprint, b"");
            assert!(matches!(refused, Err(HsmError::Unavailable { .. })));
        }
        assert_eq!(token.asked.load(Ordering::SeqCst), asked);
        assert!(breaker.probe().is_err() && breaker.is_open());
        token.gone.store(false, Ordering::SeqCst);
        assert!(breaker.random(&mut [0]).is_err(), "before the probe");
        assert!(breaker.probe().is_ok() && !breaker.is_open());
        assert!(breaker.random(&mut [0]).is_ok());
    }

    #[test]
    fn an_answer_that_is_no_leaves_it_closed() {
        let breaker = Breaker::new(Arc::new(Token::default()));
        let no = breaker.sign(Key::Log, b"");
        assert_eq!(no, Err(HsmError::NoSuchKey(Key::Log)));
        assert!(!breaker.is_open());
    }
}
