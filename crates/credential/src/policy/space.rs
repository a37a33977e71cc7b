//! How many draws a policy accepts, and whether it accepts this one.

use serde::Deserialize;

use super::{Policy, PolicyError};

/// The least share of draws a policy must accept: minting is to end.
const SHARE_MIN: f64 = 0.01;

/// Chance of calling a fair generator unfit because a class rule was missed too often in a row.
const FALSE_ALARM: f64 = 1e-12;

/// A class of symbols that a rule may ask for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// A to Z.
    Upper,
    /// a to z.
    Lower,
    /// 0 to 9.
    Digit,
    /// Every other printable character.
    Special,
}

impl Class {
    /// The word of the policy file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Upper => "upper",
            Class::Lower => "lower",
            Class::Digit => "digit",
            Class::Special => "special",
        }
    }

    pub(super) fn holds(self, symbol: u8) -> bool {
        match self {
            Class::Upper => symbol.is_ascii_uppercase(),
            Class::Lower => symbol.is_ascii_lowercase(),
            Class::Digit => symbol.is_ascii_digit(),
            Class::Special => symbol.is_ascii_punctuation(),
        }
    }
}

impl Policy {
    /// Symbols, or words, that one place may hold.
    #[must_use]
    pub fn choices(&self) -> usize {
        self.alphabet.len().max(self.words.len())
    }

    /// Strength of a minted password: the binary logarithm of the accepted draws.
    #[must_use]
    pub fn net_bits(&self) -> f64 {
        f64::from(self.length) * (self.choices().max(1) as f64).log2() + self.share().log2()
    }

    /// The share of draws that keep the class rules and are not excluded.
    #[must_use]
    pub fn share(&self) -> f64 {
        let classes = self.classes();
        // Inclusion and exclusion over the classes that are missed; there are at most 4.
        let missing = |subset: u32| -> f64 {
            let missed = |symbol: &&u8| {
                let mut classes = (0..).zip(classes).filter(|(bit, _)| subset >> bit & 1 == 1);
                !classes.any(|(_, class)| class.holds(**symbol))
            };
            let left = self.alphabet.iter().filter(missed).count() as f64;
            let sign = if subset.count_ones().is_multiple_of(2) {
                1.0
            } else {
                -1.0
            };
            sign * (left / self.alphabet.len().max(1) as f64).powi(self.length.into())
        };
        let kept: f64 = if classes.is_empty() {
            1.0
        } else {
            (0..1 << classes.len()).map(missing).sum()
        };
        let mut excluded: Vec<&String> = self.exclude.iter().collect();
        excluded.sort_unstable();
        excluded.dedup();
        let lost = excluded
            .iter()
            .filter(|text| self.has_classes(text.as_bytes()));
        let draws = (self.choices() as f64).powi(self.length.into());
        (kept - lost.count() as f64 / draws).max(0.0)
    }

    /// Whether the symbols of a draw, hyphens left out, are one that is given.
    pub(crate) fn accepts(&self, symbols: &[u8]) -> bool {
        self.has_classes(symbols) && !self.exclude.iter().any(|text| text.as_bytes() == symbols)
    }

    /// Draws in a row that may be refused by these rules before the generator is at fault.
    pub(crate) fn draws_tolerated(&self) -> u32 {
        let refused = 1.0 - self.share();
        if refused <= 0.0 {
            return 1;
        }
        // At least 1 % are accepted, so at most 2,750.
        (FALSE_ALARM.ln() / refused.ln()).ceil() as u32 + 1
    }

    fn has_classes(&self, symbols: &[u8]) -> bool {
        let there = |class: &Class| symbols.iter().any(|&symbol| class.holds(symbol));
        self.classes.iter().all(there)
    }

    /// Whether the rules leave enough draws, and say what they mean.
    pub(super) fn check_rules(&self) -> Result<(), PolicyError> {
        let refused = |why: String| {
            let name = self.name.clone();
            Err(PolicyError::Unsatisfiable { name, why })
        };
        for (index, class) in self.classes.iter().enumerate() {
            let word = class.as_str();
            if self.classes[..index].contains(class) {
                return refused(format!("it asks for the class {word} twice"));
            }
            if !self.alphabet.iter().any(|&symbol| class.holds(symbol)) {
                return refused(format!("no symbol of its alphabet is of the class {word}"));
            }
        }
        if self.classes.len() > self.length() {
            return refused(format!(
                "{} classes do not fit {} symbols",
                self.classes.len(),
                self.length
            ));
        }
        for text in &self.exclude {
            let drawn = text.len() == self.length()
                && text.bytes().all(|byte| self.alphabet.contains(&byte));
            if !drawn {
                return refused(format!("it excludes {text:?}, which is none of its draws"));
            }
        }
        if self.share() < SHARE_MIN {
            return refused("its rules refuse more than 99 of 100 draws".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(alphabet: &str, length: u8, more: &str) -> Result<Policy, PolicyError> {
        Policy::parse(&format!(
            "name = \"t\"\nversion = 1\nalphabet = {alphabet:?}\nlength = {length}\n{more}floor_bits = 1\n"
        ))
    }

    /// Counts every draw, one by one, and compares.
    fn check(alphabet: &str, length: u8, more: &str) {
        let policy = policy(alphabet, length, more).unwrap();
        let symbols = policy.alphabet();
        let draws = symbols.len().pow(length.into());
        let draw = |number: usize| -> Vec<u8> {
            let places = 0..u32::from(length);
            let digits = places.map(|place| number / symbols.len().pow(place) % symbols.len());
            digits.map(|digit| symbols[digit]).collect()
        };
        let accepted = (0..draws).filter(|&n| policy.accepts(&draw(n))).count();
        let counted = (accepted as f64).log2();
        assert!(
            (policy.net_bits() - counted).abs() < 1e-9,
            "{alphabet} x {length}, {more}: {} is not {counted}",
            policy.net_bits()
        );
    }

    #[test]
    fn the_bits_are_those_of_the_accepted_draws() {
        check("0123456789", 4, "");
        check("ab0", 5, "classes = [\"digit\"]\n");
        check("ABc0", 6, "classes = [\"upper\", \"lower\", \"digit\"]\n");
        check("ABC#0", 5, "classes = [\"upper\", \"special\"]\n");
        check("0123", 4, "exclude = [\"0000\", \"1111\", \"1111\"]\n");
        check(
            "ab0",
            3,
            "classes = [\"digit\"]\nexclude = [\"aaa\", \"000\"]\n",
        );
    }

    #[test]
    fn what_no_draw_can_satisfy_is_refused_with_the_reason() {
        let check = |alphabet: &str, length: u8, more: &str, expected: &str| {
            let error = policy(alphabet, length, more).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(
            "abc",
            8,
            "classes = [\"digit\"]\n",
            "no symbol of its alphabet is of the class digit",
        );
        check(
            "aB0",
            2,
            "classes = [\"upper\", \"lower\", \"digit\"]\n",
            "3 classes do not fit 2 symbols",
        );
        check(
            "aB0",
            4,
            "classes = [\"digit\", \"digit\"]\n",
            "the class digit twice",
        );
        check(
            "ABCDEFGHJKMNPQRSTVWXYZ23456789#",
            1,
            "classes = [\"special\"]\nexclude = [\"#\"]\n",
            "99 of 100 draws",
        );
        check("0123", 3, "exclude = [\"0a1\"]\n", "none of its draws");
        check("0123", 4, "format = \"##-#\"\n", "with 4 times #");
        check("0123", 4, "format = \"##:##\"\n", "of # and - alone");
    }
}
