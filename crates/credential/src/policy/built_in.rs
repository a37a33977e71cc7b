//! The policies and word lists that come with the program.

use std::sync::LazyLock;

use super::{Policy, PolicyError};

macro_rules! built_in {
    ($($name:literal)*) => {
        [$(($name, include_str!(concat!("../../policies/", $name, ".toml")))),*]
    };
}

/// By name, the default first.
pub(super) const POLICIES: [(&str, &str); 15] = built_in! {
    "uk-psti" "etsi-303645" "eu-18031" "de-bsi-03148" "de-bsi-03148-admin" "us-ca-sb327"
    "br-anatel" "sg-cls" "jp-jcstar-1" "au-2025" "wpa-psk" "matter" "homekit" "pin-lockout"
    "passphrase"
};

/// Each is read once: an issue asks for one by name.
static READ: LazyLock<Vec<(&str, Result<Policy, PolicyError>)>> = LazyLock::new(|| {
    let read = |&(name, text): &(&'static str, &str)| (name, Policy::parse(text));
    POLICIES.iter().map(read).collect()
});

/// The policy of this name.
pub(super) fn find(name: &str) -> Option<Result<Policy, PolicyError>> {
    let found = READ.iter().find(|(known, _)| *known == name);
    found.map(|(_, policy)| policy.clone())
}

/// The words of a list that comes with the program.
pub(super) fn words(name: &str) -> Option<Vec<String>> {
    let text = match name {
        "birthmark" => include_str!("../../words/birthmark.txt"),
        _ => return None,
    };
    let words = text.lines().filter(|line| !line.starts_with('#'));
    Some(words.map(str::to_owned).collect())
}
