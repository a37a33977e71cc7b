//! Why a token did not do what it was asked. Never holds a secret: no PIN, no data, no key.

use crate::Key;

/// Why a token did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HsmError {
    /// Another PIN opens this token. Not tried again by itself: real tokens lock.
    #[error("the PIN does not open the token")]
    WrongPin,
    /// The token is not set up for this.
    #[error("the token holds no key {0}")]
    NoSuchKey(Key),
    /// Our own mistake, such as signing with a MAC key.
    #[error("key {0} is of a kind that cannot do this")]
    WrongKind(Key),
    /// More than one command takes.
    #[error("{given} bytes were given to the token, which takes at most {limit}")]
    TooLong {
        /// How many were given.
        given: usize,
        /// How many are taken.
        limit: usize,
    },
    /// Nothing is wrong with the question: ask again later.
    #[error("the token is not available: {reason}")]
    Unavailable {
        /// What a person should look at.
        reason: String,
    },
    /// The token understood and says no: asking again gets the same answer.
    #[error("the token refuses: {reason}")]
    Refused {
        /// What a person should look at.
        reason: String,
    },
    /// The store's bytes are not ones that this program wrote.
    #[error("the token's store cannot be used: {reason}")]
    Store {
        /// What a person should look at.
        reason: String,
    },
}

impl HsmError {
    pub(crate) fn unavailable(reason: impl Into<String>) -> HsmError {
        HsmError::Unavailable {
            reason: reason.into(),
        }
    }

    pub(crate) fn refused(reason: impl Into<String>) -> HsmError {
        HsmError::Refused {
            reason: reason.into(),
        }
    }

    pub(crate) fn store(reason: impl Into<String>) -> HsmError {
        HsmError::Store {
            reason: reason.into(),
        }
    }

    /// An answer of another shape or length than the question's.
    pub(crate) fn out_of_turn() -> HsmError {
        HsmError::unavailable("it answered another question than was asked")
    }
}
