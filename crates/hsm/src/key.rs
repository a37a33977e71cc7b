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
}

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
    /// Every key, in the order in which they are kept in a store.
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
        }
    }

    /// The key with this label, if there is one.
    pub fn from_label(label: &str) -> Option<Key> {
        Key::ALL.into_iter().find(|key| key.label() == label)
    }

    /// What the key can do.
    pub fn kind(self) -> Kind {
        match self {
            Key::DeviceRoot | Key::DeviceIssuing | Key::Site => Kind::P256,
            Key::Log => Kind::Ed25519,
            Key::Fingerprint => Kind::Mac,
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
        }
    }

    pub(crate) fn from_number(number: u8) -> Option<Key> {
        Key::ALL.into_iter().find(|key| key.number() == number)
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
        for key in Key::ALL {
            assert_eq!(Key::from_label(key.label()), Some(key));
            assert_eq!(Key::from_number(key.number()), Some(key));
        }
        assert_eq!(Key::from_label("Site"), None);
        assert_eq!(Key::from_number(0), None);
    }
}
