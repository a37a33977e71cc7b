//! `provisioner operator`: who is behind a badge. The one place where a person has a name.
//!
//! The log is kept for the longer of 10 years and the product's support period, and nothing in it is
//! ever deleted; so it holds badges, and this file, which is no part of it, says whose they are. A
//! name is erased here when the person may ask for it, and the record stays whole and provable. An
//! erased badge keeps its line without a name: given to somebody else, it would put another's work
//! in their name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use traveler::OperatorId;

use crate::choice::Present;
use crate::cli::{Format, print};
use crate::site::{self, Site};

/// Longest name of a person, in bytes.
const NAME_MAX: usize = 200;

/// Verbs about operators. They ask no server.
#[derive(Debug, Subcommand)]
pub(crate) enum OperatorVerb {
    /// The badges that were given a name, and the persons behind them.
    List,
    /// Say whose a badge is.
    Name {
        /// The badge, as the station sends it.
        badge: OperatorId,
        /// The person.
        person: String,
    },
    /// Erase a person's name. The badge stays in the log and is given to nobody else.
    Erase {
        /// Which.
        badge: OperatorId,
    },
}

/// Badges and the people behind them; an empty name was erased.
#[derive(Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Operators {
    #[serde(default)]
    operators: BTreeMap<String, String>,
}

/// `provisioner operator ...`
pub(crate) fn run(site: &Site, verb: OperatorVerb, format: Format) -> Result<ExitCode> {
    let path = site.operators();
    let mut operators = Operators::read(&path)?;
    let fact = match verb {
        OperatorVerb::List => {
            let facts: Vec<Value> = operators.operators.iter().map(fact).collect();
            print(format, &facts, || {
                operators.operators.iter().map(line).collect()
            })?;
            return Ok(ExitCode::SUCCESS);
        }
        OperatorVerb::Name { badge, person } => operators.name(&badge, &person)?,
        OperatorVerb::Erase { badge } => operators.erase(&badge)?,
    };
    operators.write(&path)?;
    print(format, &self::fact((&fact.0, &fact.1)), || {
        line((&fact.0, &fact.1))
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Says whose the badges at a key ceremony are, where a name was given.
pub(crate) fn name_all(site: &Site, present: &[Present]) -> Result<()> {
    let path = site.operators();
    let mut operators = Operators::read(&path)?;
    let named = present
        .iter()
        .filter_map(|one| Some((&one.badge, one.person.as_ref()?)));
    for (badge, person) in named {
        operators.name(badge, person)?;
    }
    match operators.operators.is_empty() {
        true => Ok(()),
        false => operators.write(&path),
    }
}

impl Operators {
    fn read(path: &Path) -> Result<Operators> {
        if !path.exists() {
            return Ok(Operators::default());
        }
        let text = site::read(path)?;
        toml::from_str(&text).with_context(|| format!("{} is not usable", path.display()))
    }

    /// In one step and for its owner's eyes alone; the name that was erased is in no file after it.
    fn write(&self, path: &Path) -> Result<()> {
        let fresh = path.with_extension("new");
        if fresh.exists() {
            std::fs::remove_file(&fresh)?; // what a crash left
        }
        site::write_new(&fresh, toml::to_string(self)?.as_bytes(), true)?;
        std::fs::rename(&fresh, path).with_context(|| format!("cannot replace {}", path.display()))
    }

    fn name(&mut self, badge: &OperatorId, person: &str) -> Result<(String, String)> {
        let person = person.trim();
        if person.is_empty() || person.len() > NAME_MAX || person.contains(char::is_control) {
            bail!("a name has 1 to {NAME_MAX} bytes on one line");
        }
        match self.operators.get(badge.as_str()) {
            Some(name) if name.is_empty() => bail!(
                "badge {badge} was somebody's whose name is erased: give this person another badge"
            ),
            Some(name) if name != person => {
                bail!(
                    "badge {badge} is somebody else's: erase that name first, or choose another badge"
                )
            }
            _ => {}
        }
        let named = (badge.to_string(), person.to_owned());
        self.operators.insert(named.0.clone(), named.1.clone());
        Ok(named)
    }

    fn erase(&mut self, badge: &OperatorId) -> Result<(String, String)> {
        match self.operators.get_mut(badge.as_str()) {
            Some(name) => {
                name.clear();
                Ok((badge.to_string(), String::new()))
            }
            None => bail!("badge {badge} has no name here"),
        }
    }
}

impl Site {
    /// Whose badge is whose: no part of the record, and erasable.
    #[must_use]
    pub fn operators(&self) -> PathBuf {
        self.data().join("operators.toml")
    }
}

fn fact((badge, person): (&String, &String)) -> Value {
    json!({ "badge": badge, "person": person, "erased": person.is_empty() })
}

fn line((badge, person): (&String, &String)) -> String {
    let person = if person.is_empty() {
        "(erased)"
    } else {
        person
    };
    format!("{badge:<32}  {person}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn badge(text: &str) -> OperatorId {
        OperatorId::parse(text).unwrap()
    }

    #[test]
    fn a_name_is_erased_and_its_badge_is_nobody_elses() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("operators.toml");
        let mut operators = Operators::read(&path).unwrap();
        operators.name(&badge("B-7"), "Somebody Else").unwrap();
        operators.name(&badge("B-8"), "Another").unwrap();
        operators.write(&path).unwrap();
        let mut operators = Operators::read(&path).unwrap();
        assert!(operators.name(&badge("B-7"), "Another").is_err());
        operators.erase(&badge("B-7")).unwrap();
        operators.write(&path).unwrap();

        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("Somebody") && text.contains("B-7"), "{text}");
        let files = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files, 1);
        let mut operators = Operators::read(&path).unwrap();
        assert!(operators.name(&badge("B-7"), "Somebody Else").is_err());
        assert!(operators.erase(&badge("B-9")).is_err());
        assert_eq!(operators.operators["B-8"], "Another");
    }

    #[test]
    fn only_its_owner_reads_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("operators.toml");
        std::fs::write(path.with_extension("new"), "half").unwrap();
        let mut operators = Operators::default();
        operators.name(&badge("B-7"), "Somebody").unwrap();
        operators.write(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn names_that_are_none_are_refused() {
        let mut operators = Operators::default();
        for name in ["", "  ", "two\nlines", &"x".repeat(201)] {
            assert!(operators.name(&badge("B-7"), name).is_err(), "{name:?}");
        }
        assert!(operators.operators.is_empty());
    }
}
