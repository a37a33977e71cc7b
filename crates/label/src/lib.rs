//! Labels for units, from templates: ZPL II, PNG and PDF with the serial, the password and their
//! codes, and what a scan of one says.
//!
//! The label is the only place outside a unit where its password is written. Text that holds it is
//! wiped when dropped. Deliberately absent: the printer (text is handed to whoever owns the port),
//! and any code that carries the password in a URL, which phones would send away.

mod codes;
mod content;
mod gtin;
mod layout;
mod paper;
mod raster;
mod scan;
mod ssid;
mod template;
mod zpl;

pub use gtin::{Gtin, GtinError};
pub use raster::Raster;
pub use scan::{REPRINT_MAX, Scan, ScannedPassword, parse_scan};
pub use ssid::{SsidError, SsidPattern};
pub use template::{Template, TemplateError, built_in};

use traveler::{Attempt, Serial, Sku, Slot};

/// What one label says. Borrows the password, so it cannot outlive the lending.
///
/// No `Debug` or `Clone`:
///
/// ```compile_fail
/// fn wants<T: std::fmt::Debug>() {}
/// wants::<label::Label<'static>>();
/// ```
/// ```compile_fail
/// fn wants<T: Clone>() {}
/// wants::<label::Label<'static>>();
/// ```
pub struct Label<'a> {
    /// The unit.
    pub serial: &'a Serial,
    /// What it is, as the order names it.
    pub product: &'a Sku,
    /// What it is, as people call it.
    pub name: &'a str,
    /// The try the password belongs to.
    pub attempt: Attempt,
    /// The password, ASCII. Secret.
    pub password: &'a [u8],
    /// Where the unit stands, so that a label finds it again.
    pub slot: Option<&'a Slot>,
    /// Which reprint this is: 0 is the first print, which carries no mark.
    pub reprint: u32,
    /// The name of the unit's own network.
    pub ssid: Option<&'a str>,
    /// The trade item number of the product.
    pub gtin: Option<&'a Gtin>,
}

/// A label that this unit cannot have; says what to do, and nothing of the password.
#[derive(Debug, thiserror::Error)]
pub enum DrawError {
    /// Something that must be whole would leave the label or stand over something else.
    #[error("the {0} of this unit does not fit its label: take a larger label or a smaller item")]
    NoRoom(&'static str),
    /// A letter that the label's font does not have.
    #[error(
        "`{0}` is not in the font of labels, which has those of Latin-1: write the text without it"
    )]
    Letter(char),
    /// A network code for a product without a network.
    #[error(
        "the label wants a Wi-Fi code, and the product has no network name: add \
         ssid = \"NAME-{{serial_4}}\" to [label]"
    )]
    NoSsid,
    /// A GS1 code for a product without a trade item number.
    #[error(
        "the label wants a GS1 DataMatrix, and the product has no GTIN: add gtin = \"...\" to [label], or \
         take content = \"serial\" in a template of your own"
    )]
    NoGtin,
    /// GS1 allows 20 characters.
    #[error(
        "the serial has {0} characters, and GS1 allows 20: take content = \"serial\" in the template"
    )]
    LongSerial(usize),
    /// An encoder refused.
    #[error("a code of the label cannot be made: {0}")]
    Code(String),
}
