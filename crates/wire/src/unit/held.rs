//! What a unit reads of its own bundle.

use super::committed;
use super::store::{Flash, Found, Store};
use crate::fields::Fields;
use crate::message::{BUNDLE_MAX, Refusal, TEXT_MAX};

/// What a unit reads of its bundle; certificates are for whoever connects later.
pub(super) struct Held<'a> {
    pub(super) serial: &'a str,
    pub(super) attempt: u32,
    pub(super) password: &'a [u8],
    pub(super) key: Option<&'a [u8]>,
}

impl<'a> Held<'a> {
    pub(super) fn read(bundle: &'a [u8]) -> Option<Held<'a>> {
        let fields = Fields::decode(bundle)?;
        (fields.number(0)? == 1).then_some(Held {
            serial: fields.text(1, 1..=TEXT_MAX)?,
            attempt: fields.number(2)?,
            password: fields.bytes(3, 1..=TEXT_MAX)?,
            key: fields.optional(6, fields.bytes(6, 1..=BUNDLE_MAX))?,
        })
    }
}

/// The bundle that is in flash, to the last bit.
pub(super) fn held<'a, F: Flash>(
    store: &Store<F>,
    found: &Found,
    buffer: &'a mut [u8; BUNDLE_MAX],
) -> Result<Held<'a>, Refusal> {
    let bundle = store.bundle(&committed(found)?, buffer)?;
    Held::read(bundle).ok_or(Refusal::BadBundle)
}
