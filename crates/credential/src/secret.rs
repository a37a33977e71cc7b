//! The secret types: wiped when dropped, lent by `expose`, and nothing else.

use ring::digest::{SHA256, digest};
use thiserror::Error;
use traveler::Digest;
use zeroize::Zeroizing;

use crate::BundleError;

/// Proves, once for each trait, that the compiler refuses it for a secret type; the first block
/// shows that the same program does compile for a trait the type has.
macro_rules! secret {
    ($(#[$doc:meta])* pub struct $name:ident($inner:ty);) => {
        $(#[$doc])*
        ///
        /// No `Debug`, `Display`, `Clone`, `PartialEq` or `Serialize`, so nothing that holds one
        /// can derive them.
        ///
        #[doc = secret!(@block "", "Send", $name)]
        #[doc = secret!(@block "compile_fail", "std::fmt::Debug", $name)]
        #[doc = secret!(@block "compile_fail", "std::fmt::Display", $name)]
        #[doc = secret!(@block "compile_fail", "Clone", $name)]
        #[doc = secret!(@block "compile_fail", "PartialEq", $name)]
        #[doc = secret!(@block "compile_fail", "serde::Serialize", $name)]
        pub struct $name($inner);
    };
    (@block $kind:literal, $bound:literal, $name:ident) => {
        concat!(
            "```", $kind, "\nfn wants<T: ", $bound, ">() {}\n",
            "wants::<credential::", stringify!($name), ">();\n```\n"
        )
    };
}

secret! {
    /// A unit's factory password; its policy sets length and alphabet.
    pub struct Password(Zeroizing<Vec<u8>>);
}

secret! {
    /// A unit's private key (P-256, PKCS#8 DER), minted because the unit could not make one.
    pub struct PrivateKey(Zeroizing<Vec<u8>>);
}

secret! {
    /// Sixteen random bytes beside the password, so that the digest of a bundle, which the log
    /// shows to everyone, cannot be searched for the password.
    pub struct Salt(Zeroizing<[u8; 16]>);
}

secret! {
    /// A bundle as the unit must hold it, byte for byte.
    pub struct BundleBytes(Zeroizing<Vec<u8>>);
}

/// Text that cannot be a password. Says nothing of the text itself.
#[derive(Debug, Error, PartialEq)]
#[error(
    "a password is 1 to {} printable ASCII characters without spaces; got {length} bytes",
    Password::MAX
)]
pub struct PasswordError {
    length: usize,
}

impl Password {
    /// The longest password, in symbols: that of a WPA2 passphrase (IEEE 802.11, 8 to 63).
    pub const MAX: usize = 63;

    /// Takes symbols as they were minted, scanned or read from a bundle.
    ///
    /// # Errors
    /// [`PasswordError`] unless there are 1 to 63 printable ASCII characters, none a space.
    pub fn parse(text: &[u8]) -> Result<Password, PasswordError> {
        let usable =
            (1..=Password::MAX).contains(&text.len()) && text.iter().all(u8::is_ascii_graphic);
        if usable {
            Ok(Password(Zeroizing::new(text.to_vec())))
        } else {
            Err(PasswordError { length: text.len() })
        }
    }

    /// Lends the clear text to `f`, which wraps or prints it.
    pub fn expose<R>(&self, f: impl FnOnce(&[u8]) -> R) -> R {
        f(&self.0)
    }

    /// Lends the folded text: capitals, O as 0, I and L as 1, no hyphens.
    ///
    /// Labels that a person could mistake for each other fold to the same bytes, so they collide
    /// in the duplicate index.
    pub fn folded<R>(&self, f: impl FnOnce(&[u8]) -> R) -> R {
        let mut folded = Zeroizing::new(Vec::with_capacity(self.0.len()));
        folded.extend(self.0.iter().copied().filter_map(fold));
        f(&folded)
    }
}

/// What a symbol is taken for when it is read aloud or typed; `None` for a separator.
pub(crate) fn fold(symbol: u8) -> Option<u8> {
    match symbol.to_ascii_uppercase() {
        b'-' => None,
        b'O' => Some(b'0'),
        b'I' | b'L' => Some(b'1'),
        other => Some(other),
    }
}

impl PrivateKey {
    pub(crate) fn from_pkcs8(der: &[u8]) -> PrivateKey {
        PrivateKey(Zeroizing::new(der.to_vec()))
    }

    /// Lends the PKCS#8 DER to `f`.
    pub fn expose<R>(&self, f: impl FnOnce(&[u8]) -> R) -> R {
        f(&self.0)
    }
}

impl Salt {
    /// Takes sixteen bytes from the same generator that made the password.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Salt {
        Salt(Zeroizing::new(bytes))
    }

    /// Lends the bytes to `f`.
    pub fn expose<R>(&self, f: impl FnOnce(&[u8; 16]) -> R) -> R {
        f(&self.0)
    }
}

secret! {
    /// A station's key for what it leases: whoever has it opens what the station has not used yet.
    pub struct LeaseKey(Zeroizing<[u8; 32]>);
}

impl LeaseKey {
    pub(crate) fn from_array(bytes: Zeroizing<[u8; 32]>) -> LeaseKey {
        LeaseKey(bytes)
    }

    /// Lends the raw X25519 key to `f`, which stores it at the station.
    pub fn expose<R>(&self, f: impl FnOnce(&[u8; 32]) -> R) -> R {
        f(&self.0)
    }
}

impl BundleBytes {
    /// The longest bundle, in bytes: a wire frame is 4,096 and carries the request around it.
    pub const MAX: usize = 3_584;

    /// Takes bytes that came over the network or out of a ticket; they are not looked into.
    ///
    /// # Errors
    /// [`BundleError::TooLong`] over 3,584 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<BundleBytes, BundleError> {
        if bytes.len() > BundleBytes::MAX {
            return Err(BundleError::TooLong);
        }
        Ok(BundleBytes(Zeroizing::new(bytes.to_vec())))
    }

    /// Lends the bytes to `f`, which sends, wraps or stores them.
    pub fn expose<R>(&self, f: impl FnOnce(&[u8]) -> R) -> R {
        f(&self.0)
    }

    /// SHA-256 of the bytes: what the ledger records and the unit's receipt repeats.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, &self.0).as_ref());
        Digest(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, folded: &str) {
        let password = Password::parse(text.as_bytes()).unwrap_or_else(|e| panic!("{text}: {e}"));
        password.expose(|clear| assert_eq!(clear, text.as_bytes()));
        password.folded(|bytes| assert_eq!(bytes, folded.as_bytes(), "{text}"));
    }

    #[test]
    fn what_looks_alike_folds_alike() {
        check("0OoIiLl1", "00011111");
        check("k7qd-m2x9-tr4w", "K7QDM2X9TR4W");
        check("K7QDM2X9TR4W", "K7QDM2X9TR4W");
    }

    #[test]
    fn refuses_what_no_label_can_carry_without_repeating_it() {
        for bad in ["", "A B", "A\n", "pässword", &"A".repeat(64)] {
            let Err(error) = Password::parse(bad.as_bytes()) else {
                panic!("{bad:?} was taken");
            };
            assert_eq!(error, PasswordError { length: bad.len() });
        }
    }

    #[test]
    fn a_bundle_is_bounded() {
        assert!(BundleBytes::from_bytes(&[0; BundleBytes::MAX]).is_ok());
        assert!(BundleBytes::from_bytes(&[0; BundleBytes::MAX + 1]).is_err());
    }

    #[test]
    fn the_digest_is_sha_256() {
        // FIPS 180-2, appendix B.1.
        let abc = BundleBytes::from_bytes(b"abc").unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(
            abc.digest().to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
