//! Requests from units and stations: honest, broken and hostile.

use crate::support::{MemorySigner, openssl, stamp};
use identity::{CsrError, Issuer, Signer, check_csr, device, device_issuing, device_root, verify};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
};
use traveler::{Serial, Sku};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

fn request(pair: &KeyPair) -> Vec<u8> {
    let params = CertificateParams::new([]).expect("no names");
    params
        .serialize_request(pair)
        .expect("a request")
        .der()
        .to_vec()
}

/// Asks for everything a certificate could be abused for.
fn hostile_request(pair: &KeyPair) -> Vec<u8> {
    let mut params = CertificateParams::new(["provisioner.example".to_owned()]).expect("a name");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params
        .distinguished_name
        .push(DnType::OrganizationalUnitName, "admin");
    params
        .distinguished_name
        .push(DnType::CommonName, "Acme device root");
    params
        .serialize_request(pair)
        .expect("a request")
        .der()
        .to_vec()
}

#[test]
fn a_hostile_request_yields_its_key_and_nothing_else() {
    let unit = MemorySigner::new();
    let hostile = hostile_request(&unit.pair);
    // The request does carry what it must not get.
    assert!(
        hostile
            .windows(19)
            .any(|part| part == b"provisioner.example")
    );
    let spki = check_csr(&hostile).unwrap();
    assert_eq!(spki, unit.spki());

    let root_key = MemorySigner::new();
    let root = device_root(&root_key, "root", stamp(1)).unwrap();
    let above = Issuer {
        signer: &root_key,
        certificate: &root.der,
    };
    let issuing_key = MemorySigner::new();
    let issuing = device_issuing(above, "issuing", issuing_key.spki(), stamp(2)).unwrap();
    let issuer = Issuer {
        signer: &issuing_key,
        certificate: &issuing.der,
    };
    let serial = Serial::parse("BM-000042").unwrap();
    let made = device(issuer, &spki, &serial, &Sku::parse("K1").unwrap(), stamp(3)).unwrap();

    let (_, parsed) = X509Certificate::from_der(&made.der).unwrap();
    assert!(!parsed.is_ca());
    assert_eq!(
        parsed.subject().to_string(),
        "OU=K1, serialNumber=BM-000042"
    );
    assert_eq!(
        parsed.key_usage().unwrap().unwrap().value.flags,
        1,
        "digitalSignature alone"
    );
    assert!(parsed.extended_key_usage().unwrap().is_none());
    let mut oids: Vec<String> = parsed
        .extensions()
        .iter()
        .map(|e| e.oid.to_id_string())
        .collect();
    oids.sort();
    // Subject key id, key usage, alternative name, basic constraints, authority key id.
    assert_eq!(
        oids,
        [
            "2.5.29.14",
            "2.5.29.15",
            "2.5.29.17",
            "2.5.29.19",
            "2.5.29.35"
        ]
    );
    for absent in ["provisioner.example", "admin", "Acme"] {
        assert!(
            !made
                .der
                .windows(absent.len())
                .any(|part| part == absent.as_bytes()),
            "{absent}"
        );
    }
}

#[test]
fn requests_of_openssl_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let check = |key: &str, expected: Result<(), CsrError>| {
        let make =
            format!("req -new -newkey {key} -nodes -keyout k.pem -subj /CN=u -outform DER -out r");
        let (made, said) = openssl(dir.path(), &make);
        assert!(made, "{said}");
        let request = std::fs::read(dir.path().join("r")).unwrap();
        assert_eq!(check_csr(&request).map(drop), expected, "{key}");
    };
    check("ec -pkeyopt ec_paramgen_curve:P-256", Ok(()));
    check("ec -pkeyopt ec_paramgen_curve:P-384", Err(CsrError::Kind));
    check(
        "ec -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit",
        Err(CsrError::Kind),
    );
    check("rsa:2048", Err(CsrError::Kind));
    check(
        "ec -sha512 -pkeyopt ec_paramgen_curve:P-256",
        Err(CsrError::Kind),
    );
}

#[test]
fn other_kinds_and_sizes_are_refused() {
    for algorithm in [&PKCS_ED25519, &PKCS_ECDSA_P384_SHA384] {
        let pair = KeyPair::generate_for(algorithm).unwrap();
        assert_eq!(check_csr(&request(&pair)), Err(CsrError::Kind));
    }
    let good = request(&MemorySigner::new().pair);
    let trailing = [good.as_slice(), &[0]].concat();
    assert_eq!(check_csr(&trailing), Err(CsrError::Malformed));
    assert_eq!(check_csr(&[]), Err(CsrError::Malformed));
    assert_eq!(check_csr(&[0x30; 4_097]), Err(CsrError::TooLong(4_097)));
}

/// Every single-bit lie, and every cut, over a whole request.
#[test]
fn no_altered_request_proves_possession() {
    let good = hostile_request(&MemorySigner::new().pair);
    check_csr(&good).unwrap();
    for length in 0..good.len() {
        assert!(check_csr(&good[..length]).is_err(), "cut to {length}");
    }
    let mut altered = good.clone();
    for bit in 0..good.len() * 8 {
        altered[bit / 8] ^= 1 << (bit % 8);
        let at = bit / 8;
        assert!(check_csr(&altered).is_err(), "bit {} of byte {at}", bit % 8);
        altered[bit / 8] = good[bit / 8];
    }
}

/// Another's public key with one's own signature.
#[test]
fn a_key_that_is_not_held_is_refused() {
    let (mine, theirs) = (MemorySigner::new(), MemorySigner::new());
    let mut stolen = request(&mine.pair);
    let at = stolen
        .windows(mine.spki().len())
        .position(|part| part == mine.spki())
        .unwrap();
    stolen[at..at + theirs.spki().len()].copy_from_slice(theirs.spki());
    assert_eq!(check_csr(&stolen), Err(CsrError::NoPossession));
}

#[test]
fn a_receipt_verifies_under_its_own_key_only() {
    let (unit, other) = (MemorySigner::new(), MemorySigner::new());
    let signature = unit.sign(b"receipt").unwrap();
    assert!(verify(unit.spki(), b"receipt", &signature).is_ok());
    assert!(verify(unit.spki(), b"recEipt", &signature).is_err());
    assert!(verify(other.spki(), b"receipt", &signature).is_err());
    assert!(verify(&unit.spki()[1..], b"receipt", &signature).is_err());
    assert!(verify(unit.spki(), b"receipt", &[]).is_err());
}
