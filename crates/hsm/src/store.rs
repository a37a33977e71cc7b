//! A soft token's store: its keys as bytes, encrypted under a PIN.
//!
//! ```text
//! "BMTK" | version u8 = 1 | memory u32, passes u32, lanes u32 (argon2id, KiB) | salt 16
//!   | nonce 12 | AES-256-GCM(serial 8 | count u8 | count x (key number u8 | secret 32)) | tag 16
//! ```
//!
//! A record of number 240 is no key but a high-water mark: 16 bytes that name a log, a size u64, and
//! 8 zeros.
//!
//! Integers are big-endian. The header is bound in as associated data. A wrong PIN and an altered
//! byte are the same thing to AES-GCM, so both say [`HsmError::WrongPin`]; only a store that is not
//! even shaped like one says [`HsmError::Store`]. The parameters are bounded before they are used:
//! a hostile store can neither take the memory nor hold the processor for long.
//!
//! Deliberately absent: protection against an older store put back in place; the ledger notices
//! the keys that are missing then.

use std::collections::BTreeMap;

use argon2::{Algorithm, Argon2, Params, Version};
use ring::aead;
use zeroize::Zeroizing;

use crate::material::{self, Material, NONCE, OVERHEAD, Secret};
use crate::{HsmError, Key, Pin};

const MAGIC: &[u8; 4] = b"BMTK";
const VERSION: u8 = 1;
pub(crate) const SALT: usize = 16;
const HEADER: usize = MAGIC.len() + 1 + 3 * 4 + SALT;
const RECORD: usize = 1 + 32;
const CONTENTS_MAX: usize = 8 + 1 + (6 + MARKS_MAX) * RECORD;

/// The number of a record that is a high-water mark. Never one of a key.
const MARK: u8 = 240;

/// Logs whose marks one token keeps: one that was set up again and again is bounded, too.
pub(crate) const MARKS_MAX: usize = 8;

/// How far each log was signed, by the first 16 bytes of SHA-256 of its origin.
pub(crate) type Marks = BTreeMap<[u8; 16], u64>;

/// What deriving the store's key from a PIN costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Cost {
    /// Above OWASP's least (19 MiB, 2 passes); measured at 53 ms, and at 66 ms in a debug build.
    pub(crate) const NORMAL: Cost = Cost {
        memory_kib: 32 << 10,
        passes: 2,
        lanes: 1,
    };

    /// The most a store may ask of whoever opens it: a later version's default has room, 4 TiB
    /// have not.
    const MOST: Cost = Cost {
        memory_kib: 256 << 10,
        passes: 16,
        lanes: 4,
    };

    fn params(self) -> Result<Params, HsmError> {
        let most = Cost::MOST;
        if self.memory_kib > most.memory_kib || self.passes > most.passes || self.lanes > most.lanes
        {
            return Err(HsmError::store("its argon2 parameters are out of bounds"));
        }
        Params::new(self.memory_kib, self.passes, self.lanes, Some(32))
            .map_err(|_| HsmError::store("its argon2 parameters are out of bounds"))
    }
}

/// What the PIN and a header together make: it opens the store and writes it anew.
pub(crate) struct StoreKey {
    header: [u8; HEADER],
    key: aead::LessSafeKey,
}

impl StoreKey {
    /// Derives the key of a new store.
    pub(crate) fn new(pin: &Pin, cost: Cost, salt: [u8; SALT]) -> Result<StoreKey, HsmError> {
        let mut header = [0; HEADER];
        header[..4].copy_from_slice(MAGIC);
        header[4] = VERSION;
        header[5..9].copy_from_slice(&cost.memory_kib.to_be_bytes());
        header[9..13].copy_from_slice(&cost.passes.to_be_bytes());
        header[13..17].copy_from_slice(&cost.lanes.to_be_bytes());
        header[17..].copy_from_slice(&salt);
        StoreKey::derive(pin, header, cost)
    }

    fn derive(pin: &Pin, header: [u8; HEADER], cost: Cost) -> Result<StoreKey, HsmError> {
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, cost.params()?);
        let mut secret = Secret::default();
        pin.expose(|pin| argon.hash_password_into(pin, &header[17..], secret.as_mut_slice()))
            .map_err(|error| HsmError::store(format!("argon2: {error}")))?;
        Ok(StoreKey {
            header,
            key: material::aes(&secret),
        })
    }

    /// A digest of a PIN under this store's salt: not for storing.
    pub(crate) fn fold(&self, pin: &Pin) -> [u8; 32] {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &self.header);
        let mut folded = [0; 32];
        pin.expose(|pin| folded.copy_from_slice(ring::hmac::sign(&key, pin).as_ref()));
        folded
    }

    /// The store's bytes. `nonce` is never used twice.
    pub(crate) fn write<'a>(
        &self,
        serial: [u8; 8],
        keys: impl Iterator<Item = &'a Material>,
        marks: &Marks,
        nonce: [u8; NONCE],
    ) -> Vec<u8> {
        // Never grows, so that no copy of a secret stays behind.
        let mut contents = Zeroizing::new(Vec::with_capacity(CONTENTS_MAX));
        contents.extend_from_slice(&serial);
        contents.push(0);
        for material in keys {
            contents[8] += 1;
            contents.push(material.key().number());
            contents.extend_from_slice(material.secret().as_slice());
        }
        for (log, size) in marks {
            contents[8] += 1;
            contents.push(MARK);
            contents.extend_from_slice(log);
            contents.extend_from_slice(&size.to_be_bytes());
            contents.extend_from_slice(&[0; 8]);
        }
        let body = material::encrypt(&self.key, nonce, &self.header, &contents);
        [&self.header[..], &body].concat()
    }
}

/// What a store holds.
pub(crate) struct Contents {
    pub(crate) serial: [u8; 8],
    pub(crate) keys: Vec<Material>,
    pub(crate) marks: Marks,
}

/// Opens a store.
pub(crate) fn open(store: &[u8], pin: &Pin) -> Result<(StoreKey, Contents), HsmError> {
    let truncated = || HsmError::store("it is cut short");
    if !store.starts_with(MAGIC) {
        return Err(HsmError::store("it is not a token's store"));
    }
    let (header, body) = store.split_first_chunk::<HEADER>().ok_or_else(truncated)?;
    if header[4] != VERSION {
        let version = header[4];
        return Err(HsmError::store(format!(
            "it is of version {version}, not {VERSION}"
        )));
    }
    if body.len() < OVERHEAD + 9 {
        return Err(truncated());
    }
    if body.len() > OVERHEAD + CONTENTS_MAX {
        return Err(HsmError::store("it is longer than a store can be"));
    }
    let word = |at: usize| {
        u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    let cost = Cost {
        memory_kib: word(5),
        passes: word(9),
        lanes: word(13),
    };
    let key = StoreKey::derive(pin, *header, cost)?;
    let contents = material::decrypt(&key.key, header, body).ok_or(HsmError::WrongPin)?;
    Ok((key, read(&contents)?))
}

/// The contents were authentic, so what does not parse was written by another version.
fn read(contents: &[u8]) -> Result<Contents, HsmError> {
    let malformed = || HsmError::store("its contents are not of this version");
    let (serial, rest) = contents.split_first_chunk::<8>().ok_or_else(malformed)?;
    let (&count, records) = rest.split_first().ok_or_else(malformed)?;
    let (records, rest) = records.as_chunks::<RECORD>();
    if !rest.is_empty() || records.len() != usize::from(count) {
        return Err(malformed());
    }
    let mut keys: Vec<Material> = Vec::with_capacity(Key::ALL.len());
    let mut marks = Marks::new();
    for record in records {
        if let [MARK, mark @ ..] = record {
            let (log, size) = read_mark(mark).ok_or_else(malformed)?;
            if marks.len() == MARKS_MAX || marks.insert(log, size).is_some() {
                return Err(malformed());
            }
            continue;
        }
        let key = Key::from_number(record[0]).ok_or_else(malformed)?;
        if keys.iter().any(|known| known.key() == key) {
            return Err(malformed());
        }
        let mut secret = Secret::default();
        secret.copy_from_slice(&record[1..]);
        keys.push(Material::new(key, secret).ok_or_else(malformed)?);
    }
    Ok(Contents {
        serial: *serial,
        keys,
        marks,
    })
}

fn read_mark(record: &[u8; 32]) -> Option<([u8; 16], u64)> {
    let (log, rest) = record.split_first_chunk::<16>()?;
    let (size, zeros) = rest.split_first_chunk::<8>()?;
    zeros
        .iter()
        .all(|byte| *byte == 0)
        .then(|| (*log, u64::from_be_bytes(*size)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The least argon2 takes, so that the sweeps below are quick.
    const QUICK: Cost = Cost {
        memory_kib: 8,
        passes: 1,
        lanes: 1,
    };

    fn pin(text: &str) -> Pin {
        Pin::parse(text.as_bytes()).unwrap()
    }

    fn keys() -> [Material; 2] {
        [(Key::Site, 3), (Key::Ticket, 4)]
            .map(|(key, fill)| Material::new(key, Zeroizing::new([fill; 32])).unwrap())
    }

    fn store() -> Vec<u8> {
        let key = StoreKey::new(&pin("1234"), QUICK, [9; SALT]).unwrap();
        key.write([7; 8], keys().iter(), &Marks::new(), [5; NONCE])
    }

    fn check(store: &[u8], expected: Option<HsmError>) {
        assert_eq!(open(store, &pin("1234")).err(), expected);
    }

    fn malformed(reason: &str) -> Option<HsmError> {
        Some(HsmError::store(reason))
    }

    #[test]
    fn what_was_written_is_read() {
        let (_, contents) = open(&store(), &pin("1234")).unwrap();
        assert_eq!(contents.serial, [7; 8]);
        let read: Vec<_> = contents
            .keys
            .iter()
            .map(|it| (it.key(), **it.secret()))
            .collect();
        assert_eq!(read, [(Key::Site, [3; 32]), (Key::Ticket, [4; 32])]);
    }

    /// Golden: version 1 stays readable. If it fails, change the code, not the bytes.
    #[test]
    fn a_store_is_these_bytes() {
        let digest = ring::digest::digest(&ring::digest::SHA256, &store());
        let hex: String = digest
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            hex,
            "e4faac5863f67339f595f15fae3e5ffb44c2d866dff7cc13c8a4d6ae5ffde821"
        );
    }

    #[test]
    fn another_pin_or_any_altered_byte_is_refused() {
        assert_eq!(open(&store(), &pin("1235")).err(), Some(HsmError::WrongPin));
        for at in 0..store().len() {
            let mut altered = store();
            altered[at] ^= 1;
            let error = open(&altered, &pin("1234")).err();
            // Magic and version, or a parameter that leaves its bounds; the rest is the tag's.
            let named = matches!(error, Some(HsmError::Store { .. })) && at < 17;
            assert!(
                named || error == Some(HsmError::WrongPin),
                "byte {at}: {error:?}"
            );
        }
    }

    #[test]
    fn hostile_stores_are_refused_before_they_cost_anything() {
        let store = store();
        let with = |at: usize, bytes: &[u8]| {
            let mut store = store.clone();
            store[at..at + bytes.len()].copy_from_slice(bytes);
            store
        };
        check(&with(0, b"{"), malformed("it is not a token's store"));
        check(&with(4, &[2]), malformed("it is of version 2, not 1"));
        for at in [5, 9, 13] {
            check(
                &with(at, &[255; 4]),
                malformed("its argon2 parameters are out of bounds"),
            );
            check(
                &with(at, &[0; 4]),
                malformed("its argon2 parameters are out of bounds"),
            );
        }
        check(
            &with(5, &[0, 4, 0, 1]),
            malformed("its argon2 parameters are out of bounds"),
        );
        let long = [&store[..], &[0; 500]].concat();
        check(&long, malformed("it is longer than a store can be"));
        for length in 0..store.len() {
            match open(&store[..length], &pin("1234")).err() {
                Some(HsmError::Store { .. } | HsmError::WrongPin) => {}
                other => panic!("cut at {length}: {other:?}"),
            }
        }
    }

    #[test]
    fn contents_of_another_version_are_refused() {
        let record = |number: u8, fill: u8| [&[number][..], &[fill; 32]].concat();
        let contents =
            |count: u8, records: &[Vec<u8>]| [&[7; 8][..], &[count], &records.concat()].concat();
        assert!(read(&contents(1, &[record(3, 1)])).is_ok());
        for wrong in [
            contents(2, &[record(3, 1)]),
            contents(1, &[record(99, 1)]),
            contents(2, &[record(3, 1), record(3, 2)]),
            contents(1, &[record(3, 0)]), // zero is no P-256 scalar
            contents(0, &[vec![1]]),
            vec![7; 8],
        ] {
            assert!(matches!(read(&wrong), Err(HsmError::Store { .. })));
        }
    }

    #[test]
    fn marks_are_kept_beside_the_keys_and_bounded() {
        let key = StoreKey::new(&pin("1234"), QUICK, [9; SALT]).unwrap();
        let marks = |count: u8| -> Marks {
            (0..count)
                .map(|log| ([log; 16], u64::MAX - u64::from(log)))
                .collect()
        };
        let most = key.write([7; 8], keys().iter(), &marks(8), [5; NONCE]);
        let (_, contents) = open(&most, &pin("1234")).unwrap();
        assert_eq!(contents.marks, marks(8));
        assert_eq!(contents.keys.len(), 2);
        let more = key.write([7; 8], keys().iter(), &marks(9), [5; NONCE]);
        assert!(matches!(
            open(&more, &pin("1234")).err(),
            Some(HsmError::Store { .. })
        ));
        let twice = [&[MARK][..], &[1; 24], &[0; 8]].concat().repeat(2);
        let contents = [&[7; 8][..], &[2], &twice].concat();
        assert!(read(&contents).is_err());
        let unclean = [&[7; 8][..], &[1], &[MARK], &[1; 32]].concat();
        assert!(read(&unclean).is_err());
    }

    #[test]
    fn no_key_lies_in_the_store_in_the_clear() {
        let store = store();
        for fill in [3, 4] {
            assert!(!store.windows(8).any(|window| window == [fill; 8]));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused(bytes: Vec<u8>) {
            prop_assert!(open(&bytes, &pin("1234")).is_err());
        }
    }
}
