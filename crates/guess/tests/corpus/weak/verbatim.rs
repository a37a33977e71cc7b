//! Class A: an identifier as it is, or as it is written otherwise.

use super::super::encode::{
    BASE32, BASE36, BASE64, CAPITALS, CROCKFORD_SMALL, DIGITS, LETTERS, digits, grouped,
    groups_of_bits, hex, number, reversed, tail, upper_hex, wps,
};
use super::{Scheme, rule, scheme};

const GENERIC: &str = "generic";

pub(super) const SCHEMES: &[Scheme] = &[
    scheme(
        "mac-last-8",
        "AB",
        "TP-Link; CVE-2021-43282, CVE-2024-53941",
        |_| rule(|unit| tail(&unit.mac_hex(), 8).to_owned()),
    ),
    scheme(
        "mac-whole",
        "AB",
        "cable modems with the CM MAC as key",
        |rng| {
            let small = rng.percent(50);
            rule(move |unit| match small {
                true => unit.mac_hex().to_lowercase(),
                false => unit.mac_hex(),
            })
        },
    ),
    scheme(
        "mac-behind-brand",
        "ABE",
        "Tenda and others: a constant and the NIC half",
        |rng| {
            let brand = rng.text(LETTERS, 5);
            rule(move |unit| format!("{brand}{}", tail(&unit.mac_hex(), 6).to_lowercase()))
        },
    ),
    scheme(
        "mac-plus-offset",
        "AB",
        "the WAN address printed, the LAN one used",
        |rng| {
            let offset = rng.within(1, 10);
            let below = rng.percent(50);
            rule(move |unit| {
                let mac = if below {
                    unit.mac - offset
                } else {
                    unit.mac + offset
                };
                format!("{:08X}", mac & 0xFFFF_FFFF)
            })
        },
    ),
    scheme("mac-bytes-reversed", "AB", GENERIC, |_| {
        rule(|unit| {
            let mut bytes = unit.mac_bytes();
            bytes.reverse();
            hex(&bytes)
        })
    }),
    scheme("mac-symbols-reversed", "AB", GENERIC, |rng| {
        let width = rng.pick(&[8, 10, 12]);
        rule(move |unit| reversed(tail(&unit.mac_hex(), width)))
    }),
    scheme("mac-nibbles-swapped", "AB", GENERIC, |_| {
        rule(|unit| upper_hex(&unit.mac_bytes().map(|byte| byte.rotate_left(4))))
    }),
    scheme(
        "mac-bits-reversed",
        "AB",
        "Ethernet's canonical and wire bit orders",
        |_| rule(|unit| upper_hex(&unit.mac_bytes().map(u8::reverse_bits))),
    ),
    scheme("mac-complement", "AB", GENERIC, |_| {
        rule(|unit| format!("{:010x}", !unit.mac & 0xFF_FFFF_FFFF))
    }),
    scheme(
        "nic-decimal",
        "AB",
        "WPS PIN of the NIC half with its check digit",
        |_| rule(|unit| wps(unit.nic())),
    ),
    scheme(
        "mac-decimal",
        "AB",
        "the 32-bit tail as a decimal number",
        |_| rule(|unit| format!("{:010}", unit.mac & 0xFFFF_FFFF)),
    ),
    scheme("mac-base-36", "AB", GENERIC, |_| {
        rule(|unit| digits(u128::from(unit.mac), BASE36, 10))
    }),
    scheme("mac-base-32-grouped", "AB", GENERIC, |_| {
        rule(|unit| grouped(&digits(u128::from(unit.mac), CROCKFORD_SMALL, 10), 5, '-'))
    }),
    scheme("mac-base-64", "AB", "the six bytes in base 64", |rng| {
        let behind = rng.text(CAPITALS, 2);
        rule(move |unit| format!("{behind}{}", groups_of_bits(&unit.mac_bytes(), BASE64, 8)))
    }),
    scheme(
        "serial-whole",
        "AB",
        "the serial is the admin password",
        |_| rule(|unit| unit.serial.clone()),
    ),
    scheme("serial-digits-reversed", "ABD", GENERIC, |_| {
        rule(|unit| reversed(tail(&unit.serial_digits(), 8)))
    }),
    scheme("serial-bytes-base-32", "AB", GENERIC, |_| {
        rule(|unit| number(unit.serial.as_bytes(), BASE32, 12))
    }),
    scheme(
        "ssid-doubled",
        "ABE",
        "password = network name, twice or with its tail",
        |_| rule(|unit| format!("{}{}", unit.ssid, tail(&unit.ssid, 4))),
    ),
    scheme(
        "uid-raw",
        "AB",
        "raw MCU id printed as the password",
        |rng| {
            let width = rng.pick(&[12, 16, 24]);
            rule(move |unit| hex(&unit.uid)[24 - width..].to_owned())
        },
    ),
    scheme(
        "uid-words-swapped",
        "AB",
        "MCU id read as little-endian words",
        |_| {
            rule(|unit| {
                let word = |at: usize| {
                    unit.uid[at..at + 4]
                        .iter()
                        .rev()
                        .copied()
                        .collect::<Vec<u8>>()
                };
                upper_hex(&[word(0), word(4)].concat())
            })
        },
    ),
    scheme(
        "date-and-serial",
        "AD",
        "day of making, then the serial's last four",
        |rng| {
            let mark = rng.text(DIGITS, 2);
            rule(move |unit| {
                let (year, month, day) = unit.day();
                let serial = unit.serial_digits();
                format!(
                    "{mark}{day:02}{month:02}{:02}{}",
                    year % 100,
                    tail(&serial, 4)
                )
            })
        },
    ),
    scheme(
        "model-and-mac",
        "AB",
        "model, a hyphen, the last six of the MAC",
        |_| {
            rule(|unit| {
                format!(
                    "{}-{}",
                    unit.model.replace('-', ""),
                    tail(&unit.mac_hex(), 6)
                )
            })
        },
    ),
];
