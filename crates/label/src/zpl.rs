//! ZPL II (Zebra, Programming Guide P1099958): fields are `^FO` position, `^FH` escapes, `^FD` data,
//! `^FS` end.

use zeroize::Zeroizing;

use crate::layout::{Kind, Placed, What, layout};
use crate::{DrawError, Label, Template};

/// One copy: a printer set to more would put the secret on labels nobody asked for.
const END: &str = "^PQ1\n^XZ\n";

/// More than any label needs, since text that grows leaves part of a secret in freed memory.
const CAPACITY: usize = 16_384;

/// The greatest magnification of a QR code that all firmware takes.
const MAGNIFIED_MAX: u32 = 10;

impl Label<'_> {
    /// The label as ZPL II, for a printer with the template's dots a millimetre, whose own fonts and
    /// codes it uses.
    ///
    /// # Errors
    /// Every variant of [`DrawError`].
    pub fn to_zpl(&self, template: &Template) -> Result<Zeroizing<String>, DrawError> {
        let mut zpl = Zeroizing::new(String::with_capacity(CAPACITY));
        let [width, height] = template
            .size()
            .map(|mm| (mm * template.dots_per_mm() as f32).round() as u32);
        zpl.push_str(&format!("^XA^CI28^PW{width}^LL{height}^LH0,0\n"));
        for placed in layout(self, template, template.dots_per_mm())? {
            write(&mut zpl, &placed);
        }
        zpl.push_str(END);
        Ok(zpl)
    }
}

fn write(zpl: &mut Zeroizing<String>, placed: &Placed) {
    let at = format!("^FO{},{}", placed.x, placed.y);
    match &placed.what {
        What::Text { height, text, .. } => {
            field(zpl, &format!("{at}^A0N,{height},{height}"), &[text]);
        }
        What::Code {
            kind,
            module,
            row,
            text,
            ..
        } => match kind {
            // Without its own line of text, which would stand under the bars.
            Kind::Code128 => field(zpl, &format!("{at}^BY{module}^BCN,{row},N,N,N"), &[text]),
            // Model 2; `MA,` is error level M and automatic mode. Firmware prints the code lower by
            // the bar height that the last `^BY` of any job left behind: it is said here, one dot.
            Kind::Qr => {
                let module = (*module).min(MAGNIFIED_MAX);
                let (x, y) = (placed.x, placed.y.saturating_sub(1));
                let head = format!("^BY1,3,1^FO{x},{y}^BQN,2,{module}");
                field(zpl, &head, &[b"MA,", text]);
            }
            // Quality 200 is ECC 200. Data is digits and a serial, which need no escapes, and
            // `_1` is the mark of GS1.
            Kind::Gs1Matrix | Kind::Matrix => {
                let mark = match kind {
                    Kind::Gs1Matrix => "_1",
                    _ => "",
                };
                let text = String::from_utf8_lossy(text);
                zpl.push_str(&format!("{at}^BXN,{module},200,,,,_^FD{mark}{text}^FS\n"));
            }
        },
    }
}

/// One field. Whatever could start a command or an escape is written as an escape.
fn field(zpl: &mut Zeroizing<String>, head: &str, data: &[&[u8]]) {
    zpl.push_str(head);
    zpl.push_str("^FH_^FD");
    for &byte in data.iter().copied().flatten() {
        match byte {
            b'^' | b'~' | b'_' | b'\\' | 0..0x20 | 0x7f.. => escape(zpl, byte),
            _ => zpl.push(char::from(byte)),
        }
    }
    zpl.push_str("^FS\n");
}

/// `_5E` for `^`. UTF-8 goes byte by byte, which `^CI28` puts together again.
fn escape(zpl: &mut Zeroizing<String>, byte: u8) {
    zpl.push('_');
    for nibble in [byte >> 4, byte & 15] {
        zpl.push(char::from(b"0123456789ABCDEF"[usize::from(nibble)]));
    }
}

#[cfg(test)]
mod tests {
    use traveler::{Attempt, Serial, Sku, Slot};

    use super::*;
    use crate::parse_scan;

    fn print(name: &str, password: &str) -> Zeroizing<String> {
        Label {
            serial: &Serial::parse("BM-000042").unwrap(),
            product: &Sku::parse("KETTLE-1").unwrap(),
            name,
            attempt: Attempt(1),
            password: password.as_bytes(),
            slot: Some(&Slot::parse("slot-2").unwrap()),
            reprint: 0,
            ssid: None,
            gtin: None,
        }
        .to_zpl(&Template::standard().unwrap())
        .unwrap()
    }

    /// The data of the field that starts with `head`, escapes undone.
    fn data(zpl: &str, head: &str) -> Vec<u8> {
        let line = zpl.lines().find(|line| line.starts_with(head)).unwrap();
        let (_, data) = line.split_once("^FH_^FD").unwrap();
        let data = data.strip_suffix("^FS").unwrap().as_bytes();
        let mut bytes = vec![];
        let mut at = 0;
        while at < data.len() {
            if data[at] == b'_' {
                let hex = std::str::from_utf8(&data[at + 1..at + 3]).unwrap();
                bytes.push(u8::from_str_radix(hex, 16).unwrap());
                at += 3;
            } else {
                bytes.push(data[at]);
                at += 1;
            }
        }
        bytes
    }

    /// The whole label, byte for byte. If this fails, change the code, not the vector.
    #[test]
    fn the_label_is_the_golden_one() {
        let golden = include_str!("../../../tests/vectors/v1/label.zpl");
        assert_eq!(print("Kettle", "K7QDM2X9TR4W").as_str(), golden);
    }

    #[test]
    fn nothing_in_a_name_or_password_becomes_a_command() {
        fn check(text: &str) {
            let zpl = print(text, text);
            assert_eq!(data(&zpl, "^FO16,10"), text.as_bytes());
            let code = [b"MA,BM1:BM-000042:", text.as_bytes()].concat();
            assert_eq!(data(&zpl, "^BY1,3,1^FO292,133"), code);
            let plain = print("Kettle", "K7QDM2X9TR4W");
            for command in ["^", "~"] {
                assert_eq!(
                    zpl.matches(command).count(),
                    plain.matches(command).count(),
                    "{text}"
                );
            }
            assert_eq!(zpl.lines().count(), plain.lines().count(), "{text}");
        }
        check("^XZ~JA_5E\\&b");
        check("größer");
        check("a\n^XA");
    }

    #[test]
    fn the_code_scans_back_to_its_unit() {
        let zpl = print("Kettle", "K7QD:2X_9^R4W");
        let code = data(&zpl, "^BY1,3,1^FO292,133");
        let text = std::str::from_utf8(code.strip_prefix(b"MA,").unwrap()).unwrap();
        let scan = parse_scan(text).unwrap_or_else(|| panic!("{text} did not scan"));
        assert_eq!(scan.serial.as_str(), "BM-000042");
        scan.password
            .expose(|clear| assert_eq!(clear, b"K7QD:2X_9^R4W"));
    }

    #[test]
    fn a_long_password_goes_on_the_next_line() {
        let zpl = print("Kettle", "K7QDM2X9TR4W5J3H8VYA");
        assert_eq!(data(&zpl, "^FO16,144"), b"K7QD-M2X9-TR4W");
        assert_eq!(data(&zpl, "^FO16,180"), b"5J3H-8VYA");
    }

    #[test]
    fn codes_and_passphrases_keep_their_own_hyphens() {
        let zpl = print("Kettle", "369-25-814");
        assert_eq!(data(&zpl, "^FO16,144"), b"369-25-814");
        let zpl = print("Kettle", "acorn-bench-cello-daisy-ember-flute");
        assert_eq!(data(&zpl, "^FO16,144"), b"acorn-bench-cello-daisy-");
        assert_eq!(data(&zpl, "^FO16,168"), b"ember-flute");
    }

    #[test]
    fn the_longest_label_never_grows_its_buffer() {
        let zpl = Label {
            serial: &Serial::parse(&"A".repeat(32)).unwrap(),
            product: &Sku::parse(&"A".repeat(32)).unwrap(),
            name: &"~".repeat(64),
            attempt: Attempt(u32::MAX),
            password: &[b'~'; 63],
            slot: Some(&Slot::parse(&"~".repeat(96)).unwrap()),
            reprint: u32::MAX,
            ssid: None,
            gtin: None,
        }
        .to_zpl(&Template::standard().unwrap())
        .unwrap();
        assert_eq!(zpl.capacity(), CAPACITY);
        assert_eq!(
            print(&"~".repeat(64), &"-~".repeat(31)).capacity(),
            CAPACITY
        );
    }
}
