//! Labels for units: ZPL II with the serial and the password, and what a scan of one says.
//!
//! The label is the only place outside a unit where its password is written. Text that holds it is
//! wiped when dropped. Deliberately absent: the printer (text is handed to whoever owns the port),
//! and any code that carries the password in a URL, which phones would send away.

mod scan;
mod zpl;

pub use scan::{Scan, ScannedPassword, parse_scan};

use traveler::{Attempt, Serial, Sku, Slot};
use zeroize::Zeroizing;

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
}

impl Label<'_> {
    /// The label as ZPL II, for a printer of 203 dpi and a label of 50 by 30 mm.
    #[must_use]
    pub fn to_zpl(&self) -> Zeroizing<String> {
        zpl::write(self)
    }
}
