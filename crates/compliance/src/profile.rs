//! The device profile of a product: named in its file, put into its definition when it is applied.
//!
//! So the log keeps, whole and under the product's digest, how the units of every order were spoken
//! to, and a profile that changes is another product definition.

use serde::Deserialize;
use thiserror::Error;
use traveler::Digest;

use crate::sha256_of;

/// What units that speak `wire`'s own protocol need no file for.
const NATIVE: &str = "native";

/// The longest profile, in bytes: product and profile together are one entry of the log.
const PROFILE_MAX: usize = 12_288;

/// The profiles that come with the station (`wire::profile::SHIPPED`).
const SHIPPED: [(&str, &str); 4] = [
    (
        "at-modem",
        include_str!("../../wire/profiles/at-modem.toml"),
    ),
    (
        "linux-login",
        include_str!("../../wire/profiles/linux-login.toml"),
    ),
    ("u-boot", include_str!("../../wire/profiles/u-boot.toml")),
    (
        "zephyr-shell",
        include_str!("../../wire/profiles/zephyr-shell.toml"),
    ),
];

/// A device profile, as the product's definition has it. The station reads what it says.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceProfile {
    /// The name or file it was taken from.
    pub name: String,
    /// SHA-256 of the text.
    pub sha256: Digest,
    /// Its TOML.
    pub text: String,
}

/// Why a profile was not put into its product's definition.
#[derive(Debug, Error)]
pub enum EmbedError {
    /// The product is not TOML.
    #[error("the product is not TOML")]
    Toml(#[from] toml::de::Error),
    /// Nothing has that name.
    #[error("profile `{name}` is not usable: {reason}")]
    Profile {
        /// As the product names it.
        name: String,
        /// What is wrong, and what to do.
        reason: String,
    },
}

/// The table that `embed` appends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    sha256: Digest,
    text: String,
}

/// A profile that comes with this software; `None` when there is none of that name.
#[must_use]
pub fn shipped_profile(name: &str) -> Option<&'static str> {
    let found = SHIPPED.iter().find(|(known, _)| *known == name);
    found.map(|(_, text)| *text)
}

/// Puts the profile that a product names into its definition, behind all that it says itself.
///
/// A product without one, or with one in it already, is given back as it is. `find` gives the text
/// of a profile by the name or path that the product has.
///
/// # Errors
/// Every variant of [`EmbedError`].
pub fn embed(
    product: &str,
    find: impl FnOnce(&str) -> Result<String, String>,
) -> Result<String, EmbedError> {
    let table: toml::Table = toml::from_str(product)?;
    let named = table.get("profile").and_then(toml::Value::as_str);
    let Some(name) = named.filter(|name| *name != NATIVE) else {
        return Ok(product.to_owned());
    };
    if table.contains_key("device_profile") {
        return Ok(product.to_owned());
    }
    let unusable = |reason: String| EmbedError::Profile {
        name: name.to_owned(),
        reason,
    };
    let text = find(name).map_err(unusable)?;
    if text.len() > PROFILE_MAX {
        let reason = format!("it has {} bytes, shorten it to {PROFILE_MAX}", text.len());
        return Err(unusable(reason));
    }
    not_native(&text).map_err(unusable)?;
    let sha256 = sha256_of(text.as_bytes());
    let text = toml::Value::String(text);
    let end = if product.ends_with('\n') { "" } else { "\n" };
    Ok(format!(
        "{product}{end}\n[device_profile]\nsha256 = \"{sha256}\"\ntext = {text}\n"
    ))
}

/// What a definition that is on record says of its device profile: its digest, or none when its units
/// prove themselves what they hold. All else in it is left to the version that wrote it.
///
/// # Errors
/// What is wrong with it.
pub fn profile_sha256(definition: &str) -> Result<Option<Digest>, String> {
    #[derive(Deserialize)]
    struct Named {
        profile: Option<String>,
        device_profile: Option<Table>,
    }
    let named: Named = toml::from_str(definition).map_err(|error| error.message().to_owned())?;
    let profile = of(named.profile, named.device_profile)?;
    Ok(profile.map(|profile| profile.sha256))
}

/// Refuses a profile for units that prove themselves what they hold, and one that does not say for
/// which it is: under the first no station reads back, and no entry may say so.
fn not_native(text: &str) -> Result<(), String> {
    let table: Option<toml::Table> = toml::from_str(text).ok();
    let driver = table.as_ref().and_then(|table| table.get("driver"));
    match driver.and_then(toml::Value::as_str) {
        Some(NATIVE) => Err("native units need no file: write profile = \"native\"".to_owned()),
        Some(_) => Ok(()),
        None => Err("it is no TOML with a `driver`, such as driver = \"console\"".to_owned()),
    }
}

/// What a definition says of its profile, when it says it soundly.
pub(crate) fn of(
    name: Option<String>,
    table: Option<Table>,
) -> Result<Option<DeviceProfile>, String> {
    match (name, table) {
        (None, None) => Ok(None),
        (Some(name), None) if name == NATIVE => Ok(None),
        (Some(name), None) => Err(format!(
            "profile `{name}` is named and not in the definition: `provisioner product apply` puts \
             it there"
        )),
        (Some(name), Some(Table { sha256, text })) if name != NATIVE => {
            not_native(&text)?;
            if sha256_of(text.as_bytes()) != sha256 {
                return Err("the device profile is not the one of its digest".to_owned());
            }
            Ok(Some(DeviceProfile { name, sha256, text }))
        }
        (_, Some(_)) => Err("a [device_profile] needs the name of its `profile`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Product;

    const PRODUCT: &str = "sku = \"K\"\nname = \"Kettle\"\nmodel = \"KT\"\nprofile = \"NAME\"\n";

    fn shipped(name: &str) -> Result<String, String> {
        let text = shipped_profile(name).map(str::to_owned);
        text.ok_or_else(|| "there is none".to_owned())
    }

    #[test]
    fn a_named_profile_is_part_of_the_definition() {
        for (name, text) in SHIPPED {
            let named = PRODUCT.replace("NAME", name);
            let whole = embed(&named, shipped).unwrap();
            assert!(
                whole.starts_with(&named) && whole.len() <= crate::MAX_BYTES,
                "{name}"
            );
            assert_eq!(
                embed(&whole, |_| panic!()).unwrap(),
                whole,
                "once is enough"
            );
            let product = Product::parse(&whole).unwrap();
            let profile = product.profile.unwrap();
            assert_eq!((profile.name.as_str(), profile.text.as_str()), (name, text));
            assert_eq!(profile.sha256, sha256_of(text.as_bytes()));
            assert_eq!(profile_sha256(&whole), Ok(Some(profile.sha256)));
            let altered = whole.replacen("console", "konsole", 1);
            let error = Product::parse(&altered).unwrap_err().to_string();
            assert!(error.contains("not the one of its digest"), "{error}");
        }
    }

    #[test]
    fn a_profile_is_never_only_named() {
        let error = Product::parse(PRODUCT).unwrap_err().to_string();
        assert!(
            error.starts_with("line 4, column 1: profile `NAME` is named"),
            "{error}"
        );
        assert!(embed(PRODUCT, shipped).is_err());
        let native = PRODUCT.replace("NAME", "native");
        assert_eq!(embed(&native, |_| panic!()).unwrap(), native);
        assert_eq!(Product::parse(&native).unwrap().profile, None);
        assert_eq!(profile_sha256(&native), Ok(None));
        assert_eq!(profile_sha256("sku = \"K\"\nlater_field = 1\n"), Ok(None));
        assert!(profile_sha256(PRODUCT).is_err() && profile_sha256("}").is_err());
        for text in ["driver = 1", "driver = [\"native\"]", "name = \"x\"", "}"] {
            let refused = embed(PRODUCT, |_| Ok(text.to_owned())).unwrap_err();
            assert!(
                refused.to_string().contains("no TOML with a `driver`"),
                "{refused}"
            );
        }
        let long = embed(PRODUCT, |_| Ok("#".repeat(PROFILE_MAX + 1)));
        assert!(long.unwrap_err().to_string().contains("shorten it"));
    }
}
