//! A unit's chain, checked by OpenSSL, and the profile of its certificate.

use crate::support::{MemorySigner, openssl, stamp, write};
use identity::{
    Certificate, IdentityError, Issuer, SignError, Signer, device, device_issuing, device_root,
};
use traveler::{Serial, Sku};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

struct Tree {
    root: Certificate,
    issuing_key: MemorySigner,
    issuing: Certificate,
}

impl Tree {
    fn new() -> Tree {
        let root_key = MemorySigner::new();
        let issuing_key = MemorySigner::new();
        let root = device_root(&root_key, "Acme device root", stamp(1)).expect("a root");
        let above = Issuer {
            signer: &root_key,
            certificate: &root.der,
        };
        let issuing = device_issuing(above, "Acme device issuing", issuing_key.spki(), stamp(2))
            .expect("an issuing certificate");
        Tree {
            root,
            issuing_key,
            issuing,
        }
    }

    fn unit(&self, spki: &[u8], serial: &str) -> Certificate {
        let issuing = Issuer {
            signer: &self.issuing_key,
            certificate: &self.issuing.der,
        };
        let serial = Serial::parse(serial).expect("a serial");
        let product = Sku::parse("KETTLE-1").expect("a product");
        device(issuing, spki, &serial, &product, stamp(3)).expect("a certificate")
    }
}

#[test]
fn openssl_accepts_the_chain_and_no_other() {
    let tree = Tree::new();
    let unit = tree.unit(MemorySigner::new().spki(), "BM-000042");
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "root.pem", &[&tree.root.der]);
    write(dir.path(), "issuing.pem", &[&tree.issuing.der]);
    write(dir.path(), "unit.pem", &[&unit.der]);
    write(dir.path(), "other.pem", &[&Tree::new().root.der]);
    let check = |arguments: &str, expected: bool| {
        let (accepted, said) = openssl(dir.path(), &format!("verify {arguments}"));
        assert_eq!(accepted, expected, "{arguments}\n{said}");
    };
    check("-CAfile root.pem -untrusted issuing.pem unit.pem", true);
    check(
        "-x509_strict -CAfile root.pem -untrusted issuing.pem unit.pem",
        true,
    );
    check("-x509_strict -CAfile root.pem issuing.pem", true);
    check("-x509_strict -check_ss_sig -CAfile root.pem root.pem", true);
    // The last second but one of the year 9999 is inside; before the first day is not.
    check(
        "-attime 253402300798 -CAfile root.pem -untrusted issuing.pem unit.pem",
        true,
    );
    check(
        "-attime 1735689599 -CAfile root.pem -untrusted issuing.pem unit.pem",
        false,
    );
    check("-CAfile root.pem unit.pem", false);
    check("-CAfile other.pem -untrusted issuing.pem unit.pem", false);
}

/// A unit's certificate must never sign another, whatever the verifier overlooks.
#[test]
fn a_unit_is_no_authority() {
    let tree = Tree::new();
    let unit_key = MemorySigner::new();
    let unit = tree.unit(unit_key.spki(), "BM-000042");
    let as_issuer = Issuer {
        signer: &unit_key,
        certificate: &unit.der,
    };
    let serial = Serial::parse("BM-000043").unwrap();
    let below = device(
        as_issuer,
        unit_key.spki(),
        &serial,
        &Sku::parse("K").unwrap(),
        stamp(9),
    );
    assert!(matches!(below, Err(IdentityError::Issuer(_))));
}

#[test]
fn the_profile_is_that_of_an_idevid() {
    let unit = Tree::new().unit(MemorySigner::new().spki(), "BM-000042");
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("unit.der"), &unit.der).unwrap();
    let (_, asn1) = openssl(dir.path(), "asn1parse -inform DER -in unit.der");
    let flat: String = asn1.split_whitespace().collect::<Vec<_>>().join(" ");
    let after = |text: &str, expected: &str| {
        let (_, rest) = flat
            .split_once(text)
            .unwrap_or_else(|| panic!("no {text} in\n{asn1}"));
        assert!(
            rest[..160.min(rest.len())].contains(expected),
            "{expected} after {text}\n{asn1}"
        );
    };
    after(":serialNumber", "PRINTABLESTRING :BM-000042");
    after("UTCTIME :250101000000Z", "GENERALIZEDTIME :99991231235959Z");

    let (_, text) = openssl(dir.path(), "x509 -inform DER -in unit.der -noout -text");
    for expected in [
        "Serial Number:\n            a5:a5:a5:a5:a5:a5:a5:a5:a5:a5:a5:a5:a5:a5:a5:03",
        "Issuer: CN = Acme device issuing",
        "Subject: OU = KETTLE-1, serialNumber = BM-000042",
        "X509v3 Key Usage: critical\n                Digital Signature\n",
        "X509v3 Basic Constraints: critical\n                CA:FALSE",
        "X509v3 Subject Key Identifier",
        "X509v3 Authority Key Identifier",
        "ecdsa-with-SHA256",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
    assert!(!text.contains("Extended Key Usage"), "{text}");
}

/// The name as the ASN.1 of RFC 4108 spells it, read by OpenSSL out of the extension.
#[test]
fn the_hardware_is_named_beside_the_subject() {
    let unit = Tree::new().unit(MemorySigner::new().spki(), "BM-000042");
    let (_, parsed) = X509Certificate::from_der(&unit.der).unwrap();
    let names = parsed.subject_alternative_name().unwrap().unwrap();
    assert!(!names.critical && names.value.general_names.len() == 1);
    let extension = parsed
        .extensions()
        .iter()
        .find(|e| e.oid.to_id_string() == "2.5.29.17");
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("san.der"), extension.unwrap().value).unwrap();
    let (_, asn1) = openssl(dir.path(), "asn1parse -inform DER -in san.der");
    let fields: Vec<&str> = asn1
        .lines()
        .filter_map(|line| line.rsplit_once("prim: "))
        .map(|(_, v)| v.trim())
        .collect();
    let [module_name, hardware_type, serial] = fields[..] else {
        panic!("{asn1}")
    };
    assert!(module_name.ends_with(":1.3.6.1.5.5.7.8.4"), "{asn1}");
    assert!(hardware_type.contains(":2.25."), "{asn1}");
    assert!(
        serial.starts_with("OCTET STRING") && serial.ends_with(":BM-000042"),
        "{asn1}"
    );
}

#[test]
fn authorities_sign_no_deeper_than_they_should() {
    let tree = Tree::new();
    let check = |certificate: &Certificate, below: u32| {
        let (_, parsed) = X509Certificate::from_der(&certificate.der).unwrap();
        let constraints = parsed.basic_constraints().unwrap().unwrap();
        assert!(constraints.critical && constraints.value.ca);
        assert_eq!(constraints.value.path_len_constraint, Some(below));
        let usage = parsed.key_usage().unwrap().unwrap();
        assert!(usage.critical && usage.value.key_cert_sign() && usage.value.crl_sign());
        assert!(!usage.value.digital_signature());
    };
    check(&tree.root, 1);
    check(&tree.issuing, 0);
}

struct Dead(MemorySigner);

impl Signer for Dead {
    fn spki(&self) -> &[u8] {
        self.0.spki()
    }

    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, SignError> {
        Err(SignError {
            reason: "token gone".to_owned(),
        })
    }
}

#[test]
fn a_key_that_fails_or_is_another_signs_nothing() {
    let dead = Dead(MemorySigner::new());
    let failed = device_root(&dead, "root", stamp(1)).unwrap_err();
    assert!(
        matches!(&failed, IdentityError::Sign(SignError { reason }) if reason == "token gone"),
        "{failed}"
    );

    let tree = Tree::new();
    let other = MemorySigner::new();
    let mixed_up = Issuer {
        signer: &other,
        certificate: &tree.root.der,
    };
    let refused = device_issuing(mixed_up, "issuing", other.spki(), stamp(2)).unwrap_err();
    assert!(refused.to_string().contains("another key"), "{refused}");
}
