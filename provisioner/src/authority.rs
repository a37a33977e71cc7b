//! The certificates this server signs, each with a key that stays in the HSM.
//!
//! Two trees that never meet: units hang below the device root, stations and people below the
//! site root, so a unit's certificate opens no door here and a station's proves no unit.

use std::sync::Arc;

use hsm::{Hsm, HsmError, Key, Randomness};
use identity::{Issuer, Role, Signer, Stamp};
use ledger::SigningKeyRow;
use thiserror::Error;
use traveler::{Serial, Sku, Timestamp};

use crate::auth::sha256;
use crate::figures::hex;
use crate::keys::{CertificateKey, SystemRandomness};
use crate::site::{self, Site, SiteError};

/// Why a certificate was not made.
#[derive(Debug, Error)]
pub enum AuthorityError {
    /// The site's certificates cannot be read.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// The token holds other keys than this site's certificates name.
    #[error(
        "the token's {key} key is not the one in this data directory: it belongs to another \
         server; name the right --data and --hsm"
    )]
    ForeignToken {
        /// Which key.
        key: &'static str,
    },
    /// The token did not answer.
    #[error(transparent)]
    Hsm(#[from] HsmError),
    /// The certificate could not be put together or signed.
    #[error(transparent)]
    Identity(#[from] identity::IdentityError),
}

/// Signs for units, stations, people and the server itself.
pub(crate) struct Authority {
    issuing: CertificateKey,
    issuing_certificate: Vec<u8>,
    site: CertificateKey,
    site_root: Vec<u8>,
}

impl Authority {
    /// Reads the site's certificates and checks that the token holds their keys. `in_force` is the
    /// issuing key that the log names, when it names one.
    ///
    /// # Errors
    /// [`AuthorityError`], `ForeignToken` when directory and token are of different servers.
    pub(crate) fn open(
        hsm: &Arc<dyn Hsm>,
        site: &Site,
        in_force: Option<&SigningKeyRow>,
    ) -> Result<Authority, AuthorityError> {
        let foreign = |key| AuthorityError::ForeignToken { key };
        let (issuing_certificate, spki) = issuing_certificate(site, in_force)?;
        let issuing = CertificateKey::of(hsm, Key::issuing, |other| other == spki)?
            .ok_or(foreign("issuing"))?
            .signer;
        let site_key = CertificateKey::new(hsm, Key::Site)?;
        let site_root = site::read_certificate(&site.site_root())?;
        if spki_of(&site_root).as_deref() != Some(site_key.spki()) {
            return Err(foreign("site"));
        }
        Ok(Authority {
            issuing,
            issuing_certificate,
            site: site_key,
            site_root,
        })
    }

    /// The site's root certificate (DER).
    #[must_use]
    pub(crate) fn site_root(&self) -> &[u8] {
        &self.site_root
    }

    /// A unit's chain (DER, leaf first, without the root).
    ///
    /// # Errors
    /// [`AuthorityError`] when the token does not answer or the key cannot be certified.
    pub(crate) fn device(
        &self,
        spki: &[u8],
        serial: &Serial,
        product: &Sku,
        now: Timestamp,
    ) -> Result<Vec<Vec<u8>>, AuthorityError> {
        let issuer = Issuer {
            signer: &self.issuing,
            certificate: &self.issuing_certificate,
        };
        let leaf = identity::device(issuer, spki, serial, product, self.stamp(now)?)?;
        Ok(vec![leaf.der, self.issuing_certificate.clone()])
    }

    /// A certificate of the site for a server, station or person (DER), valid for `hours`.
    ///
    /// # Errors
    /// [`AuthorityError`] when the token does not answer or the key cannot be certified.
    pub(crate) fn leaf(
        &self,
        spki: &[u8],
        role: &Role,
        now: Timestamp,
        hours: u32,
    ) -> Result<Vec<u8>, AuthorityError> {
        let issuer = Issuer {
            signer: &self.site,
            certificate: &self.site_root,
        };
        let not_after = Timestamp::from_unix_ms(now.unix_ms() + i64::from(hours) * HOUR_MS);
        let stamp = self.stamp(Timestamp::from_unix_ms(now.unix_ms() - CLOCKS_DIFFER_MS))?;
        Ok(identity::site_leaf(issuer, spki, role, stamp, not_after)?.der)
    }

    /// A fresh certificate number (RFC 5280, 4.1.2.2: 16 random bytes) and the beginning. It is no
    /// secret and only has to be another one: the system's generator does, and costs the token no
    /// command.
    #[allow(clippy::unused_self, reason = "numbers are the authority's to give")]
    fn stamp(&self, not_before: Timestamp) -> Result<Stamp, HsmError> {
        let mut serial_number = [0; 16];
        SystemRandomness.fill(&mut serial_number)?;
        Ok(Stamp {
            serial_number,
            not_before,
        })
    }
}

/// The certificate of the issuing key in force, and that key. The file may hold one that a rotation
/// brought which broke off, and holds those of all times before.
fn issuing_certificate(
    site: &Site,
    in_force: Option<&SigningKeyRow>,
) -> Result<(Vec<u8>, Vec<u8>), AuthorityError> {
    let path = site.device_issuing();
    let mut all = site::read_certificates(&path)?;
    let fits = |certificate: &Vec<u8>| {
        in_force.is_none_or(|row| {
            let key = spki_of(certificate).is_some_and(|spki| hex(&spki) == row.public);
            let named = row.certificate_sha256;
            key && named.is_none_or(|digest| digest == sha256(certificate))
        })
    };
    // Without a word of the log it is the first that there ever was.
    let place = all.iter().rposition(fits);
    let place = place.ok_or(AuthorityError::ForeignToken { key: "issuing" })?;
    let certificate = all.swap_remove(place);
    let spki = spki_of(&certificate).ok_or(SiteError::Damaged { path })?;
    Ok((certificate, spki))
}

const HOUR_MS: i64 = 3_600_000;

/// Certificates of the site begin this much early: a station whose clock is behind can use its
/// own at once. Order comes from the log, so nothing else depends on the two clocks agreeing.
const CLOCKS_DIFFER_MS: i64 = HOUR_MS;

/// SubjectPublicKeyInfo of a certificate, both DER.
fn spki_of(certificate: &[u8]) -> Option<Vec<u8>> {
    use x509_parser::prelude::FromDer;
    let (_, parsed) = x509_parser::certificate::X509Certificate::from_der(certificate).ok()?;
    Some(parsed.public_key().raw.to_vec())
}
