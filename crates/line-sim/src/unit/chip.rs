//! The silicon: an identity, a count of boots, and a P-256 key made at first start.

use credential::mint_key;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData,
    SigningKey as _,
};
use ring::rand::SystemRandom;
use wire::message::{PUBLIC_KEY_MAX, SIGNATURE_MAX};
use wire::unit::{Identity, SigningKey, Silicon};

use super::{SimError, SimUnitConfig};

/// A key the unit made itself, with its request for a certificate.
struct Own {
    key: KeyPair,
    csr: Vec<u8>,
}

pub(super) struct Chip {
    config: SimUnitConfig,
    device_id: Vec<u8>,
    macs: Vec<u8>,
    boots: u32,
    own: Option<Own>,
}

impl Chip {
    /// `own_key` is the key in PEM, when the unit has one of its own.
    pub(super) fn new(
        config: &SimUnitConfig,
        device_id: Vec<u8>,
        boots: u32,
        own_key: Option<&str>,
    ) -> Result<Chip, SimError> {
        let own = match own_key {
            Some(pem) => Some(Own::read(pem, config)?),
            None => None,
        };
        Ok(Chip {
            config: config.clone(),
            device_id,
            macs: config.macs.iter().flat_map(|mac| mac.0).collect(),
            boots,
            own,
        })
    }

    /// The key pair that `key` means.
    fn with_key<R>(
        &self,
        key: &SigningKey<'_>,
        f: impl FnOnce(&KeyPair) -> Option<R>,
    ) -> Option<R> {
        match key {
            SigningKey::Own => f(&self.own.as_ref()?.key),
            SigningKey::Minted(pkcs8) => {
                let algorithm = &PKCS_ECDSA_P256_SHA256;
                let der = (*pkcs8).into();
                f(&KeyPair::from_pkcs8_der_and_sign_algo(&der, algorithm).ok()?)
            }
        }
    }
}

/// Makes a P-256 key (PKCS#8, PEM), as a unit does when it has none.
pub(super) fn new_key() -> Result<String, SimError> {
    let minted = mint_key(&SystemRandom::new())?;
    let pem = |der: &[u8]| identity::pem("PRIVATE KEY", der);
    Ok(minted.private.expose(pem).to_string())
}

impl Own {
    fn read(pem: &str, config: &SimUnitConfig) -> Result<Own, SimError> {
        let key = KeyPair::from_pem(pem).map_err(SimError::Key)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let name = (DnType::CommonName, config.device_id.as_str());
        params.distinguished_name.push(name.0, name.1);
        let csr = params.serialize_request(&key).map_err(SimError::Key)?;
        Ok(Own {
            csr: csr.der().to_vec(),
            key,
        })
    }
}

/// Copies to the front of `out`, when it fits.
fn put(bytes: &[u8], out: &mut [u8]) -> Option<usize> {
    out.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(bytes.len())
}

impl Silicon for Chip {
    fn identity(&self) -> Identity<'_> {
        Identity {
            device_id: &self.device_id,
            macs: &self.macs,
            model: &self.config.model,
            revision: self.config.revision.as_deref(),
            firmware: &self.config.firmware,
        }
    }

    fn boots(&self) -> u32 {
        self.boots
    }

    fn csr(&self) -> Option<&[u8]> {
        Some(&self.own.as_ref()?.csr)
    }

    fn public_key(&self, key: &SigningKey<'_>, out: &mut [u8; PUBLIC_KEY_MAX]) -> Option<usize> {
        self.with_key(key, |key| put(&key.subject_public_key_info(), out))
    }

    fn sign(
        &self,
        key: &SigningKey<'_>,
        message: &[u8],
        out: &mut [u8; SIGNATURE_MAX],
    ) -> Option<usize> {
        self.with_key(key, |key| put(&key.sign(message).ok()?, out))
    }
}
