//! What a scanner reads off a label: `BM1:SERIAL:PASSWORD`, and ` R1` behind it on the first reprint.
//!
//! The number of the reprint is in the code, so that a former label, which is void, is told from the
//! one that counts although both hold the password. It stands behind a space, which no password
//! holds: a first print is byte for byte what it always was, and a station that knows nothing of
//! reprints takes the code of one for no label rather than for another password. A space and a digit
//! are the same key on every keyboard that a scanner pretends to be. What a code cannot tell apart
//! are two prints of one number: a station sends each number to a printer once.

use traveler::Serial;
use zeroize::Zeroizing;

/// Tells our code from others an operator may scan, and its version.
pub(crate) const PREFIX: &str = "BM1:";

/// What stands before the number of a reprint.
pub(crate) const REPRINT: &str = " R";

/// The longest password on a label, in symbols (that of a WPA2 passphrase).
const MAX_PASSWORD: usize = 63;

/// The most reprints of one attempt: whoever needs more has another trouble than the label.
pub const REPRINT_MAX: u32 = 99;

/// One scanned label.
pub struct Scan {
    /// The unit it names.
    pub serial: Serial,
    /// The password it carries, for the unit itself to say yes or no to.
    pub password: ScannedPassword,
    /// Which reprint it is: 0 is the first print.
    pub reprint: u32,
}

/// A password that was read off a label.
///
/// No `Debug`, `Clone` or `PartialEq`:
///
/// ```compile_fail
/// fn wants<T: std::fmt::Debug>() {}
/// wants::<label::ScannedPassword>();
/// ```
/// ```compile_fail
/// fn wants<T: Clone>() {}
/// wants::<label::ScannedPassword>();
/// ```
/// ```compile_fail
/// fn wants<T: PartialEq>() {}
/// wants::<label::ScannedPassword>();
/// ```
pub struct ScannedPassword(Zeroizing<Vec<u8>>);

impl ScannedPassword {
    /// Lends the clear text to `f`, which asks the unit.
    pub fn expose<R>(&self, f: impl FnOnce(&[u8]) -> R) -> R {
        f(&self.0)
    }
}

/// Reads a scan; the line end that scanners add is dropped. `None` for any other code: a bare
/// serial, another product's label, a badge.
#[must_use]
pub fn parse_scan(text: &str) -> Option<Scan> {
    let text = text.trim_end_matches(['\r', '\n']);
    // A serial has no colon; a password may.
    let (serial, password) = text.strip_prefix(PREFIX)?.split_once(':')?;
    let serial = Serial::parse(serial).ok()?;
    let (password, reprint) = match password.split_once(REPRINT) {
        Some((password, number)) => (password, reprint_number(number)?),
        None => (password, 0),
    };
    let usable = (1..=MAX_PASSWORD).contains(&password.len())
        && password.bytes().all(|byte| byte.is_ascii_graphic());
    let password = Zeroizing::new(password.as_bytes().to_vec());
    usable.then_some(Scan {
        serial,
        password: ScannedPassword(password),
        reprint,
    })
}

/// A number as labels write it: no sign, no zero in front.
fn reprint_number(text: &str) -> Option<u32> {
    let number: u32 = text.parse().ok()?;
    let plain = (1..=REPRINT_MAX).contains(&number) && number.to_string() == text;
    plain.then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(&str, &str)>) {
        let scan = parse_scan(text);
        let got = scan.as_ref().map(|scan| {
            let clear = scan
                .password
                .expose(|clear| String::from_utf8(clear.to_vec()).unwrap());
            (scan.serial.as_str(), clear)
        });
        let got = got
            .as_ref()
            .map(|(serial, clear)| (*serial, clear.as_str()));
        assert_eq!(got, expected, "{text:?}");
    }

    #[test]
    fn a_reprint_says_its_number() {
        for (text, expected) in [
            ("BM1:A47:K7QD", 0),
            ("BM1:A47:K7QD R1\r\n", 1),
            ("BM1:A47:K7QD R99", 99),
        ] {
            let scan = parse_scan(text).unwrap();
            assert_eq!(scan.reprint, expected, "{text}");
            scan.password.expose(|clear| assert_eq!(clear, b"K7QD"));
        }
    }

    #[test]
    fn only_our_own_labels_scan() {
        check("BM1:A47:K7QDM2X9TR4W", Some(("A47", "K7QDM2X9TR4W")));
        check("BM1:A47:K7QDM2X9TR4W\r\n", Some(("A47", "K7QDM2X9TR4W")));
        check("BM1:A47:K7:D", Some(("A47", "K7:D")));
        for other in [
            "",
            "A47",
            "BM1:A47",
            "BM1:A47:",
            "BM2:A47:K7QD",
            "bm1:A47:K7QD",
            "BM1:a47:K7QD",
            "BM1:A47:K7 D",
            "BM1:A47:K7\nD",
            " BM1:A47:K7QD",
            "BM1:A47:K7QD R",
            "BM1:A47:K7QD R0",
            "BM1:A47:K7QD R01",
            "BM1:A47:K7QD R+1",
            "BM1:A47:K7QD R100",
            "BM1:A47:K7QD R1 R2",
            "BM1:A47:K7QD R1 ",
            "BM1:A47: R1",
            "BM1:A47:größe",
            &format!("BM1:A47:{}", "K".repeat(64)),
        ] {
            check(other, None);
        }
    }
}
