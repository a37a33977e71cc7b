//! The parts of one bundle as they are typed and as they are looked for, and what hides them.

use std::format;
use std::vec::Vec;

use credential::Bundle;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::ConsoleError;
use crate::profile::{Form, Part, Piece, Template, Value};

/// Fragments of a password of at least so many symbols are hidden wherever they turn up.
const FRAGMENT: usize = 4;
/// Those of a key or a digest, which are long: short runs of their digits are in other numbers too.
const KEY_FRAGMENT: usize = 12;

/// What one bundle gives to write and to compare. Holds secrets: no `Debug`, no `Clone`.
pub struct Values {
    parts: Vec<(Part, Zeroizing<Vec<u8>>)>,
}

impl Values {
    /// The parts of a bundle.
    #[must_use]
    pub fn of(bundle: &Bundle) -> Values {
        let mut parts = std::vec![
            (Part::Serial, bytes(bundle.serial.as_str().as_bytes())),
            (
                Part::Attempt,
                bytes(format!("{}", bundle.attempt.0).as_bytes())
            ),
            (Part::Password, bundle.password.expose(bytes)),
        ];
        if let Some(leaf) = bundle.chain.first() {
            parts.push((Part::Certificate, bytes(leaf)));
        }
        if let Some(key) = &bundle.key {
            parts.push((Part::Key, key.expose(bytes)));
        }
        Values { parts }
    }

    /// Those of no bundle: nothing to write, nothing to hide.
    #[must_use]
    pub fn none() -> Values {
        Values { parts: Vec::new() }
    }

    /// What a tool is given for a template, on its standard input or, where nothing is secret, as an
    /// argument; `port` stands for `{port}`. No shell sees it, so it may be any text.
    ///
    /// # Errors
    /// [`ConsoleError::Unwritable`] for a part the bundle has not.
    pub fn fill(
        &self,
        template: &Template,
        port: &str,
    ) -> Result<Zeroizing<Vec<u8>>, ConsoleError> {
        let mut out = Zeroizing::new(Vec::with_capacity(256));
        for part in &template.pieces {
            match part {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Port => out.extend_from_slice(port.as_bytes()),
                Piece::Part | Piece::Decoy => {}
                Piece::Value(value) => {
                    let unwritable = ConsoleError::Unwritable { part: value.part };
                    out.extend_from_slice(&self.get(*value).ok_or(unwritable)?);
                }
            }
        }
        Ok(out)
    }

    /// A part as it is spelt; `None` when the bundle has none.
    #[must_use]
    pub fn get(&self, value: Value) -> Option<Zeroizing<Vec<u8>>> {
        let (_, raw) = self.parts.iter().find(|(part, _)| *part == value.part)?;
        Some(spelt(raw, value.form))
    }

    /// Whether what was read back is the part, in a time that does not depend on where they
    /// differ. White space around and inside is the console's own: no part has any.
    #[must_use]
    pub fn same(&self, value: Value, read: &[u8]) -> bool {
        let Some(expected) = self.get(value) else {
            return false;
        };
        let mut read: Zeroizing<Vec<u8>> = Zeroizing::new(
            read.iter()
                .copied()
                .filter(|b| !b.is_ascii_whitespace())
                .collect(),
        );
        if matches!(value.form, Form::Hex | Form::Sha256) {
            read.make_ascii_lowercase();
        }
        read.as_slice().ct_eq(expected.as_slice()).into()
    }

    /// What is typed for a template; `piece` stands for `{piece}`.
    ///
    /// # Errors
    /// [`ConsoleError::Unwritable`] for a part the bundle has not, or that a console would take for
    /// more than text when it is written plainly.
    pub fn render(
        &self,
        template: &Template,
        piece: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, ConsoleError> {
        let mut out = Zeroizing::new(Vec::with_capacity(256));
        for part in &template.pieces {
            match part {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Part => out.extend_from_slice(piece),
                Piece::Port => {}
                Piece::Value(value) => {
                    let spelt = self.get(*value);
                    let spelt = spelt.filter(|text| value.form != Form::Plain || is_safe(text));
                    let unwritable = ConsoleError::Unwritable { part: value.part };
                    out.extend_from_slice(&spelt.ok_or(unwritable)?);
                }
                Piece::Decoy => {
                    let password = Value {
                        part: Part::Password,
                        form: Form::Plain,
                    };
                    let mut decoy = self.get(password).filter(|text| is_safe(text)).ok_or(
                        ConsoleError::Unwritable {
                            part: Part::Password,
                        },
                    )?;
                    if let Some(last) = decoy.last_mut() {
                        *last = if *last == b'7' { b'4' } else { b'7' };
                    }
                    out.extend_from_slice(&decoy);
                }
            }
        }
        Ok(out)
    }

    /// Replaces every secret of this bundle as a [`Form`] spells it, in capitals or not, and every
    /// larger fragment of that.
    ///
    /// Done over all that a unit said in one answer, so that a secret which came in two reads, in
    /// the echo, in a boot log or in an error message is found. For a bench unit's transcript: what
    /// it cannot know is the secret of an earlier bundle, nor one in a hex dump with spaces, in
    /// base64 that begins elsewhere, or in UTF-16. Nothing that a production unit said is shown
    /// because it was masked.
    #[must_use]
    pub fn mask(&self, said: &[u8]) -> Vec<u8> {
        let mut out = said.to_vec();
        for (part, raw) in self.parts.iter().filter(|(part, _)| part.is_secret()) {
            for form in [Form::Plain, Form::Hex, Form::Base64, Form::Sha256] {
                let value = Value { part: *part, form };
                let secret = spelt(raw, form);
                out = replaced(&out, &secret, format!("{{{value}}}").as_bytes());
                let shortest = match (part, form) {
                    (Part::Password, Form::Plain) => FRAGMENT,
                    (Part::Password, Form::Hex | Form::Base64) => 2 * FRAGMENT,
                    _ => KEY_FRAGMENT,
                };
                out = without_fragments(&out, &secret, shortest);
            }
        }
        out
    }
}

fn bytes(raw: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(raw.to_vec())
}

/// Text that no shell, AT parser or boot loader takes for anything but itself.
pub(super) fn is_safe(text: &[u8]) -> bool {
    !text.is_empty()
        && text
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._:+/=-".contains(byte))
}

fn spelt(raw: &[u8], form: Form) -> Zeroizing<Vec<u8>> {
    match form {
        Form::Plain => bytes(raw),
        Form::Hex => hex(raw),
        Form::Base64 => base64(raw),
        Form::Sha256 => hex(&Sha256::digest(raw)),
    }
}

fn hex(raw: &[u8]) -> Zeroizing<Vec<u8>> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = Zeroizing::new(Vec::with_capacity(raw.len() * 2));
    for byte in raw {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
    out
}

fn base64(raw: &[u8]) -> Zeroizing<Vec<u8>> {
    const SYMBOLS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = Zeroizing::new(Vec::with_capacity(raw.len().div_ceil(3) * 4));
    for three in raw.chunks(3) {
        let at = |n: usize| u32::from(three.get(n).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for n in 0..4 {
            match n <= three.len() {
                true => out.push(SYMBOLS[(bits >> (18 - 6 * n) & 63) as usize]),
                false => out.push(b'='),
            }
        }
    }
    out
}

/// `said` with each occurrence of `secret`, in capitals or not, as `name`.
fn replaced(said: &[u8], secret: &[u8], name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(said.len());
    let mut rest = said;
    while !secret.is_empty() && rest.len() >= secret.len() {
        if rest[..secret.len()].eq_ignore_ascii_case(secret) {
            out.extend_from_slice(name);
            rest = &rest[secret.len()..];
        } else {
            out.push(rest[0]);
            rest = &rest[1..];
        }
    }
    out.extend_from_slice(rest);
    out
}

/// `said` with each run of at least `shortest` bytes that also stand in `secret` as `{...}`.
fn without_fragments(said: &[u8], secret: &[u8], shortest: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(said.len());
    let mut rest = said;
    while !rest.is_empty() {
        let longest = (0..secret.len())
            .map(|from| {
                let pairs = secret[from..].iter().zip(rest);
                pairs.take_while(|(a, b)| a.eq_ignore_ascii_case(b)).count()
            })
            .max()
            .unwrap_or(0);
        match longest >= shortest {
            true => {
                out.extend_from_slice(b"{...}");
                rest = &rest[longest..];
            }
            false => {
                out.push(rest[0]);
                rest = &rest[1..];
            }
        }
    }
    out
}

/// A part's text cut into pieces of `width`.
pub(super) fn pieces(text: &[u8], width: usize) -> Vec<Zeroizing<Vec<u8>>> {
    text.chunks(width.max(1)).map(bytes).collect()
}

/// What stands for a secret in a transcript, as it is rendered again for a replay.
pub(super) fn unmask(values: &Values, said: &str) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(said.len()));
    let mut rest = said;
    while let Some((before, after)) = rest.split_once('{') {
        out.extend_from_slice(before.as_bytes());
        let known = after.split_once('}').and_then(|(name, after)| {
            let value = Value::parse(name).ok()?;
            Some((values.get(value)?, after))
        });
        match known {
            Some((value, after)) => {
                out.extend_from_slice(&value);
                rest = after;
            }
            None => {
                out.push(b'{');
                rest = after;
            }
        }
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

#[cfg(test)]
pub(super) mod tests {
    use credential::{Bundle, Password, Salt};
    use std::borrow::ToOwned;
    use std::string::String;
    use traveler::{Attempt, Serial};

    use super::*;

    /// Values of a bundle that nobody was issued.
    pub(crate) fn sample(password: &str) -> Values {
        let bundle = Bundle {
            serial: Serial::parse("BM-000042").unwrap(),
            attempt: Attempt(1),
            password: Password::parse(password.as_bytes()).unwrap_or_else(|_| panic!()),
            salt: Salt::from_bytes([7; 16]),
            chain: std::vec![std::vec![0x30, 0x82, 0x01]],
            key: None,
        };
        Values::of(&bundle)
    }

    fn check(said: &str, expected: &str) {
        let masked = sample("K7QDM2X9TR4W").mask(said.as_bytes());
        assert_eq!(String::from_utf8(masked).unwrap(), expected);
    }

    #[test]
    fn a_secret_is_hidden_however_it_is_spelt() {
        check("psk=K7QDM2X9TR4W ok", "psk={password} ok");
        check("k7qdm2x9tr4w", "{password}");
        check("4b3751444d325839545234570a", "{password:hex}0a");
        check("SzdRRE0yWDlUUjRX", "{password:base64}");
        check("pass K7QDM2X9 and TR4W", "pass {...} and {...}");
        check("K7Q is three", "K7Q is three");
        check("BM-000042", "BM-000042");
    }

    #[test]
    fn what_a_shell_would_act_on_is_not_typed_plainly() {
        let plain = Template::parse("set {password}").unwrap();
        let hex = Template::parse("set {password:hex}").unwrap();
        for password in ["a;reboot", "$HOME", "\"", "`id`", "a&b", "a|b"] {
            let values = sample(password);
            assert!(values.render(&plain, b"").is_err(), "{password}");
            assert!(values.render(&hex, b"").is_ok(), "{password}");
        }
        let typed = sample("K7QD").render(&plain, b"").unwrap();
        assert_eq!(typed.as_slice(), b"set K7QD");
    }

    #[test]
    fn a_decoy_is_never_the_password() {
        let decoy = Template::parse("{decoy}").unwrap();
        for password in ["K7QD", "K7Q7", "K7Q4"] {
            let typed = sample(password).render(&decoy, b"").unwrap();
            assert_ne!(typed.as_slice(), password.as_bytes());
            assert_eq!(typed.len(), password.len());
        }
    }

    #[test]
    fn what_was_read_is_compared_without_the_consoles_own_space() {
        let values = sample("K7QD");
        let value = |text: &str| Value::parse(text).unwrap();
        assert!(values.same(value("password"), b"K7QD\r"));
        assert!(!values.same(value("password"), b"k7qd"));
        assert!(!values.same(value("password"), b"K7Q"));
        assert!(values.same(value("certificate:hex"), b"3082\r\n01"));
        assert!(values.same(value("certificate:base64"), b"MIIB"));
        let digest = "F9D5BD8A1A6A2F0E".to_owned();
        assert!(!values.same(value("certificate:sha256"), digest.as_bytes()));
        assert!(
            !values.same(value("key:hex"), b""),
            "a part that is not there is never right"
        );
    }
}
