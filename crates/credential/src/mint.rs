//! Minting: uniform symbols or words from a generator that is handed in, and P-256 keys.

use ring::rand::SecureRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{Password, Policy, PrivateKey};

/// Draws for one password before the generator is called unfit.
///
/// A fair byte is taken with probability over 1/2 whatever the alphabet, so a fair generator needs
/// more than this for one of 63 symbols with probability under 63 / 2^128.
const ROUNDS: u32 = 128;

/// SubjectPublicKeyInfo of an uncompressed P-256 point, up to the point (RFC 5480 section 2).
const P256_SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Why no password was minted.
#[derive(Debug, Error)]
pub enum MintError<E: std::error::Error + 'static> {
    /// The generator did not answer.
    #[error("no randomness for a password")]
    Random(#[source] E),
    /// The generator answered with bytes no fair one gives: stop the line.
    #[error("the generator gave no usable byte in {ROUNDS} draws: it is stuck or biased")]
    Unfit,
    /// Draw after draw missed the policy's rules, which a fair generator does not: stop the line.
    #[error("the generator missed the policy's rules in {draws} draws in a row")]
    Missed {
        /// How many draws.
        draws: u32,
    },
}

/// The system gave no randomness for a key.
#[derive(Debug, Error)]
#[error("no randomness for a key")]
pub struct KeyError;

/// A key that was minted for a unit.
pub struct MintedKey {
    /// Goes into the bundle.
    pub private: PrivateKey,
    /// Goes into the certificate (SubjectPublicKeyInfo, DER).
    pub spki: Vec<u8>,
}

/// Mints one password: each symbol uniform over the policy's alphabet, or each word over its list,
/// and independent. A draw that misses the policy's rules is drawn again, whole.
///
/// # Errors
/// [`MintError::Random`] when `random` fails; the others when it never gives what can be used.
pub fn mint<E: std::error::Error + 'static>(
    policy: &Policy,
    random: &mut dyn FnMut(&mut [u8]) -> Result<(), E>,
) -> Result<Password, MintError<E>> {
    mint_seen(policy, random, &mut |_| {})
}

/// As [`mint`], and shows `seen` every draw before any rule is applied to it: the index of the
/// symbol or word in each place. So what `seen` counts is uniform under a fair generator, whatever
/// the rules refuse. The indices are as secret as the password.
///
/// # Errors
/// As [`mint`].
pub fn mint_seen<E: std::error::Error + 'static>(
    policy: &Policy,
    random: &mut dyn FnMut(&mut [u8]) -> Result<(), E>,
    seen: &mut dyn FnMut(&[u16]),
) -> Result<Password, MintError<E>> {
    let draws = policy.draws_tolerated();
    for _ in 0..draws {
        let indices = draw(policy, random)?;
        seen(&indices);
        if let Some(password) = written(policy, &indices) {
            return Ok(password);
        }
    }
    Err(MintError::Missed { draws })
}

/// One index for each place.
///
/// A number beyond the largest multiple of the choices is drawn again, never folded back.
fn draw<E: std::error::Error + 'static>(
    policy: &Policy,
    random: &mut dyn FnMut(&mut [u8]) -> Result<(), E>,
) -> Result<Zeroizing<Vec<u16>>, MintError<E>> {
    let choices = policy.choices();
    // One byte while it reaches: a list of words takes two.
    let width = if choices <= 256 { 1 } else { 2 };
    let range = 1 << (8 * width);
    let fair = range - range % choices;
    // Full size at once: growing would leave half a password in freed memory.
    let mut indices = Zeroizing::new(Vec::with_capacity(policy.length()));
    let mut drawn = Zeroizing::new([0; 2 * Password::MAX]);
    for _ in 0..ROUNDS {
        let missing = policy.length() - indices.len();
        if missing == 0 {
            return Ok(indices);
        }
        let drawn = &mut drawn[..missing * width];
        random(drawn).map_err(MintError::Random)?;
        let numbers = drawn
            .chunks(width)
            .map(|bytes| bytes.iter().fold(0, |n, &byte| n << 8 | usize::from(byte)))
            .filter(|&number| number < fair);
        indices.extend(numbers.map(|number| (number % choices) as u16));
    }
    if indices.len() < policy.length() {
        return Err(MintError::Unfit);
    }
    Ok(indices)
}

/// The password of a draw, or `None` when the policy does not give it.
fn written(policy: &Policy, indices: &[u16]) -> Option<Password> {
    let mut text = Zeroizing::new(Vec::with_capacity(Password::MAX));
    if policy.words().is_empty() {
        let symbols = policy.alphabet();
        text.extend(indices.iter().map(|&index| symbols[usize::from(index)]));
        if !policy.accepts(&text) {
            return None;
        }
        if let Some(format) = policy.format() {
            let symbols =
                std::mem::replace(&mut text, Zeroizing::new(Vec::with_capacity(Password::MAX)));
            let mut symbols = symbols.iter();
            let place = |place| match place {
                b'#' => symbols.next().copied(),
                other => Some(other),
            };
            text.extend(format.bytes().filter_map(place));
        }
    } else {
        for (place, &index) in indices.iter().enumerate() {
            if place > 0 {
                text.push(b'-');
            }
            text.extend_from_slice(policy.words()[usize::from(index)].as_bytes());
        }
    }
    Some(Password::parse(&text).expect("a policy's symbols are printable and few enough"))
}

/// Mints a P-256 key for a unit that cannot make its own.
///
/// # Errors
/// [`KeyError`] when `random` fails.
pub fn mint_key(random: &dyn SecureRandom) -> Result<MintedKey, KeyError> {
    let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, random).map_err(|_| KeyError)?;
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), random).map_err(|_| KeyError)?;
    let mut spki = P256_SPKI_PREFIX.to_vec();
    spki.extend_from_slice(pair.public_key().as_ref());
    Ok(MintedKey {
        private: PrivateKey::from_pkcs8(pkcs8.as_ref()),
        spki,
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};

    use super::*;

    fn policy(alphabet: &str, length: u8) -> Policy {
        Policy::parse(&format!(
            "name = \"t\"\nversion = 1\nalphabet = {alphabet:?}\nlength = {length}\nfloor_bits = 1\n"
        ))
        .unwrap()
    }

    /// Mints from a script of bytes, which is repeated for ever.
    fn check(alphabet: &str, length: u8, script: &[u8], expected: &str) {
        let mut bytes = script.iter().copied().cycle();
        let mut random = |out: &mut [u8]| -> Result<(), Infallible> {
            out.fill_with(|| bytes.next().unwrap());
            Ok(())
        };
        let got = match mint(&policy(alphabet, length), &mut random) {
            Ok(password) => password.expose(|clear| String::from_utf8(clear.to_vec()).unwrap()),
            Err(error) => error.to_string(),
        };
        assert_eq!(got, expected);
    }

    #[test]
    fn bytes_beyond_the_last_full_turn_are_drawn_again() {
        // 250 is the largest multiple of 10 in a byte: 250 to 255 would favour 0 to 5.
        check("0123456789", 4, &[250, 255, 249, 0, 251, 10, 11], "9001");
        check(
            "0123456789ABCDEFGHJKMNPQRSTVWXYZ",
            4,
            &[255, 0, 31, 32],
            "Z0Z0",
        );
    }

    #[test]
    fn a_generator_that_gives_nothing_usable_is_called_unfit() {
        let unfit = MintError::<Infallible>::Unfit.to_string();
        check("0123456789", 4, &[255], &unfit);
    }

    #[test]
    fn a_generator_that_fails_is_not_asked_again() {
        let mut calls = 0;
        let mut random = |_: &mut [u8]| {
            calls += 1;
            Err(std::io::Error::other("gone"))
        };
        let result = mint(&policy("0123456789", 4), &mut random);
        assert!(matches!(result, Err(MintError::Random(_))));
        assert_eq!(calls, 1);
    }

    #[test]
    fn every_symbol_is_equally_likely() {
        // Counting through all 256 bytes gives each of 10 symbols exactly 25 times.
        let mut byte = 0u8;
        let mut random = |out: &mut [u8]| -> Result<(), Infallible> {
            for slot in out {
                *slot = byte;
                byte = byte.wrapping_add(1);
            }
            Ok(())
        };
        let mut seen = [0u32; 10];
        for _ in 0..50 {
            mint(&policy("0123456789", 5), &mut random)
                .unwrap()
                .expose(|clear| clear.iter().for_each(|d| seen[usize::from(d - b'0')] += 1));
        }
        assert_eq!(seen, [25; 10]);
    }

    #[test]
    fn every_built_in_policy_mints_what_it_promises() {
        let random = SystemRandom::new();
        let mut fill = |out: &mut [u8]| -> Result<(), Infallible> {
            random.fill(out).unwrap();
            Ok(())
        };
        for name in Policy::names() {
            let policy = Policy::named(name, None).unwrap();
            for _ in 0..200 {
                let mut draws = 0;
                let password = mint_seen(&policy, &mut fill, &mut |indices| {
                    draws += 1;
                    assert_eq!(indices.len(), policy.length());
                    let choices = policy.choices();
                    assert!(indices.iter().all(|&index| usize::from(index) < choices));
                });
                assert!(draws > 0);
                password.unwrap().expose(|text| {
                    assert!(text.len() <= policy.text_max(), "{name}");
                    let symbols: Vec<u8> = text.iter().copied().filter(|b| *b != b'-').collect();
                    assert!(policy.accepts(&symbols), "{name}");
                });
            }
        }
    }

    #[test]
    fn rules_are_met_by_drawing_again_and_never_by_repair() {
        let text = "name = \"t\"\nversion = 1\nalphabet = \"abcdefgh01234567\"\nlength = 3\n\
                    classes = [\"digit\"]\nexclude = [\"ab1\"]\nfloor_bits = 1\n";
        let policy = Policy::parse(text).unwrap();
        let mut script = [0, 1, 2, 0, 1, 9, 0, 1, 10].into_iter();
        let mut random = |out: &mut [u8]| -> Result<(), Infallible> {
            out.fill_with(|| script.next().unwrap());
            Ok(())
        };
        let mut seen = vec![];
        let password = mint_seen(&policy, &mut random, &mut |draw| seen.push(draw.to_vec()));
        password.unwrap().expose(|text| assert_eq!(text, b"ab2"));
        assert_eq!(seen, [[0, 1, 2], [0, 1, 9], [0, 1, 10]]);
    }

    #[test]
    fn a_generator_that_never_meets_the_rules_is_called_unfit() {
        let policy = Policy::named("de-bsi-03148-admin", None).unwrap();
        let mut stuck = |out: &mut [u8]| -> Result<(), Infallible> {
            out.fill(7);
            Ok(())
        };
        assert!(matches!(
            mint(&policy, &mut stuck),
            Err(MintError::Missed { draws: 2..=9 })
        ));
    }

    #[test]
    fn words_and_formats_are_written_as_they_are_typed() {
        let zeros = |out: &mut [u8]| -> Result<(), Infallible> {
            out.fill(0);
            Ok(())
        };
        let check = |name: &str, bytes: &mut dyn FnMut(&mut [u8]) -> Result<(), Infallible>| {
            let password = mint(&Policy::named(name, None).unwrap(), bytes).unwrap();
            password.expose(|text| String::from_utf8(text.to_vec()).unwrap())
        };
        let first = &Policy::named("passphrase", None).unwrap().words()[0].clone();
        assert_eq!(
            check("passphrase", &mut zeros.clone()),
            [first.as_str(); 6].join("-")
        );
        let mut byte = 10;
        let mut counting = |out: &mut [u8]| {
            out.fill_with(|| {
                byte = (byte + 3) % 250;
                byte
            });
            Ok(())
        };
        assert_eq!(check("homekit", &mut counting), "369-25-814");
    }

    #[test]
    fn a_minted_key_signs_for_its_public_key() {
        let random = SystemRandom::new();
        let key = mint_key(&random).unwrap();
        let signature = key.private.expose(|der| {
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der, &random);
            pair.unwrap().sign(&random, b"receipt").unwrap()
        });
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &key.spki[P256_SPKI_PREFIX.len()..])
            .verify(b"receipt", signature.as_ref())
            .unwrap();
    }
}
