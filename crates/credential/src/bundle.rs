//! The bundle: what one unit is given, and its deterministic CBOR.
//!
//! A map with small integer keys in ascending order, definite lengths, shortest integers (RFC 8949
//! section 4.2.1): 0 version, 1 serial, 2 attempt, 3 password, 4 salt, 5 certificate chain, and 6
//! private key when one was minted. Decoding refuses every other spelling of the same content, so
//! a digest names one bundle and a bundle has one digest.

use minicbor::encode::write::{Cursor, EndOfSlice};
use minicbor::{Decoder, Encoder};
use thiserror::Error;
use traveler::{Attempt, Serial};
use zeroize::Zeroizing;

use crate::{BundleBytes, Password, PrivateKey, Salt};

const VERSION: u8 = 1;

/// The longest chain: the unit's own certificate and two above it.
const MAX_CHAIN: u64 = 3;

/// What one attempt puts on one unit. Holds secrets, so it cannot be printed or copied.
pub struct Bundle {
    /// The unit.
    pub serial: Serial,
    /// The try.
    pub attempt: Attempt,
    /// Its factory password.
    pub password: Password,
    /// Keeps the digest from being searched for the password.
    pub salt: Salt,
    /// Certificates (DER), the unit's own first, without the root; 1 to 3.
    pub chain: Vec<Vec<u8>>,
    /// The key of the first certificate, unless the unit made it itself.
    pub key: Option<PrivateKey>,
}

/// Why bytes are not a bundle. Says nothing of what they hold.
#[derive(Debug, Error, PartialEq)]
pub enum BundleError {
    /// It does not fit a frame to the unit.
    #[error("a bundle may have at most {} bytes", BundleBytes::MAX)]
    TooLong,
    /// It was made by a version this one does not know.
    #[error("bundle version {0} is not known: update this program")]
    Version(u8),
    /// It is damaged, or not in the one form a bundle has.
    #[error("the bundle is damaged at its {0}")]
    Malformed(&'static str),
}

impl Bundle {
    /// Writes the bytes the unit must hold.
    ///
    /// # Errors
    /// [`BundleError::TooLong`]; [`BundleError::Malformed`] for a chain of none or more than 3.
    pub fn encode(&self) -> Result<BundleBytes, BundleError> {
        if !(1..=MAX_CHAIN).contains(&(self.chain.len() as u64)) {
            return Err(BundleError::Malformed("certificate chain"));
        }
        let mut buffer = Zeroizing::new([0; BundleBytes::MAX]);
        let mut encoder = Encoder::new(Cursor::new(&mut buffer[..]));
        self.write(&mut encoder).map_err(|_| BundleError::TooLong)?;
        let length = encoder.writer().position();
        BundleBytes::from_bytes(&buffer[..length])
    }

    fn write(
        &self,
        cbor: &mut Encoder<Cursor<&mut [u8]>>,
    ) -> Result<(), minicbor::encode::Error<EndOfSlice>> {
        cbor.map(6 + u64::from(self.key.is_some()))?;
        cbor.u8(0)?.u8(VERSION)?;
        cbor.u8(1)?.str(self.serial.as_str())?;
        cbor.u8(2)?.u32(self.attempt.0)?;
        cbor.u8(3)?;
        self.password.expose(|clear| cbor.bytes(clear).map(drop))?;
        cbor.u8(4)?;
        self.salt.expose(|salt| cbor.bytes(salt).map(drop))?;
        cbor.u8(5)?.array(self.chain.len() as u64)?;
        for certificate in &self.chain {
            cbor.bytes(certificate)?;
        }
        if let Some(key) = &self.key {
            cbor.u8(6)?;
            key.expose(|der| cbor.bytes(der).map(drop))?;
        }
        Ok(())
    }

    /// The bytes that it ends with and that the units of one issuer share: the certificates above the
    /// unit's own. Public. Empty where there are none, and where a private key follows them.
    #[must_use]
    pub fn shared_ending(&self) -> Vec<u8> {
        let mut buffer = [0; BundleBytes::MAX];
        let mut encoder = Encoder::new(Cursor::new(&mut buffer[..]));
        let above = self.chain.iter().skip(1);
        let written = above
            .into_iter()
            .try_for_each(|certificate| encoder.bytes(certificate).map(drop));
        let length = encoder.writer().position();
        match (written, &self.key) {
            (Ok(()), None) => buffer[..length].to_vec(),
            _ => Vec::new(),
        }
    }

    /// Reads a bundle back. Certificates and key are taken as they are, not looked into.
    ///
    /// # Errors
    /// Every variant of [`BundleError`].
    pub fn decode(bytes: &[u8]) -> Result<Bundle, BundleError> {
        if bytes.len() > BundleBytes::MAX {
            return Err(BundleError::TooLong);
        }
        let bundle = Bundle::read(&mut Decoder::new(bytes))?;
        // One content, one spelling: also refuses bytes after the end and a wrong field count.
        if bundle.encode()?.expose(|again| again != bytes) {
            return Err(BundleError::Malformed("encoding"));
        }
        Ok(bundle)
    }

    fn read(cbor: &mut Decoder<'_>) -> Result<Bundle, BundleError> {
        use BundleError::{Malformed, Version};
        let fields = cbor.map().map_err(|_| Malformed("start"))?;
        let version =
            key(cbor, 0, "version").and_then(|d| d.u8().map_err(|_| Malformed("version")))?;
        if version != VERSION {
            return Err(Version(version));
        }
        let serial = key(cbor, 1, "serial")?
            .str()
            .map_err(|_| Malformed("serial"))?;
        let serial = Serial::parse(serial).map_err(|_| Malformed("serial"))?;
        let attempt = key(cbor, 2, "attempt")?
            .u32()
            .map_err(|_| Malformed("attempt"))?;
        let password = key(cbor, 3, "password")?
            .bytes()
            .map_err(|_| Malformed("password"))?;
        let password = Password::parse(password).map_err(|_| Malformed("password"))?;
        let salt = key(cbor, 4, "salt")?
            .bytes()
            .map_err(|_| Malformed("salt"))?;
        let salt = salt.try_into().map_err(|_| Malformed("salt"))?;
        let chain = chain(key(cbor, 5, "certificate chain")?)?;
        let key = match fields {
            Some(7) => Some(key(cbor, 6, "key")?.bytes().map_err(|_| Malformed("key"))?),
            _ => None,
        };
        Ok(Bundle {
            serial,
            attempt: Attempt(attempt),
            password,
            salt: Salt::from_bytes(salt),
            chain,
            key: key.map(PrivateKey::from_pkcs8),
        })
    }
}

/// Steps over the key of the next field, which must be `expected`.
fn key<'d, 'b>(
    cbor: &'d mut Decoder<'b>,
    expected: u8,
    name: &'static str,
) -> Result<&'d mut Decoder<'b>, BundleError> {
    match cbor.u8() {
        Ok(found) if found == expected => Ok(cbor),
        _ => Err(BundleError::Malformed(name)),
    }
}

fn chain(cbor: &mut Decoder<'_>) -> Result<Vec<Vec<u8>>, BundleError> {
    let damaged = || BundleError::Malformed("certificate chain");
    match cbor.array() {
        Ok(Some(count)) if count <= MAX_CHAIN => (0..count)
            .map(|_| cbor.bytes().map(<[u8]>::to_vec).map_err(|_| damaged()))
            .collect(),
        _ => Err(damaged()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::vector::Vector;

    const GOLDEN: Vector = Vector(include_str!("../../../tests/vectors/v1/bundle.txt"));

    fn golden(with_key: bool) -> Bundle {
        Bundle {
            serial: Serial::parse(GOLDEN.text("serial")).unwrap(),
            attempt: Attempt(GOLDEN.text("attempt").parse().unwrap()),
            password: Password::parse(GOLDEN.text("password").as_bytes())
                .unwrap_or_else(|_| panic!()),
            salt: Salt::from_bytes(GOLDEN.bytes("salt").try_into().unwrap()),
            chain: vec![GOLDEN.bytes("leaf"), GOLDEN.bytes("issuing")],
            key: with_key.then(|| PrivateKey::from_pkcs8(&GOLDEN.bytes("key"))),
        }
    }

    /// What `decode` says, as words: a bundle has no `Debug`.
    fn check(bytes: &[u8], expected: Result<(), BundleError>) {
        assert_eq!(Bundle::decode(bytes).map(drop), expected, "{bytes:02x?}");
    }

    #[test]
    fn the_bytes_are_the_golden_ones() {
        for (name, with_key) in [("bundle", false), ("bundle_with_key", true)] {
            let bytes = golden(with_key).encode().unwrap_or_else(|e| panic!("{e}"));
            bytes.expose(|bytes| assert_eq!(bytes, GOLDEN.bytes(name)));
            assert_eq!(
                bytes.digest().to_string(),
                GOLDEN.text(&format!("{name}_sha256"))
            );
        }
    }

    #[test]
    fn what_units_share_is_public_and_the_end_of_each() {
        let ending = golden(false).shared_ending();
        let issuing = GOLDEN.bytes("issuing");
        assert_eq!(&ending[ending.len() - issuing.len()..], issuing);
        assert!(GOLDEN.bytes("bundle").ends_with(&ending));
        assert!(golden(true).shared_ending().is_empty(), "a key follows");
        let mut alone = golden(false);
        alone.chain.truncate(1);
        assert!(alone.shared_ending().is_empty());
    }

    #[test]
    fn what_was_written_is_read_back() {
        let read =
            Bundle::decode(&GOLDEN.bytes("bundle_with_key")).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(
            (read.serial.as_str(), read.attempt),
            ("BM-000042", Attempt(300))
        );
        read.password
            .expose(|clear| assert_eq!(clear, b"K7QDM2X9TR4W"));
        read.salt
            .expose(|salt| assert_eq!(salt[..], GOLDEN.bytes("salt")));
        assert_eq!(read.chain, [GOLDEN.bytes("leaf"), GOLDEN.bytes("issuing")]);
        read.key
            .unwrap()
            .expose(|der| assert_eq!(der, GOLDEN.bytes("key")));
        assert!(Bundle::decode(&GOLDEN.bytes("bundle")).is_ok_and(|bundle| bundle.key.is_none()));
    }

    #[test]
    fn one_content_has_one_spelling() {
        let good = GOLDEN.bytes("bundle");
        let respelt = |at: usize, old: &[u8], new: &[u8]| {
            assert_eq!(good[at..at + old.len()], *old);
            [&good[..at], new, &good[at + old.len()..]].concat()
        };
        check(&good, Ok(()));
        check(
            &[&good[..], &[0]].concat(),
            Err(BundleError::Malformed("encoding")),
        );
        // A longer integer, an indefinite map, one field announced too many.
        check(
            &respelt(2, &[1], &[0x18, 1]),
            Err(BundleError::Malformed("encoding")),
        );
        check(
            &respelt(0, &[0xa6], &[0xbf]),
            Err(BundleError::Malformed("encoding")),
        );
        check(
            &respelt(0, &[0xa6], &[0xa8]),
            Err(BundleError::Malformed("encoding")),
        );
        check(
            &respelt(0, &[0xa6], &[0xa7]),
            Err(BundleError::Malformed("key")),
        );
        check(&respelt(2, &[1], &[2]), Err(BundleError::Version(2)));
        check(
            &respelt(3, &[1], &[2]),
            Err(BundleError::Malformed("serial")),
        );
        check(
            &respelt(5, b"B", b"b"),
            Err(BundleError::Malformed("serial")),
        );
    }

    #[test]
    fn too_much_is_refused_at_both_ends() {
        check(&[0; BundleBytes::MAX + 1], Err(BundleError::TooLong));
        let long = Bundle {
            chain: vec![vec![0; 1_800]; 2],
            ..golden(false)
        };
        assert_eq!(long.encode().map(drop), Err(BundleError::TooLong));
        for certificates in [0, 4] {
            let chain = vec![vec![0x30]; certificates];
            let refused = Bundle {
                chain,
                ..golden(false)
            }
            .encode()
            .map(drop);
            assert_eq!(refused, Err(BundleError::Malformed("certificate chain")));
        }
    }

    #[test]
    fn a_cut_bundle_is_damaged() {
        let good = GOLDEN.bytes("bundle_with_key");
        for length in 0..good.len() {
            assert!(Bundle::decode(&good[..length]).is_err(), "cut to {length}");
        }
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(
            serial in "[A-Z0-9][A-Z0-9-]{2,31}",
            attempt: u32,
            password in "[!-~]{1,63}",
            salt: [u8; 16],
            chain in vec(vec(any::<u8>(), 0..900), 1..=3),
            key in proptest::option::of(vec(any::<u8>(), 0..200)),
        ) {
            let bundle = Bundle {
                serial: Serial::parse(&serial).unwrap(),
                attempt: Attempt(attempt),
                password: Password::parse(password.as_bytes()).unwrap_or_else(|_| panic!()),
                salt: Salt::from_bytes(salt),
                chain: chain.clone(),
                key: key.as_deref().map(PrivateKey::from_pkcs8),
            };
            let bytes = bundle.encode().unwrap_or_else(|e| panic!("{e}"));
            let read = bytes.expose(Bundle::decode).unwrap_or_else(|e| panic!("{e}"));
            prop_assert_eq!(read.serial.as_str(), serial);
            prop_assert_eq!(read.attempt, Attempt(attempt));
            prop_assert!(read.password.expose(|clear| clear == password.as_bytes()));
            prop_assert!(read.salt.expose(|read| *read == salt));
            prop_assert_eq!(read.chain, chain);
            prop_assert_eq!(read.key.map(|key| key.expose(<[u8]>::to_vec)), key);
        }

        /// Whatever arrives is refused or is the one spelling of a bundle; nothing panics.
        #[test]
        fn arbitrary_bytes_are_refused_or_canonical(
            at in 0..110usize,
            noise in vec(any::<u8>(), 0..8),
        ) {
            let mut bytes = GOLDEN.bytes("bundle_with_key");
            let at = at.min(bytes.len());
            let end = (at + noise.len()).min(bytes.len());
            bytes.splice(at..end, noise);
            if let Ok(bundle) = Bundle::decode(&bytes) {
                let again = bundle.encode().unwrap_or_else(|e| panic!("{e}"));
                prop_assert!(again.expose(|again| again == bytes));
            }
        }
    }
}
