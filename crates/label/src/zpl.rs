//! ZPL II (Zebra, Programming Guide P1099958): fields are `^FO` position, `^FH` escapes, `^FD` data,
//! `^FS` end.

use zeroize::Zeroizing;

use crate::Label;
use crate::scan::PREFIX;

/// 50 by 30 mm at 8 dots a millimetre (203 dpi), in the `^PW` and `^LL` below.
const START: &str = "^XA^CI28^PW400^LL240^LH0,0\n";

/// One copy: a printer set to more would put the secret on labels nobody asked for.
const END: &str = "^PQ1\n^XZ\n";

/// More than any label needs, since text that grows leaves part of a secret in freed memory.
const CAPACITY: usize = 4_096;

/// Symbols of a password between two hyphens in print; hyphens are dropped when it is typed.
const GROUP: usize = 4;

/// Groups on one line.
const GROUPS: usize = 3;

/// Characters on one line of a password that brings its own hyphens, in smaller print.
const OWN_LINE: usize = 24;

pub(crate) fn write(label: &Label<'_>) -> Zeroizing<String> {
    let mut zpl = Zeroizing::new(String::with_capacity(CAPACITY));
    let serial = label.serial.as_str();
    zpl.push_str(START);
    field(&mut zpl, "^FO16,10^A0N,22,22", &[label.name.as_bytes()]);
    let slot = label.slot.map_or("", |slot| slot.as_str());
    let attempt = label.attempt.to_string();
    let product = label.product.as_str().as_bytes();
    let small: [&[u8]; 5] = [product, b"  #", attempt.as_bytes(), b"  ", slot.as_bytes()];
    field(&mut zpl, "^FO16,36^A0N,16,16", &small);
    // Code 128 without its own line of text: 32 symbols of 11 dots and its ends are 387 wide.
    field(&mut zpl, "^FO8,56^BY1^BCN,44,N,N,N", &[serial.as_bytes()]);
    field(
        &mut zpl,
        "^FO16,106^A0N,20,20",
        &[b"SN ", serial.as_bytes()],
    );
    // Beside the QR code there is room for two lines, 24 symbols; the code carries them all.
    if label.password.contains(&b'-') {
        for (line, part) in own_lines(label.password).enumerate() {
            let head = format!("^FO16,{}^A0N,22,22", 144 + 24 * line);
            field(&mut zpl, &head, &[part]);
        }
    } else {
        for (line, symbols) in label.password.chunks(GROUP * GROUPS).enumerate() {
            let head = format!("^FO16,{}^A0N,30,30", 144 + 36 * line);
            field(&mut zpl, &head, &[&grouped(symbols)]);
        }
    }
    // QR model 2, 3 dots a module; `MA,` is error level M and automatic mode.
    let code: [&[u8]; 5] = [
        b"MA,",
        PREFIX.as_bytes(),
        serial.as_bytes(),
        b":",
        label.password,
    ];
    field(&mut zpl, "^FO290,128^BQN,2,3", &code);
    zpl.push_str(END);
    zpl
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

/// A code or a passphrase as it is, broken behind a hyphen: words stay whole.
fn own_lines(password: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = password;
    std::iter::from_fn(move || {
        let fits = &rest[..rest.len().min(OWN_LINE)];
        let at = if fits.len() == rest.len() {
            fits.len()
        } else {
            let hyphen = fits.iter().rposition(|&byte| byte == b'-');
            hyphen.map_or(fits.len(), |hyphen| hyphen + 1)
        };
        let (line, left) = rest.split_at(at);
        rest = left;
        (!line.is_empty()).then_some(line)
    })
}

/// `K7QD-M2X9-TR4W`: a person finds the place again after looking away.
fn grouped(password: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(Vec::with_capacity(password.len() * 2));
    for (index, symbol) in password.iter().enumerate() {
        if index > 0 && index % GROUP == 0 {
            text.push(b'-');
        }
        text.push(*symbol);
    }
    text
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
        }
        .to_zpl()
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
            assert_eq!(data(&zpl, "^FO290,128"), code);
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
        let code = data(&zpl, "^FO290,128");
        let text = std::str::from_utf8(code.strip_prefix(b"MA,").unwrap()).unwrap();
        let scan = parse_scan(text).unwrap_or_else(|| panic!("{text} did not scan"));
        assert_eq!(scan.serial.as_str(), "BM-000042");
        scan.password
            .expose(|clear| assert_eq!(clear, b"K7QD:2X_9^R4W"));
    }

    #[test]
    fn passwords_are_printed_in_fours() {
        fn check(password: &str, expected: &str) {
            assert_eq!(grouped(password.as_bytes()).as_slice(), expected.as_bytes());
        }
        check("K7QDM2X9TR4W", "K7QD-M2X9-TR4W");
        check("K7QDM2X9TR4W5", "K7QD-M2X9-TR4W-5");
        check("K7Q", "K7Q");
        check("", "");
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
        }
        .to_zpl();
        assert_eq!(zpl.capacity(), CAPACITY);
        assert_eq!(
            print(&"~".repeat(64), &"-~".repeat(31)).capacity(),
            CAPACITY
        );
    }
}
