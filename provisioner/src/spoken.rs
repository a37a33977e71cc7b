//! How the units of a product are spoken to: judged whole when the product is applied, so that no
//! unit meets a device profile which cannot type its password.
//!
//! The station's own code is asked (`wire`, which has no I/O): what is typed for each step, with a
//! bundle as long as they come and with every symbol that the product's policy draws from.

use compliance::Product;
use credential::{Bundle, KeyError, Password, Policy, Salt, mint_key};
use ring::rand::SystemRandom;
use thiserror::Error;
use traveler::{Attempt, Serial};
use wire::console::ConsoleError;
use wire::profile::{Part, Profile, ProfileError};

use crate::labels::{ATTEMPT_MAX, serial_max};

/// Bytes of a certificate that stands in for a unit's own: those have about 500.
const CERTIFICATE: usize = 500;

/// Why units of a product could not be spoken to as it says.
#[derive(Debug, Error)]
pub(crate) enum SpokenError {
    /// It is no profile.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// Passwords of the policy may hold what its console would act on.
    #[error(
        "it types the password plainly, and policy `{policy}` draws symbols that its console would \
         not take as text ({symbols}): let it write the password as {{password:hex}} or \
         {{password:base64}}, or choose another policy (provisioner policy list)"
    )]
    Symbols {
        /// The product's policy.
        policy: String,
        /// All of them.
        symbols: String,
    },
    /// A step cannot be typed for some unit.
    #[error("with a serial of {serial} and a password of {password} characters: {source}")]
    Typed {
        /// Characters of the longest serial.
        serial: usize,
        /// Of the longest password.
        password: usize,
        /// What does not go.
        source: ConsoleError,
    },
    /// No bundle could be made to try it with.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Refuses a device profile by which some unit of the product could not be written.
///
/// # Errors
/// Every variant of [`SpokenError`]. No secret is in them: what is tried is none of a unit's.
pub(crate) fn judge(product: &Product, policy: &Policy) -> Result<(), SpokenError> {
    let Some(profile) = &product.profile else {
        return Ok(());
    };
    let profile = Profile::parse(&profile.text)?;
    let (serial, password) = (serial_max(product), policy.text_max());
    let mut bundle = Bundle {
        serial: Serial::parse(&"W".repeat(serial)).expect("the longest serial is one"),
        attempt: Attempt(ATTEMPT_MAX),
        password: all_of(b'A', password),
        salt: Salt::from_bytes([0; 16]),
        chain: vec![vec![0x30; CERTIFICATE]],
        key: Some(mint_key(&SystemRandom::new())?.private),
    };
    let mut symbols = String::new();
    for symbol in drawn(policy) {
        bundle.password = all_of(symbol, password);
        match wire::console::fits(&profile, &bundle) {
            Ok(()) => {}
            Err(ConsoleError::Unwritable {
                part: Part::Password,
            }) => symbols.push(char::from(symbol)),
            Err(source) => {
                return Err(SpokenError::Typed {
                    serial,
                    password,
                    source,
                });
            }
        }
    }
    match symbols.is_empty() {
        true => Ok(()),
        false => Err(SpokenError::Symbols {
            policy: policy.name().to_owned(),
            symbols,
        }),
    }
}

/// Every symbol that a password of the policy may hold, once.
fn drawn(policy: &Policy) -> Vec<u8> {
    let words = policy.words().iter().flat_map(|word| word.bytes());
    let mut all: Vec<u8> = policy.alphabet().iter().copied().chain(words).collect();
    if policy.format().is_some() || !policy.words().is_empty() {
        all.push(b'-');
    }
    all.sort_unstable();
    all.dedup();
    all
}

fn all_of(symbol: u8, length: usize) -> Password {
    let text = vec![symbol; length.clamp(1, Password::MAX)];
    Password::parse(&text).expect("a policy's symbols are printable and few enough")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(profile: &str, edit: impl Fn(String) -> String, policy: &Policy) -> Option<String> {
        let product = "sku = \"K\"\nname = \"Kettle\"\nmodel = \"KT\"\nprofile = \"P\"\n";
        let text = edit(Profile::shipped(profile).unwrap().to_owned());
        let definition = compliance::embed(product, |_| Ok(text.clone())).unwrap();
        let product = Product::parse(&definition).unwrap();
        judge(&product, policy).err().map(|error| error.to_string())
    }

    fn policy(alphabet: &str) -> Policy {
        Policy::parse(&format!(
            "name = \"own\"\nversion = 1\nsource = \"ours\"\nalphabet = \"{alphabet}\"\n\
             length = 16\nfloor_bits = 40\n"
        ))
        .unwrap()
    }

    #[test]
    fn shipped_profiles_type_letters_and_digits_and_say_of_the_rest_that_they_do_not() {
        let mut refused = 0;
        for (name, _) in wire::profile::SHIPPED {
            for policy in Policy::names() {
                let policy = Policy::named(policy, None).unwrap();
                let plain = |symbol: &u8| symbol.is_ascii_alphanumeric();
                let said = said(name, |text| text, &policy);
                match policy.alphabet().iter().all(plain) {
                    true => assert_eq!(said, None, "{name}, {}", policy.name()),
                    false => {
                        refused += 1;
                        assert!(said.unwrap().contains("(#%&*?@)"), "{name}");
                    }
                }
            }
        }
        assert_ne!(refused, 0);
    }

    #[test]
    fn a_profile_that_cannot_type_the_passwords_is_refused_before_any_unit() {
        let policy = policy("ABCDEFGH$&");
        let said_of = |edit: fn(String) -> String| said("zephyr-shell", edit, &policy);
        let plain = said_of(|text| text).unwrap();
        assert!(plain.contains("policy `own` draws symbols"), "{plain}");
        assert!(
            plain.contains("($&): let it write the password as {password:hex}"),
            "{plain}"
        );
        let hex = said_of(|text| text.replace("{password}", "{password:hex}"));
        assert_eq!(hex, None);
    }

    #[test]
    fn a_line_that_the_longest_unit_makes_too_long_is_refused_too() {
        let narrow = |text: String| text.replace("max_line = 128", "max_line = 60");
        let policy = Policy::named(Policy::DEFAULT, None).unwrap();
        let said = said("zephyr-shell", narrow, &policy).unwrap();
        assert!(
            said.contains("with a serial of 32 and a password of 12"),
            "{said}"
        );
    }

    #[test]
    fn what_is_no_profile_is_no_product() {
        let policy = Policy::named(Policy::DEFAULT, None).unwrap();
        let broken = |text: String| text.replace("driver = \"console\"", "driver = \"consol\"");
        let said = said("u-boot", broken, &policy).unwrap();
        assert!(said.contains("line "), "{said}");
    }
}
