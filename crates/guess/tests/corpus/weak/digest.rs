//! Class C: a hash or checksum without a secret key, cut and encoded.

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use super::super::encode::{
    BASE32, BASE36, BASE36_SMALL, BASE58, BASE62, BASE64, CAPITALS, CROCKFORD, DIGITS, LETTERS,
    adler32, crc32, digits, djb2, fnv1a, grouped, groups_of_bits, hex, number, remainders, tail,
    upper_hex,
};
use super::{Scheme, rule, scheme};

const GENERIC: &str = "generic";

/// The constant of a published key generator for Alice gateways.
const ALICE: [u8; 32] = [
    0x64, 0xC6, 0xDD, 0xE3, 0xE5, 0x79, 0xB6, 0xD9, 0x86, 0x96, 0x8D, 0x34, 0x45, 0xD2, 0x3B, 0x15,
    0xCA, 0xAF, 0x12, 0x84, 0x02, 0xAC, 0x56, 0x00, 0x05, 0xCE, 0x20, 0x75, 0x91, 0x3F, 0xDC, 0xE8,
];

pub(super) const SCHEMES: &[Scheme] = &[
    scheme(
        "speedtouch",
        "C",
        "Thomson SpeedTouch: SHA-1 of the rewritten serial (2008)",
        |rng| {
            let plant = rng.text(CAPITALS, 2);
            rule(move |unit| {
                let (year, week) = unit.week();
                let last = digits(u128::from(unit.count), BASE36, 3);
                unit.serial = format!("CP{year:02}{week:02}{plant}{last}");
                let digest = speedtouch(&unit.serial);
                unit.ssid = format!("SpeedTouch{}", &digest[34..]);
                digest[..10].to_owned()
            })
        },
    ),
    scheme(
        "zyxel",
        "C",
        "Zyxel: MD5 of the MAC, 20 hex capitals (2011)",
        |_| rule(|unit| hex(&Md5::digest(unit.mac_hex()))[..20].to_uppercase()),
    ),
    scheme(
        "comtrend",
        "C",
        "Comtrend: MD5 of a published constant, BSSID and MAC (2011)",
        |_| {
            rule(|unit| {
                let mac = unit.mac_hex();
                unit.ssid = format!("WLAN_{}", tail(&mac, 4));
                let name = format!("{}{}", &mac[..8], tail(&mac, 4));
                hex(&Md5::digest(format!("bcgbghgg{name}{mac}")))[..20].to_owned()
            })
        },
    ),
    scheme(
        "sky",
        "C",
        "Sky: MD5 of the MAC, every second byte as a capital",
        |_| {
            rule(|unit| {
                let digest = Md5::digest(unit.mac_hex());
                let odd: Vec<u8> = digest.iter().skip(1).step_by(2).copied().collect();
                remainders(&odd, CAPITALS)
            })
        },
    ),
    scheme(
        "alice",
        "C",
        "Alice gateways: SHA-256 of a constant, serial and MAC",
        |_| {
            rule(|unit| {
                let hash = Sha256::new().chain_update(ALICE).chain_update(&unit.serial);
                let digest = hash.chain_update(unit.mac_bytes()).finalize();
                remainders(&digest[..24], BASE36_SMALL)
            })
        },
    ),
    scheme(
        "upc-nested",
        "C",
        "UPC: MD5 of an MD5 of the serial, as capitals (2015)",
        |_| {
            rule(|unit| {
                let inner = hex(&Md5::digest(&unit.serial));
                remainders(&Md5::digest(inner)[..8], CAPITALS)
            })
        },
    ),
    scheme(
        "sha256-serial-base-32",
        "C",
        "SHA-256 of the serial, 12 base-32 symbols",
        |rng| {
            let alphabet = rng.pick(&[CROCKFORD, BASE32]);
            rule(move |unit| groups_of_bits(&Sha256::digest(&unit.serial), alphabet, 12))
        },
    ),
    scheme("sha256-mac-colons", "C", GENERIC, |rng| {
        let width = rng.pick(&[10, 12, 16]);
        rule(move |unit| {
            let written = grouped(&unit.mac_hex(), 2, ':');
            hex(&Sha256::digest(written))[..width].to_owned()
        })
    }),
    scheme(
        "sha512-model-serial",
        "C",
        "SHA-512 of model and serial, base 64",
        |_| {
            rule(|unit| {
                let digest = Sha512::digest(format!("{}{}", unit.model, unit.serial));
                groups_of_bits(&digest, BASE64, 12)
            })
        },
    ),
    scheme(
        "sha1-middle",
        "C",
        "SHA-1 of the MAC, cut from the middle",
        |rng| {
            let from = rng.index(28);
            rule(move |unit| {
                hex(&Sha1::digest(unit.mac_hex().to_lowercase()))[from..][..12].to_owned()
            })
        },
    ),
    scheme(
        "sha1-mod-decimal",
        "C",
        "SHA-1 of the serial mod 10^8",
        |_| rule(|unit| number(&Sha1::digest(&unit.serial), DIGITS, 8)),
    ),
    scheme(
        "md5-mac-next",
        "C",
        "MD5 of the next MAC, in base 36",
        |rng| {
            let next = rng.within(1, 3);
            rule(move |unit| {
                let mac = format!("{:012X}", unit.mac + next);
                number(&Md5::digest(mac), BASE36, 10)
            })
        },
    ),
    scheme(
        "md5-mac-bytes",
        "C",
        "MD5 of the six bytes, each byte as a letter",
        |_| rule(|unit| remainders(&Md5::digest(unit.mac_bytes())[..10], LETTERS)),
    ),
    scheme(
        "sha1-serial-mac",
        "C",
        "SHA-1 of serial and MAC, base 58",
        |_| {
            rule(|unit| {
                let digest = Sha1::digest(format!("{}{}", unit.serial, unit.mac_hex()));
                remainders(&digest[..12], BASE58)
            })
        },
    ),
    scheme(
        "hmac-public-key",
        "C",
        "HMAC-SHA-256 of the serial under the model's name",
        |_| {
            rule(|unit| {
                let key =
                    Hmac::<Sha256>::new_from_slice(unit.model.as_bytes()).expect("any length");
                let code = key.chain_update(&unit.serial).finalize().into_bytes();
                remainders(&code[..12], BASE62)
            })
        },
    ),
    scheme(
        "sha256-ssid",
        "CB",
        "SHA-256 of the network name, in digits",
        |_| rule(|unit| number(&Sha256::digest(&unit.ssid), DIGITS, 10)),
    ),
    scheme(
        "sha256-uid",
        "C",
        "SHA-256 of the silicon's id, grouped base 32",
        |_| {
            rule(|unit| {
                let text = groups_of_bits(&Sha256::digest(unit.uid), CROCKFORD, 12);
                grouped(&text, 4, '-')
            })
        },
    ),
    scheme("crc32-serial", "CB", "CRC-32 of the serial", |_| {
        rule(|unit| {
            let crc = crc32(unit.serial.as_bytes(), 0xEDB8_8320, u32::MAX, u32::MAX);
            format!("{crc:08X}")
        })
    }),
    scheme("fnv-mac", "C", "FNV-1a of the MAC, in base 36", |_| {
        rule(|unit| digits(u128::from(fnv1a(unit.mac_hex().as_bytes())), BASE36, 12))
    }),
    scheme(
        "djb2-serial",
        "CBD",
        "the 33-times hash of the serial, decimal",
        |_| rule(|unit| format!("{:010}", djb2(unit.serial.as_bytes()))),
    ),
    scheme(
        "adler-serial-model",
        "CBD",
        "Adler-32 of serial and model",
        |_| {
            rule(|unit| {
                format!(
                    "{:08x}",
                    adler32(format!("{}{}", unit.serial, unit.model).as_bytes())
                )
            })
        },
    ),
    Scheme {
        seeable: false,
        ..scheme(
            "brother-salted",
            "C",
            "CVE-2024-51978: SHA-256 of serial and salt",
            |rng| {
                let salt: [u8; 8] = rng.bytes();
                rule(move |unit| {
                    let start = &unit.serial.as_bytes()[..unit.serial.len().min(16)];
                    let digest = Sha256::new()
                        .chain_update(start)
                        .chain_update(salt)
                        .finalize();
                    substituted(&groups_of_bits(&digest, BASE64, 8))
                })
            },
        )
    },
    scheme(
        "brother-known-salt",
        "C",
        "CVE-2024-51978 with the model as its salt",
        |_| {
            rule(|unit| {
                let start = &unit.serial.as_bytes()[..unit.serial.len().min(16)];
                let hash = Sha256::new().chain_update(start).chain_update(&unit.model);
                substituted(&groups_of_bits(&hash.finalize(), BASE64, 8))
            })
        },
    ),
];

/// The serial without the plant, its last three symbols as the hexadecimal of their bytes.
fn speedtouch(serial: &str) -> String {
    let text = format!("{}{}", &serial[..6], upper_hex(&serial.as_bytes()[8..]));
    upper_hex(&Sha1::digest(text))
}

/// Some letters as signs, as the advisory has it.
fn substituted(text: &str) -> String {
    let sign = |symbol| match symbol {
        'l' => '#',
        'I' => '$',
        'z' => '%',
        'Z' => '&',
        'b' => '*',
        'q' => '-',
        'O' => ':',
        'o' => '?',
        'v' => '@',
        'y' => '>',
        other => other,
    };
    text.chars().map(sign).collect()
}

#[test]
fn speedtouch_is_the_published_one() {
    let digest = speedtouch("CP0615JT109");
    assert_eq!((&digest[..10], &digest[34..]), ("742DA831D2", "F8A3D0"));
}
