//! The certificates, one function a profile.

use rcgen::string::PrintableString;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue,
    ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType, SerialNumber,
};
use thiserror::Error;
use time::OffsetDateTime;
use time::macros::datetime;
use traveler::{Digest, Serial, Sku, Timestamp};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::hardware::hardware_module_name;
use crate::key::{KeyError, PublicKey, SignError, Signer, SigningAdapter};
use crate::peer::Role;

/// "No well-defined expiration date" (RFC 5280 section 4.1.2.5): what IEEE 802.1AR asks of an
/// IDevID, and so of what signs it.
const NEVER: OffsetDateTime = datetime!(9999-12-31 23:59:59 UTC);

/// How long the site's root is good: longer than a factory keeps its tools.
const SITE_ROOT_LIFE: time::Duration = time::Duration::days(25 * 365);

/// id-at-serialNumber: the attribute of the subject, not the certificate's own number.
const SERIAL_NUMBER: [u64; 4] = [2, 5, 4, 5];

/// A certificate (X.509, DER).
#[derive(Clone, Debug, PartialEq)]
pub struct Certificate {
    /// The bytes that were signed over and the signature.
    pub der: Vec<u8>,
}

impl Certificate {
    /// SHA-256 of the DER, as entries name it.
    #[must_use]
    pub fn sha256(&self) -> Digest {
        sha256(&self.der)
    }
}

/// SHA-256 of a certificate or public key, as entries name it.
#[must_use]
pub fn sha256(der: &[u8]) -> Digest {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, der).as_ref());
    Digest(bytes)
}

/// What only the caller can give a certificate: chance and time.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// Sixteen random bytes; the certificate's own number (RFC 5280 section 4.1.2.2).
    pub serial_number: [u8; 16],
    /// From when it is good. Seconds count; milliseconds are cut.
    pub not_before: Timestamp,
}

/// A key and the certificate that lets it sign others.
#[derive(Clone, Copy)]
pub struct Issuer<'a> {
    /// The key.
    pub signer: &'a dyn Signer,
    /// Its certificate (DER).
    pub certificate: &'a [u8],
}

/// Why no certificate was made.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// The subject's or the signer's public key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The key that should sign did not.
    #[error("no certificate was made")]
    Sign(#[source] SignError),
    /// The issuer's certificate is unreadable, no authority, or of another key than the signer's.
    #[error("the issuer's certificate {0}")]
    Issuer(&'static str),
    /// A name that cannot stand in a certificate.
    #[error("`{0}` cannot stand in a certificate")]
    Name(String),
    /// The certificate would end before it begins.
    #[error("the certificate would end at {not_after}, before it begins")]
    Ended {
        /// The end that was asked for.
        not_after: Timestamp,
    },
    /// The encoder refused, which is a fault of this program.
    #[error("the certificate cannot be written: {0}")]
    Encode(String),
}

/// The root of all units: signs only issuing certificates, never expires.
///
/// # Errors
/// [`IdentityError::Key`], [`IdentityError::Sign`], [`IdentityError::Encode`].
pub fn device_root(
    signer: &dyn Signer,
    name: &str,
    stamp: Stamp,
) -> Result<Certificate, IdentityError> {
    self_signed(&authority(common_name(name), 1, stamp, NEVER), signer)
}

/// Signs units, and no further authority; never expires.
///
/// # Errors
/// [`IdentityError::Key`], [`IdentityError::Issuer`], [`IdentityError::Sign`],
/// [`IdentityError::Encode`].
pub fn device_issuing(
    root: Issuer<'_>,
    name: &str,
    spki: &[u8],
    stamp: Stamp,
) -> Result<Certificate, IdentityError> {
    signed(&authority(common_name(name), 0, stamp, NEVER), spki, root)
}

/// A request (PKCS#10, DER) for the issuing certificate, for a root that is kept elsewhere. It asks
/// for a name and proves that the key is held; what the certificate may do is the root's to say.
///
/// # Errors
/// [`IdentityError::Key`], [`IdentityError::Sign`], [`IdentityError::Encode`].
pub fn issuing_request(signer: &dyn Signer, name: &str) -> Result<Vec<u8>, IdentityError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(name);
    let key = SigningAdapter::new(signer)?;
    match (params.serialize_request(&key), key.failure()) {
        (Ok(request), _) => Ok(request.der().to_vec()),
        (Err(_), Some(failure)) => Err(IdentityError::Sign(failure)),
        (Err(error), None) => Err(IdentityError::Encode(error.to_string())),
    }
}

/// Checks an issuing certificate that a root elsewhere has signed: it is an authority's, of our key,
/// in force now, and signed by that root, which signed itself.
///
/// # Errors
/// [`IdentityError::Issuer`] with what is wrong.
pub fn check_issuing(
    issuing: &[u8],
    root: &[u8],
    spki: &[u8],
    now: Timestamp,
) -> Result<(), IdentityError> {
    use IdentityError::Issuer as Refused;
    let parse = |der| match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(Refused("cannot be read")),
    };
    let (issuing, root) = (parse(issuing)?, parse(root)?);
    if !issuing.is_ca() || !root.is_ca() {
        return Err(Refused("is not an authority's"));
    }
    if issuing.public_key().raw != spki {
        return Err(Refused("is of another key than the token's"));
    }
    let signs = |certificate: &X509Certificate<'_>| {
        let usage = certificate.key_usage().ok().flatten();
        usage.is_none_or(|usage| usage.value.key_cert_sign())
    };
    if !signs(&issuing) || !signs(&root) {
        return Err(Refused("may not sign certificates"));
    }
    let now = x509_parser::time::ASN1Time::from_timestamp(now.unix_ms() / 1000)
        .map_err(|_| Refused("cannot be held against this clock"))?;
    if !issuing.validity().is_valid_at(now) || !root.validity().is_valid_at(now) {
        return Err(Refused("is not in force now"));
    }
    if issuing.issuer() != root.subject() {
        return Err(Refused("names another root than the one beside it"));
    }
    let by_root = issuing.verify_signature(Some(root.public_key())).is_ok();
    if !by_root || root.verify_signature(None).is_err() {
        return Err(Refused("is not signed by the root beside it"));
    }
    Ok(())
}

/// The root of the site: signs server, stations and people.
///
/// # Errors
/// As [`device_root`].
pub fn site_root(
    signer: &dyn Signer,
    name: &str,
    stamp: Stamp,
) -> Result<Certificate, IdentityError> {
    let not_after = begin(stamp).saturating_add(SITE_ROOT_LIFE).min(NEVER);
    self_signed(&authority(common_name(name), 0, stamp, not_after), signer)
}

/// A unit's IDevID (IEEE 802.1AR): product and serial number in the subject, the hardware's name
/// beside it, signing as its only use, no end.
///
/// # Errors
/// As [`device_issuing`].
pub fn device(
    issuing: Issuer<'_>,
    spki: &[u8],
    serial: &Serial,
    product: &Sku,
    stamp: Stamp,
) -> Result<Certificate, IdentityError> {
    let printable = PrintableString::try_from(serial.as_str())
        .map_err(|_| IdentityError::Name(serial.to_string()))?;
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationalUnitName, product.as_str());
    subject.push(
        DnType::CustomDnType(SERIAL_NUMBER.to_vec()),
        DnValue::PrintableString(printable),
    );
    let mut params = leaf(subject, stamp, NEVER);
    params.custom_extensions = vec![hardware_module_name(serial)];
    signed(&params, spki, issuing)
}

/// A certificate of the site for one role, until `not_after`.
///
/// # Errors
/// As [`device_issuing`], and [`IdentityError::Name`] for a server without a usable name,
/// [`IdentityError::Ended`].
pub fn site_leaf(
    site: Issuer<'_>,
    spki: &[u8],
    role: &Role,
    stamp: Stamp,
    not_after: Timestamp,
) -> Result<Certificate, IdentityError> {
    if not_after <= stamp.not_before {
        return Err(IdentityError::Ended { not_after });
    }
    let (name, names, usage) = match role {
        Role::Server { dns, ips } => {
            let names = server_names(dns, ips)?;
            ("provisioner", names, ExtendedKeyUsagePurpose::ServerAuth)
        }
        Role::Station(name) => (name.as_str(), vec![], ExtendedKeyUsagePurpose::ClientAuth),
        Role::Qa(name) | Role::Admin(name) => {
            (name.as_str(), vec![], ExtendedKeyUsagePurpose::ClientAuth)
        }
    };
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationalUnitName, role.unit_name());
    subject.push(DnType::CommonName, name);
    let mut params = leaf(subject, stamp, seconds(not_after));
    params.subject_alt_names = names;
    params.extended_key_usages = vec![usage];
    signed(&params, spki, site)
}

fn server_names(dns: &[String], ips: &[std::net::IpAddr]) -> Result<Vec<SanType>, IdentityError> {
    let mut names = Vec::with_capacity(dns.len() + ips.len());
    for name in dns {
        let ascii = name.as_str().try_into();
        names.push(SanType::DnsName(
            ascii.map_err(|_| IdentityError::Name(name.clone()))?,
        ));
    }
    names.extend(ips.iter().copied().map(SanType::IpAddress));
    if names.is_empty() {
        return Err(IdentityError::Name(String::new()));
    }
    Ok(names)
}

fn common_name(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}

fn authority(
    subject: DistinguishedName,
    authorities_below: u8,
    stamp: Stamp,
    not_after: OffsetDateTime,
) -> CertificateParams {
    let mut params = leaf(subject, stamp, not_after);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(authorities_below));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// What every certificate has. Built from nothing, never from what a requester sent.
fn leaf(subject: DistinguishedName, stamp: Stamp, not_after: OffsetDateTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from_slice(&stamp.serial_number));
    params.not_before = begin(stamp);
    params.not_after = not_after;
    params.distinguished_name = subject;
    // Explicit, since rcgen writes the subject key identifier only beside basic constraints.
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    params
}

fn begin(stamp: Stamp) -> OffsetDateTime {
    seconds(stamp.not_before)
}

fn seconds(at: Timestamp) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(at.unix_ms() / 1000)
}

fn self_signed(
    params: &CertificateParams,
    signer: &dyn Signer,
) -> Result<Certificate, IdentityError> {
    let key = SigningAdapter::new(signer)?;
    finished(params.self_signed(&key), &key)
}

fn signed(
    params: &CertificateParams,
    spki: &[u8],
    issuer: Issuer<'_>,
) -> Result<Certificate, IdentityError> {
    use IdentityError::Issuer as Refused;
    let (_, parent) =
        X509Certificate::from_der(issuer.certificate).map_err(|_| Refused("cannot be read"))?;
    if !parent.is_ca() {
        return Err(Refused("is not an authority's"));
    }
    // A mixed-up key would sign certificates that no chain accepts; better none at all.
    if parent.public_key().raw != issuer.signer.spki() {
        return Err(Refused("is of another key than the one that signs"));
    }
    let subject = PublicKey::parse(spki)?;
    let key = SigningAdapter::new(issuer.signer)?;
    let parent = rcgen::Issuer::from_ca_cert_der(&issuer.certificate.into(), &key)
        .map_err(|_| Refused("cannot be read"))?;
    finished(params.signed_by(&subject, &parent), &key)
}

fn finished(
    result: Result<rcgen::Certificate, rcgen::Error>,
    key: &SigningAdapter<'_>,
) -> Result<Certificate, IdentityError> {
    match (result, key.failure()) {
        (Ok(certificate), _) => Ok(Certificate {
            der: certificate.der().to_vec(),
        }),
        (Err(_), Some(failure)) => Err(IdentityError::Sign(failure)),
        (Err(error), None) => Err(IdentityError::Encode(error.to_string())),
    }
}
