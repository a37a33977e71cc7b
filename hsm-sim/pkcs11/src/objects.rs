//! The simulator's keys and marks as objects: which there are, and what their attributes say.

use cryptoki_sys::*;
use hsm::message::v1;
use hsm::message::v1::request::Command;
use hsm::message::v1::response::Outcome;
use hsm::{Key, Kind};

use crate::application::{self, Answer, Session};

/// What a template holds: types and values.
pub(crate) type Template = Vec<(CK_ATTRIBUTE_TYPE, Vec<u8>)>;

/// Handles of data objects begin here; those of keys are below.
const DATA: CK_OBJECT_HANDLE = 1_000;

/// How the client names a log's mark.
const MARK: &str = "birthmark high water ";

const P256: &[u8] = b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
const ED25519: &[u8] = b"\x06\x03\x2b\x65\x70";

/// An object by its handle.
pub(crate) enum Object {
    /// The secret or private half of a key.
    Inside(Key),
    /// The public half.
    Public(Key),
    /// A log's high-water mark.
    Mark(String),
}

pub(crate) fn inside(key: Key) -> CK_OBJECT_HANDLE {
    2 * key.place() as CK_OBJECT_HANDLE + 1
}

pub(crate) fn public(key: Key) -> CK_OBJECT_HANDLE {
    2 * key.place() as CK_OBJECT_HANDLE + 2
}

/// The object of a handle; that the token has it is seen when it is used.
pub(crate) fn object(handle: CK_OBJECT_HANDLE) -> Answer<Object> {
    if handle >= DATA {
        let at = (handle - DATA) as usize;
        let log = application::with(|application| Ok(application.logs.get(at).cloned()))?;
        return log.map(Object::Mark).ok_or(CKR_OBJECT_HANDLE_INVALID);
    }
    for key in Key::every() {
        if handle == inside(key) {
            return Ok(Object::Inside(key));
        }
        if handle == public(key) && signs(key) {
            return Ok(Object::Public(key));
        }
    }
    Err(CKR_OBJECT_HANDLE_INVALID)
}

/// The key of a handle, for use.
pub(crate) fn key(handle: CK_OBJECT_HANDLE) -> Answer<Key> {
    match object(handle) {
        Ok(Object::Inside(key)) => Ok(key),
        _ => Err(CKR_KEY_HANDLE_INVALID),
    }
}

fn signs(key: Key) -> bool {
    matches!(key.kind(), Kind::P256 | Kind::Ed25519)
}

/// The objects that fit a template. Without a login there are none to be seen.
pub(crate) fn find(session: &mut Session, template: &Template) -> Answer<Vec<CK_OBJECT_HANDLE>> {
    if !application::is_logged_in()? {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    let value = |wanted| template.iter().find(|(kind, _)| *kind == wanted);
    if let Some((_, label)) = value(CKA_LABEL) {
        let label = String::from_utf8_lossy(label);
        if let Some(log) = label.strip_prefix(MARK) {
            found.push(remember(log)?);
        }
    }
    for key in Key::every() {
        found.push(inside(key));
        if signs(key) {
            found.push(public(key));
        }
    }
    let mut fitting = Vec::new();
    for handle in found {
        match fits(session, handle, template) {
            Ok(true) => fitting.push(handle),
            // A key that was never made.
            Ok(false) | Err(CKR_KEY_HANDLE_INVALID | CKR_OBJECT_HANDLE_INVALID) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(fitting)
}

fn fits(session: &mut Session, handle: CK_OBJECT_HANDLE, template: &Template) -> Answer<bool> {
    // Class and label cost no question, and most objects differ in them.
    let object = object(handle)?;
    for (wanted, value) in template {
        let plain = match *wanted {
            CKA_CLASS => Some(ulong(class(&object))),
            CKA_LABEL => Some(label(&object)),
            _ => None,
        };
        if plain.is_some_and(|is| is != *value) {
            return Ok(false);
        }
    }
    let attributes = attributes(session, handle)?;
    Ok(template.iter().all(|wanted| attributes.contains(wanted)))
}

/// Every attribute of an object. Never a secret's value.
pub(crate) fn attributes(session: &mut Session, handle: CK_OBJECT_HANDLE) -> Answer<Template> {
    let object = object(handle)?;
    let mut all = vec![
        (CKA_CLASS, ulong(class(&object))),
        (CKA_LABEL, label(&object)),
        (CKA_TOKEN, yes()),
        (CKA_MODIFIABLE, no()),
    ];
    match &object {
        Object::Mark(log) => {
            let log = log.clone();
            let asked = session.ask(Command::HighWater(v1::HighWater { log }))?;
            let Outcome::Mark(v1::Mark { size }) = asked else {
                return Err(CKR_DEVICE_ERROR);
            };
            let size = size.ok_or(CKR_OBJECT_HANDLE_INVALID)?;
            all.push((CKA_PRIVATE, yes()));
            all.push((CKA_VALUE, size.to_be_bytes().to_vec()));
        }
        Object::Public(key) => {
            let spki = spki(session, *key)?;
            all.extend([(CKA_PRIVATE, no()), (CKA_VERIFY, yes()), (CKA_LOCAL, yes())]);
            all.extend(of_curve(*key, &spki));
        }
        Object::Inside(key) => all.extend(of_inside(session, *key)?),
    }
    if let Object::Public(key) = object {
        all.push((CKA_ID, key.label().as_bytes().to_vec()));
    }
    Ok(all)
}

/// What is said of a private or secret half: in a real token it would be true, and the token says
/// that it is a simulated one.
fn of_inside(session: &mut Session, key: Key) -> Answer<Template> {
    let mut all = Template::new();
    let uses: &[CK_ATTRIBUTE_TYPE] = match key.kind() {
        Kind::P256 | Kind::Ed25519 => {
            let spki = spki(session, key)?;
            all.extend(of_curve(key, &spki));
            &[CKA_SIGN]
        }
        Kind::Mac => {
            let (key, data) = (key.label().to_owned(), Vec::new());
            session.ask(Command::Mac(v1::Mac { key, data }))?;
            all.push((CKA_KEY_TYPE, ulong(CKK_GENERIC_SECRET)));
            all.push((CKA_VALUE_LEN, ulong(32)));
            &[CKA_SIGN]
        }
        Kind::Aes256 => {
            there(session, key)?;
            all.push((CKA_KEY_TYPE, ulong(CKK_AES)));
            all.push((CKA_VALUE_LEN, ulong(32)));
            &[CKA_ENCRYPT, CKA_DECRYPT]
        }
    };
    for one in [
        CKA_SIGN,
        CKA_ENCRYPT,
        CKA_DECRYPT,
        CKA_WRAP,
        CKA_UNWRAP,
        CKA_DERIVE,
    ] {
        let is = uses.contains(&one);
        all.push((one, if is { yes() } else { no() }));
    }
    all.extend([
        (CKA_ID, key.label().as_bytes().to_vec()),
        (CKA_PRIVATE, yes()),
        (CKA_SENSITIVE, yes()),
        (CKA_ALWAYS_SENSITIVE, yes()),
        (CKA_EXTRACTABLE, no()),
        (CKA_NEVER_EXTRACTABLE, yes()),
        (CKA_LOCAL, yes()),
        (CKA_ALWAYS_AUTHENTICATE, no()),
    ]);
    Ok(all)
}

/// Whether the wrapping key is there: it wraps nothing, for nobody.
fn there(session: &mut Session, key: Key) -> Answer<()> {
    let wrap = v1::Wrap {
        key: key.label().to_owned(),
        aad: Vec::new(),
        plaintext: Vec::new(),
        nonce: Vec::new(),
    };
    session.ask(Command::Wrap(wrap)).map(drop)
}

fn spki(session: &mut Session, key: Key) -> Answer<Vec<u8>> {
    let key = key.label().to_owned();
    let spki = session.bytes(Command::PublicKey(v1::PublicKey { key }))?;
    Ok(spki.to_vec())
}

fn of_curve(key: Key, spki: &[u8]) -> [(CK_ATTRIBUTE_TYPE, Vec<u8>); 3] {
    let (kind, curve, length) = match key.kind() {
        Kind::P256 => (CKK_EC, P256, 65),
        _ => (CKK_EC_EDWARDS, ED25519, 32),
    };
    let point = &spki[spki.len().saturating_sub(length)..];
    let wrapped = [&[0x04, point.len() as u8][..], point].concat();
    [
        (CKA_KEY_TYPE, ulong(kind)),
        (CKA_EC_PARAMS, curve.to_vec()),
        (CKA_EC_POINT, wrapped),
    ]
}

fn class(object: &Object) -> CK_OBJECT_CLASS {
    match object {
        Object::Mark(_) => CKO_DATA,
        Object::Public(_) => CKO_PUBLIC_KEY,
        Object::Inside(key) if signs(*key) => CKO_PRIVATE_KEY,
        Object::Inside(_) => CKO_SECRET_KEY,
    }
}

fn label(object: &Object) -> Vec<u8> {
    match object {
        Object::Mark(log) => format!("{MARK}{log}").into_bytes(),
        Object::Public(key) | Object::Inside(key) => key.label().as_bytes().to_vec(),
    }
}

/// The handle of a log's mark, whether or not it was ever raised.
fn remember(log: &str) -> Answer<CK_OBJECT_HANDLE> {
    application::with(|application| {
        let known = application.logs.iter().position(|known| known == log);
        let at = known.unwrap_or_else(|| {
            application.logs.push(log.to_owned());
            application.logs.len() - 1
        });
        Ok(DATA + at as CK_OBJECT_HANDLE)
    })
}

/// Raises a mark, which is the one object that can be made or changed.
pub(crate) fn raise(
    session: &mut Session,
    handle: Option<CK_OBJECT_HANDLE>,
    template: &Template,
) -> Answer<CK_OBJECT_HANDLE> {
    let value = |wanted| {
        let found = template.iter().find(|(kind, _)| *kind == wanted);
        found.map(|(_, value)| value.as_slice())
    };
    let size: [u8; 8] = value(CKA_VALUE)
        .and_then(|value| value.try_into().ok())
        .ok_or(CKR_TEMPLATE_INCOMPLETE)?;
    let log = match handle.map(object).transpose()? {
        Some(Object::Mark(log)) => log,
        Some(_) => return Err(CKR_ACTION_PROHIBITED),
        None => {
            let label = value(CKA_LABEL).and_then(|label| std::str::from_utf8(label).ok());
            let log = label.and_then(|label| label.strip_prefix(MARK));
            log.ok_or(CKR_TEMPLATE_INCONSISTENT)?.to_owned()
        }
    };
    let size = u64::from_be_bytes(size);
    let handle = remember(&log)?;
    session.bytes(Command::RaiseHighWater(v1::RaiseHighWater { log, size }))?;
    Ok(handle)
}

/// Makes the key that a template names, which is one of the line's.
pub(crate) fn make(session: &mut Session, template: &Template, kinds: &[Kind]) -> Answer<Key> {
    let label = template.iter().find(|(kind, _)| *kind == CKA_LABEL);
    let label = label.and_then(|(_, label)| std::str::from_utf8(label).ok());
    let key = label.and_then(Key::from_label);
    let key = key.ok_or(CKR_TEMPLATE_INCONSISTENT)?;
    if !kinds.contains(&key.kind()) {
        return Err(CKR_TEMPLATE_INCONSISTENT);
    }
    let name = key.label().to_owned();
    session.bytes(Command::MakeKey(v1::MakeKey { key: name }))?;
    Ok(key)
}

fn ulong(value: CK_ULONG) -> Vec<u8> {
    value.to_ne_bytes().to_vec()
}

fn yes() -> Vec<u8> {
    vec![CK_TRUE]
}

fn no() -> Vec<u8> {
    vec![CK_FALSE]
}
