//! Why a policy may not be used.

use thiserror::Error;

use crate::Password;

/// Why a policy may not be used.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum PolicyError {
    /// There is no such policy.
    #[error("no password policy is named `{name}`: this version knows {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The text is not a policy.
    #[error("the password policy cannot be read: {0}")]
    Unreadable(String),
    /// A symbol would not survive a label, a scanner and a person.
    #[error("policy `{name}`: symbol {symbol:?} is not a printable character, or separates fields")]
    Symbol {
        /// Which policy.
        name: String,
        /// The symbol.
        symbol: char,
    },
    /// Two symbols are the same or are read as the same.
    #[error("policy `{name}`: symbols {first:?} and {second:?} are the same or look alike")]
    LookAlike {
        /// Which policy.
        name: String,
        /// One of them.
        first: char,
        /// The other.
        second: char,
    },
    /// A word is not written in small letters alone.
    #[error("policy `{name}`: the word {word:?} is not small letters a to z alone")]
    Word {
        /// Which policy.
        name: String,
        /// The word.
        word: String,
    },
    /// Two words cannot be told apart once the hyphens are left out.
    #[error(
        "policy `{name}`: the word {first:?} looks like {second:?} or its beginning: typed without \
         hyphens, two passwords would be one"
    )]
    AlikeWords {
        /// Which policy.
        name: String,
        /// One of them.
        first: String,
        /// The other.
        second: String,
    },
    /// The length is not one that the policy, or any password, may have.
    #[error("policy `{name}`: a length of {length} symbols is not between {least} and {most}")]
    Length {
        /// Which policy.
        name: String,
        /// The length that was asked for.
        length: u8,
        /// The least.
        least: u8,
        /// The most.
        most: u8,
    },
    /// The words do not fit a label and a unit.
    #[error(
        "policy `{name}`: its longest password has {got} characters, more than {}",
        Password::MAX
    )]
    TooLong {
        /// Which policy.
        name: String,
        /// How long it would be.
        got: usize,
    },
    /// The format is not one of `#` and `-` with a place for each symbol.
    #[error("policy `{name}`: its format must be of # and - alone, with {length} times #")]
    Format {
        /// Which policy.
        name: String,
        /// Symbols that need a place.
        length: u8,
    },
    /// The strength is under the floor.
    #[error(
        "policy `{name}`: {length} of {symbols} symbols give {bits} bits, under its floor of {floor_bits}"
    )]
    UnderFloor {
        /// Which policy.
        name: String,
        /// Symbols in a password.
        length: u8,
        /// Symbols in the alphabet, or words in the list.
        symbols: usize,
        /// What they give.
        bits: u32,
        /// What the policy promises.
        floor_bits: u32,
    },
    /// No draw, or hardly one, keeps the policy's rules.
    #[error("policy `{name}`: no draw can satisfy it: {why}")]
    Unsatisfiable {
        /// Which policy.
        name: String,
        /// What stands in the way.
        why: String,
    },
    /// So few bits are only good behind a lockout.
    #[error(
        "policy `{name}` is only for units that lock after wrong tries: declare `lockout = TRIES` \
         under [password] in the product file"
    )]
    NoLockout {
        /// Which policy.
        name: String,
    },
}
