//! What requests name, checked, and what they are counted as.

use hsm::Key;
use hsm::message::v1;
use hsm::message::v1::request::Command;

pub(crate) fn key(label: &str) -> Result<Key, v1::Failure> {
    Key::from_label(label)
        .ok_or_else(|| v1::Failure::new(v1::Code::NoSuchKey, "no key has this label"))
}

/// A log's origin, of a length that one has.
pub(crate) fn log(origin: &str) -> Result<&str, v1::Failure> {
    if (1..=255).contains(&origin.len()) {
        return Ok(origin);
    }
    let text = "a log's origin has 1 to 255 bytes";
    Err(v1::Failure::new(v1::Code::Refused, text))
}

/// A failure is an answer too.
pub(crate) fn settle(answer: Result<v1::Response, v1::Failure>) -> v1::Response {
    answer.unwrap_or_else(v1::Response::from)
}

/// What a command is counted as. A label that is no key's is not kept: clients choose those.
pub(crate) fn use_name(command: &Command) -> String {
    let (label, verb) = match command {
        Command::Login(_) => (None, "login"),
        Command::Describe(_) => (None, "describe"),
        Command::Random(_) => (None, "random"),
        Command::Mac(it) => (Some(&it.key), "mac"),
        Command::Sign(it) => (Some(&it.key), "sign"),
        Command::PublicKey(it) => (Some(&it.key), "public-key"),
        Command::Wrap(it) => (Some(&it.key), "wrap"),
        Command::Unwrap(it) => (Some(&it.key), "unwrap"),
        Command::MakeKey(it) => (Some(&it.key), "make-key"),
        Command::Fault(_) => (None, "fault"),
        Command::Status(_) => (None, "status"),
        Command::HighWater(_) => (None, "high-water"),
        Command::RaiseHighWater(_) => (None, "raise-high-water"),
    };
    match label.map(|label| Key::from_label(label)) {
        None => verb.to_owned(),
        Some(Some(key)) => format!("{key} {verb}"),
        Some(None) => format!("unknown {verb}"),
    }
}
