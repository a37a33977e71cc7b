//! A printer that is a folder: something else prints from it, or a person looks into it.

use std::io;
use std::path::{Path, PathBuf};

use traveler::Serial;
use zeroize::Zeroizing;

use super::{Labels, Printout, Taken};
use crate::durable;

/// A folder that a printer takes labels from: `SERIAL.zpl`, one a unit, the newest attempt's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LabelFolder(pub PathBuf);

impl LabelFolder {
    /// Takes back the label of a withdrawn attempt, when no printer has taken it yet.
    ///
    /// # Errors
    /// When it is there and cannot be removed.
    pub fn take_back(&self, serial: &Serial) -> io::Result<()> {
        durable::remove(&self.path(serial))
    }

    fn path(&self, serial: &Serial) -> PathBuf {
        self.0.join(format!("{serial}.zpl"))
    }
}

impl Labels for LabelFolder {
    async fn print(
        &mut self,
        label: &Printout<'_>,
        begin: &mut (dyn FnMut() -> io::Result<()> + Send),
    ) -> io::Result<Taken> {
        begin()?;
        durable::make_folder(&self.0)?;
        replace_once(&self.path(label.serial), label.zpl)?;
        Ok(Taken::Printed)
    }

    fn once(&self) -> bool {
        true
    }
}

/// A crash between print and journal brings the same label here twice: written once.
fn replace_once(path: &Path, zpl: &str) -> io::Result<()> {
    let there = Zeroizing::new(durable::read(path)?.unwrap_or_default());
    if *there == zpl {
        return Ok(());
    }
    durable::replace(path, zpl.as_bytes(), durable::PRIVATE)
}
