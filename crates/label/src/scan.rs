//! What a scanner reads off a label: `BM1:SERIAL:PASSWORD`.

use traveler::Serial;
use zeroize::Zeroizing;

/// Tells our code from others an operator may scan, and its version.
pub(crate) const PREFIX: &str = "BM1:";

/// The longest password on a label, in symbols (that of a WPA2 passphrase).
const MAX_PASSWORD: usize = 63;

/// One scanned label.
pub struct Scan {
    /// The unit it names.
    pub serial: Serial,
    /// The password it carries, for the unit itself to say yes or no to.
    pub password: ScannedPassword,
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
    let usable = (1..=MAX_PASSWORD).contains(&password.len())
        && password.bytes().all(|byte| byte.is_ascii_graphic());
    let password = Zeroizing::new(password.as_bytes().to_vec());
    usable.then_some(Scan {
        serial,
        password: ScannedPassword(password),
    })
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
            "BM1:A47:größe",
            &format!("BM1:A47:{}", "K".repeat(64)),
        ] {
            check(other, None);
        }
    }
}
