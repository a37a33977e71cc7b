//! The file of a policy, before anything about it is believed.

use serde::Deserialize;

use super::{Class, Policy, PolicyError, built_in};
use crate::Password;

/// Most words of a list: an index is drawn from two bytes.
const WORDS_MAX: usize = 1 << 16;

/// Most draws that may be excluded one by one.
const EXCLUDE_MAX: usize = 1_024;

/// Longest name and source, in bytes.
const TEXT_MAX: usize = 200;

/// The file as TOML gives it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    version: u32,
    #[serde(default)]
    source: String,
    #[serde(default)]
    alphabet: String,
    words: Option<Words>,
    length: u8,
    min_length: Option<u8>,
    max_length: Option<u8>,
    #[serde(default)]
    classes: Vec<Class>,
    #[serde(default)]
    exclude: Vec<String>,
    format: Option<String>,
    #[serde(default)]
    lockout: bool,
    floor_bits: u32,
}

/// A list by its name, or word by word.
#[derive(Deserialize)]
#[serde(untagged)]
enum Words {
    BuiltIn(String),
    Own(Vec<String>),
}

/// The policy as it is written; [`Policy::parse`] checks it.
pub(super) fn read(text: &str) -> Result<Policy, PolicyError> {
    let file: File = toml::from_str(text).map_err(|e| PolicyError::Unreadable(e.to_string()))?;
    let unreadable = |why: &str| Err(PolicyError::Unreadable(why.to_owned()));
    let words = match file.words {
        None => vec![],
        Some(Words::Own(words)) => words,
        Some(Words::BuiltIn(list)) => match built_in::words(&list) {
            Some(words) => words,
            None => return unreadable("`words` is a list of words, or the list \"birthmark\""),
        },
    };
    if !words.is_empty() && !file.alphabet.is_empty() {
        return unreadable("it has an alphabet and words: one of the two is drawn from");
    }
    if words.len() > WORDS_MAX || file.exclude.len() > EXCLUDE_MAX {
        return unreadable("at most 65,536 words and 1,024 exclusions are taken");
    }
    if file.name.is_empty() || file.name.len().max(file.source.len()) > TEXT_MAX {
        return unreadable("name and source have at most 200 bytes, and a name at least one");
    }
    Ok(Policy {
        name: file.name,
        version: file.version,
        source: file.source,
        alphabet: file.alphabet.into_bytes(),
        words: words.into(),
        length: file.length,
        lengths: (
            file.min_length.unwrap_or(1).max(1),
            file.max_length.unwrap_or(u8::MAX).min(Password::MAX as u8),
        ),
        classes: file.classes,
        exclude: file.exclude,
        format: file.format,
        lockout: file.lockout,
        floor_bits: file.floor_bits,
    })
}
