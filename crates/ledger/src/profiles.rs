//! Who vouches for what a unit holds: the unit, or a station by the device profile of its product.
//!
//! What a definition says of a profile is not the ledger's to read, so whoever audits brings the
//! function along. The server asks the same before it writes; here it is asked of what was written,
//! by whoever wrote it.

use std::collections::HashMap;

use traveler::{Digest, Event};

use crate::memory::Memory;

/// What a product's definition says: the digest of its device profile; none when its units prove
/// themselves what they hold; or why that cannot be read.
pub type ProfileOf = fn(definition: &str) -> Result<Option<Digest>, String>;

/// What every definition of the log said.
#[derive(Default)]
pub(crate) struct Profiles {
    of: Option<ProfileOf>,
    said: HashMap<Digest, Result<Option<Digest>, String>>,
}

impl Profiles {
    /// Read by this function; without one nothing is judged.
    pub(crate) fn read_by(of: Option<ProfileOf>) -> Profiles {
        Profiles {
            of,
            said: HashMap::new(),
        }
    }

    /// What is wrong with an entry that the rules let through, over the entries before it.
    pub(crate) fn judge(&mut self, memory: &Memory, event: &Event) -> Option<String> {
        let of = self.of?;
        match event.happened() {
            Event::ProductApplied {
                product_sha256,
                definition,
                ..
            } => {
                self.said.insert(*product_sha256, of(definition));
                None
            }
            Event::Loaded {
                step,
                profile_sha256,
                ..
            } => {
                let order = memory.orders.get(&step.order)?;
                let said = self.said.get(&order.product_sha256)?;
                differs(said, *profile_sha256)
            }
            _ => None,
        }
    }
}

fn differs(said: &Result<Option<Digest>, String>, by: Option<Digest>) -> Option<String> {
    match (said, by) {
        (Err(why), _) => Some(format!(
            "nothing says how its unit is read back: what its product says of that cannot be read: \
             {why}"
        )),
        (Ok(expected), by) if *expected == by => None,
        (Ok(Some(expected)), None) => Some(format!(
            "it says that the unit proved what it holds, and units of its product are read back by \
             the station under the device profile {expected}"
        )),
        (Ok(Some(expected)), Some(by)) => Some(format!(
            "its unit was read back under the device profile {by}, and its product's is {expected}"
        )),
        (Ok(None), by) => by.map(|by| {
            format!(
                "its unit was read back under the device profile {by}, and its product has none: \
                 its units prove what they hold"
            )
        }),
    }
}
