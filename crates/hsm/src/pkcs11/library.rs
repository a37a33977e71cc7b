//! A PKCS#11 module in this process: loaded once, initialised once, and again after it was lost.
//!
//! PKCS#11 has one context a process (PKCS #11 v2.40, section 5.4), whoever uses it, so modules are
//! kept here by path and never unloaded. Each call into one is made while the gate is held for
//! reading; the gate is held for writing only to begin anew, when no call is under way. The number
//! inside counts those beginnings: a session of an older one is never used and never closed, since
//! its handle may be somebody else's by now.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};

use super::sessions::said;
use crate::HsmError;

/// Every module that this process has loaded.
static LOADED: Mutex<Vec<Arc<Library>>> = Mutex::new(Vec::new());

pub(crate) struct Library {
    path: PathBuf,
    context: Pkcs11,
    /// How often the module was begun anew.
    gate: RwLock<u64>,
    /// The handles of all sessions since then.
    handles: Mutex<BTreeSet<u64>>,
}

impl Library {
    /// The module at `path`, loaded and initialised.
    pub(crate) fn load(path: &Path) -> Result<Arc<Library>, HsmError> {
        let refused = |why: String| {
            HsmError::refused(format!("the PKCS#11 module {}: {why}", path.display()))
        };
        let path = path.canonicalize().map_err(|e| refused(e.to_string()))?;
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = loaded.iter().find(|library| library.path == path) {
            return Ok(Arc::clone(known));
        }
        let context = Pkcs11::new(&path).map_err(|e| refused(said(&e)))?;
        initialize(&context).map_err(|e| refused(said(&e)))?;
        let library = Arc::new(Library {
            path,
            context,
            gate: RwLock::new(0),
            handles: Mutex::default(),
        });
        loaded.push(Arc::clone(&library));
        Ok(library)
    }

    pub(crate) fn context(&self) -> &Pkcs11 {
        &self.context
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Held around each call into the module; says which beginning it is.
    pub(crate) fn enter(&self) -> RwLockReadGuard<'_, u64> {
        self.gate.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a session's handle. False when it was given out before: sessions are closed
    /// only by beginning anew, so the token was reset, and another thread may still hold the one
    /// of that name.
    pub(crate) fn is_new(&self, handle: u64) -> bool {
        let mut handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        handles.insert(handle)
    }

    /// Begins anew, unless somebody has since `seen`. Waits for the calls that are under way.
    pub(crate) fn renew(&self, seen: u64) -> Result<(), HsmError> {
        let mut epoch = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        if *epoch != seen {
            return Ok(());
        }
        *epoch += 1;
        self.handles
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        // It may be gone already, which is what this is for.
        let _ = self.context.clone().finalize();
        initialize(&self.context).map_err(|error| {
            HsmError::unavailable(format!("its module does not start again: {}", said(&error)))
        })
    }
}

/// `C_Initialize` with the system's locks: many threads call. Done already is done.
fn initialize(context: &Pkcs11) -> Result<(), Error> {
    match context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(()),
        other => other,
    }
}
