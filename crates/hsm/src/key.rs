//! The keys of the line by name. One key does one thing; there is no key by a free label.

use std::fmt;

/// A key inside the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// Signs the device issuing certificate and nothing else.
    DeviceRoot,
    /// Signs each unit's certificate.
    DeviceIssuing,
    /// Signs the certificates of servers, stations and people on this site.
    Site,
    /// Signs checkpoints.
    Log,
    /// MACs passwords into fingerprints for the duplicate index.
    Fingerprint,
    /// Wraps resume tickets.
    Ticket,
    /// Authenticates resume tickets in a token that wraps without AES-GCM; others do not have it.
    TicketMac,
    /// Takes over from [`Key::DeviceIssuing`] or a later one when that is rotated.
    LaterIssuing(Turn),
    /// Takes over from [`Key::Log`] or a later one when that is rotated.
    LaterLog(Turn),
}

/// Which successor of a key that is rotated: 2 for the first, up to [`Turn::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Turn(u8);

impl Turn {
    /// One rotation a year for the ten years that a log is kept, and some to spare.
    pub const MAX: u8 = 16;

    /// Turns there are.
    const COUNT: usize = LOGS.len();

    fn place(self) -> usize {
        usize::from(self.0 - 2)
    }
}

/// Labels of the successors, by turn.
const LOGS: [&str; 15] = [
    "log-2", "log-3", "log-4", "log-5", "log-6", "log-7", "log-8", "log-9", "log-10", "log-11",
    "log-12", "log-13", "log-14", "log-15", "log-16",
];
const ISSUINGS: [&str; Turn::COUNT] = [
    "device-issuing-2",
    "device-issuing-3",
    "device-issuing-4",
    "device-issuing-5",
    "device-issuing-6",
    "device-issuing-7",
    "device-issuing-8",
    "device-issuing-9",
    "device-issuing-10",
    "device-issuing-11",
    "device-issuing-12",
    "device-issuing-13",
    "device-issuing-14",
    "device-issuing-15",
    "device-issuing-16",
];

/// What a key can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// ECDSA on P-256 with SHA-256.
    P256,
    /// Ed25519 (RFC 8032).
    Ed25519,
    /// HMAC-SHA-256 (RFC 2104).
    Mac,
    /// AES-256-GCM.
    Aes256,
}

impl Key {
    /// How many keys a token can hold.
    pub const COUNT: usize = Key::ALL.len() + 1 + 2 * Turn::COUNT;

    /// Every key that a new site has, in the order in which they are kept in a store.
    pub const ALL: [Key; 6] = [
        Key::DeviceRoot,
        Key::DeviceIssuing,
        Key::Site,
        Key::Log,
        Key::Fingerprint,
        Key::Ticket,
    ];

    /// The key's name in messages, and its label in a real token.
    pub fn label(self) -> &'static str {
        match self {
            Key::DeviceRoot => "device-root",
            Key::DeviceIssuing => "device-issuing",
            Key::Site => "site",
            Key::Log => "log",
            Key::Fingerprint => "fingerprint",
            Key::Ticket => "ticket",
            Key::TicketMac => "ticket-mac",
            Key::LaterIssuing(turn) => ISSUINGS[turn.place()],
            Key::LaterLog(turn) => LOGS[turn.place()],
        }
    }

    /// The log's key in its `turn`, from 1 to [`Turn::MAX`].
    pub fn log(turn: u8) -> Option<Key> {
        match turn {
            1 => Some(Key::Log),
            2..=Turn::MAX => Some(Key::LaterLog(Turn(turn))),
            _ => None,
        }
    }

    /// The key that certifies units in its `turn`, from 1 to [`Turn::MAX`].
    pub fn issuing(turn: u8) -> Option<Key> {
        match turn {
            1 => Some(Key::DeviceIssuing),
            2..=Turn::MAX => Some(Key::LaterIssuing(Turn(turn))),
            _ => None,
        }
    }

    /// Every key that a token can hold: those of a new site, and those that only some have.
    pub fn every() -> impl Iterator<Item = Key> {
        let later = (2..=Turn::MAX)
            .map(Turn)
            .flat_map(|turn| [Key::LaterIssuing(turn), Key::LaterLog(turn)]);
        Key::ALL.into_iter().chain([Key::TicketMac]).chain(later)
    }

    /// The key's place in a list of all, below [`Key::COUNT`].
    pub fn place(self) -> usize {
        match self {
            Key::LaterIssuing(turn) => Key::ALL.len() + 1 + turn.place(),
            Key::LaterLog(turn) => Key::ALL.len() + 1 + Turn::COUNT + turn.place(),
            key => usize::from(key.number()) - 1,
        }
    }

    /// The key with this label, if there is one.
    pub fn from_label(label: &str) -> Option<Key> {
        Key::every().find(|key| key.label() == label)
    }

    /// What the key can do.
    pub fn kind(self) -> Kind {
        match self {
            Key::DeviceRoot | Key::DeviceIssuing | Key::Site | Key::LaterIssuing(_) => Kind::P256,
            Key::Log | Key::LaterLog(_) => Kind::Ed25519,
            Key::Fingerprint | Key::TicketMac => Kind::Mac,
            Key::Ticket => Kind::Aes256,
        }
    }

    /// The key's number in a store. Never reused for another key.
    pub(crate) fn number(self) -> u8 {
        match self {
            Key::DeviceRoot => 1,
            Key::DeviceIssuing => 2,
            Key::Site => 3,
            Key::Log => 4,
            Key::Fingerprint => 5,
            Key::Ticket => 6,
            Key::TicketMac => 7,
            Key::LaterIssuing(Turn(turn)) => 32 + turn,
            Key::LaterLog(Turn(turn)) => 64 + turn,
        }
    }

    pub(crate) fn from_number(number: u8) -> Option<Key> {
        Key::every().find(|key| key.number() == number)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_and_a_number_name_one_key() {
        let mut places = Vec::new();
        for key in Key::every() {
            assert_eq!(Key::from_label(key.label()), Some(key));
            assert_eq!(Key::from_number(key.number()), Some(key));
            places.push(key.place());
        }
        places.sort_unstable();
        assert!(places.into_iter().eq(0..Key::COUNT));
        assert_eq!(Key::from_label("Site"), None);
        assert_eq!(Key::from_number(0), None);
        assert_eq!((Key::log(0), Key::log(Turn::MAX + 1)), (None, None));
        assert_eq!(Key::log(2).map(Key::label), Some("log-2"));
        assert_eq!(Key::issuing(16).map(Key::label), Some("device-issuing-16"));
    }
}
