//! A bundle on its way to a station that will be without a network: encrypted to the station's key.
//!
//! HPKE (RFC 9180) in base mode: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305. Who
//! sent it is no question here: it comes over the server's own connection, and the log's entry,
//! which the station verifies, holds the digest of the bundle. What it is for is bound in: a
//! bundle that is put in the place of another one does not open.
//!
//! Deliberately absent: how long a lease lasts and how many there may be, which are the ledger's
//! rules, and where the key lies, which is the station's business.

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use ring::rand::SecureRandom;
use thiserror::Error;
use traveler::{Attempt, OrderId, Serial, StationName};
use zeroize::Zeroizing;

use crate::{BundleBytes, KeyError, LeaseKey};

type Secret = <X25519HkdfSha256 as Kem>::PrivateKey;
type Public = <X25519HkdfSha256 as Kem>::PublicKey;

/// What the AEAD adds: its tag, in bytes.
const TAG: usize = 16;

/// Why a leased bundle was not encrypted, or does not open. Says nothing of what it holds.
#[derive(Debug, Error, PartialEq)]
pub enum LeaseError {
    /// A key or an encapsulated key is not of its length, or is one that gives no secret.
    #[error("the {0} is not a usable X25519 key of {LEN} bytes", LEN = Recipient::LEN)]
    Key(&'static str),
    /// The system gave no randomness.
    #[error("no randomness to encrypt a leased bundle")]
    Random,
    /// It is longer than any bundle.
    #[error("a leased bundle has at most {MAX} bytes, got {0}", MAX = LeasedBundle::MAX)]
    TooLong(usize),
    /// It is for another station, order, serial, attempt or key, or it is damaged.
    #[error("the leased bundle does not open: it is damaged, or not for this unit and station")]
    Closed,
}

/// The public half of a station's lease key: X25519, 32 bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Recipient([u8; Recipient::LEN]);

/// What a leased bundle is for. All four have to be said again to open it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LeaseFor<'a> {
    /// The bench that holds it.
    pub station: &'a StationName,
    /// The order that permits it.
    pub order: &'a OrderId,
    /// The unit.
    pub serial: &'a Serial,
    /// The try.
    pub attempt: Attempt,
}

/// A bundle that only the station's key opens. Not a secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LeasedBundle {
    /// The encapsulated key, 32 bytes.
    pub encapped: Vec<u8>,
    /// The encrypted bundle and its tag, at most [`LeasedBundle::MAX`] bytes.
    pub wrapped: Vec<u8>,
}

impl LeasedBundle {
    /// The longest, in bytes.
    pub const MAX: usize = BundleBytes::MAX + TAG;
}

impl Recipient {
    /// How long it is, in bytes.
    pub const LEN: usize = 32;

    /// The key as it crosses the network.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Recipient::LEN] {
        self.0
    }
}

/// Takes a key that came over the network. Whether it gives a secret is seen when it is used.
impl From<[u8; Recipient::LEN]> for Recipient {
    fn from(bytes: [u8; Recipient::LEN]) -> Recipient {
        Recipient(bytes)
    }
}

impl LeaseFor<'_> {
    /// What goes into the key schedule as `info`.
    fn info(&self) -> Vec<u8> {
        let LeaseFor {
            station,
            order,
            serial,
            attempt,
        } = self;
        format!("birthmark lease v1\n{station}\n{order}\n{serial}\n{attempt}\n").into_bytes()
    }
}

impl LeaseKey {
    /// Makes a key, at the station that will keep it.
    ///
    /// # Errors
    /// [`KeyError`] when the system gives no randomness.
    pub fn generate(random: &dyn SecureRandom) -> Result<LeaseKey, KeyError> {
        let mut material = Zeroizing::new([0; Recipient::LEN]);
        random.fill(&mut *material).map_err(|_| KeyError)?;
        let (secret, _) = X25519HkdfSha256::derive_keypair(&*material);
        let mut key = Zeroizing::new([0; Recipient::LEN]);
        secret.write_exact(&mut *key);
        Ok(LeaseKey::from_array(key))
    }

    /// Takes the bytes that [`LeaseKey::expose`] lent.
    ///
    /// # Errors
    /// [`LeaseError::Key`] unless there are 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<LeaseKey, LeaseError> {
        let mut key = Zeroizing::new([0; Recipient::LEN]);
        if bytes.len() != key.len() {
            return Err(LeaseError::Key("lease key"));
        }
        key.copy_from_slice(bytes);
        Ok(LeaseKey::from_array(key))
    }

    /// What the server encrypts to.
    ///
    /// # Errors
    /// [`LeaseError::Key`] when the key is none.
    pub fn recipient(&self) -> Result<Recipient, LeaseError> {
        let public = X25519HkdfSha256::sk_to_pk(&self.secret()?);
        Ok(Recipient(public.to_bytes().into()))
    }

    /// Opens what [`wrap_to`] made for this key and exactly this unit, order, station and attempt.
    ///
    /// # Errors
    /// [`LeaseError::Closed`] when any of it is another one, [`LeaseError::Key`] and
    /// [`LeaseError::TooLong`] when it cannot be one.
    pub fn open(
        &self,
        lease: &LeaseFor<'_>,
        bundle: &LeasedBundle,
    ) -> Result<BundleBytes, LeaseError> {
        if bundle.wrapped.len() > LeasedBundle::MAX {
            return Err(LeaseError::TooLong(bundle.wrapped.len()));
        }
        let clear = open(
            &self.secret()?,
            &lease.info(),
            &[],
            &bundle.encapped,
            &bundle.wrapped,
        )?;
        BundleBytes::from_bytes(&clear).map_err(|_| LeaseError::TooLong(clear.len()))
    }

    fn secret(&self) -> Result<Secret, LeaseError> {
        let secret = self.expose(|bytes| Secret::from_bytes(bytes));
        secret.map_err(|_| LeaseError::Key("lease key"))
    }
}

/// Encrypts a bundle to the station that leases it.
///
/// # Errors
/// [`LeaseError::Key`] for a recipient that gives no secret (RFC 7748 section 6.1),
/// [`LeaseError::Random`] when the system gives no randomness.
pub fn wrap_to(
    recipient: &Recipient,
    lease: &LeaseFor<'_>,
    bundle: &BundleBytes,
    random: &dyn SecureRandom,
) -> Result<LeasedBundle, LeaseError> {
    let mut drawn = Drawn::default();
    random
        .fill(&mut *drawn.bytes)
        .map_err(|_| LeaseError::Random)?;
    bundle.expose(|clear| wrap(recipient, &lease.info(), &[], clear, drawn))
}

fn wrap(
    recipient: &Recipient,
    info: &[u8],
    aad: &[u8],
    clear: &[u8],
    mut drawn: Drawn,
) -> Result<LeasedBundle, LeaseError> {
    let no = LeaseError::Key("recipient");
    let Ok(public) = Public::from_bytes(&recipient.0) else {
        return Err(no);
    };
    let made = hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeS::Base,
        &public,
        info,
        clear,
        aad,
        &mut drawn,
    );
    match made {
        _ if drawn.short => Err(LeaseError::Random),
        Err(_) => Err(no),
        Ok((encapped, wrapped)) => Ok(LeasedBundle {
            encapped: encapped.to_bytes().to_vec(),
            wrapped,
        }),
    }
}

fn open(
    secret: &Secret,
    info: &[u8],
    aad: &[u8],
    encapped: &[u8],
    wrapped: &[u8],
) -> Result<Zeroizing<Vec<u8>>, LeaseError> {
    let encapped = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(encapped)
        .map_err(|_| LeaseError::Key("encapsulated key"))?;
    hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        secret,
        &encapped,
        info,
        wrapped,
        aad,
    )
    .map(Zeroizing::new)
    .map_err(|_| LeaseError::Closed)
}

/// Randomness that was drawn before, where failing to draw is still an error and no panic: exactly
/// what one encapsulation takes. Asked for more, it says so and the result is thrown away.
#[derive(Default)]
struct Drawn {
    bytes: Zeroizing<[u8; Recipient::LEN]>,
    taken: usize,
    short: bool,
}

impl TryRng for Drawn {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, into: &mut [u8]) -> Result<(), Self::Error> {
        match self.bytes.get(self.taken..self.taken + into.len()) {
            Some(bytes) => into.copy_from_slice(bytes),
            None => self.short = true,
        }
        self.taken += into.len();
        Ok(())
    }
}

impl TryCryptoRng for Drawn {}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;

    use super::*;

    fn hex<const N: usize>(text: &str) -> [u8; N] {
        let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
        let bytes: Vec<u8> = (0..text.len()).step_by(2).map(digit).collect();
        bytes.try_into().unwrap()
    }

    /// RFC 9180, appendix A.2.1: base mode of this very suite, sequence number 0.
    #[test]
    fn the_published_vector() {
        let drawn = Drawn {
            bytes: Zeroizing::new(hex(
                "909a9b35d3dc4713a5e72a4da274b55d3d3821a37e5d099e74a647db583a904b",
            )),
            ..Drawn::default()
        };
        let key = LeaseKey::from_bytes(&hex::<32>(
            "8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb",
        ))
        .unwrap_or_else(|e| panic!("{e}"));
        let recipient = key.recipient().unwrap();
        assert_eq!(
            recipient.to_bytes(),
            hex::<32>("4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a")
        );
        let (info, aad) = (b"Ode on a Grecian Urn", b"Count-0");
        let clear = b"Beauty is truth, truth beauty";
        let made = wrap(&recipient, info, aad, clear, drawn).unwrap();
        assert_eq!(
            made.encapped,
            hex::<32>("1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a")
        );
        assert_eq!(
            made.wrapped,
            hex::<45>(
                "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce\
                 81883d2dd1b51a28"
            )
        );
        let secret = key.secret().unwrap();
        let again = open(&secret, info, aad, &made.encapped, &made.wrapped).unwrap();
        assert_eq!(*again, clear);
    }

    fn lease<'a>(names: &'a (StationName, OrderId, Serial)) -> LeaseFor<'a> {
        LeaseFor {
            station: &names.0,
            order: &names.1,
            serial: &names.2,
            attempt: Attempt::FIRST,
        }
    }

    fn names(station: &str, order: &str, serial: &str) -> (StationName, OrderId, Serial) {
        (
            station.parse().unwrap(),
            order.parse().unwrap(),
            serial.parse().unwrap(),
        )
    }

    fn key() -> LeaseKey {
        LeaseKey::generate(&SystemRandom::new()).unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn opens_for_its_station_order_serial_and_attempt_alone() {
        let mine = names("bench-1", "WO-1", "BM-000001");
        let bundle = BundleBytes::from_bytes(&[7; 900]).unwrap_or_else(|e| panic!("{e}"));
        let key = key();
        let recipient = key.recipient().unwrap();
        let made = wrap_to(&recipient, &lease(&mine), &bundle, &SystemRandom::new()).unwrap();
        let opened = key.open(&lease(&mine), &made);
        assert_eq!(opened.map(|bytes| bytes.digest()).unwrap(), bundle.digest());
        for other in [
            names("bench-2", "WO-1", "BM-000001"),
            names("bench-1", "WO-2", "BM-000001"),
            names("bench-1", "WO-1", "BM-000002"),
        ] {
            let opened = key.open(&lease(&other), &made);
            assert_eq!(opened.err(), Some(LeaseError::Closed), "{other:?}");
        }
        let later = LeaseFor {
            attempt: Attempt(2),
            ..lease(&mine)
        };
        assert_eq!(key.open(&later, &made).err(), Some(LeaseError::Closed));
        let stolen = super::tests::key().open(&lease(&mine), &made);
        assert_eq!(stolen.err(), Some(LeaseError::Closed));
    }

    #[test]
    fn every_changed_byte_closes_it() {
        let mine = names("bench-1", "WO-1", "BM-000001");
        let bundle = BundleBytes::from_bytes(b"a bundle").unwrap_or_else(|e| panic!("{e}"));
        let key = key();
        let recipient = key.recipient().unwrap();
        let made = wrap_to(&recipient, &lease(&mine), &bundle, &SystemRandom::new()).unwrap();
        for at in 0..made.wrapped.len() {
            let mut changed = made.clone();
            changed.wrapped[at] ^= 1;
            let opened = key.open(&lease(&mine), &changed);
            assert_eq!(opened.err(), Some(LeaseError::Closed), "{at}");
        }
        for at in 0..made.encapped.len() {
            let mut changed = made.clone();
            changed.encapped[at] ^= 1;
            let opened = key.open(&lease(&mine), &changed);
            assert_eq!(opened.err(), Some(LeaseError::Closed), "{at}");
        }
    }

    #[test]
    fn the_same_bundle_is_never_encrypted_alike() {
        let mine = names("bench-1", "WO-1", "BM-000001");
        let bundle = BundleBytes::from_bytes(b"a bundle").unwrap_or_else(|e| panic!("{e}"));
        let recipient = key().recipient().unwrap();
        let made = [(); 2]
            .map(|()| wrap_to(&recipient, &lease(&mine), &bundle, &SystemRandom::new()).unwrap());
        assert_ne!(made[0].encapped, made[1].encapped);
        assert_ne!(made[0].wrapped, made[1].wrapped);
    }

    #[test]
    fn what_cannot_be_a_key_or_a_bundle_is_refused() {
        let mine = names("bench-1", "WO-1", "BM-000001");
        let bundle = BundleBytes::from_bytes(b"a bundle").unwrap_or_else(|e| panic!("{e}"));
        assert!(LeaseKey::from_bytes(&[1; 33]).is_err());
        // The point of order 1: every secret with it is 0.
        let zero = Recipient::from([0; 32]);
        let made = wrap_to(&zero, &lease(&mine), &bundle, &SystemRandom::new());
        assert_eq!(made, Err(LeaseError::Key("recipient")));
        let long = LeasedBundle {
            encapped: vec![0; 32],
            wrapped: vec![0; LeasedBundle::MAX + 1],
        };
        let opened = key().open(&lease(&mine), &long);
        assert_eq!(
            opened.err(),
            Some(LeaseError::TooLong(LeasedBundle::MAX + 1))
        );
    }
}
