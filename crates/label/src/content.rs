//! What a label says, before it is drawn. Text that holds the password is wiped when dropped.

use zeroize::Zeroizing;

use crate::scan::{PREFIX, REPRINT};
use crate::template::{Piece, pieces};
use crate::{DrawError, Label};

/// Symbols of a password between two hyphens in print; hyphens are dropped when it is typed.
const GROUP: usize = 4;

/// Groups on one line, and lines; of a longer password in smaller print.
const GROUPS: usize = 3;
const LINES: usize = 2;
const SMALL_GROUPS: usize = 4;

/// Characters on one line of a password that brings its own hyphens, in smaller print.
const OWN_LINE: usize = 24;

/// More than any line needs, since text that grows leaves part of a secret in freed memory.
const CAPACITY: usize = 512;

/// Longest serial in application identifier 21 (GS1 General Specifications, section 3.5.2).
const GS1_SERIAL_MAX: usize = 20;

impl Label<'_> {
    /// A text with what stands between its braces put in; the template was read, so nothing is left
    /// over.
    pub(crate) fn fill(&self, value: &str) -> String {
        let pieces = pieces(value).unwrap_or_default();
        let text = pieces.into_iter().map(|piece| match piece {
            Piece::Text(text) => text.to_owned(),
            Piece::Place(place) => self.place(place),
        });
        text.collect()
    }

    /// Characters of the filled text that must be read: to the end of the last of what tells units,
    /// their labels and their networks apart.
    pub(crate) fn telling(&self, value: &str) -> usize {
        let mut before = 0;
        let mut telling = 0;
        for piece in pieces(value).unwrap_or_default() {
            match piece {
                Piece::Text(text) => before += text.chars().count(),
                Piece::Place(place) => {
                    before += self.place(place).chars().count();
                    if matches!(place, "serial" | "attempt" | "reprint" | "ssid") {
                        telling = before;
                    }
                }
            }
        }
        telling
    }

    fn place(&self, place: &str) -> String {
        match place {
            "name" => self.name.to_owned(),
            "product" => self.product.to_string(),
            "serial" => self.serial.to_string(),
            "attempt" => self.attempt.to_string(),
            "reprint" if self.reprint > 0 => format!(" R{}", self.reprint),
            "slot" => self.slot.map_or(String::new(), ToString::to_string),
            "ssid" => self.ssid.unwrap_or_default().to_owned(),
            _ => String::new(),
        }
    }

    /// The lines of the password, and whether they are in small print.
    ///
    /// `whole`: without hyphens of ours, for what people type into phones, which drop none.
    pub(crate) fn password_lines(&self, whole: bool) -> (bool, Vec<Zeroizing<Vec<u8>>>) {
        if self.password.contains(&b'-') {
            let lines = own_lines(self.password);
            return (
                true,
                lines.map(|line| Zeroizing::new(line.to_vec())).collect(),
            );
        }
        let small = self.password.len() > GROUP * GROUPS * LINES;
        let groups = if small { SMALL_GROUPS } else { GROUPS };
        let lines = self.password.chunks(GROUP * groups);
        match whole {
            true => (
                small,
                lines.map(|line| Zeroizing::new(line.to_vec())).collect(),
            ),
            false => (small, lines.map(grouped).collect()),
        }
    }

    /// What the station scans back.
    pub(crate) fn scan(&self) -> Zeroizing<Vec<u8>> {
        let mut text = Zeroizing::new(Vec::with_capacity(CAPACITY));
        text.extend_from_slice(PREFIX.as_bytes());
        text.extend_from_slice(self.serial.as_str().as_bytes());
        text.push(b':');
        text.extend_from_slice(self.password);
        if self.reprint > 0 {
            text.extend_from_slice(format!("{REPRINT}{}", self.reprint).as_bytes());
        }
        text
    }

    /// What a phone joins a network by. `T` is WPA for WPA2 and WPA3 as well, which is all that
    /// phones agree on (ZXing's description of the format).
    pub(crate) fn wifi(&self) -> Result<Zeroizing<Vec<u8>>, DrawError> {
        let ssid = self.ssid.ok_or(DrawError::NoSsid)?;
        let mut text = Zeroizing::new(Vec::with_capacity(CAPACITY));
        text.extend_from_slice(b"WIFI:T:WPA;S:");
        escaped(&mut text, ssid.as_bytes());
        text.extend_from_slice(b";P:");
        escaped(&mut text, self.password);
        text.extend_from_slice(b";;");
        Ok(text)
    }

    /// Trade item number and serial as GS1 element strings.
    pub(crate) fn gs1(&self) -> Result<Vec<u8>, DrawError> {
        let gtin = self.gtin.ok_or(DrawError::NoGtin)?;
        let serial = self.serial.as_str();
        match serial.len() <= GS1_SERIAL_MAX {
            true => Ok(format!("01{}21{serial}", gtin.as_str()).into_bytes()),
            false => Err(DrawError::LongSerial(serial.len())),
        }
    }
}

/// With a backslash before what separates the fields.
fn escaped(text: &mut Zeroizing<Vec<u8>>, from: &[u8]) {
    for &byte in from {
        if b"\\;,\":".contains(&byte) {
            text.push(b'\\');
        }
        text.push(byte);
    }
}

/// A code or a passphrase as it is, broken behind a hyphen: words stay whole.
fn own_lines(password: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = password;
    std::iter::from_fn(move || {
        let fits = &rest[..rest.len().min(OWN_LINE)];
        let at = if fits.len() == rest.len() {
            fits.len()
        } else {
            let hyphen = fits.iter().rposition(|&byte| byte == b'-');
            hyphen.map_or(fits.len(), |hyphen| hyphen + 1)
        };
        let (line, left) = rest.split_at(at);
        rest = left;
        (!line.is_empty()).then_some(line)
    })
}

/// `K7QD-M2X9-TR4W`: a person finds the place again after looking away.
fn grouped(password: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(Vec::with_capacity(password.len() * 2));
    for (index, symbol) in password.iter().enumerate() {
        if index > 0 && index % GROUP == 0 {
            text.push(b'-');
        }
        text.push(*symbol);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_printed_in_fours() {
        fn check(password: &str, expected: &str) {
            assert_eq!(grouped(password.as_bytes()).as_slice(), expected.as_bytes());
        }
        check("K7QDM2X9TR4W", "K7QD-M2X9-TR4W");
        check("K7QDM2X9TR4W5", "K7QD-M2X9-TR4W-5");
        check("K7Q", "K7Q");
        check("", "");
    }

    #[test]
    fn separators_of_the_network_code_are_escaped() {
        let mut text = Zeroizing::new(vec![]);
        escaped(&mut text, br#"a;b,c:d"e\f"#);
        assert_eq!(text.as_slice(), br#"a\;b\,c\:d\"e\\f"#);
    }
}
