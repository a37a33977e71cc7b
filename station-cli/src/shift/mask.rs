//! What a serial or a badge of this site looks like, so that one is never taken for the other.
//!
//! A mask is read from left to right: `#` is a digit, `@` a capital, `?` either, `*` at the end any
//! rest, anything else itself. A serial may end in a check character over what comes before it,
//! hyphens left out.

use serde::Deserialize;

/// The form of a name that is scanned.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Mask(String);

/// A check character at the end of a serial.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
pub(crate) enum Check {
    /// ISO/IEC 7064, MOD 37,36: letters and digits.
    #[serde(rename = "mod37-36")]
    Mod37_36,
    /// ISO/IEC 7812-1, annex B: digits alone.
    #[serde(rename = "luhn")]
    Luhn,
}

impl Mask {
    /// Why a text is no mask, or the mask.
    pub(crate) fn parse(text: &str) -> Result<Mask, &'static str> {
        let body = text.strip_suffix('*').unwrap_or(text);
        let usable = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || "#@?-".contains(c);
        match text.is_empty() || text.len() > 32 || !body.chars().all(usable) {
            true => {
                Err("1 to 32 of A-Z, 0-9, hyphen, # (digit), @ (capital), ? (either), * at its end")
            }
            false => Ok(Mask(text.to_owned())),
        }
    }

    /// Whether a text has this form.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let (body, open) = self.parts();
        let fits = |(mask, c): (char, char)| class(mask, c);
        let long_enough = match open {
            true => text.len() >= body.len(),
            false => text.len() == body.len(),
        };
        long_enough && body.chars().zip(text.chars()).all(fits)
    }

    /// Whether some text has both forms; a rest counts as any.
    pub(crate) fn meets(&self, other: &Mask) -> bool {
        let ((a, a_open), (b, b_open)) = (self.parts(), other.parts());
        let lengths = match (a_open, b_open) {
            (true, true) => true,
            (true, false) => b.len() >= a.len(),
            (false, true) => a.len() >= b.len(),
            (false, false) => a.len() == b.len(),
        };
        let common = |(a, b): (char, char)| match (wild(a), wild(b)) {
            (false, _) => class(b, a),
            (_, false) => class(a, b),
            (true, true) => a == b || a == '?' || b == '?',
        };
        lengths && a.chars().zip(b.chars()).all(common)
    }

    fn parts(&self) -> (&str, bool) {
        match self.0.strip_suffix('*') {
            Some(body) => (body, true),
            None => (&self.0, false),
        }
    }
}

impl std::fmt::Display for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn wild(mask: char) -> bool {
    matches!(mask, '#' | '@' | '?')
}

fn class(mask: char, c: char) -> bool {
    match mask {
        '#' => c.is_ascii_digit(),
        '@' => c.is_ascii_uppercase(),
        '?' => c.is_ascii_digit() || c.is_ascii_uppercase(),
        literal => literal == c,
    }
}

impl Check {
    /// Whether the last character is right for the ones before it.
    pub(crate) fn holds(self, text: &str) -> bool {
        let values: Option<Vec<u32>> = text
            .chars()
            .filter(|c| *c != '-')
            .map(|c| c.to_digit(36).filter(|_| !c.is_ascii_lowercase()))
            .collect();
        match (self, values) {
            (_, None) => false,
            (Check::Mod37_36, Some(values)) => mod37_36(&values),
            (Check::Luhn, Some(values)) => luhn(&values),
        }
    }

    /// A text with its check character behind it; `None` when it takes none.
    pub(crate) fn close(self, body: &str) -> Option<String> {
        ('0'..='9').chain('A'..='Z').find_map(|last| {
            let text = format!("{body}{last}");
            self.holds(&text).then_some(text)
        })
    }
}

/// ISO/IEC 7064, clause 9: the hybrid system with modulus 36.
fn mod37_36(values: &[u32]) -> bool {
    let Some((check, rest)) = values.split_last() else {
        return false;
    };
    let product = rest.iter().fold(36, |product, value| {
        let sum = match (product + value) % 36 {
            0 => 36,
            sum => sum,
        };
        sum * 2 % 37
    });
    !rest.is_empty() && (product + check) % 36 == 1
}

fn luhn(values: &[u32]) -> bool {
    let digit = |(place, value): (usize, &u32)| match place % 2 {
        0 => *value,
        _ => value * 2 / 10 + value * 2 % 10,
    };
    let digits = values.iter().all(|value| *value < 10);
    let sum: u32 = values.iter().rev().enumerate().map(digit).sum();
    digits && values.len() > 1 && sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(mask: &str, text: &str, expected: bool) {
        assert_eq!(
            Mask::parse(mask).unwrap().matches(text),
            expected,
            "{mask} {text}"
        );
    }

    #[test]
    fn a_mask_tells_serials_from_badges() {
        check("CAM2-#####", "CAM2-00001", true);
        check("CAM2-#####", "CAM2-0000", false);
        check("CAM2-#####", "CAM2-000011", false);
        check("CAM2-#####", "CAM2-0000A", false);
        check("B-*", "B-7", true);
        check("B-*", "L-7", false);
        check("@?#", "AA1", true);
        check("@?#", "1A1", false);
        for bad in ["", "cam", "A*B", "A B"] {
            assert!(Mask::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn two_masks_that_one_text_fits_are_found() {
        let meet = |a, b| Mask::parse(a).unwrap().meets(&Mask::parse(b).unwrap());
        assert!(meet("B-*", "B-###"));
        assert!(meet("???", "A##"));
        assert!(meet("*", "CAM2-#####"));
        assert!(!meet("B-*", "L-*"));
        assert!(!meet("@@@", "###"));
        assert!(!meet("A##", "A###"));
    }

    #[test]
    fn check_characters_by_the_standards_own_examples() {
        // The GRid Standard's example and the number of ISO/IEC 7812-1 as it is usually shown.
        assert!(Check::Mod37_36.holds("A1-2425G-ABC1234002-M"));
        assert!(!Check::Mod37_36.holds("A1-2425G-ABC1234003-M"));
        assert!(!Check::Mod37_36.holds("M"));
        assert!(Check::Luhn.holds("79927398713"));
        assert!(!Check::Luhn.holds("79927398710"));
        assert!(!Check::Luhn.holds("7992739871A"));
    }
}
