//! The label of a product: judged whole when the product is applied, so that no unit meets a template
//! that does not hold it, and handed out with its orders.

use api::v1;
use compliance::{LabelRule, Product};
use credential::{Password, Policy};
use label::{
    DrawError, Gtin, GtinError, Label, REPRINT_MAX, SsidError, SsidPattern, Template,
    TemplateError, built_in,
};
use thiserror::Error;
use traveler::{Attempt, ParseIdError, Serial};

/// The longest serial there is, for products that name no longest one.
const SERIAL_MAX: usize = 32;

/// Attempts of three digits: no allowance is that large.
pub(crate) const ATTEMPT_MAX: u32 = 999;

/// The shortest passphrase of WPA2 and WPA3 (IEEE 802.11, J.4.1), in characters.
const PASSPHRASE_MIN: usize = 8;

/// Why a product cannot have the label it asks for.
#[derive(Debug, Error)]
pub(crate) enum LabelError {
    /// It names none of ours.
    #[error(
        "the label template `{0}` is none of ours (standard, wifi): name one of these, or a file that \
         ends in .toml"
    )]
    Unknown(String),
    /// The template.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The trade item number.
    #[error(transparent)]
    Gtin(#[from] GtinError),
    /// The network name.
    #[error(transparent)]
    Ssid(#[from] SsidError),
    /// No network takes the password.
    #[error("a Wi-Fi password has 8 characters at least, this product's has {0}: set a longer one")]
    Short(usize),
    /// The template wants what the product does not say.
    #[error(transparent)]
    Lacks(DrawError),
    /// The template does not hold the longest serial and password.
    #[error("with a serial of {serial} and a password of {password} characters: {source}")]
    Draw {
        /// Characters of the longest serial.
        serial: usize,
        /// Of the longest password.
        password: usize,
        /// What does not fit.
        source: DrawError,
    },
    /// A serial of that length is none.
    #[error(transparent)]
    Serial(#[from] ParseIdError),
}

/// Characters of the longest serial that a product is issued for.
pub(crate) fn serial_max(product: &Product) -> usize {
    let rule = product.label_rule.as_ref();
    rule.map_or(SERIAL_MAX, |rule| rule.serial_max.into())
}

/// The name of a unit's own network, where the product says what it is.
pub(crate) fn ssid(product: &Product, serial: &Serial) -> Option<String> {
    let pattern = product.label_rule.as_ref()?.ssid.as_deref()?;
    let pattern = SsidPattern::parse(pattern, serial.as_str().len()).ok()?;
    Some(pattern.of(serial))
}

/// What a station is told of the label; `None` for a product without one.
pub(crate) fn spec(product: &Product) -> Option<v1::LabelSpec> {
    if !product.label {
        return None;
    }
    let rule = product.label_rule.as_ref();
    let template = template_text(rule).unwrap_or_default();
    let gtin = rule.and_then(|rule| Gtin::parse(rule.gtin.as_deref()?).ok());
    Some(v1::LabelSpec {
        template: template.to_owned(),
        name: product.name.clone(),
        gtin: gtin
            .map(|gtin| gtin.as_str().to_owned())
            .unwrap_or_default(),
        ssid: rule.and_then(|rule| rule.ssid.clone()).unwrap_or_default(),
        raster: rule.is_some_and(|rule| rule.raster),
    })
}

/// The text of the template; an error is the name that is none of ours.
fn template_text(rule: Option<&LabelRule>) -> Result<&str, &str> {
    let template = rule.map_or("standard", |rule| rule.template.as_str());
    match built_in(template) {
        Some(text) => Ok(text),
        None if template.contains('\n') => Ok(template),
        None => Err(template),
    }
}

/// Refuses a label that some unit of the product could not have.
///
/// # Errors
/// Every variant of [`LabelError`]. No secret is in them: the password is none of a unit's.
pub(crate) fn judge(product: &Product, policy: &Policy) -> Result<(), LabelError> {
    if !product.label {
        return Ok(());
    }
    let rule = product.label_rule.as_ref();
    let text = template_text(rule).map_err(|name| {
        let name = name.chars().take(40).flat_map(char::escape_debug);
        LabelError::Unknown(name.collect())
    })?;
    let template = Template::parse(text)?;
    let gtin = rule.and_then(|rule| rule.gtin.as_deref());
    let gtin = gtin.map(Gtin::parse).transpose()?;
    let length = serial_max(product);
    let serial = Serial::parse(&"W".repeat(length))?;
    let pattern = rule.and_then(|rule| rule.ssid.as_deref());
    let pattern = pattern.map(|text| SsidPattern::parse(text, length));
    let ssid = pattern.transpose()?.map(|pattern| pattern.of(&serial));
    let password = longest_password(policy);
    if ssid.is_some() && password.len() < PASSPHRASE_MIN {
        return Err(LabelError::Short(password.len()));
    }
    let label = Label {
        serial: &serial,
        product: &product.sku,
        name: &product.name,
        attempt: Attempt(ATTEMPT_MAX),
        password: &password,
        slot: None,
        reprint: REPRINT_MAX,
        ssid: ssid.as_deref(),
        gtin: gtin.as_ref(),
    };
    label.fits(&template).map_err(|source| match source {
        DrawError::NoSsid | DrawError::NoGtin => LabelError::Lacks(source),
        source => LabelError::Draw {
            serial: length,
            password: password.len(),
            source,
        },
    })
}

/// A password as long as the policy's get, of the symbol that takes the most room in a code: one that
/// a Wi-Fi code escapes, else one that a QR code does not pack (ISO/IEC 18004, 7.3.4). Nobody's.
fn longest_password(policy: &Policy) -> Vec<u8> {
    let longest = policy.words().iter().max_by_key(|word| word.len());
    if let Some(word) = longest {
        let words = vec![word.as_str(); policy.length()];
        return words.join("-").into_bytes();
    }
    let packed = |symbol: &u8| {
        symbol.is_ascii_digit() || symbol.is_ascii_uppercase() || b" $%*+-./:".contains(symbol)
    };
    let alphabet = policy.alphabet();
    let escaped = alphabet.iter().find(|symbol| b"\\;,\":".contains(symbol));
    let wide = alphabet.iter().find(|symbol| !packed(symbol));
    let symbol = escaped.or(wide).or(alphabet.first()).copied();
    let symbol = symbol.unwrap_or(b'0');
    let mut password = match policy.format() {
        Some(format) => format
            .replace('#', &char::from(symbol).to_string())
            .into_bytes(),
        None => vec![symbol; policy.length()],
    };
    password.truncate(Password::MAX);
    password
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::policy_of;

    fn judged(label: &str) -> Result<(), LabelError> {
        let text = format!("sku = \"KETTLE-1\"\nname = \"Kettle\"\nmodel = \"KT\"\n{label}");
        let product = Product::parse(&text).unwrap();
        judge(&product, &policy_of(&product).unwrap())
    }

    const WIFI: &str = "[label]\ntemplate = \"wifi\"\ngtin = \"6291041500213\"\n\
        ssid = \"Kettle-{serial_4}\"\nserial_max = 12\n";

    #[test]
    fn every_policy_fits_the_labels_we_bring() {
        judged(WIFI).unwrap();
        judged("label = true\n").unwrap();
        judged("label = false\n").unwrap();
        for name in Policy::names() {
            let lockout = if Policy::named(name, None).unwrap().needs_lockout() {
                "lockout = 10\n"
            } else {
                ""
            };
            let policy = format!("[password]\npolicy = \"{name}\"\n{lockout}");
            judged(&format!("label = true\n{policy}")).unwrap_or_else(|e| panic!("{name}: {e}"));
        }
    }

    #[test]
    fn a_label_that_some_unit_could_not_have_is_refused_with_what_to_do() {
        let check = |from: &str, to: &str, expected: &str| {
            assert!(WIFI.contains(from), "{from}");
            let error = judged(&WIFI.replacen(from, to, 1)).unwrap_err();
            let mut text = error.to_string();
            if let Some(source) = std::error::Error::source(&error) {
                text += &format!(": {source}");
            }
            assert!(text.contains(expected), "{text}");
        };
        check("\"wifi\"", "\"wfi\"", "none of ours");
        check("gtin = \"6291041500213\"\n", "", "no GTIN: add gtin");
        check("6291041500213", "6291041500214", "is no GTIN");
        check(
            "ssid = \"Kettle-{serial_4}\"\n",
            "",
            "no network name: add ssid = \"NAME-{serial_4}\"",
        );
        check(
            "Kettle-{serial_4}",
            "Kettle-{serial}-XXXXXXXXXXXXXXXX",
            "bytes",
        );
        check("Kettle-{serial_4}", "CAFE{serial_4}", "hexadecimal digits");
        check(
            "Kettle-{serial_4}",
            "\u{58f6}-{serial_4}",
            "not in the font",
        );
        check("serial_max = 12", "serial_max = 21", "GS1 allows 20");
        check(
            "serial_max = 12\n",
            "serial_max = 12\n[password]\npolicy = \"pin-lockout\"\nlockout = 10\n",
            "8 characters at least, this product's has 6",
        );
    }

    #[test]
    fn a_template_of_one_s_own_must_hold_the_longest() {
        let template = built_in("standard").unwrap();
        let own = |template: &str| judged(&format!("[label]\ntemplate = '''\n{template}'''\n"));
        own(template).unwrap();
        let narrow = template.replace("width = 50.0", "width = 42.0");
        let error = own(&narrow).unwrap_err().to_string();
        assert!(error.contains("with a serial of 20"), "{error}");
        let cut = template.replace(
            "value = \"SN {serial}\"",
            "value = \"serial number of this unit: {serial}\"",
        );
        let error = own(&cut).unwrap_err().to_string();
        assert!(error.contains("in a text"), "{error}");
        let error = own("name = 1\n").unwrap_err().to_string();
        assert!(error.contains("cannot be read"), "{error}");
    }
}
