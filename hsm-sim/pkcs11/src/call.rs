//! The standard's functions about token, sessions and objects, each a few lines around safe code.

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};

use cryptoki_sys::*;

use crate::application::{self, Answer, SESSIONS_MAX};
use crate::objects;
use crate::raw::{self, padded};

/// The one slot.
const SLOT: CK_SLOT_ID = 0;
const LABEL: &str = "hsm-sim";
const MAKER: &str = "Birthmark (simulated)";

/// A call's end as the standard's number. A panic does not cross into C.
pub(crate) fn guard(call: impl FnOnce() -> Answer<()>) -> CK_RV {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(())) => CKR_OK,
        Ok(Err(error)) => error,
        Err(_) => CKR_GENERAL_ERROR,
    }
}

fn slot(id: CK_SLOT_ID) -> Answer<()> {
    match id {
        SLOT => Ok(()),
        _ => Err(CKR_SLOT_ID_INVALID),
    }
}

pub(crate) unsafe extern "C" fn C_Initialize(_: *mut c_void) -> CK_RV {
    guard(application::initialize)
}

pub(crate) unsafe extern "C" fn C_Finalize(_: *mut c_void) -> CK_RV {
    guard(application::finalize)
}

pub(crate) unsafe extern "C" fn C_GetInfo(to: *mut CK_INFO) -> CK_RV {
    let info = CK_INFO {
        cryptokiVersion: CK_VERSION {
            major: 2,
            minor: 40,
        },
        manufacturerID: padded(MAKER),
        flags: 0,
        libraryDescription: padded("simulated token, not an HSM"),
        libraryVersion: CK_VERSION { major: 0, minor: 1 },
    };
    // SAFETY: the caller vouches for its pointer.
    guard(|| unsafe { raw::put(to, info) })
}

pub(crate) unsafe extern "C" fn C_GetSlotList(
    with_token: CK_BBOOL,
    to: *mut CK_SLOT_ID,
    count: *mut CK_ULONG,
) -> CK_RV {
    guard(|| {
        application::with(|_| Ok(()))?;
        let there = with_token == CK_FALSE || application::describe().is_ok();
        let slots: &[CK_SLOT_ID] = if there { &[SLOT] } else { &[] };
        // SAFETY: the caller vouches for its pointers.
        unsafe { raw::list(to, count, slots) }
    })
}

pub(crate) unsafe extern "C" fn C_GetSlotInfo(id: CK_SLOT_ID, to: *mut CK_SLOT_INFO) -> CK_RV {
    guard(|| {
        slot(id)?;
        let there = application::describe().is_ok();
        let info = CK_SLOT_INFO {
            slotDescription: padded("simulated token behind a Unix socket"),
            manufacturerID: padded(MAKER),
            flags: CKF_REMOVABLE_DEVICE | if there { CKF_TOKEN_PRESENT } else { 0 },
            ..CK_SLOT_INFO::default()
        };
        // SAFETY: the caller vouches for its pointer.
        unsafe { raw::put(to, info) }
    })
}

pub(crate) unsafe extern "C" fn C_GetTokenInfo(id: CK_SLOT_ID, to: *mut CK_TOKEN_INFO) -> CK_RV {
    guard(|| {
        slot(id)?;
        let about = application::describe()?;
        let mut numbers = about.firmware.split('.').map(|it| it.parse().unwrap_or(0));
        let firmware = CK_VERSION {
            major: numbers.next().unwrap_or(0),
            minor: numbers.next().unwrap_or(0),
        };
        let pin = match about.pin_tries {
            Some(0) => CKF_USER_PIN_LOCKED,
            Some(1) => CKF_USER_PIN_FINAL_TRY | CKF_USER_PIN_COUNT_LOW,
            Some(_) => CKF_USER_PIN_COUNT_LOW,
            None => 0,
        };
        let always = CKF_RNG | CKF_LOGIN_REQUIRED | CKF_USER_PIN_INITIALIZED;
        let info = CK_TOKEN_INFO {
            label: padded(LABEL),
            manufacturerID: padded(MAKER),
            model: padded("simulator"),
            serialNumber: padded(&about.serial),
            flags: always | CKF_TOKEN_INITIALIZED | pin,
            ulMaxSessionCount: SESSIONS_MAX as CK_ULONG,
            ulSessionCount: CK_UNAVAILABLE_INFORMATION,
            ulMaxRwSessionCount: SESSIONS_MAX as CK_ULONG,
            ulRwSessionCount: CK_UNAVAILABLE_INFORMATION,
            ulMaxPinLen: 255,
            ulMinPinLen: 4,
            ulTotalPublicMemory: CK_UNAVAILABLE_INFORMATION,
            ulFreePublicMemory: CK_UNAVAILABLE_INFORMATION,
            ulTotalPrivateMemory: CK_UNAVAILABLE_INFORMATION,
            ulFreePrivateMemory: CK_UNAVAILABLE_INFORMATION,
            firmwareVersion: firmware,
            utcTime: padded(""),
            ..CK_TOKEN_INFO::default()
        };
        // SAFETY: the caller vouches for its pointer.
        unsafe { raw::put(to, info) }
    })
}

/// What the token can do: number, sizes of keys, uses.
const MECHANISMS: [(CK_MECHANISM_TYPE, CK_ULONG, CK_FLAGS); 8] = [
    (CKM_EC_KEY_PAIR_GEN, 256, CKF_GENERATE_KEY_PAIR),
    (CKM_EC_EDWARDS_KEY_PAIR_GEN, 255, CKF_GENERATE_KEY_PAIR),
    (CKM_ECDSA_SHA256, 256, CKF_SIGN),
    (CKM_EDDSA, 255, CKF_SIGN),
    (CKM_GENERIC_SECRET_KEY_GEN, 256, CKF_GENERATE),
    (CKM_SHA256_HMAC, 256, CKF_SIGN),
    (CKM_AES_KEY_GEN, 32, CKF_GENERATE),
    (CKM_AES_GCM, 32, CKF_ENCRYPT | CKF_DECRYPT),
];

pub(crate) unsafe extern "C" fn C_GetMechanismList(
    id: CK_SLOT_ID,
    to: *mut CK_MECHANISM_TYPE,
    count: *mut CK_ULONG,
) -> CK_RV {
    guard(|| {
        slot(id)?;
        let numbers = MECHANISMS.map(|(number, ..)| number);
        // SAFETY: the caller vouches for its pointers.
        unsafe { raw::list(to, count, &numbers) }
    })
}

pub(crate) unsafe extern "C" fn C_GetMechanismInfo(
    id: CK_SLOT_ID,
    number: CK_MECHANISM_TYPE,
    to: *mut CK_MECHANISM_INFO,
) -> CK_RV {
    guard(|| {
        slot(id)?;
        let known = MECHANISMS.into_iter().find(|(known, ..)| *known == number);
        let (_, size, flags) = known.ok_or(CKR_MECHANISM_INVALID)?;
        let info = CK_MECHANISM_INFO {
            ulMinKeySize: size,
            ulMaxKeySize: size,
            flags,
        };
        // SAFETY: the caller vouches for its pointer.
        unsafe { raw::put(to, info) }
    })
}

pub(crate) unsafe extern "C" fn C_OpenSession(
    id: CK_SLOT_ID,
    flags: CK_FLAGS,
    _: *mut c_void,
    _: CK_NOTIFY,
    to: *mut CK_SESSION_HANDLE,
) -> CK_RV {
    guard(|| {
        slot(id)?;
        if flags & CKF_SERIAL_SESSION == 0 {
            return Err(CKR_SESSION_PARALLEL_NOT_SUPPORTED);
        }
        application::describe()?;
        let handle = application::open_session()?;
        // SAFETY: the caller vouches for its pointer.
        unsafe { raw::put(to, handle) }
    })
}

pub(crate) unsafe extern "C" fn C_CloseSession(handle: CK_SESSION_HANDLE) -> CK_RV {
    guard(|| application::close_session(handle))
}

pub(crate) unsafe extern "C" fn C_CloseAllSessions(id: CK_SLOT_ID) -> CK_RV {
    guard(|| slot(id).and_then(|()| application::close_all()))
}

pub(crate) unsafe extern "C" fn C_GetSessionInfo(
    handle: CK_SESSION_HANDLE,
    to: *mut CK_SESSION_INFO,
) -> CK_RV {
    guard(|| {
        application::session(handle, |_| Ok(()))?;
        let info = CK_SESSION_INFO {
            slotID: SLOT,
            state: match application::is_logged_in()? {
                true => CKS_RW_USER_FUNCTIONS,
                false => CKS_RW_PUBLIC_SESSION,
            },
            flags: CKF_SERIAL_SESSION | CKF_RW_SESSION,
            ulDeviceError: 0,
        };
        // SAFETY: the caller vouches for its pointer.
        unsafe { raw::put(to, info) }
    })
}

pub(crate) unsafe extern "C" fn C_Login(
    handle: CK_SESSION_HANDLE,
    user: CK_USER_TYPE,
    pin: *mut CK_UTF8CHAR,
    length: CK_ULONG,
) -> CK_RV {
    guard(|| {
        if user != CKU_USER {
            return Err(CKR_USER_TYPE_INVALID);
        }
        // SAFETY: the caller vouches for pointer and length.
        let pin = zeroize::Zeroizing::new(unsafe { raw::bytes(pin, length) }?);
        application::login(handle, &pin)
    })
}

pub(crate) unsafe extern "C" fn C_Logout(handle: CK_SESSION_HANDLE) -> CK_RV {
    guard(|| {
        application::session(handle, |_| Ok(()))?;
        application::logout()
    })
}

pub(crate) unsafe extern "C" fn C_CreateObject(
    handle: CK_SESSION_HANDLE,
    template: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
    to: *mut CK_OBJECT_HANDLE,
) -> CK_RV {
    guard(|| {
        // SAFETY: the caller vouches for its template.
        let template = unsafe { raw::template(template, count) }?;
        let made =
            application::session(handle, |session| objects::raise(session, None, &template))?;
        // SAFETY: the caller vouches for its pointer.
        unsafe { raw::put(to, made) }
    })
}

pub(crate) unsafe extern "C" fn C_SetAttributeValue(
    handle: CK_SESSION_HANDLE,
    object: CK_OBJECT_HANDLE,
    template: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
) -> CK_RV {
    guard(|| {
        // SAFETY: the caller vouches for its template.
        let template = unsafe { raw::template(template, count) }?;
        application::session(handle, |session| {
            objects::raise(session, Some(object), &template).map(drop)
        })
    })
}

pub(crate) unsafe extern "C" fn C_GetAttributeValue(
    handle: CK_SESSION_HANDLE,
    object: CK_OBJECT_HANDLE,
    template: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
) -> CK_RV {
    guard(|| {
        let all = application::session(handle, |session| objects::attributes(session, object))?;
        // SAFETY: the caller vouches for its template and the places it points to.
        unsafe { raw::answer(template, count, &all) }
    })
}

pub(crate) unsafe extern "C" fn C_FindObjectsInit(
    handle: CK_SESSION_HANDLE,
    template: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
) -> CK_RV {
    guard(|| {
        // SAFETY: the caller vouches for its template.
        let template = unsafe { raw::template(template, count) }?;
        application::session(handle, |session| {
            if session.found.is_some() {
                return Err(CKR_OPERATION_ACTIVE);
            }
            let mut found = objects::find(session, &template)?;
            found.reverse();
            session.found = Some(found);
            Ok(())
        })
    })
}

pub(crate) unsafe extern "C" fn C_FindObjects(
    handle: CK_SESSION_HANDLE,
    to: *mut CK_OBJECT_HANDLE,
    most: CK_ULONG,
    count: *mut CK_ULONG,
) -> CK_RV {
    guard(|| {
        let next = application::session(handle, |session| {
            let found = session
                .found
                .as_mut()
                .ok_or(CKR_OPERATION_NOT_INITIALIZED)?;
            let keep = found.len().saturating_sub(most as usize);
            Ok(found.split_off(keep).into_iter().rev().collect::<Vec<_>>())
        })?;
        // SAFETY: the caller vouches for its pointer, which has `most` places; the count is output
        // only here, so it is set before it is read.
        unsafe {
            raw::put(count, most)?;
            raw::list(to, count, &next)
        }
    })
}

pub(crate) unsafe extern "C" fn C_FindObjectsFinal(handle: CK_SESSION_HANDLE) -> CK_RV {
    guard(|| {
        application::session(handle, |session| {
            let ended = session.found.take();
            ended.map(drop).ok_or(CKR_OPERATION_NOT_INITIALIZED)
        })
    })
}
