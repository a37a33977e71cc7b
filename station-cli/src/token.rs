//! The one-time enrolment token, as an administrator hands it to a station.
//!
//! `BM1-<station>-<26 base 32 symbols>-<32 hexadecimal digits>`: who the station will be, a secret
//! of 128 bits, and the first 8 bytes of the SHA-256 of the site's root certificate (DER). The last
//! part is why a station needs no certificate to be copied to it first: it trusts the root that the
//! token names, and no other.

use ring::digest::{SHA256, digest};
use thiserror::Error;
use traveler::StationName;
use zeroize::Zeroizing;

/// Text that is no enrolment token. Says nothing of the text itself.
#[derive(Debug, Error, PartialEq)]
#[error(
    "this is not an enrolment token: {0}; copy the whole line that `provisioner station token` printed"
)]
pub struct TokenError(&'static str);

/// A token that was read. It can be used once, so it is never printed.
pub struct Token {
    text: Zeroizing<String>,
    station: StationName,
    root: [u8; 16],
}

impl Token {
    /// Symbols of the secret: 128 bits in base 32.
    const SECRET_LENGTH: usize = 26;

    /// Reads a token; white space around it is not part of it.
    ///
    /// # Errors
    /// [`TokenError`] says which part is wrong.
    pub fn parse(text: &str) -> Result<Token, TokenError> {
        let text = text.trim();
        // From the right: a station's name may have hyphens of its own.
        let mut parts = text.rsplitn(3, '-');
        let root = parts.next().unwrap_or_default();
        let secret = parts.next().unwrap_or_default();
        let station = parts
            .next()
            .and_then(|front| front.strip_prefix("BM1-"))
            .ok_or(TokenError("it does not start with BM1 and a station"))?;
        let station = StationName::parse(station)
            .map_err(|_| TokenError("its station has no usable name"))?;
        let usable = secret.len() == Token::SECRET_LENGTH
            && secret.bytes().all(|symbol| symbol.is_ascii_alphanumeric());
        if !usable {
            return Err(TokenError("its secret does not have 26 symbols"));
        }
        let root = u128::from_str_radix(root, 16)
            .ok()
            .filter(|_| root.len() == 32 && root.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .ok_or(TokenError("it does not end in 32 hexadecimal digits"))?;
        Ok(Token {
            text: Zeroizing::new(text.to_owned()),
            station,
            root: root.to_be_bytes(),
        })
    }

    /// Lends the token to `f`, which sends it.
    pub fn expose<R>(&self, f: impl FnOnce(&str) -> R) -> R {
        f(&self.text)
    }

    /// Who the station will be.
    #[must_use]
    pub fn station(&self) -> &StationName {
        &self.station
    }

    /// Whether this certificate (DER) is the root the token names.
    #[must_use]
    pub fn names_root(&self, certificate: &[u8]) -> bool {
        digest(&SHA256, certificate)
            .as_ref()
            .starts_with(&self.root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "ABCDEFGHJKMNPQRSTVWXYZ0123";

    fn check(text: &str, expected: Result<&str, &str>) {
        match (Token::parse(text), expected) {
            (Ok(token), Ok(station)) => assert_eq!(token.station().as_str(), station),
            (Err(error), Err(part)) => {
                assert!(error.to_string().contains(part), "{error}");
                assert!(
                    !error.to_string().contains(SECRET),
                    "a message showed the secret"
                );
            }
            (Ok(_), Err(part)) => panic!("{text} was taken; expected: {part}"),
            (Err(error), Ok(_)) => panic!("{text}: {error}"),
        }
    }

    #[test]
    fn a_token_says_who_and_what_to_trust() {
        check(
            &format!(" BM1-bench-1-{SECRET}-0123456789abcdef0123456789abcdef\n"),
            Ok("bench-1"),
        );
        check(
            &format!("BM1-a-{SECRET}-0123456789ABCDEF0123456789ABCDEF"),
            Ok("a"),
        );
        check("", Err("start with BM1"));
        check(
            &format!("BM2-a-{SECRET}-0123456789abcdef0123456789abcdef"),
            Err("start with BM1"),
        );
        check(
            &format!("BM1-A-{SECRET}-0123456789abcdef0123456789abcdef"),
            Err("station"),
        );
        check(
            &format!("BM1-a-{SECRET}X-0123456789abcdef0123456789abcdef"),
            Err("26 symbols"),
        );
        check(
            &format!("BM1-a-{SECRET}-0123456789abcdef0123456789abcde"),
            Err("32 hexadecimal"),
        );
        check(
            &format!("BM1-a-{SECRET}-+123456789abcdef0123456789abcdef"),
            Err("32 hexadecimal"),
        );
    }

    #[test]
    fn the_root_is_known_by_its_hash() {
        // SHA-256("abc") starts ba7816bf8f01cfea414140de5dae2223 (FIPS 180-2, appendix B.1).
        let token = Token::parse(&format!("BM1-a-{SECRET}-ba7816bf8f01cfea414140de5dae2223"))
            .ok()
            .unwrap();
        assert!(token.names_root(b"abc"));
        assert!(!token.names_root(b"abd"));
    }
}
