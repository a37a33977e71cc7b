//! The software token: the same commands as a real one, its keys in a store of bytes.
//!
//! Threads share it freely. A key is written once and read without a lock ever after; the only
//! locks are around the source of randomness, around the making of a key, and around the PIN's
//! check, which is slow on purpose and one at a time.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use zeroize::Zeroizing;

use crate::material::{Material, NONCE, OVERHEAD, Secret};
use crate::store::{self, Cost, MARKS_MAX, Marks, SALT, StoreKey};
use crate::{Description, Hsm, HsmError, Key, Pin, Randomness, Storage, bounded};

/// How often a P-256 secret is drawn before the generator is called unfit. A fit one needs a second
/// draw once in 2^32 keys.
const DRAWS: usize = 8;

/// A token in this process. See the module's text.
pub struct SoftToken {
    serial: [u8; 8],
    store_key: StoreKey,
    /// Set once by `make_key`, after the store that holds the key was saved.
    keys: [OnceLock<Material>; Key::COUNT],
    random: Mutex<Box<dyn Randomness>>,
    storage: Box<dyn Storage>,
    /// The store as last saved. Whoever changes it holds this lock until it is saved.
    store: Mutex<Saved>,
    /// Held while a PIN is checked: bounds the memory that guesses take, and slows them.
    door: Mutex<()>,
    /// What [`StoreKey::fold`] makes of the right PIN, once it was shown: whoever may read this
    /// memory reads the keys, and a right PIN is not made to wait again.
    shown: OnceLock<[u8; 32]>,
}

struct Saved {
    bytes: Vec<u8>,
    marks: Marks,
}

impl SoftToken {
    /// Makes a token without keys and saves its store.
    ///
    /// # Errors
    ///
    /// [`HsmError::Unavailable`] without randomness, [`HsmError::Store`] when saving fails.
    pub fn create(
        pin: &Pin,
        mut random: Box<dyn Randomness>,
        storage: Box<dyn Storage>,
    ) -> Result<SoftToken, HsmError> {
        let mut salt = [0; SALT];
        random.fill(&mut salt)?;
        let mut serial = [0; 8];
        random.fill(&mut serial)?;
        let mut nonce = [0; NONCE];
        random.fill(&mut nonce)?;

        let store_key = StoreKey::new(pin, Cost::NORMAL, salt)?;
        let marks = Marks::new();
        let bytes = store_key.write(serial, [].into_iter(), &marks, nonce);
        save(storage.as_ref(), &bytes)?;
        let saved = Saved { bytes, marks };
        Ok(SoftToken::assemble(
            serial, store_key, saved, random, storage,
        ))
    }

    /// Opens the token that `store` holds. Takes 50 to 100 ms on purpose.
    ///
    /// # Errors
    ///
    /// [`HsmError::WrongPin`] when the PIN is another one or a byte was altered,
    /// [`HsmError::Store`] when the bytes are no store.
    pub fn open(
        store: &[u8],
        pin: &Pin,
        random: Box<dyn Randomness>,
        storage: Box<dyn Storage>,
    ) -> Result<SoftToken, HsmError> {
        let (store_key, contents) = store::open(store, pin)?;
        let saved = Saved {
            bytes: store.to_vec(),
            marks: contents.marks,
        };
        let token = SoftToken::assemble(contents.serial, store_key, saved, random, storage);
        for material in contents.keys {
            let slot = &token.keys[material.key().place()];
            let repeat = slot.set(material).is_err();
            assert!(
                !repeat,
                "a store's keys differ: its reader refuses a second of one"
            );
        }
        Ok(token)
    }

    fn assemble(
        serial: [u8; 8],
        store_key: StoreKey,
        store: Saved,
        random: Box<dyn Randomness>,
        storage: Box<dyn Storage>,
    ) -> SoftToken {
        SoftToken {
            serial,
            store_key,
            keys: [const { OnceLock::new() }; Key::COUNT],
            random: Mutex::new(random),
            storage,
            store: Mutex::new(store),
            door: Mutex::new(()),
            shown: OnceLock::new(),
        }
    }

    /// The store as last saved, encrypted under the PIN.
    pub fn to_store(&self) -> Vec<u8> {
        lock(&self.store).bytes.clone()
    }

    /// Whether `pin` is this token's, for whoever lets others in. As slow as [`SoftToken::open`], and
    /// one at a time, unless it is the right one and was shown before.
    ///
    /// # Errors
    ///
    /// [`HsmError::WrongPin`].
    pub fn check_pin(&self, pin: &Pin) -> Result<(), HsmError> {
        let folded = self.store_key.fold(pin);
        if self.shown.get() == Some(&folded) {
            return Ok(());
        }
        let store = self.to_store();
        let _one_at_a_time = lock(&self.door);
        store::open(&store, pin)?;
        let _ = self.shown.set(folded); // another thread was first, with the same
        Ok(())
    }

    /// [`Hsm::wrap`] with a nonce of the caller's, as PKCS#11 has it. One nonce twice under one key
    /// gives both texts away: only for who keeps count of them.
    ///
    /// # Errors
    ///
    /// As [`Hsm::wrap`].
    pub fn wrap_with(
        &self,
        key: Key,
        aad: &[u8],
        plain: &[u8],
        nonce: [u8; NONCE],
    ) -> Result<Vec<u8>, HsmError> {
        bounded(aad.len().saturating_add(plain.len()))?;
        self.material(key)?.wrap(aad, plain, nonce)
    }

    fn material(&self, key: Key) -> Result<&Material, HsmError> {
        self.keys[key.place()].get().ok_or(HsmError::NoSuchKey(key))
    }

    /// Saves the keys, one more and the marks. The caller holds the store's lock.
    fn save(&self, more: Option<&Material>, marks: &Marks) -> Result<Vec<u8>, HsmError> {
        let mut nonce = [0; NONCE];
        self.random(&mut nonce)?;
        let keys = self.keys.iter().filter_map(OnceLock::get).chain(more);
        let bytes = self.store_key.write(self.serial, keys, marks, nonce);
        save(self.storage.as_ref(), &bytes)?;
        Ok(bytes)
    }

    /// Draws a new secret for `key`; a generator that gives none that fits is unfit.
    fn draw(&self, key: Key) -> Result<Material, HsmError> {
        let mut random = lock(&self.random);
        for _ in 0..DRAWS {
            let mut secret = Secret::default();
            random.fill(secret.as_mut_slice())?;
            if *secret == [secret[0]; 32] {
                continue; // stuck; by chance this happens once in 2^248 draws
            }
            if let Some(material) = Material::new(key, secret) {
                return Ok(material);
            }
        }
        Err(HsmError::unavailable(format!(
            "the generator gave no usable {key} key in {DRAWS} draws"
        )))
    }
}

impl Hsm for SoftToken {
    fn describe(&self) -> Result<Description, HsmError> {
        Ok(Description {
            model: "birthmark soft token".to_owned(),
            serial: self
                .serial
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
            firmware: env!("CARGO_PKG_VERSION").to_owned(),
            simulated: true,
        })
    }

    fn random(&self, out: &mut [u8]) -> Result<(), HsmError> {
        lock(&self.random).fill(out)
    }

    fn mac(&self, key: Key, data: &[u8]) -> Result<[u8; 32], HsmError> {
        bounded(data.len())?;
        self.material(key)?.mac(data)
    }

    fn sign(&self, key: Key, message: &[u8]) -> Result<Vec<u8>, HsmError> {
        bounded(message.len())?;
        self.material(key)?.sign(message)
    }

    fn public_key(&self, key: Key) -> Result<Vec<u8>, HsmError> {
        self.material(key)?.public_key()
    }

    fn wrap(&self, key: Key, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, HsmError> {
        let mut nonce = [0; NONCE];
        self.random(&mut nonce)?;
        self.wrap_with(key, aad, plain, nonce)
    }

    fn unwrap(&self, key: Key, aad: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, HsmError> {
        // What `wrap` took, `unwrap` takes back.
        bounded(
            aad.len()
                .saturating_add(wrapped.len().saturating_sub(OVERHEAD)),
        )?;
        self.material(key)?.unwrap(aad, wrapped)
    }

    fn make_key(&self, key: Key) -> Result<(), HsmError> {
        let mut store = lock(&self.store);
        let slot = &self.keys[key.place()];
        if slot.get().is_some() {
            return Ok(());
        }
        let material = self.draw(key)?;
        // A crash in here: the key is on disk or it is not; nobody has used it.
        store.bytes = self.save(Some(&material), &store.marks)?;
        let repeat = slot.set(material).is_err();
        assert!(!repeat, "only the holder of the store's lock sets a key");
        Ok(())
    }

    fn high_water(&self, log: &str) -> Result<Option<u64>, HsmError> {
        Ok(lock(&self.store).marks.get(&name(log)).copied())
    }

    fn raise_high_water(&self, log: &str, size: u64) -> Result<(), HsmError> {
        let mut store = lock(&self.store);
        let mut marks = store.marks.clone();
        if marks.get(&name(log)).is_some_and(|kept| *kept >= size) {
            return Ok(());
        }
        marks.insert(name(log), size);
        if marks.len() > MARKS_MAX {
            let reason = format!("the token keeps the marks of {MARKS_MAX} logs already");
            return Err(HsmError::refused(reason));
        }
        // A crash in here: the older mark or the new one is found, and either is true.
        store.bytes = self.save(None, &marks)?;
        store.marks = marks;
        Ok(())
    }
}

/// What a log's mark is kept under.
fn name(log: &str) -> [u8; 16] {
    let digest = ring::digest::digest(&ring::digest::SHA256, log.as_bytes());
    let mut name = [0; 16];
    name.copy_from_slice(&digest.as_ref()[..16]);
    name
}

fn save(storage: &dyn Storage, store: &[u8]) -> Result<(), HsmError> {
    storage
        .save(store)
        .map_err(|error| HsmError::store(format!("saving it failed: {error}")))
}

/// No state behind these locks is left half changed by a panic: each is replaced whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;

    /// A generator that counts, so that every run makes the same keys.
    struct Counting(u8);

    impl Randomness for Counting {
        fn fill(&mut self, out: &mut [u8]) -> Result<(), HsmError> {
            for byte in out {
                self.0 = self.0.wrapping_add(1);
                *byte = self.0;
            }
            Ok(())
        }
    }

    struct Stuck(u8);

    impl Randomness for Stuck {
        fn fill(&mut self, out: &mut [u8]) -> Result<(), HsmError> {
            out.fill(self.0);
            Ok(())
        }
    }

    /// A disk in memory that can be full.
    #[derive(Default)]
    struct Disk {
        saved: Mutex<Vec<u8>>,
        saves: AtomicUsize,
        full: AtomicBool,
    }

    struct On(Arc<Disk>);

    impl Storage for On {
        fn save(&self, store: &[u8]) -> io::Result<()> {
            if self.0.full.load(Ordering::SeqCst) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0.saves.fetch_add(1, Ordering::SeqCst);
            *lock(&self.0.saved) = store.to_vec();
            Ok(())
        }
    }

    fn pin(text: &str) -> Pin {
        Pin::parse(text.as_bytes()).unwrap()
    }

    fn token(random: impl Randomness + 'static) -> (SoftToken, Arc<Disk>) {
        let disk = Arc::new(Disk::default());
        let on = Box::new(On(disk.clone()));
        (
            SoftToken::create(&pin("1234"), Box::new(random), on).unwrap(),
            disk,
        )
    }

    fn open(disk: &Arc<Disk>, with: &str) -> Result<SoftToken, HsmError> {
        let store = lock(&disk.saved).clone();
        let on = Box::new(On(disk.clone()));
        SoftToken::open(&store, &pin(with), Box::new(Counting(99)), on)
    }

    #[test]
    fn a_token_that_is_opened_again_holds_the_same_keys() {
        let (token, disk) = token(Counting(0));
        for key in Key::ALL {
            assert_eq!(token.make_key(key), Ok(()));
        }
        let wrapped = token.wrap(Key::Ticket, b"unit 1", b"bundle").unwrap();
        let again = open(&disk, "1234").unwrap();
        assert_eq!(again.describe(), token.describe());
        for key in [Key::DeviceRoot, Key::DeviceIssuing, Key::Site, Key::Log] {
            assert_eq!(again.public_key(key), token.public_key(key));
            assert_eq!(again.sign(key, b"m"), token.sign(key, b"m"));
        }
        assert_eq!(
            again.mac(Key::Fingerprint, b"p"),
            token.mac(Key::Fingerprint, b"p")
        );
        assert_eq!(
            again
                .unwrap(Key::Ticket, b"unit 1", &wrapped)
                .unwrap()
                .as_slice(),
            b"bundle"
        );
        assert_eq!(again.to_store(), token.to_store());
    }

    #[test]
    fn one_seed_makes_one_token() {
        let keys = |seed| {
            let (token, disk) = token(Counting(seed));
            token.make_key(Key::Log).unwrap();
            (
                token.public_key(Key::Log).unwrap(),
                lock(&disk.saved).clone(),
            )
        };
        assert_eq!(keys(1), keys(1));
        assert_ne!(keys(1), keys(2));
    }

    #[test]
    fn a_wrong_pin_opens_nothing() {
        let (token, disk) = token(Counting(0));
        assert_eq!(open(&disk, "12345").err(), Some(HsmError::WrongPin));
        for _ in 0..2 {
            assert_eq!(token.check_pin(&pin("4321")), Err(HsmError::WrongPin));
            assert_eq!(token.check_pin(&pin("1234")), Ok(()));
        }
    }

    #[test]
    fn a_key_that_could_not_be_saved_is_not_there() {
        let (token, disk) = token(Counting(0));
        disk.full.store(true, Ordering::SeqCst);
        assert!(matches!(
            token.make_key(Key::Log),
            Err(HsmError::Store { .. })
        ));
        assert_eq!(
            token.sign(Key::Log, b"m"),
            Err(HsmError::NoSuchKey(Key::Log))
        );
        disk.full.store(false, Ordering::SeqCst);
        token.make_key(Key::Log).unwrap();
        let again = open(&disk, "1234").unwrap();
        assert_eq!(again.public_key(Key::Log), token.public_key(Key::Log));
    }

    #[test]
    fn a_key_is_made_once_however_many_ask() {
        let (token, disk) = token(Counting(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| token.make_key(Key::Site).unwrap());
            }
        });
        assert_eq!(disk.saves.load(Ordering::SeqCst), 2); // the empty token, and the key
    }

    #[test]
    fn a_stuck_generator_makes_no_key() {
        for (byte, key) in [
            (0, Key::Site),
            (0, Key::Log),
            (0xff, Key::Ticket),
            (7, Key::Site),
        ] {
            let (token, _) = token(Stuck(byte));
            assert!(matches!(
                token.make_key(key),
                Err(HsmError::Unavailable { .. })
            ));
            assert_eq!(token.public_key(key), Err(HsmError::NoSuchKey(key)));
        }
    }

    #[test]
    fn a_mark_rises_and_is_found_by_whoever_opens_the_store() {
        let (token, disk) = token(Counting(0));
        token.make_key(Key::Log).unwrap();
        assert_eq!(token.high_water("a"), Ok(None));
        for (raised, kept) in [(7, 7), (5, 7), (9, 9)] {
            token.raise_high_water("a", raised).unwrap();
            assert_eq!(token.high_water("a"), Ok(Some(kept)));
        }
        let again = open(&disk, "1234").unwrap();
        assert_eq!(again.high_water("a"), Ok(Some(9)));
        assert_eq!(again.high_water("b"), Ok(None));
        assert_eq!(again.public_key(Key::Log), token.public_key(Key::Log));
        disk.full.store(true, Ordering::SeqCst);
        assert!(token.raise_high_water("a", 10).is_err());
        assert_eq!(token.high_water("a"), Ok(Some(9)));
        disk.full.store(false, Ordering::SeqCst);
        for log in 1..MARKS_MAX {
            token.raise_high_water(&log.to_string(), 1).unwrap();
        }
        assert!(matches!(
            token.raise_high_water("one too many", 1),
            Err(HsmError::Refused { .. })
        ));
    }

    #[test]
    fn a_key_does_one_thing() {
        let (token, _) = token(Counting(0));
        for key in Key::ALL {
            token.make_key(key).unwrap();
        }
        let wrong = |key| Some(HsmError::WrongKind(key));
        assert_eq!(token.mac(Key::Site, b"").err(), wrong(Key::Site));
        assert_eq!(
            token.sign(Key::Fingerprint, b"").err(),
            wrong(Key::Fingerprint)
        );
        assert_eq!(token.public_key(Key::Ticket).err(), wrong(Key::Ticket));
        assert_eq!(token.wrap(Key::Log, b"", b"").err(), wrong(Key::Log));
        assert_eq!(
            token.unwrap(Key::Fingerprint, b"", b"").err(),
            wrong(Key::Fingerprint)
        );
    }

    #[test]
    fn wrapped_bytes_open_under_their_own_context_only() {
        let (token, _) = token(Counting(0));
        token.make_key(Key::Ticket).unwrap();
        let wrapped = token.wrap(Key::Ticket, b"unit 1", b"bundle").unwrap();
        assert_ne!(
            token.wrap(Key::Ticket, b"unit 1", b"bundle").unwrap(),
            wrapped
        );
        let refused = |aad: &[u8], wrapped: &[u8]| {
            matches!(
                token.unwrap(Key::Ticket, aad, wrapped),
                Err(HsmError::Refused { .. })
            )
        };
        assert!(!refused(b"unit 1", &wrapped));
        assert!(refused(b"unit 2", &wrapped));
        for at in 0..wrapped.len() {
            let mut altered = wrapped.clone();
            altered[at] ^= 0x80;
            assert!(refused(b"unit 1", &altered));
            assert!(refused(b"unit 1", &wrapped[..at]));
        }
    }

    #[test]
    fn too_much_is_refused_and_the_most_is_not() {
        let (token, _) = token(Counting(0));
        for key in [Key::Log, Key::Fingerprint, Key::Ticket] {
            token.make_key(key).unwrap();
        }
        let most = vec![0; crate::DATA_MAX];
        let more = vec![0; crate::DATA_MAX + 1];
        let wrapped = token.wrap(Key::Ticket, b"", &most).unwrap();
        assert!(token.unwrap(Key::Ticket, b"", &wrapped).is_ok());
        assert!(token.sign(Key::Log, &most).is_ok());
        let too_long = Some(HsmError::TooLong {
            given: more.len(),
            limit: most.len(),
        });
        assert_eq!(token.sign(Key::Log, &more).err(), too_long);
        assert_eq!(token.mac(Key::Fingerprint, &more).err(), too_long);
        assert_eq!(token.wrap(Key::Ticket, b"x", &most).err(), too_long);
    }
}
