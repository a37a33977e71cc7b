//! What a policy asks of a password that somebody else made.

use super::{Class, Policy};

/// Why a password made elsewhere does not keep a policy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Breach {
    /// It has fewer symbols than the policy takes.
    Short(u8),
    /// It has more.
    Long(u8),
    /// It holds no symbol of a class.
    Lacks(Class),
    /// It is one that is never given.
    Excluded,
}

impl std::fmt::Display for Breach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Breach::Short(least) => write!(f, "under {least} symbols"),
            Breach::Long(most) => write!(f, "over {most} symbols"),
            Breach::Lacks(class) => write!(f, "no symbol of the class {}", class.as_str()),
            Breach::Excluded => {
                f.write_str("on the policy's list of passwords that are never given")
            }
        }
    }
}

impl Policy {
    /// Whether a password keeps what the rule behind the policy asks: its length, its classes, and
    /// that it is not excluded. Another alphabet is no breach, and strength is not judged here: one
    /// password does not show it.
    #[must_use]
    pub fn breach(&self, password: &[u8]) -> Option<Breach> {
        let hyphens = self.format.is_some() || !self.words.is_empty();
        let symbols = || {
            password
                .iter()
                .filter(move |byte| !hyphens || **byte != b'-')
        };
        // A letter of two bytes is one symbol: bytes that continue one are not counted.
        let length = symbols().filter(|byte| **byte & 0xc0 != 0x80).count();
        let (least, most) = self.lengths;
        if self.words.is_empty() {
            if length < least.into() {
                return Some(Breach::Short(least));
            }
            if length > most.into() {
                return Some(Breach::Long(most));
            }
        }
        let lacks = |class: &&Class| !symbols().any(|symbol| class.holds(*symbol));
        if let Some(class) = self.classes.iter().find(lacks) {
            return Some(Breach::Lacks(*class));
        }
        let excluded = |text: &String| symbols().copied().eq(text.bytes());
        self.exclude
            .iter()
            .any(excluded)
            .then_some(Breach::Excluded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(policy: &str, password: &str, expected: &str) {
        let policy = Policy::named(policy, None).unwrap();
        let got = policy.breach(password.as_bytes());
        let got = got.map_or("kept".to_owned(), |breach| breach.to_string());
        assert_eq!(got, expected, "{password}");
    }

    #[test]
    fn the_rule_is_asked_and_not_the_alphabet() {
        check("uk-psti", "äß", "kept");
        check("wpa-psk", "seven77", "under 8 symbols");
        check("wpa-psk", "ääää", "under 8 symbols");
        check("wpa-psk", "eight888", "kept");
        check("de-bsi-03148", "0123456789ABCDEFGHJ", "under 20 symbols");
        check("br-anatel", "K7QDM2X9", "no symbol of the class special");
        check("br-anatel", "K7QDM2X#", "kept");
        check("sg-cls", "K7QDM2X9TR", "no symbol of the class lower");
        check("pin-lockout", "1234567890123", "over 12 symbols");
        check("passphrase", "oak", "kept");
    }

    #[test]
    fn codes_are_read_without_their_hyphens() {
        check("homekit", "482-91-377", "kept");
        check(
            "homekit",
            "111-11-111",
            "on the policy's list of passwords that are never given",
        );
        check("homekit", "482-91-37", "under 8 symbols");
        check(
            "matter",
            "12345678",
            "on the policy's list of passwords that are never given",
        );
    }
}
