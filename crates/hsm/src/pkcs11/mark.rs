//! The high-water mark: a data object (CKO_DATA) a log, which says how far it was signed.
//!
//! A crash between the new object and the end of the old one leaves both; the higher one counts,
//! and the next raise removes the other.

use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

use super::sessions::Fault;
use crate::HsmError;

pub(crate) struct Mark {
    pub(crate) size: u64,
    objects: Vec<ObjectHandle>,
}

fn name(log: &str) -> [Attribute; 3] {
    let label = format!("birthmark high water {log}").into_bytes();
    [
        Attribute::Class(ObjectClass::DATA),
        Attribute::Token(true),
        Attribute::Label(label),
    ]
}

/// The mark of a log, when there is one.
pub(crate) fn find(session: &Session, log: &str) -> Result<Option<Mark>, Fault> {
    let objects = session.find_objects(&name(log))?;
    let mut size = None;
    for object in &objects {
        for attribute in session.get_attributes(*object, &[AttributeType::Value])? {
            let Attribute::Value(value) = attribute else {
                continue;
            };
            let value: [u8; 8] = value.try_into().map_err(|_| {
                let why = "its high-water mark is not one that this program wrote";
                Fault::Said(HsmError::refused(why))
            })?;
            size = size.max(Some(u64::from_be_bytes(value)));
        }
    }
    Ok(size.map(|size| Mark { size, objects }))
}

/// Raises the mark to `size`; never lowers it.
pub(crate) fn raise(session: &Session, log: &str, size: u64) -> Result<(), Fault> {
    let before = find(session, log)?;
    if before.as_ref().is_some_and(|mark| mark.size >= size) {
        return Ok(());
    }
    let value = Attribute::Value(size.to_be_bytes().to_vec());
    let old = before.map_or(Vec::new(), |mark| mark.objects);
    if let [only] = old[..]
        && session
            .update_attributes(only, std::slice::from_ref(&value))
            .is_ok()
    {
        return Ok(());
    }
    let mut fresh = name(log).to_vec();
    fresh.extend([value, Attribute::Private(true), Attribute::Modifiable(true)]);
    session.create_object(&fresh)?;
    for object in old {
        session.destroy_object(object)?;
    }
    Ok(())
}
