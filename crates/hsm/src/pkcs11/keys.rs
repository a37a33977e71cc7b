//! The line's keys as objects of a token: found by label, their attributes asserted each time,
//! made where they are not.
//!
//! A key that could leave the token, or that was ever outside it, is refused: what it signed or
//! fingerprinted proves nothing.

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use ring::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey};

use super::sessions::{Fault, is_logged_in};
use super::{form, sign_with};
use crate::material::{ED25519_SPKI, P256_SPKI};
use crate::{HsmError, Key, KeyFacts, Kind};

/// What each signing key signs when it is found, to see that both its halves belong together.
const CHECK: &[u8] = b"birthmark key check: nobody trusts a signature of this text";

/// A key of the token.
#[derive(Clone)]
pub(crate) struct Found {
    /// The secret or private half.
    pub(crate) handle: ObjectHandle,
    /// SubjectPublicKeyInfo (DER) of a signing key.
    pub(crate) spki: Option<Vec<u8>>,
    pub(crate) facts: KeyFacts,
}

/// The key, when the token has it and it is as it has to be.
pub(crate) fn find(session: &Session, key: Key, hash_inside: bool) -> Result<Option<Found>, Fault> {
    let Some(handle) = only(session, key, class(key))? else {
        return Ok(None);
    };
    let facts = facts(session, handle)?;
    sound(key, &facts)?;
    right_kind(session, key, handle)?;
    let spki = match key.kind() {
        Kind::P256 | Kind::Ed25519 => Some(public_half(session, key)?),
        Kind::Mac | Kind::Aes256 => None,
    };
    if let Some(spki) = &spki {
        let signature = sign_with(session, key, handle, hash_inside, CHECK)?;
        if !verifies(key, spki, &signature) {
            return Err(refused(key, "its public half belongs to another key"));
        }
    }
    Ok(Some(Found {
        handle,
        spki,
        facts,
    }))
}

/// Makes the key. Whoever calls has seen that it is not there.
pub(crate) fn make(session: &Session, key: Key) -> Result<(), Fault> {
    let name = || {
        let label = key.label().as_bytes().to_vec();
        [Attribute::Label(label.clone()), Attribute::Id(label)]
    };
    let inside = [
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
    ];
    let public = [
        Attribute::Token(true),
        Attribute::Private(false),
        Attribute::Verify(true),
    ];
    let pair = |mechanism: Mechanism<'_>, curve: Vec<u8>| {
        let mut public = [&public[..], &name()].concat();
        public.push(Attribute::EcParams(curve));
        let private = [&inside[..], &name(), &[Attribute::Sign(true)]].concat();
        session.generate_key_pair(&mechanism, &public, &private)
    };
    let secret = |mechanism: Mechanism<'_>, kind: KeyType, uses: &[Attribute]| {
        let mut template = [&inside[..], &name(), uses].concat();
        template.push(Attribute::Class(ObjectClass::SECRET_KEY));
        template.push(Attribute::KeyType(kind));
        template.push(Attribute::ValueLen(32.into()));
        session.generate_key(&mechanism, &template)
    };
    match key.kind() {
        Kind::P256 => {
            pair(Mechanism::EccKeyPairGen, form::PRIME256V1.to_vec())?;
        }
        Kind::Ed25519 => {
            pair(Mechanism::EccEdwardsKeyPairGen, form::ED25519.to_vec())?;
        }
        Kind::Mac => {
            let uses = [Attribute::Sign(true), Attribute::Derive(false)];
            secret(
                Mechanism::GenericSecretKeyGen,
                KeyType::GENERIC_SECRET,
                &uses,
            )?;
        }
        Kind::Aes256 => {
            let uses = [
                Attribute::Encrypt(true),
                Attribute::Decrypt(true),
                Attribute::Wrap(false),
                Attribute::Unwrap(false),
            ];
            secret(Mechanism::AesKeyGen, KeyType::AES, &uses)?;
        }
    }
    Ok(())
}

fn class(key: Key) -> ObjectClass {
    match key.kind() {
        Kind::P256 | Kind::Ed25519 => ObjectClass::PRIVATE_KEY,
        Kind::Mac | Kind::Aes256 => ObjectClass::SECRET_KEY,
    }
}

/// The object of this class and label. Two of them are nobody's: which one would sign?
fn only(session: &Session, key: Key, class: ObjectClass) -> Result<Option<ObjectHandle>, Fault> {
    let wanted = [
        Attribute::Class(class),
        Attribute::Token(true),
        Attribute::Label(key.label().as_bytes().to_vec()),
    ];
    let mut found = session.find_objects(&wanted)?;
    if found.is_empty() {
        // Without the login it would look the same; a second look after one that others made.
        logged_in(session)?;
        found = session.find_objects(&wanted)?;
        logged_in(session)?;
    }
    match found[..] {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        ref several => {
            let why = format!("there are {} of this label", several.len());
            Err(refused(key, &why))
        }
    }
}

fn logged_in(session: &Session) -> Result<(), Fault> {
    if is_logged_in(session)? {
        return Ok(());
    }
    Err(Fault::Lost("it forgot the login".to_owned()))
}

fn facts(session: &Session, handle: ObjectHandle) -> Result<KeyFacts, Fault> {
    let asked = [
        AttributeType::Sensitive,
        AttributeType::Extractable,
        AttributeType::AlwaysSensitive,
        AttributeType::NeverExtractable,
        AttributeType::Local,
    ];
    // What the token does not say counts as the worse answer.
    let mut facts = KeyFacts {
        sensitive: false,
        extractable: true,
        always_sensitive: false,
        never_extractable: false,
        made_inside: false,
    };
    for attribute in session.get_attributes(handle, &asked)? {
        match attribute {
            Attribute::Sensitive(it) => facts.sensitive = it,
            Attribute::Extractable(it) => facts.extractable = it,
            Attribute::AlwaysSensitive(it) => facts.always_sensitive = it,
            Attribute::NeverExtractable(it) => facts.never_extractable = it,
            Attribute::Local(it) => facts.made_inside = it,
            _ => {}
        }
    }
    Ok(facts)
}

fn sound(key: Key, facts: &KeyFacts) -> Result<(), Fault> {
    let why = if facts.extractable {
        "it is extractable: it can leave the token"
    } else if !facts.sensitive {
        "it is not sensitive: the token shows it"
    } else if !facts.never_extractable || !facts.always_sensitive {
        "it was extractable before, or made outside: a copy may exist"
    } else {
        return Ok(());
    };
    Err(refused(key, why))
}

fn right_kind(session: &Session, key: Key, handle: ObjectHandle) -> Result<(), Fault> {
    let asked = [
        AttributeType::KeyType,
        AttributeType::Sign,
        AttributeType::Encrypt,
        AttributeType::Decrypt,
        AttributeType::ValueLen,
    ];
    let said = session.get_attributes(handle, &asked)?;
    let has = |wanted: &Attribute| said.contains(wanted);
    let right = match key.kind() {
        Kind::P256 => has(&Attribute::KeyType(KeyType::EC)) && has(&Attribute::Sign(true)),
        Kind::Ed25519 => {
            has(&Attribute::KeyType(KeyType::EC_EDWARDS)) && has(&Attribute::Sign(true))
        }
        Kind::Mac => {
            let kinds = [KeyType::GENERIC_SECRET, KeyType::SHA256_HMAC];
            let kind = kinds.into_iter().any(|kind| has(&Attribute::KeyType(kind)));
            kind && has(&Attribute::Sign(true)) && has(&Attribute::ValueLen(32.into()))
        }
        Kind::Aes256 => {
            has(&Attribute::KeyType(KeyType::AES))
                && has(&Attribute::Encrypt(true))
                && has(&Attribute::Decrypt(true))
                && has(&Attribute::ValueLen(32.into()))
        }
    };
    if right {
        return Ok(());
    }
    Err(refused(
        key,
        "it is of another kind or use than this label's",
    ))
}

/// SubjectPublicKeyInfo of the public object beside a private one.
fn public_half(session: &Session, key: Key) -> Result<Vec<u8>, Fault> {
    let public = only(session, key, ObjectClass::PUBLIC_KEY)?
        .ok_or_else(|| refused(key, "its public half is missing"))?;
    let said = session.get_attributes(public, &[AttributeType::EcPoint])?;
    let spki = said.iter().find_map(|attribute| match attribute {
        Attribute::EcPoint(point) if key.kind() == Kind::P256 => form::p256_spki(point),
        Attribute::EcPoint(point) => form::ed25519_spki(point),
        _ => None,
    });
    spki.ok_or_else(|| refused(key, "its public half is no point of its curve"))
}

fn verifies(key: Key, spki: &[u8], signature: &[u8]) -> bool {
    let verified = match key.kind() {
        Kind::P256 => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &spki[P256_SPKI.len()..])
            .verify(CHECK, signature),
        _ => UnparsedPublicKey::new(&ED25519, &spki[ED25519_SPKI.len()..]).verify(CHECK, signature),
    };
    verified.is_ok()
}

fn refused(key: Key, why: &str) -> Fault {
    Fault::Said(HsmError::refused(format!(
        "its key {key} is not used: {why}"
    )))
}
