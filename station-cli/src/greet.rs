//! Who stands at a port, without touching anything.

use serde_json::json;
use wire::Facts;

use crate::failure::Failure;
use crate::port::Port;
use crate::unit::{Unit, Way};

/// Asks a unit of `wire`'s own protocol who it is and what it holds.
///
/// # Errors
/// [`Failure::Port`] and [`Failure::Unit`].
pub async fn greet(port: &mut impl Port) -> Result<Facts, Failure> {
    greet_as(port, &None).await
}

/// The same of a unit that is spoken to as its order says.
pub(crate) async fn greet_as(port: &mut impl Port, way: &Way) -> Result<Facts, Failure> {
    Ok(Unit::at(port, way).await?.greet().await?)
}

/// The facts for machines.
pub(crate) fn json(facts: &Facts) -> serde_json::Value {
    let held = facts.held.as_ref();
    json!({
        "device_id": facts.device_id,
        "macs": facts.macs,
        "model": facts.model,
        "revision": facts.revision,
        "firmware": facts.firmware,
        "state": facts.state.as_str(),
        "boots": facts.boots,
        "serial": held.map(|held| &held.serial),
        "attempt": held.map(|held| held.attempt),
        "own_key": facts.csr.is_some(),
    })
}

/// The facts for people. What a unit says of itself cannot move the cursor or add a line.
pub(crate) fn words(facts: &Facts) -> String {
    let revision = facts.revision.as_deref().unwrap_or("-");
    let boots = facts.boots;
    let boots = boots.map_or_else(String::new, |boots| format!(", boot {boots}"));
    let held = facts.held.as_ref();
    let held = held.map_or_else(String::new, |held| {
        format!(", holds {} attempt {}", held.serial, held.attempt)
    });
    format!(
        "{} revision {}, firmware {}, device id {}, {}{held}{boots}",
        facts.model.escape_debug(),
        revision.escape_debug(),
        facts.firmware.escape_debug(),
        facts.device_id,
        facts.state,
    )
}
