//! Password policies: data with a name and a hash, refused when they promise too little.
//!
//! A policy counts what the generator can reach, not how a password looks: length times the bits
//! of one symbol. Deliberately absent: class rules ("one capital, one digit"), which only take
//! strength away.

use ring::digest::{SHA256, digest};
use serde::Deserialize;
use thiserror::Error;
use traveler::Digest;

use crate::secret::{Password, fold};

/// The policies that are built in, by name.
const BUILT_IN: [(&str, &str); 1] = [("uk-psti", include_str!("../policies/uk-psti.toml"))];

/// How passwords are minted: which symbols, how many, and the strength below which it is refused.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    name: String,
    version: u32,
    alphabet: Vec<u8>,
    length: u8,
    floor_bits: u32,
}

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
    /// The length is 0 or more than a password may have.
    #[error(
        "policy `{name}`: a length of {length} symbols is not between 1 and {}",
        Password::MAX
    )]
    Length {
        /// Which policy.
        name: String,
        /// The length that was asked for.
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
        /// Symbols in the alphabet.
        symbols: usize,
        /// What they give.
        bits: u32,
        /// What the policy promises.
        floor_bits: u32,
    },
}

/// The file, before anything about it is believed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    version: u32,
    alphabet: String,
    length: u8,
    floor_bits: u32,
}

impl Policy {
    /// The policy of every product that names none.
    pub const DEFAULT: &'static str = "uk-psti";

    /// A built-in policy, with its own length or another that keeps the floor.
    ///
    /// # Errors
    /// [`PolicyError::Unknown`], or what [`Policy::parse`] refuses in the length.
    pub fn named(name: &str, length: Option<u8>) -> Result<Policy, PolicyError> {
        let Some((_, text)) = BUILT_IN.iter().find(|(known, _)| *known == name) else {
            return Err(PolicyError::Unknown {
                name: name.chars().take(40).flat_map(char::escape_debug).collect(),
                known: BUILT_IN.map(|(known, _)| known).join(", "),
            });
        };
        let policy = Policy::parse(text)?;
        match length {
            Some(length) => Policy { length, ..policy }.checked(),
            None => Ok(policy),
        }
    }

    /// Reads a policy from TOML and refuses it when it is weak or ambiguous.
    ///
    /// # Errors
    /// Every variant but [`PolicyError::Unknown`].
    pub fn parse(text: &str) -> Result<Policy, PolicyError> {
        let file: File =
            toml::from_str(text).map_err(|e| PolicyError::Unreadable(e.to_string()))?;
        Policy {
            name: file.name,
            version: file.version,
            alphabet: file.alphabet.into_bytes(),
            length: file.length,
            floor_bits: file.floor_bits,
        }
        .checked()
    }

    fn checked(self) -> Result<Policy, PolicyError> {
        let name = || self.name.clone();
        for (index, &symbol) in self.alphabet.iter().enumerate() {
            // A hyphen is dropped by folding, a colon ends the serial in a label's QR code.
            if !symbol.is_ascii_graphic() || matches!(symbol, b'-' | b':') {
                return Err(PolicyError::Symbol {
                    name: name(),
                    symbol: symbol.into(),
                });
            }
            let same = |other: &&u8| fold(**other) == fold(symbol);
            if let Some(&first) = self.alphabet[..index].iter().find(same) {
                let (first, second) = (first.into(), symbol.into());
                return Err(PolicyError::LookAlike {
                    name: name(),
                    first,
                    second,
                });
            }
        }
        if !(1..=Password::MAX).contains(&usize::from(self.length)) {
            return Err(PolicyError::Length {
                name: name(),
                length: self.length,
            });
        }
        if self.alphabet.len() < 2 || self.bits() < self.floor_bits {
            return Err(PolicyError::UnderFloor {
                name: name(),
                length: self.length,
                symbols: self.alphabet.len(),
                bits: self.bits(),
                floor_bits: self.floor_bits,
            });
        }
        Ok(self)
    }

    /// The name products use.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Grows when the same name comes to mean something else.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The symbols, ASCII, no two alike when folded.
    #[must_use]
    pub fn alphabet(&self) -> &[u8] {
        &self.alphabet
    }

    /// Symbols in a password.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length.into()
    }

    /// Strength of a minted password in whole bits, rounded down.
    #[must_use]
    pub fn bits(&self) -> u32 {
        // At most 63 symbols of 94: the product stays under 414 and is never negative.
        (f64::from(self.length) * (self.alphabet.len().max(1) as f64).log2()) as u32
    }

    /// SHA-256 over every field, with the length in force: the ledger names the rule a password
    /// was minted under.
    #[must_use]
    pub fn hash(&self) -> Digest {
        let text = format!(
            "birthmark password policy v1\n{}\n{}\n{}\n{}\n{}\n",
            self.name,
            self.version,
            self.alphabet.escape_ascii(),
            self.length,
            self.floor_bits
        );
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
        Digest(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(alphabet: &str, length: u8, expected: &str) {
        let text = format!(
            "name = \"t\"\nversion = 1\nalphabet = {alphabet:?}\nlength = {length}\nfloor_bits = 48\n"
        );
        let got = match Policy::parse(&text) {
            Ok(policy) => format!("{} bits", policy.bits()),
            Err(error) => error.to_string(),
        };
        assert_eq!(got, expected, "{alphabet} x {length}");
    }

    #[test]
    fn weak_and_ambiguous_policies_are_refused_with_the_reason() {
        check("0123456789ABCDEF", 12, "48 bits");
        check(
            "0123456789",
            14,
            "policy `t`: 14 of 10 symbols give 46 bits, under its floor of 48",
        );
        check("0123456789", 15, "49 bits");
        check(
            "A",
            63,
            "policy `t`: 63 of 1 symbols give 0 bits, under its floor of 48",
        );
        check(
            "",
            63,
            "policy `t`: 63 of 0 symbols give 0 bits, under its floor of 48",
        );
        check(
            "ABCDA",
            63,
            "policy `t`: symbols 'A' and 'A' are the same or look alike",
        );
        check(
            "ABCDa",
            63,
            "policy `t`: symbols 'A' and 'a' are the same or look alike",
        );
        check(
            "01O",
            63,
            "policy `t`: symbols '0' and 'O' are the same or look alike",
        );
        check(
            "ILX",
            63,
            "policy `t`: symbols 'I' and 'L' are the same or look alike",
        );
        check(
            "AB-",
            63,
            "policy `t`: symbol '-' is not a printable character, or separates fields",
        );
        check(
            "ABCDEFGH",
            0,
            "policy `t`: a length of 0 symbols is not between 1 and 63",
        );
        check(
            "ABCDEFGH",
            64,
            "policy `t`: a length of 64 symbols is not between 1 and 63",
        );
    }

    #[test]
    fn the_default_gives_sixty_bits_and_keeps_them() {
        let policy = Policy::named(Policy::DEFAULT, None).unwrap();
        assert_eq!(
            (policy.name(), policy.length(), policy.bits()),
            ("uk-psti", 12, 60)
        );
        assert_eq!(Policy::named("uk-psti", Some(13)).unwrap().bits(), 65);
        assert!(matches!(
            Policy::named("uk-psti", Some(11)),
            Err(PolicyError::UnderFloor {
                bits: 55,
                floor_bits: 60,
                ..
            })
        ));
        assert!(matches!(
            Policy::named("uk-psri", None),
            Err(PolicyError::Unknown { .. })
        ));
    }

    #[test]
    fn every_built_in_policy_is_found_under_its_own_name() {
        for (name, _) in BUILT_IN {
            assert_eq!(Policy::named(name, None).unwrap().name(), name);
        }
    }

    /// If this fails, the policy changed: raise its version and take the new hash.
    #[test]
    fn the_hash_covers_the_length_in_force() {
        let hash = |length| Policy::named("uk-psti", length).unwrap().hash().to_string();
        assert_eq!(
            hash(None),
            "3bb5af84f756bb7a8483d21d13de9e1645a0f123f298588a3b05ff8cf09682c1"
        );
        assert_ne!(hash(None), hash(Some(13)));
    }

    #[test]
    fn an_unknown_field_is_refused_with_its_line() {
        let text = format!("{}colour = \"red\"\n", BUILT_IN[0].1);
        let error = Policy::parse(&text).unwrap_err().to_string();
        assert!(
            error.contains("colour") && error.contains("line 9"),
            "{error}"
        );
    }
}
