//! How the units of an order are spoken to, and that the log says the same.
//!
//! The server hands the device profile out with the order. It is believed because it stands in the
//! product's definition, whose digest the order names; and by it a credential, issued, leased or
//! resumed, is written only when its entry, proven to be in the log, was made under that digest (see
//! `begin`). A server that leaves the proof of an issue out is waited for.
//! So a server cannot have one unit spoken to in another way than everybody reads in the log.

use std::sync::Arc;

use api::v1;
use ring::digest::{SHA256, digest};
use serde::Deserialize;
use traveler::Digest;
use wire::profile::Profile;

use crate::failure::Failure;
use crate::unit::Way;

/// What the station reads of a definition.
#[derive(Deserialize)]
struct Definition {
    device_profile: Option<Embedded>,
}

#[derive(Deserialize)]
struct Embedded {
    text: String,
}

/// The device profile of an order, which must be the one of its product.
pub(crate) fn way(order: &v1::OpenOrderResponse) -> Result<Way, Failure> {
    let bad = |what: &str| Failure::BadReply(what.to_owned());
    if embedded(order).map_err(bad)? != order.profile {
        return Err(bad(
            "its device profile is not the one in its product's definition",
        ));
    }
    if order.profile.is_empty() {
        return Ok(None);
    }
    let profile = Profile::parse(&order.profile);
    let profile = profile.map_err(|error| Failure::NoProfile(error.to_string()))?;
    if profile.sha256.0 != *order.profile_sha256 {
        return Err(bad("its device profile is not the one of its digest"));
    }
    // A native one says only that its units prove themselves what they hold; the server hears of a
    // profile all the same, since the product names it.
    Ok(Some(Arc::new(profile)))
}

/// The log must name the definition that says how the unit is spoken to: one that a server shows later
/// has no say in it.
pub(crate) fn same_definition(made_under: Digest, shown: &[u8]) -> Result<(), Failure> {
    if made_under.0 == *shown {
        return Ok(());
    }
    let what = "it recorded another product definition than its order's";
    Err(Failure::BadReply(what.to_owned()))
}

/// What the product's definition says; empty: its units prove themselves what they hold.
fn embedded(order: &v1::OpenOrderResponse) -> Result<String, &'static str> {
    if order.definition.is_empty() {
        // An older server gives none, and then no profile is believed.
        return Ok(String::new());
    }
    let sha256 = digest(&SHA256, order.definition.as_bytes());
    if sha256.as_ref() != order.product_sha256 {
        return Err("its product's definition is not the one of its digest");
    }
    let definition: Definition =
        toml::from_str(&order.definition).map_err(|_| "its product's definition cannot be read")?;
    let embedded = definition.device_profile;
    Ok(embedded.map_or_else(String::new, |profile| profile.text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sha256(text: &str) -> Vec<u8> {
        digest(&SHA256, text.as_bytes()).as_ref().to_vec()
    }

    fn order(profile: &str, definition: &str) -> v1::OpenOrderResponse {
        v1::OpenOrderResponse {
            profile: profile.to_owned(),
            profile_sha256: match profile {
                "" => Vec::new(),
                text => sha256(text),
            },
            definition: definition.to_owned(),
            product_sha256: sha256(definition),
            ..Default::default()
        }
    }

    fn refused(order: &v1::OpenOrderResponse, expected: &str) {
        let error = way(order).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}\n  not {expected}");
    }

    #[test]
    fn a_profile_is_taken_from_the_definition_that_the_log_names_and_from_nowhere_else() {
        let [modem, shell] =
            ["at-modem", "zephyr-shell"].map(|name| Profile::shipped(name).unwrap());
        let text = toml::Value::String(modem.to_owned());
        let definition =
            format!("sku = \"M\"\nprofile = \"at-modem\"\n[device_profile]\ntext = {text}\n");
        let good = order(modem, &definition);
        assert_eq!(way(&good).unwrap().unwrap().name, "at-modem");
        assert!(way(&order("", "sku = \"M\"\n")).unwrap().is_none());
        assert!(way(&order("", "")).unwrap().is_none(), "an older server");

        let not_the_one = "not the one in its product's definition";
        refused(&order(shell, &definition), not_the_one);
        refused(&order("", &definition), not_the_one);
        refused(&order(modem, "sku = \"M\"\n"), not_the_one);
        refused(&order(modem, ""), not_the_one);
        let altered = v1::OpenOrderResponse {
            product_sha256: vec![1; 32],
            ..good.clone()
        };
        refused(&altered, "definition is not the one of its digest");
        let renamed = v1::OpenOrderResponse {
            profile_sha256: vec![1; 32],
            ..good
        };
        refused(&renamed, "profile is not the one of its digest");
        refused(&order("", "}"), "cannot be read");
    }
}
