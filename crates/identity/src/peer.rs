//! Who may do what: the role a site certificate carries, and reading it back from a peer.

use std::net::IpAddr;

use thiserror::Error;
use traveler::{StationName, Timestamp};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::x509::AttributeTypeAndValue;

/// What the holder of a site certificate is. Written as the subject's OU, its name as the CN.
#[derive(Clone, Debug, PartialEq)]
pub enum Role {
    /// The provisioner, reached under these names and addresses.
    Server {
        /// DNS names, at least one of these or of `ips`.
        dns: Vec<String>,
        /// Addresses.
        ips: Vec<IpAddr>,
    },
    /// A bench on the line.
    Station(StationName),
    /// Reads everything, changes nothing.
    Qa(PersonName),
    /// Applies products, makes orders, invites and revokes stations.
    Admin(PersonName),
}

impl Role {
    pub(crate) fn unit_name(&self) -> &'static str {
        match self {
            Role::Server { .. } => "server",
            Role::Station(_) => "station",
            Role::Qa(_) => "qa",
            Role::Admin(_) => "admin",
        }
    }
}

/// A person's or tool's name as it stands in a certificate and in entries.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct PersonName(String);

/// Text that cannot be a person's name.
#[derive(Clone, Copy, Debug, Error, PartialEq)]
#[error("a name is 1 to 64 of letters, digits and . _ @ + -")]
pub struct PersonNameError;

impl PersonName {
    /// Takes 1 to 64 (X.520 ub-common-name) of letters, digits and `. _ @ + -`.
    ///
    /// # Errors
    /// [`PersonNameError`] on anything else.
    pub fn parse(text: &str) -> Result<PersonName, PersonNameError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._@+-".contains(&byte);
        if (1..=64).contains(&text.len()) && text.bytes().all(plain) {
            Ok(PersonName(text.to_owned()))
        } else {
            Err(PersonNameError)
        }
    }

    /// The name as it was parsed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for PersonName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

/// What a peer's certificate says, once TLS has checked that the site signed it.
#[derive(Clone, Debug, PartialEq)]
pub struct Peer {
    /// A station, QA or admin; never a server.
    pub role: Role,
    /// When the certificate ends.
    pub not_after: Timestamp,
}

/// Why a certificate names no peer.
#[derive(Clone, Copy, Debug, Error, PartialEq)]
pub enum PeerError {
    /// Not a certificate in DER.
    #[error("the peer's certificate cannot be read")]
    Malformed,
    /// A certificate for something else: a server, an authority, a unit.
    #[error("the peer's certificate is not for a client of this site")]
    NotAClient,
    /// The subject does not name exactly one role and one name that fits it.
    #[error("the peer's certificate names no role this version knows")]
    NoRole,
}

/// Reads role and name from a certificate whose chain TLS has already checked.
///
/// # Errors
/// Every variant of [`PeerError`].
pub fn parse_peer(der: &[u8]) -> Result<Peer, PeerError> {
    let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| PeerError::Malformed)?;
    if !rest.is_empty() {
        return Err(PeerError::Malformed);
    }
    let usage = certificate
        .extended_key_usage()
        .map_err(|_| PeerError::Malformed)?;
    if certificate.is_ca() || !usage.is_some_and(|usage| usage.value.client_auth) {
        return Err(PeerError::NotAClient);
    }
    let subject = certificate.subject();
    let unit = only(subject.iter_organizational_unit())?;
    let name = only(subject.iter_common_name())?;
    let person = || PersonName::parse(name).map_err(|_| PeerError::NoRole);
    let role = match unit {
        "station" => Role::Station(StationName::parse(name).map_err(|_| PeerError::NoRole)?),
        "qa" => Role::Qa(person()?),
        "admin" => Role::Admin(person()?),
        _ => return Err(PeerError::NoRole),
    };
    let not_after = certificate
        .validity()
        .not_after
        .timestamp()
        .saturating_mul(1000);
    Ok(Peer {
        role,
        not_after: Timestamp::from_unix_ms(not_after),
    })
}

/// The one attribute there must be: with two, two readers could each believe another.
fn only<'a>(
    mut attributes: impl Iterator<Item = &'a AttributeTypeAndValue<'a>>,
) -> Result<&'a str, PeerError> {
    match (attributes.next(), attributes.next()) {
        (Some(one), None) => one.as_str().map_err(|_| PeerError::NoRole),
        _ => Err(PeerError::NoRole),
    }
}
