//! Digests and checksums that need no key, and HMACs whose key is no secret.

use blake2::{Blake2b512, Blake2s256};
use crc::{Crc, Table};
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::digest::Digest;
use sha2::{Sha224, Sha256, Sha384, Sha512, Sha512_256};
use sha3::{Sha3_256, Sha3_512};

static CRC_32: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&crc::CRC_32_ISO_HDLC);
static CRC_32_C: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&crc::CRC_32_ISCSI);
static CRC_32_BZIP2: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&crc::CRC_32_BZIP2);
static CRC_64: Crc<u64, Table<1>> = Crc::<u64, Table<1>>::new(&crc::CRC_64_XZ);
static CRC_64_ECMA: Crc<u64, Table<1>> = Crc::<u64, Table<1>>::new(&crc::CRC_64_ECMA_182);
static CRC_16: Crc<u16, Table<1>> = Crc::<u16, Table<1>>::new(&crc::CRC_16_ARC);
static CRC_16_CCITT: Crc<u16, Table<1>> = Crc::<u16, Table<1>>::new(&crc::CRC_16_IBM_3740);
static CRC_16_XMODEM: Crc<u16, Table<1>> = Crc::<u16, Table<1>>::new(&crc::CRC_16_XMODEM);
static CRC_16_MODBUS: Crc<u16, Table<1>> = Crc::<u16, Table<1>>::new(&crc::CRC_16_MODBUS);

/// What it is called, and how it is computed.
pub(super) type Hash = (&'static str, fn(&[u8]) -> Vec<u8>);

/// The same of a key and a text.
pub(super) type Keyed = (&'static str, fn(&[u8], &[u8]) -> Vec<u8>);

/// The common ones first: those are tried on everything.
pub(super) const HASHES: &[Hash] = &[
    ("MD5", plain::<Md5>),
    ("SHA-1", plain::<Sha1>),
    ("SHA-256", plain::<Sha256>),
    ("SHA-512", plain::<Sha512>),
    ("CRC-32", |text| {
        CRC_32.checksum(text).to_be_bytes().to_vec()
    }),
    ("SHA-224", plain::<Sha224>),
    ("SHA-384", plain::<Sha384>),
    ("SHA-512/256", plain::<Sha512_256>),
    ("SHA3-256", plain::<Sha3_256>),
    ("SHA3-512", plain::<Sha3_512>),
    ("BLAKE2b", plain::<Blake2b512>),
    ("BLAKE2s", plain::<Blake2s256>),
    ("MD5 of the hexadecimal MD5", |text| {
        plain::<Md5>(&hex(&plain::<Md5>(text)))
    }),
    ("SHA-1 of the hexadecimal SHA-1", |text| {
        plain::<Sha1>(&hex(&plain::<Sha1>(text)))
    }),
    ("SHA-256 of the hexadecimal SHA-256", |text| {
        plain::<Sha256>(&hex(&plain::<Sha256>(text)))
    }),
    ("SHA-1 of the hexadecimal MD5", |text| {
        plain::<Sha1>(&hex(&plain::<Md5>(text)))
    }),
    ("MD5 of the hexadecimal SHA-1", |text| {
        plain::<Md5>(&hex(&plain::<Sha1>(text)))
    }),
    ("SHA-256 of the hexadecimal MD5", |text| {
        plain::<Sha256>(&hex(&plain::<Md5>(text)))
    }),
    ("MD5 of the MD5", |text| plain::<Md5>(&plain::<Md5>(text))),
    ("SHA-1 of the SHA-1", |text| {
        plain::<Sha1>(&plain::<Sha1>(text))
    }),
    ("SHA-256 of the SHA-256", |text| {
        plain::<Sha256>(&plain::<Sha256>(text))
    }),
    ("SHA-1 of the MD5", |text| {
        plain::<Sha1>(&plain::<Md5>(text))
    }),
    ("CRC-32C", |text| {
        CRC_32_C.checksum(text).to_be_bytes().to_vec()
    }),
    ("CRC-32 of bzip2", |text| {
        CRC_32_BZIP2.checksum(text).to_be_bytes().to_vec()
    }),
    ("CRC-64", |text| {
        CRC_64.checksum(text).to_be_bytes().to_vec()
    }),
    ("CRC-64 of ECMA-182", |text| {
        CRC_64_ECMA.checksum(text).to_be_bytes().to_vec()
    }),
    ("CRC-16", |text| {
        CRC_16.checksum(text).to_be_bytes().to_vec()
    }),
    ("CRC-16 of CCITT", |text| {
        CRC_16_CCITT.checksum(text).to_be_bytes().to_vec()
    }),
    ("CRC-16 of XMODEM", |text| {
        CRC_16_XMODEM.checksum(text).to_be_bytes().to_vec()
    }),
    ("CRC-16 of Modbus", |text| {
        CRC_16_MODBUS.checksum(text).to_be_bytes().to_vec()
    }),
    ("FNV-1a", |text| fnv_32(text, true)),
    ("FNV-1", |text| fnv_32(text, false)),
    ("FNV-1a of 64 bits", |text| fnv_64(text, true)),
    ("FNV-1 of 64 bits", |text| fnv_64(text, false)),
    ("Adler-32", adler),
    ("djb2", |text| {
        times(text, 5381, |hash, byte| {
            hash.wrapping_mul(33).wrapping_add(byte)
        })
    }),
    ("djb2 with XOR", |text| {
        times(text, 5381, |hash, byte| hash.wrapping_mul(33) ^ byte)
    }),
    ("sdbm", |text| {
        times(text, 0, |hash, byte| {
            hash.wrapping_mul(65_599).wrapping_add(byte)
        })
    }),
    ("Java's hashCode", |text| {
        times(text, 0, |hash, byte| {
            hash.wrapping_mul(31).wrapping_add(byte)
        })
    }),
    ("Jenkins' one-at-a-time", jenkins),
    ("Murmur3", murmur_3),
];

/// Those of [`HASHES`] that are tried on rare forms.
pub(super) const COMMON: usize = 5;

/// HMACs, for forms with a key.
pub(super) const KEYED: &[Keyed] = &[
    ("HMAC-SHA-256", keyed::<Hmac<Sha256>>),
    ("HMAC-SHA-1", keyed::<Hmac<Sha1>>),
    ("HMAC-MD5", keyed::<Hmac<Md5>>),
    ("HMAC-SHA-512", keyed::<Hmac<Sha512>>),
];

fn plain<D: Digest>(text: &[u8]) -> Vec<u8> {
    D::digest(text).to_vec()
}

fn keyed<M: Mac + KeyInit>(key: &[u8], text: &[u8]) -> Vec<u8> {
    // An HMAC takes keys of any length.
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else {
        return vec![];
    };
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> Vec<u8> {
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles
        .map(|nibble| b"0123456789abcdef"[usize::from(nibble)])
        .collect()
}

fn times(text: &[u8], start: u32, step: fn(u32, u32) -> u32) -> Vec<u8> {
    let hash = text
        .iter()
        .fold(start, |hash, &byte| step(hash, byte.into()));
    hash.to_be_bytes().to_vec()
}

fn fnv_32(text: &[u8], xor_first: bool) -> Vec<u8> {
    let hash = text
        .iter()
        .fold(0x811c_9dc5_u32, |hash, &byte| match xor_first {
            true => (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193),
            false => hash.wrapping_mul(0x0100_0193) ^ u32::from(byte),
        });
    hash.to_be_bytes().to_vec()
}

fn fnv_64(text: &[u8], xor_first: bool) -> Vec<u8> {
    let (start, prime) = (0xcbf2_9ce4_8422_2325_u64, 0x0100_0000_01b3);
    let hash = text.iter().fold(start, |hash, &byte| match xor_first {
        true => (hash ^ u64::from(byte)).wrapping_mul(prime),
        false => hash.wrapping_mul(prime) ^ u64::from(byte),
    });
    hash.to_be_bytes().to_vec()
}

/// RFC 1950.
fn adler(text: &[u8]) -> Vec<u8> {
    let (low, high) = text.iter().fold((1u32, 0u32), |(low, high), &byte| {
        let low = (low + u32::from(byte)) % 65_521;
        (low, (high + low) % 65_521)
    });
    (high << 16 | low).to_be_bytes().to_vec()
}

fn jenkins(text: &[u8]) -> Vec<u8> {
    let mut hash = text.iter().fold(0u32, |hash, &byte| {
        let hash = hash.wrapping_add(byte.into());
        let hash = hash.wrapping_add(hash << 10);
        hash ^ hash >> 6
    });
    hash = hash.wrapping_add(hash << 3);
    hash ^= hash >> 11;
    hash.wrapping_add(hash << 15).to_be_bytes().to_vec()
}

/// MurmurHash3 for x86, 32 bits, seed 0.
fn murmur_3(text: &[u8]) -> Vec<u8> {
    let mixed = |block: u32| {
        let block = block.wrapping_mul(0xcc9e_2d51).rotate_left(15);
        block.wrapping_mul(0x1b87_3593)
    };
    let mut hash = 0u32;
    for block in text.chunks(4) {
        let value = block
            .iter()
            .rev()
            .fold(0, |value, &byte| value << 8 | u32::from(byte));
        hash ^= mixed(value);
        if block.len() == 4 {
            hash = hash
                .rotate_left(13)
                .wrapping_mul(5)
                .wrapping_add(0xe654_6b64);
        }
    }
    hash ^= text.len() as u32;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    (hash ^ hash >> 16).to_be_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, text: &str, expected: &str) {
        let (_, hash) = HASHES.iter().find(|(other, _)| *other == name).unwrap();
        let got = String::from_utf8(hex(&hash(text.as_bytes()))).unwrap();
        assert_eq!(got, expected, "{name} of {text}");
    }

    /// From the specifications and the authors' own examples.
    #[test]
    fn sums_are_the_published_ones() {
        check("CRC-32", "123456789", "cbf43926");
        check("CRC-16 of CCITT", "123456789", "29b1");
        check("CRC-64", "123456789", "995dc9bbdf1939fa");
        check("Adler-32", "Wikipedia", "11e60398");
        check("FNV-1a", "a", "e40c292c");
        check("FNV-1", "a", "050c5d7e");
        check("FNV-1a of 64 bits", "a", "af63dc4c8601ec8c");
        check("Murmur3", "hello, world", "149bbb7f");
        check("Jenkins' one-at-a-time", "a", "ca2e9442");
        check("Java's hashCode", "hello", "05e918d2");
        check("djb2", "a", "0002b606");
        check("MD5", "", "d41d8cd98f00b204e9800998ecf8427e");
    }

    #[test]
    fn an_hmac_is_the_one_of_rfc_4231() {
        let (_, hmac) = KEYED[0];
        let got = hmac(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(hex(&got[..4]), b"5bdcc146");
    }
}
