//! Password policies: data with a name and a hash, refused when they promise too little.
//!
//! A policy counts what the generator can reach, not how a password looks: the draws it accepts,
//! each as likely as the next. Class rules ("one capital, one digit") are met by drawing again, so
//! they take strength away, and the count says how much. Deliberately absent: a count of the draws
//! the gate refuses (at most a few in a hundred), and any way to repair a draw.

mod built_in;
mod elsewhere;
mod error;
mod file;
mod space;

use std::sync::Arc;

use ring::digest::{SHA256, digest};
use traveler::Digest;

pub use elsewhere::Breach;
pub use error::PolicyError;
pub use space::Class;

use crate::secret::{Password, fold};

/// How passwords are minted: which symbols or words, how many, and the strength below which it is
/// refused.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    name: String,
    version: u32,
    /// The rule it answers to; not part of the hash, since it changes no password.
    source: String,
    /// Empty when words are drawn.
    alphabet: Vec<u8>,
    /// Empty when symbols are drawn.
    words: Arc<[String]>,
    /// Symbols or words in a password.
    length: u8,
    /// What `length` may be set to.
    lengths: (u8, u8),
    /// Classes that a draw must hold, or it is drawn again.
    classes: Vec<Class>,
    /// Draws that are drawn again, without the format's hyphens.
    exclude: Vec<String>,
    /// Where the symbols go: `#` is one, `-` is printed.
    format: Option<String>,
    /// Whether a product may use it only with a declared lockout.
    lockout: bool,
    floor_bits: u32,
}

impl Policy {
    /// The policy of every product that names none.
    pub const DEFAULT: &'static str = "uk-psti";

    /// The names of the built-in policies, the default first.
    pub fn names() -> impl Iterator<Item = &'static str> {
        built_in::POLICIES.iter().map(|(name, _)| *name)
    }

    /// A built-in policy, with its own length or another that keeps the floor.
    ///
    /// # Errors
    /// [`PolicyError::Unknown`], or what [`Policy::parse`] refuses in the length.
    pub fn named(name: &str, length: Option<u8>) -> Result<Policy, PolicyError> {
        let Some(policy) = built_in::find(name) else {
            let known: Vec<&str> = Policy::names().collect();
            return Err(PolicyError::Unknown {
                name: name.chars().take(40).flat_map(char::escape_debug).collect(),
                known: known.join(", "),
            });
        };
        let policy = policy?;
        match length {
            Some(length) if length != policy.length => Policy { length, ..policy }.checked(),
            _ => Ok(policy),
        }
    }

    /// Reads a policy from TOML and refuses it when it is weak, ambiguous or cannot be met.
    ///
    /// # Errors
    /// Every variant but [`PolicyError::Unknown`] and [`PolicyError::NoLockout`].
    pub fn parse(text: &str) -> Result<Policy, PolicyError> {
        file::read(text)?.checked()
    }

    /// The policy, for a product that declares a lockout or none.
    ///
    /// # Errors
    /// [`PolicyError::NoLockout`] when there must be one.
    pub fn with_lockout(self, declared: bool) -> Result<Policy, PolicyError> {
        if self.lockout && !declared {
            return Err(PolicyError::NoLockout { name: self.name });
        }
        Ok(self)
    }

    fn checked(self) -> Result<Policy, PolicyError> {
        if self.words.is_empty() {
            self.check_alphabet()?;
        } else {
            self.check_words()?;
        }
        let (least, most) = self.lengths;
        if !(least..=most).contains(&self.length) {
            return Err(PolicyError::Length {
                name: self.name,
                length: self.length,
                least,
                most,
            });
        }
        self.check_format()?;
        if self.choices() < 2 {
            return Err(self.under_floor());
        }
        self.check_rules()?;
        if self.bits() < self.floor_bits {
            return Err(self.under_floor());
        }
        Ok(self)
    }

    /// No two symbols alike, and each survives a label, a scanner and a person.
    fn check_alphabet(&self) -> Result<(), PolicyError> {
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
        Ok(())
    }

    /// Different draws stay different when they are folded, which drops the hyphens between
    /// words: so no folded word may begin another.
    fn check_words(&self) -> Result<(), PolicyError> {
        let name = || self.name.clone();
        let mut folded = Vec::with_capacity(self.words.len());
        for word in self.words.iter() {
            if word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_lowercase()) {
                let word = word.chars().take(40).collect();
                return Err(PolicyError::Word { name: name(), word });
            }
            folded.push((word.bytes().filter_map(fold).collect::<Vec<u8>>(), word));
        }
        // Sorted, a word stands right before the first one that it begins.
        folded.sort_unstable();
        let clash = folded
            .windows(2)
            .find(|pair| pair[1].0.starts_with(&pair[0].0));
        if let Some([(_, first), (_, second)]) = clash {
            let (first, second) = ((*first).clone(), (*second).clone());
            return Err(PolicyError::AlikeWords {
                name: name(),
                first,
                second,
            });
        }
        if self.text_max() > Password::MAX {
            return Err(PolicyError::TooLong {
                name: name(),
                got: self.text_max(),
            });
        }
        Ok(())
    }

    fn check_format(&self) -> Result<(), PolicyError> {
        let Some(format) = &self.format else {
            return Ok(());
        };
        let places = format.bytes().filter(|&byte| byte == b'#').count();
        let fits = places == self.length()
            && self.words.is_empty()
            && format.bytes().all(|byte| matches!(byte, b'#' | b'-'))
            && format.len() <= Password::MAX;
        if fits {
            return Ok(());
        }
        Err(PolicyError::Format {
            name: self.name.clone(),
            length: self.length,
        })
    }

    fn under_floor(&self) -> PolicyError {
        PolicyError::UnderFloor {
            name: self.name.clone(),
            length: self.length,
            symbols: self.choices(),
            bits: self.bits(),
            floor_bits: self.floor_bits,
        }
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

    /// The rule it answers to, as it is cited.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The symbols, ASCII, no two alike when folded; empty when words are drawn.
    #[must_use]
    pub fn alphabet(&self) -> &[u8] {
        &self.alphabet
    }

    /// The words, no one the beginning of another when folded; empty when symbols are drawn.
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// Symbols, or words, in a password.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length.into()
    }

    /// What the length may be set to.
    #[must_use]
    pub fn lengths(&self) -> (u8, u8) {
        self.lengths
    }

    /// The classes of which every password holds at least one symbol.
    #[must_use]
    pub fn classes(&self) -> &[Class] {
        &self.classes
    }

    /// Where the symbols stand among hyphens, when they do.
    #[must_use]
    pub fn format(&self) -> Option<&str> {
        self.format.as_deref()
    }

    /// Draws that are never given.
    #[must_use]
    pub fn excluded(&self) -> &[String] {
        &self.exclude
    }

    /// Whether a product may use it only with a declared lockout.
    #[must_use]
    pub fn needs_lockout(&self) -> bool {
        self.lockout
    }

    /// The strength under which it is refused, in bits.
    #[must_use]
    pub fn floor_bits(&self) -> u32 {
        self.floor_bits
    }

    /// Strength of a minted password in whole bits, rounded down.
    #[must_use]
    pub fn bits(&self) -> u32 {
        // At most 63 symbols of 94 or 20 words of 65,536; nothing accepted counts as nothing.
        self.net_bits().max(0.0) as u32
    }

    /// The longest password, in characters, hyphens and all.
    #[must_use]
    pub fn text_max(&self) -> usize {
        let longest = self.words.iter().map(String::len).max();
        match (longest, &self.format) {
            (Some(longest), _) => ((longest + 1) * self.length()).saturating_sub(1),
            (None, Some(format)) => format.len(),
            (None, None) => self.length(),
        }
    }

    /// SHA-256 over every field that decides about a password, with the length in force: the
    /// ledger names the rule a password was minted under.
    #[must_use]
    pub fn hash(&self) -> Digest {
        let mut text = format!(
            "birthmark password policy v1\n{}\n{}\n{}\n{}\n{}\n",
            self.name,
            self.version,
            self.alphabet.escape_ascii(),
            self.length,
            self.floor_bits
        );
        // A policy that uses none of these keeps the hash that older entries name.
        let classes: Vec<&str> = self.classes.iter().map(|class| class.as_str()).collect();
        for (field, value) in [
            ("classes", classes.join(" ")),
            ("exclude", self.exclude.join(" ")),
            ("format", self.format.clone().unwrap_or_default()),
            ("words", self.words.join(" ")),
        ] {
            if !value.is_empty() {
                text.push_str(&format!("{field}\n{value}\n"));
            }
        }
        if self.lockout {
            text.push_str("lockout\n");
        }
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
        for name in Policy::names() {
            let policy = Policy::named(name, None).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(policy.name(), name);
            assert!(!policy.source().is_empty(), "{name} cites nothing");
            assert!(policy.text_max() <= Password::MAX, "{name}");
        }
        assert_eq!(Policy::names().next(), Some(Policy::DEFAULT));
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
        let text = format!("{}colour = \"red\"\n", built_in::POLICIES[0].1);
        let error = Policy::parse(&text).unwrap_err().to_string();
        assert!(
            error.contains("colour") && error.contains("line 10"),
            "{error}"
        );
    }
}
