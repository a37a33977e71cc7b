//! What the token remembers of a log that was put back from a copy: its size, and newer keys.

use std::sync::Arc;

use anyhow::Result;
use hsm::{Hsm, HsmError, Key};
use ledger::{Reader, SignerName};
use tlog::LogKeys;

use crate::figures::hex;
use crate::keys::{CertificateKey, KeysError};
use crate::serve::{self, ServeError};
use crate::site::Site;

/// The name under which the token marks this log: another one after each recovery, because a mark
/// only rises and the lost log's is higher.
///
/// # Errors
/// [`ServeError::RolledBack`] when a mark is above the log and above all that is on record as lost.
pub(crate) fn marks(hsm: &dyn Hsm, reader: &Reader, origin: &str) -> Result<String, ServeError> {
    let below = |name: &str, most: u64| match hsm.high_water(name).map_err(KeysError::Hsm)? {
        Some(kept) if kept > most => Err(ServeError::RolledBack {
            kept,
            entries: reader.size()?,
        }),
        _ => Ok(()),
    };
    let mut name = origin.to_owned();
    for row in reader.recoveries()? {
        below(&name, row.remembered.max(row.seq))?;
        name = format!("{origin}#{}", row.seq);
    }
    below(&name, reader.size()?)?;
    Ok(name)
}

/// What the token remembers of the log, and whether the log stands by it.
pub(super) fn token_mark(hsm: &dyn Hsm, site: &Site, origin: &str) -> Result<(u64, bool)> {
    let reader = Reader::open(&site.ledger())?;
    match marks(hsm, &reader, origin) {
        Ok(name) => Ok((hsm.high_water(&name)?.unwrap_or(0), true)),
        Err(ServeError::RolledBack { kept, .. }) => Ok((kept, false)),
        Err(error) => Err(error.into()),
    }
}

/// Keys that were rotated, or were about to be, without the log naming the one that takes over: the
/// token holds it.
pub(super) fn rotated_unseen(
    site: &Site,
    hsm: &Arc<dyn Hsm>,
    keys: &LogKeys,
) -> Result<Vec<SignerName>> {
    let log = serve::log_key(keys.newest(), hsm)?.turn;
    let mut next = vec![(SignerName::Log, Key::log(log + 1))];
    if let Some(row) = Reader::open(&site.ledger())?.issuing_key()?
        && let Some(found) = CertificateKey::of(hsm, Key::issuing, |spki| hex(spki) == row.public)?
    {
        next.push((SignerName::Issuing, Key::issuing(found.turn + 1)));
    }
    let mut newer = Vec::new();
    for (name, key) in next {
        match key.map(|key| hsm.public_key(key)) {
            None | Some(Err(HsmError::NoSuchKey(_))) => {}
            Some(Ok(_)) => newer.push(name),
            Some(Err(error)) => return Err(error.into()),
        }
    }
    Ok(newer)
}
