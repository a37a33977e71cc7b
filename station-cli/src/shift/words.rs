//! The words of operators, by language: data files that are compiled in.

use std::collections::BTreeMap;

use clap::ValueEnum;
use serde::Deserialize;

/// A language of the screen.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, ValueEnum)]
pub(crate) enum Language {
    /// English.
    #[default]
    #[serde(rename = "en")]
    #[value(name = "en")]
    En,
    /// Chinese, simplified.
    #[serde(rename = "zh-CN")]
    #[value(name = "zh-CN")]
    ZhCn,
}

impl Language {
    fn file(self) -> &'static str {
        match self {
            Language::En => include_str!("../../messages/en.toml"),
            Language::ZhCn => include_str!("../../messages/zh-CN.toml"),
        }
    }
}

/// All words of one language.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Words {
    #[serde(skip)]
    pub(crate) language: Language,
    tile: BTreeMap<String, String>,
    stage: BTreeMap<String, String>,
    say: BTreeMap<String, String>,
}

impl Words {
    /// The words of a language.
    ///
    /// # Panics
    /// Never: the files are part of the program, and a test reads them.
    pub(crate) fn of(language: Language) -> Words {
        let words: Words = toml::from_str(language.file()).expect("the message files are sound");
        Words { language, ..words }
    }

    /// The one word of a tile.
    pub(crate) fn tile<'a>(&'a self, key: &'a str) -> &'a str {
        self.tile.get(key).map_or(key, String::as_str)
    }

    /// What a unit's stage is called.
    pub(crate) fn stage<'a>(&'a self, key: &'a str) -> &'a str {
        self.stage.get(key).map_or(key, String::as_str)
    }

    /// A message without anything to fill in. A reason nobody has words for is shown as it is.
    pub(crate) fn say(&self, key: &str) -> String {
        self.say.get(key).map_or(key, String::as_str).to_owned()
    }

    /// A message with a serial and a slot.
    pub(crate) fn fill(&self, key: &str, serial: &str, slot: u32) -> String {
        self.say(key)
            .replace("{serial}", serial)
            .replace("{slot}", &slot.to_string())
    }
}

#[cfg(test)]
mod tests {
    use api::Reason;

    use super::*;

    const BOTH: [Language; 2] = [Language::En, Language::ZhCn];

    fn sections(words: &Words) -> [&BTreeMap<String, String>; 3] {
        [&words.tile, &words.stage, &words.say]
    }

    fn placeholders(text: &str) -> Vec<&str> {
        let after = text
            .split('{')
            .skip(1)
            .filter_map(|rest| rest.split_once('}'));
        let mut names: Vec<&str> = after.map(|(name, _)| name).collect();
        names.sort_unstable();
        names
    }

    /// A message without what is filled in.
    fn bare(text: &str) -> String {
        placeholders(text)
            .iter()
            .fold(text.to_owned(), |text, name| {
                text.replace(&format!("{{{name}}}"), " ")
            })
    }

    #[test]
    fn every_language_says_the_same_things() {
        let [english, chinese] = BOTH.map(Words::of);
        for (en, zh) in sections(&english).into_iter().zip(sections(&chinese)) {
            let keys = |map: &BTreeMap<String, String>| map.keys().cloned().collect::<Vec<_>>();
            assert_eq!(keys(en), keys(zh));
            for (key, text) in en {
                assert_eq!(placeholders(text), placeholders(&zh[key]), "{key}");
            }
        }
    }

    #[test]
    fn no_english_is_left_in_the_chinese() {
        let words = Words::of(Language::ZhCn);
        for (key, text) in sections(&words).into_iter().flatten() {
            let bare = bare(text);
            assert!(
                !bare.chars().any(|c| c.is_ascii_alphabetic()),
                "{key}: {text}"
            );
            assert!(!bare.trim().is_empty(), "{key}");
        }
        let english = Words::of(Language::En);
        for (key, text) in sections(&english).into_iter().flatten() {
            assert!(text.is_ascii(), "{key}: {text}");
        }
    }

    #[test]
    fn a_message_is_read_in_passing() {
        let words = Words::of(Language::En);
        for (key, text) in &words.say {
            let text = bare(text);
            let is_word = |word: &&str| word.chars().any(char::is_alphanumeric);
            let count = text.split_whitespace().filter(is_word).count();
            assert!((1..=5).contains(&count), "{key}: {text}");
        }
    }

    /// A new failure needs words in each language, or its operator reads a code.
    #[test]
    fn every_failure_has_words() {
        let words = Words::of(Language::En);
        let server = Reason::ALL.iter().map(|reason| reason.as_str().to_owned());
        // The station's own: the second argument of each row of the table.
        let table = include_str!("../failure.rs");
        let rows = table
            .split("row(")
            .skip(1)
            .filter_map(|row| row.split_once('"'));
        let rows = rows.filter_map(|(_, rest)| rest.split_once('"'));
        let own: Vec<String> = rows
            .map(|(reason, _)| reason.to_owned())
            .filter(|reason| reason.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'))
            .collect();
        assert!(own.len() > 25, "the table was read");
        for reason in server.chain(own) {
            assert!(
                words.say.contains_key(&reason),
                "add {reason} to messages/*.toml"
            );
        }
    }
}
