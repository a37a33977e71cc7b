//! A root that is kept elsewhere: the token makes the issuing key, the root's owner signs for it.
//!
//! `init --issuing-csr` makes the keys and prints a request; the root signs it, wherever it is;
//! `init --issuing-cert` takes the chain and makes the site. Between the two the keys lie in the
//! token, and the token alone is what is kept.

use std::path::Path;

use hsm::Key;
use rustls::pki_types::{CertificateDer, pem::PemObject};

use crate::ceremony;
use crate::config::{ConfigError, HsmPlace};
use crate::init::{Choice, InitError};
use crate::keys::{self, CertificateKey};
use crate::line::now;
use crate::site::{self, SiteError};

/// The keys of a site whose root is elsewhere.
pub(crate) const KEYS: [Key; 5] = [
    Key::DeviceIssuing,
    Key::Site,
    Key::Log,
    Key::Fingerprint,
    Key::Ticket,
];

/// What the issuing authority is called.
pub(crate) const ISSUING: &str = "Birthmark device id issuing";

/// Makes the keys and a request (PEM) for the issuing certificate. Asked again, the same key.
///
/// # Errors
/// [`InitError`]; [`ConfigError::Hsm`] without a token of its own, since the default one would lie
/// in a site that does not exist yet.
pub fn issuing_request(choice: &Choice) -> Result<String, InitError> {
    let text = choice.hsm.as_deref().unwrap_or_default();
    let here = std::path::absolute(".").unwrap_or_default();
    let place = HsmPlace::parse(text, &here)?;
    let source = choice.pin_source().ok_or(ConfigError::NoPin)?;
    let pin = source.read().map_err(keys::KeysError::Pin)?;
    let hsm = keys::open(&place, pin, true)?;
    let about = hsm.describe()?;
    ceremony::hold(&*hsm, &about, &choice.badges(), &KEYS)?;
    let key = CertificateKey::new(&hsm, Key::DeviceIssuing)?;
    let request = identity::issuing_request(&key, ISSUING)?;
    Ok(identity::pem("CERTIFICATE REQUEST", &request).to_string())
}

/// Reads the signed chain, the issuing certificate first and its root second, and checks that it
/// is one of the token's issuing key. Both are DER.
///
/// # Errors
/// [`InitError`].
pub(crate) fn chain(
    path: &Path,
    issuing_key: &CertificateKey,
) -> Result<(Vec<u8>, Vec<u8>), InitError> {
    let text = site::read(path)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let damaged = || SiteError::Damaged {
        path: path.to_owned(),
    };
    let chain = read.map_err(|_| damaged())?;
    let [issuing, root] = &chain[..] else {
        return Err(InitError::Chain {
            path: path.to_owned(),
            got: chain.len(),
        });
    };
    let spki = identity::Signer::spki(issuing_key);
    identity::check_issuing(issuing, root, spki, now())?;
    Ok((issuing.to_vec(), root.to_vec()))
}

#[cfg(test)]
mod tests {
    use identity::{Issuer, Signer, Stamp};
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};

    use super::*;

    /// A root in a safe far away.
    struct Root {
        pair: EcdsaKeyPair,
        spki: Vec<u8>,
        certificate: Vec<u8>,
    }

    impl Signer for Root {
        fn spki(&self) -> &[u8] {
            &self.spki
        }

        fn sign(&self, message: &[u8]) -> Result<Vec<u8>, identity::SignError> {
            let signature = self.pair.sign(&SystemRandom::new(), message).unwrap();
            Ok(signature.as_ref().to_vec())
        }
    }

    fn stamp() -> Stamp {
        Stamp {
            serial_number: [7; 16],
            not_before: now(),
        }
    }

    impl Root {
        fn new() -> Root {
            let random = SystemRandom::new();
            let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
            let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap();
            const PREFIX: &[u8] = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\
                \x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";
            let spki = [PREFIX, pair.public_key().as_ref()].concat();
            let mut root = Root {
                pair,
                spki,
                certificate: Vec::new(),
            };
            root.certificate = identity::device_root(&root, "Acme root", stamp())
                .unwrap()
                .der;
            root
        }

        /// Signs a request into a chain (PEM).
        fn sign(&self, request: &str) -> String {
            use rustls::pki_types::CertificateSigningRequestDer;
            let request = CertificateSigningRequestDer::from_pem_slice(request.as_bytes());
            let spki = identity::check_csr(&request.unwrap()).unwrap();
            let issuer = Issuer {
                signer: self,
                certificate: &self.certificate,
            };
            let issuing = identity::device_issuing(issuer, "Acme issuing", &spki, stamp());
            [&issuing.unwrap().der, &self.certificate]
                .map(|der| identity::pem("CERTIFICATE", der).to_string())
                .concat()
        }
    }

    #[test]
    fn a_root_elsewhere_signs_for_the_token_s_key_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let write = |name: &str, text: &str| std::fs::write(path(name), text).unwrap();
        write("pin", "1234\n");
        let source = crate::pin::PinSource::File(path("pin"));
        keys::create_soft(&path("token"), &source.read().unwrap()).unwrap();
        let mut choice = Choice {
            hsm: Some(format!("soft:{}", path("token").display())),
            pin_file: Some(path("pin")),
            ..Choice::default()
        };
        let request = issuing_request(&choice).unwrap();
        let root = Root::new();
        write("chain", &root.sign(&request));

        // Another root beside it, another key, and a chain that is none.
        let (signed, other) = (root.sign(&request), Root::new());
        let issuing = signed.split_inclusive("-----END CERTIFICATE-----\n").next();
        let foreign = identity::pem("CERTIFICATE", &other.certificate).to_string();
        write("swapped", &[issuing.unwrap(), &foreign].concat());
        write("alone", issuing.unwrap());
        write("other", &[&foreign[..], &foreign].concat());
        for wrong in ["swapped", "alone", "other", "pin"] {
            choice.issuing_cert = Some(path(wrong));
            assert!(
                crate::init::init(&path("site"), &choice).is_err(),
                "{wrong}"
            );
            assert!(!path("site").exists());
        }

        choice.issuing_cert = Some(path("chain"));
        let made = crate::init::init(&path("site"), &choice).unwrap();
        assert_eq!(
            made.device_root_sha256,
            identity::sha256(&root.certificate).to_string()
        );
        assert!(
            made.ceremony
                .keys
                .iter()
                .all(|key| key.key != "device-root")
        );
        let here = crate::site::Site::at(&path("site"));
        let kept = site::read_certificate(&here.device_root()).unwrap();
        assert_eq!(kept, root.certificate);
    }
}
