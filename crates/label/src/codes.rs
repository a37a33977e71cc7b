//! Codes as squares and bars. The encoders are other people's; they keep copies of what they encode
//! that nobody wipes.

use barcoders::sym::code128::Code128;
use datamatrix::{DataMatrix, SymbolList};
use fast_qr::{ECL, QRBuilder};
use zeroize::Zeroizing;

use crate::DrawError;

/// A code before it has a size: dark and light, row by row.
pub(crate) struct Modules {
    width: usize,
    dark: Zeroizing<Vec<bool>>,
}

impl Modules {
    /// Set B, which holds every serial; a single row.
    pub(crate) fn code128(serial: &str) -> Result<Modules, DrawError> {
        let code = Code128::new(format!("\u{0181}{serial}"));
        let bars = code.map_err(|error| DrawError::Code(format!("Code 128: {error}")))?;
        let dark: Vec<bool> = bars.encode().into_iter().map(|bar| bar == 1).collect();
        Ok(Modules {
            width: dark.len(),
            dark: Zeroizing::new(dark),
        })
    }

    /// Error level M.
    pub(crate) fn qr(text: &[u8]) -> Result<Modules, DrawError> {
        let code = QRBuilder::new(text).ecl(ECL::M).build();
        let code = code.map_err(|error| DrawError::Code(format!("QR: {error}")))?;
        let rows = (0..code.size).flat_map(|row| code[row][..code.size].iter());
        Ok(Modules {
            width: code.size,
            dark: Zeroizing::new(rows.map(|module| module.value()).collect()),
        })
    }

    /// ECC 200; with the mark of GS1 in front when `gs1`.
    pub(crate) fn data_matrix(text: &[u8], gs1: bool) -> Result<Modules, DrawError> {
        let sizes = SymbolList::default().enforce_square();
        let code = match gs1 {
            true => DataMatrix::encode_gs1(text, sizes),
            false => DataMatrix::encode(text, sizes),
        };
        let code = code.map_err(|error| DrawError::Code(format!("DataMatrix: {error:?}")))?;
        let bitmap = code.bitmap();
        Ok(Modules {
            width: bitmap.width(),
            dark: Zeroizing::new(bitmap.bits().to_vec()),
        })
    }

    pub(crate) fn width(&self) -> usize {
        self.width
    }

    pub(crate) fn height(&self) -> usize {
        self.dark.len() / self.width.max(1)
    }

    /// Column and row of each dark square.
    pub(crate) fn dark(&self) -> impl Iterator<Item = (usize, usize)> {
        let dark = self.dark.iter().enumerate().filter(|(_, dark)| **dark);
        dark.map(|(at, _)| (at % self.width, at / self.width))
    }
}
