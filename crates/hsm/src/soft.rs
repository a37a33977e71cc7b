//! The software token: the same commands as a real one, its keys in a store of bytes.
//!
//! Threads share it freely. A key is written once and read without a lock ever after; the only
//! locks are around the source of randomness, around the making of a key, and around the PIN's
//! check, which is slow on purpose and one at a time.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use zeroize::Zeroizing;

use crate::material::{Material, NONCE, OVERHEAD, Secret};
use crate::store::{self, Cost, SALT, StoreKey};
use crate::{Description, Hsm, HsmError, Key, Pin, Randomness, Storage, bounded};

/// How often a P-256 secret is drawn before the generator is called unfit. A fit one needs a second
/// draw once in 2^32 keys.
const DRAWS: usize = 8;

/// A token in this process. See the module's text.
pub struct SoftToken {
    serial: [u8; 8],
    store_key: StoreKey,
    /// Set once by `make_key`, after the store that holds the key was saved.
    keys: [OnceLock<Material>; Key::ALL.len()],
    random: Mutex<Box<dyn Randomness>>,
    storage: Box<dyn Storage>,
    /// The store as last saved. Whoever makes a key holds this lock until it is saved.
    store: Mutex<Vec<u8>>,
    /// Held while a PIN is checked: bounds the memory that guesses take, and slows them.
    door: Mutex<()>,
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
        let store = store_key.write(serial, [].into_iter(), nonce);
        save(storage.as_ref(), &store)?;
        Ok(SoftToken::assemble(
            serial, store_key, store, random, storage,
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
        let token =
            SoftToken::assemble(contents.serial, store_key, store.to_vec(), random, storage);
        for material in contents.keys {
            let slot = &token.keys[material.key() as usize];
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
        store: Vec<u8>,
        random: Box<dyn Randomness>,
        storage: Box<dyn Storage>,
    ) -> SoftToken {
        SoftToken {
            serial,
            store_key,
            keys: Default::default(),
            random: Mutex::new(random),
            storage,
            store: Mutex::new(store),
            door: Mutex::new(()),
        }
    }

    /// The store as last saved, encrypted under the PIN.
    pub fn to_store(&self) -> Vec<u8> {
        lock(&self.store).clone()
    }

    /// Whether `pin` is this token's, for whoever lets others in. As slow as [`SoftToken::open`],
    /// right or wrong, and one at a time.
    ///
    /// # Errors
    ///
    /// [`HsmError::WrongPin`].
    pub fn check_pin(&self, pin: &Pin) -> Result<(), HsmError> {
        let store = self.to_store();
        let _one_at_a_time = lock(&self.door);
        store::open(&store, pin).map(|_| ())
    }

    fn material(&self, key: Key) -> Result<&Material, HsmError> {
        self.keys[key as usize]
            .get()
            .ok_or(HsmError::NoSuchKey(key))
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
        bounded(aad.len().saturating_add(plain.len()))?;
        let material = self.material(key)?;
        let mut nonce = [0; NONCE];
        self.random(&mut nonce)?;
        material.wrap(aad, plain, nonce)
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
        let slot = &self.keys[key as usize];
        if slot.get().is_some() {
            return Ok(());
        }
        let material = self.draw(key)?;
        let mut nonce = [0; NONCE];
        self.random(&mut nonce)?;
        let keys = self
            .keys
            .iter()
            .filter_map(OnceLock::get)
            .chain([&material]);
        let next = self.store_key.write(self.serial, keys, nonce);
        save(self.storage.as_ref(), &next)?;

        // A crash before this line: the key is on disk or it is not; nobody has used it.
        *store = next;
        let repeat = slot.set(material).is_err();
        assert!(!repeat, "only the holder of the store's lock sets a key");
        Ok(())
    }
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
