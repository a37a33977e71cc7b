//! Products: what the owner declares once and every order is built under.
//!
//! A product is a TOML text. Its SHA-256 is what orders and entries name, so a product is never
//! changed under an open order: another text is another digest. Deliberately absent: password
//! policies (`credential` knows what a policy's name means), what a device profile says (`wire` and
//! the station read it; here it is a text with a digest) and files (text comes as an argument).

mod profile;

use ring::digest::{SHA256, digest};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use thiserror::Error;
use traveler::{Digest, Sku};

pub use profile::{DeviceProfile, EmbedError, embed, profile_sha256, shipped_profile};

/// The longest definition, in bytes: it is kept in the log's entry, whole.
pub const MAX_BYTES: usize = 16_384;

/// The longest name, model, revision or prefix, in bytes.
const MAX_TEXT: usize = 64;

/// An SSID has at most 32 bytes (IEEE 802.11); six are left for what tells units apart.
const MAX_SSID_PREFIX: usize = 26;

/// Most wrong tries that a lockout may allow.
const LOCKOUT_MAX: u8 = 100;

/// How many revisions one definition may list.
const MAX_REVISIONS: usize = 64;

/// One product, as its owner declared it.
#[derive(Clone, Debug, PartialEq)]
pub struct Product {
    /// Its stock number; the name in orders, entries and certificates.
    pub sku: Sku,
    /// What people call it; printed on the label.
    pub name: String,
    /// What a unit must say it is when it is greeted.
    pub model: String,
    /// Revisions that may be built; empty: any.
    pub revisions: Vec<String>,
    /// Whether a label with the password is printed and must be scanned before the seal.
    pub label: bool,
    /// How that label looks; `None`: the standard one, as `label = true` has it.
    pub label_rule: Option<LabelRule>,
    /// How the unit's own network name begins, when it opens one.
    pub ssid_prefix: Option<String>,
    /// How its passwords are minted.
    pub password: PasswordRule,
    /// How its units are spoken to, when not by the native protocol.
    pub profile: Option<DeviceProfile>,
    text: String,
}

/// Which policy mints a product's passwords.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct PasswordRule {
    /// The policy's name.
    #[serde(deserialize_with = "text::<MAX_TEXT, _>")]
    pub policy: String,
    /// Another length than the policy's own, in symbols; never under the policy's floor.
    pub length: Option<u8>,
    /// Wrong tries after which the unit locks, 1 to 100, when it does: some policies need it.
    #[serde(deserialize_with = "lockout")]
    pub lockout: Option<u8>,
}

impl Default for PasswordRule {
    fn default() -> PasswordRule {
        PasswordRule {
            policy: "uk-psti".to_owned(),
            length: None,
            lockout: None,
        }
    }
}

/// How a product's label looks. What is in it is judged by whoever draws labels.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct LabelRule {
    /// One of our own templates by its name, or a whole template as TOML.
    #[serde(default = "standard")]
    pub template: String,
    /// Trade item number, as under a bar code.
    #[serde(default)]
    pub gtin: Option<String>,
    /// The name of a unit's own network, as `Kettle-{serial_4}`.
    #[serde(default)]
    pub ssid: Option<String>,
    /// Characters of its longest serial, 3 to 32: a longer one is not issued to.
    #[serde(default = "usual_serial", deserialize_with = "serial_max")]
    pub serial_max: u8,
    /// Whether the printer gets a picture in place of text and codes.
    #[serde(default)]
    pub raster: bool,
}

/// The longest serial of GS1 application identifier 21.
const USUAL_SERIAL: u8 = 20;

fn standard() -> String {
    "standard".to_owned()
}

fn usual_serial() -> u8 {
    USUAL_SERIAL
}

/// `label = true`, or a table.
#[derive(Default)]
struct LabelField {
    label: bool,
    rule: Option<LabelRule>,
}

impl<'de> Deserialize<'de> for LabelField {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<LabelField, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = LabelField;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("true, false or a table of the label")
            }

            fn visit_bool<E>(self, label: bool) -> Result<LabelField, E> {
                Ok(LabelField { label, rule: None })
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<LabelField, M::Error> {
                let rule = LabelRule::deserialize(MapAccessDeserializer::new(map))?;
                Ok(LabelField {
                    label: true,
                    rule: Some(rule),
                })
            }
        }

        from.deserialize_any(Either)
    }
}

/// Why a text is not a product.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum ProductError {
    /// Longer than an entry should be.
    #[error("the product has {0} bytes, more than {MAX_BYTES}")]
    TooLong(usize),
    /// Not TOML, a field too many or too few, or a value that does not fit.
    #[error("line {line}, column {column}: {message}")]
    At {
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What is wrong there.
        message: String,
    },
}

/// The file as TOML gives it. A unit's model and revision are compared as they are written, so
/// nothing is trimmed or folded.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    sku: Sku,
    #[serde(deserialize_with = "text::<MAX_TEXT, _>")]
    name: String,
    #[serde(deserialize_with = "text::<MAX_TEXT, _>")]
    model: String,
    #[serde(default, deserialize_with = "revisions")]
    revisions: Vec<String>,
    #[serde(default)]
    label: LabelField,
    #[serde(default, deserialize_with = "ssid_prefix")]
    ssid_prefix: Option<String>,
    #[serde(default)]
    password: PasswordRule,
    #[serde(default)]
    profile: Option<String>,
    #[serde(default)]
    device_profile: Option<profile::Table>,
}

impl Product {
    /// Reads a product from TOML.
    ///
    /// # Errors
    /// Every variant of [`ProductError`].
    pub fn parse(toml: &str) -> Result<Product, ProductError> {
        if toml.len() > MAX_BYTES {
            return Err(ProductError::TooLong(toml.len()));
        }
        let file: File = toml::from_str(toml).map_err(|error| {
            // Without a span the text as a whole is at fault, such as by a missing field.
            let (line, column) = position(toml, error.span().map_or(0, |span| span.start));
            ProductError::At {
                line,
                column,
                message: error.message().to_owned(),
            }
        })?;
        Ok(Product {
            sku: file.sku,
            name: file.name,
            model: file.model,
            revisions: file.revisions,
            label: file.label.label,
            label_rule: file.label.rule,
            ssid_prefix: file.ssid_prefix,
            password: file.password,
            profile: profile::of(file.profile, file.device_profile).map_err(|message| {
                let (line, column) = position(toml, toml.find("profile").unwrap_or(0));
                ProductError::At {
                    line,
                    column,
                    message,
                }
            })?,
            text: toml.to_owned(),
        })
    }

    /// The text as it was parsed, byte for byte.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// SHA-256 of the text: what orders and entries name.
    #[must_use]
    pub fn sha256(&self) -> Digest {
        sha256_of(self.text.as_bytes())
    }

    /// Whether a unit that says this of itself may be built as this product.
    #[must_use]
    pub fn builds(&self, model: &str, revision: &str) -> bool {
        let listed = || self.revisions.iter().any(|known| known == revision);
        self.model == model && (self.revisions.is_empty() || listed())
    }
}

fn sha256_of(bytes: &[u8]) -> Digest {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    Digest(out)
}

/// Line and column of a byte, both from 1.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (
        before.matches('\n').count() + 1,
        before[line_start..].chars().count() + 1,
    )
}

/// Text that can stand on a label and on a screen.
fn printable(text: &str, longest: usize) -> Result<(), String> {
    if (1..=longest).contains(&text.len()) && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(format!(
        "expected 1 to {longest} bytes of text without control characters"
    ))
}

fn text<'de, const LONGEST: usize, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    printable(&text, LONGEST).map_err(D::Error::custom)?;
    Ok(text)
}

fn ssid_prefix<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    text::<MAX_SSID_PREFIX, D>(from).map(Some)
}

fn serial_max<'de, D: Deserializer<'de>>(from: D) -> Result<u8, D::Error> {
    match u8::deserialize(from)? {
        longest @ 3..=32 => Ok(longest),
        _ => Err(D::Error::custom("expected 3 to 32 characters")),
    }
}

fn lockout<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u8>, D::Error> {
    match u8::deserialize(from)? {
        tries @ 1..=LOCKOUT_MAX => Ok(Some(tries)),
        _ => Err(D::Error::custom(format!(
            "expected 1 to {LOCKOUT_MAX} wrong tries"
        ))),
    }
}

fn revisions<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let revisions = Vec::<String>::deserialize(from)?;
    if revisions.len() > MAX_REVISIONS {
        let message = format!("expected at most {MAX_REVISIONS} revisions");
        return Err(D::Error::custom(message));
    }
    for revision in &revisions {
        printable(revision, MAX_TEXT).map_err(D::Error::custom)?;
    }
    Ok(revisions)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = r#"sku = "KETTLE-1"
name = "Kettle, größer"
model = "KT-9000"
revisions = ["B", "C1"]
label = true
ssid_prefix = "Kettle-"

[password]
policy = "uk-psti"
length = 16
"#;

    fn check(toml: &str, expected: &str) {
        let got = match Product::parse(toml) {
            Ok(product) => format!("{} {}", product.sku, product.name),
            Err(error) => error.to_string(),
        };
        assert!(
            got.starts_with(expected),
            "{got}\n  not {expected}\n  of {toml}"
        );
    }

    #[test]
    fn a_full_definition_is_read_whole() {
        let product = Product::parse(FULL).unwrap();
        assert_eq!(product.model, "KT-9000");
        assert_eq!(product.revisions, ["B", "C1"]);
        assert!(product.label);
        assert_eq!(product.ssid_prefix.as_deref(), Some("Kettle-"));
        let rule = PasswordRule {
            policy: "uk-psti".to_owned(),
            length: Some(16),
            lockout: None,
        };
        assert_eq!(product.password, rule);
        assert_eq!(product.text(), FULL);
    }

    #[test]
    fn what_is_left_out_has_the_cautious_value() {
        let product = Product::parse("sku = \"K\"\nname = \"Kettle\"\nmodel = \"KT\"\n").unwrap();
        assert_eq!(product.password, PasswordRule::default());
        assert!(!product.label && product.ssid_prefix.is_none() && product.revisions.is_empty());
    }

    #[test]
    fn a_mistake_is_shown_where_it_stands() {
        check(FULL, "KETTLE-1 Kettle, größer");
        check(
            &FULL.replace("KETTLE-1", "kettle"),
            "line 1, column 7: product `kettle` is not",
        );
        check(
            &FULL.replace("label = true", "label = \"yes\""),
            "line 5, column 9: invalid type",
        );
        check(
            &FULL.replace("label", "lable"),
            "line 5, column 1: unknown field `lable`",
        );
        check(
            &FULL.replace("length = 16", "length = 1600"),
            "line 10, column 10: invalid value",
        );
        check(
            &FULL.replace("length", "lenght"),
            "line 10, column 1: unknown field `lenght`",
        );
        check(
            &FULL.replace("length = 16", "lockout = 0"),
            "line 10, column 11: expected 1 to 100 wrong tries",
        );
        check(
            &FULL.replace("\"KT-9000\"", "\"\""),
            "line 3, column 9: expected 1 to 64 bytes",
        );
        check(
            &FULL.replace("\"C1\"", "\"\\n\""),
            "line 4, column 13: expected 1 to 64 bytes",
        );
        check(
            &FULL.replace("Kettle-", &"K".repeat(27)),
            "line 6, column 15: expected 1 to 26",
        );
        check(&FULL.replace("größer\"", "größer"), "line 2, column 23: ");
        check(
            &FULL.replace("model = \"KT-9000\"\n", ""),
            "line 1, column 1: missing field `model`",
        );
        check("", "line 1, column 1: missing field `sku`");
        check(
            &"#".repeat(MAX_BYTES + 1),
            "the product has 16385 bytes, more than 16384",
        );
    }

    #[test]
    fn a_label_is_a_word_or_a_table() {
        let with = |label: &str| {
            let text = format!("sku = \"K\"\nname = \"Kettle\"\nmodel = \"KT\"\n{label}");
            Product::parse(&text)
        };
        let plain = with("label = true\n").unwrap();
        assert!(plain.label && plain.label_rule.is_none());
        let product = with("[label]\n").unwrap();
        let rule = product.label_rule.unwrap();
        assert!(product.label);
        assert_eq!((rule.template.as_str(), rule.serial_max), ("standard", 20));
        let table = "[label]\ntemplate = \"wifi\"\ngtin = \"6291041500213\"\n\
            ssid = \"Kettle-{serial_4}\"\nserial_max = 9\nraster = true\n";
        let rule = with(table).unwrap().label_rule.unwrap();
        assert_eq!(rule.template, "wifi");
        assert_eq!(rule.gtin.as_deref(), Some("6291041500213"));
        assert_eq!(rule.ssid.as_deref(), Some("Kettle-{serial_4}"));
        assert!(rule.raster && rule.serial_max == 9);
        for (bad, expected) in [
            ("label = 1\n", "expected true, false or a table"),
            ("[label]\ntemplte = \"x\"\n", "unknown field `templte`"),
            ("[label]\nserial_max = 33\n", "expected 3 to 32 characters"),
        ] {
            let error = with(bad).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn the_digest_is_of_the_text_as_it_is() {
        let product = Product::parse(FULL).unwrap();
        let spaced = Product::parse(&FULL.replace("label = true", "label  = true")).unwrap();
        assert_eq!(
            product.sha256().to_string(),
            "6525809eed639f54483442cea8186d4937ecc1bff4ce09dee14dcdc44677a2be"
        );
        assert_ne!(product.sha256(), spaced.sha256());
    }

    #[test]
    fn a_wrong_model_or_revision_is_not_built() {
        let product = Product::parse(FULL).unwrap();
        assert!(product.builds("KT-9000", "B") && product.builds("KT-9000", "C1"));
        assert!(!product.builds("KT-9000", "C") && !product.builds("KT-9000", ""));
        assert!(!product.builds("kt-9000", "B"));
        let any = Product::parse(&FULL.replace("revisions = [\"B\", \"C1\"]\n", "")).unwrap();
        assert!(any.builds("KT-9000", "") && any.builds("KT-9000", "Z"));
    }
}
