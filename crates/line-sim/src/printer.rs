//! Printers: one that is a folder, one that is a network printer with everything that goes wrong with
//! those, and scanners that see what was printed.

mod paper;
mod sim;
pub(crate) mod verb;

pub use paper::picture;
pub use sim::{Paper, PrinterFault, SimPrinter};

use std::io;
use std::path::PathBuf;

use station_cli::Scanner;
use traveler::Serial;
use zeroize::Zeroizing;

/// Reads the code on the label that lies in a folder as `SERIAL.zpl`.
#[derive(Clone, Debug)]
pub struct LabelReader(pub PathBuf);

impl Scanner for LabelReader {
    async fn scan(&mut self, serial: &Serial) -> io::Result<Option<Zeroizing<String>>> {
        let label = std::fs::read_to_string(self.0.join(format!("{serial}.zpl")))?;
        Ok(code(&Zeroizing::new(label)))
    }
}

/// The data of a label's QR code: the field after `^BQ`, without its mode, escapes undone
/// (ZPL II, `^FH_`: `_5E` is one byte).
pub(crate) fn code(zpl: &str) -> Option<Zeroizing<String>> {
    let (_, field) = zpl.split_once("^BQ")?;
    let (_, data) = field.split_once("^FD")?;
    let (data, _) = data.split_once("^FS")?;
    let (_mode, data) = data.split_once(',')?;
    let mut text = Zeroizing::new(String::with_capacity(data.len()));
    let mut parts = data.split('_');
    text.push_str(parts.next()?);
    for part in parts {
        let (hex, rest) = part.split_at_checked(2)?;
        text.push(char::from(u8::from_str_radix(hex, 16).ok()?));
        text.push_str(rest);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_read_as_a_scanner_would() {
        let zpl = "^XA^FO1,1^FDx^FS\n^FO290,128^BQN,2,3^FH_^FDMA,BM1:A-1:AB_5FCD_5E^FS\n^XZ";
        assert_eq!(code(zpl).unwrap().as_str(), "BM1:A-1:AB_CD^");
        assert!(code("^XA^XZ").is_none());
    }
}
