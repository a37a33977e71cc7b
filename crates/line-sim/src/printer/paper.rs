//! A label as paper: what a printer draws of the ZPL it got, for other people's decoders.
//!
//! Only codes and pictures are drawn, as the firmware draws them and by encoders of its own; letters
//! are left out. What this does not know it leaves out as well: a code that is missing is not decoded.

use barcoders::sym::code128::Code128;
use datamatrix::{DataMatrix, SymbolList};
use fast_qr::{ECL, QRBuilder};
use zeroize::Zeroizing;

/// Widest and highest label, in dots.
const SIDE_MAX: usize = 8_192;

/// The label as a portable bitmap (PBM, P4). `None` when its size is not said.
#[must_use]
pub fn picture(zpl: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut sheet = Sheet::default();
    for command in zpl.split('^').skip(1) {
        let (name, rest) = command.split_at_checked(2)?;
        sheet.obey(name, rest);
    }
    sheet.portable()
}

#[derive(Default)]
struct Sheet {
    width: usize,
    height: usize,
    dark: Zeroizing<Vec<bool>>,
    at: [usize; 2],
    /// Width of the narrowest bar, and height of bars, as `^BY` left them.
    bar: [usize; 2],
    code: Option<Code>,
    /// The character that begins an escape in the field's data.
    escape: Option<char>,
}

#[derive(Clone, Copy)]
enum Code {
    Bars { height: usize },
    Qr { module: usize },
    Matrix { module: usize },
}

impl Sheet {
    fn obey(&mut self, name: &str, rest: &str) {
        let text = rest.trim_end_matches('\n');
        let number = |nth: usize| numbers(text).nth(nth).flatten().unwrap_or(0);
        match name {
            "PW" => self.width = number(0).min(SIDE_MAX),
            "LL" => self.height = number(0).min(SIDE_MAX),
            "FO" => self.at = [number(0), number(1)],
            "BY" => self.bar = [number(0).max(1), number(2)],
            "BC" => self.code = Some(Code::Bars { height: number(1) }),
            "BQ" => {
                self.code = Some(Code::Qr {
                    module: number(2).max(1),
                })
            }
            "BX" => {
                self.code = Some(Code::Matrix {
                    module: number(1).max(1),
                })
            }
            "FH" => self.escape = text.chars().next(),
            "FD" => self.field(&data(text, self.escape)),
            "GF" => self.graphic(text),
            "FS" => (self.code, self.escape) = (None, None),
            _ => {}
        }
    }

    fn field(&mut self, data: &[u8]) {
        let [x, y] = self.at;
        match self.code {
            None => {}
            Some(Code::Bars { height }) => {
                let text = format!("\u{0181}{}", String::from_utf8_lossy(data));
                let Ok(code) = Code128::new(text) else { return };
                for (nth, _) in code
                    .encode()
                    .iter()
                    .enumerate()
                    .filter(|(_, bar)| **bar == 1)
                {
                    self.block([x + nth * self.bar[0], y], [self.bar[0], height]);
                }
            }
            Some(Code::Qr { module }) => {
                // `MA,`: error level M, automatic. The code hangs below by the height of `^BY`.
                let Some(text) = data.strip_prefix(b"MA,") else {
                    return;
                };
                let Ok(code) = QRBuilder::new(text).ecl(ECL::M).build() else {
                    return;
                };
                let y = y + self.bar[1];
                for (row, column) in pairs(code.size) {
                    if code[row][column].value() {
                        self.block([x + column * module, y + row * module], [module, module]);
                    }
                }
            }
            Some(Code::Matrix { module }) => {
                let sizes = SymbolList::default().enforce_square();
                let code = match data.strip_prefix(b"_1") {
                    Some(text) => DataMatrix::encode_gs1(text, sizes),
                    None => DataMatrix::encode(data, sizes),
                };
                let Ok(code) = code else { return };
                for (column, row) in code.bitmap().pixels() {
                    self.block([x + column * module, y + row * module], [module, module]);
                }
            }
        }
    }

    /// `^GFA,bytes,bytes,bytes a row,HEX`.
    fn graphic(&mut self, text: &str) {
        let mut parts = text.splitn(5, ',').skip(3);
        let (Some(stride), Some(hex)) = (parts.next().and_then(|n| n.parse().ok()), parts.next())
        else {
            return;
        };
        let stride: usize = stride;
        for (nth, digit) in hex.chars().filter_map(|c| c.to_digit(16)).enumerate() {
            for bit in 0..4 {
                if digit & (8 >> bit) != 0 {
                    let dot = nth * 4 + bit;
                    let (row, column) = (dot / (stride.max(1) * 8), dot % (stride.max(1) * 8));
                    self.block([self.at[0] + column, self.at[1] + row], [1, 1]);
                }
            }
        }
    }

    fn block(&mut self, at: [usize; 2], size: [usize; 2]) {
        self.dark.resize(self.width * self.height, false);
        for y in at[1]..(at[1] + size[1]).min(self.height) {
            for x in at[0]..(at[0] + size[0]).min(self.width) {
                self.dark[y * self.width + x] = true;
            }
        }
    }

    fn portable(&self) -> Option<Zeroizing<Vec<u8>>> {
        if self.width == 0 || self.height == 0 {
            return None;
        }
        let mut file = Zeroizing::new(format!("P4 {} {}\n", self.width, self.height).into_bytes());
        let mut dark = self.dark.clone();
        dark.resize(self.width * self.height, false);
        for row in dark.chunks(self.width) {
            for eight in row.chunks(8) {
                let bits = eight.iter().enumerate();
                file.push(bits.fold(0, |byte, (nth, dark)| byte | u8::from(*dark) << (7 - nth)));
            }
        }
        Some(file)
    }
}

fn pairs(side: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..side).flat_map(move |row| (0..side).map(move |column| (row, column)))
}

/// The parameters of a command; what is no number has none.
fn numbers(text: &str) -> impl Iterator<Item = Option<usize>> + '_ {
    text.split(',').map(|part| part.trim().parse().ok())
}

/// The bytes of a field, escapes undone.
fn data(text: &str, escape: Option<char>) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let Some(escape) = escape else {
        bytes.extend_from_slice(text.as_bytes());
        return bytes;
    };
    let mut parts = text.split(escape);
    bytes.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        let hex = part
            .get(..2)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match hex {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend_from_slice(&part.as_bytes()[2..]);
            }
            None => bytes.extend_from_slice(part.as_bytes()),
        }
    }
    bytes
}
