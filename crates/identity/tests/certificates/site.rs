//! The site's certificates: accepted by rustls for their own use, and read back as roles.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{BEGIN_MS, MemorySigner, openssl, stamp, write};
use identity::{
    Certificate, IdentityError, Issuer, Peer, PeerError, PersonName, Role, Signer, device,
    parse_peer, site_leaf, site_root,
};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use traveler::{Serial, Sku, StationName, Timestamp};

const YEAR_MS: i64 = 365 * 86_400_000;

struct Site {
    key: MemorySigner,
    root: Certificate,
}

impl Site {
    fn new() -> Site {
        let key = MemorySigner::new();
        let root = site_root(&key, "Acme site root", stamp(1)).expect("a root");
        Site { key, root }
    }

    fn leaf(&self, role: &Role, lifetime_ms: i64) -> Result<Certificate, IdentityError> {
        let site = Issuer {
            signer: &self.key,
            certificate: &self.root.der,
        };
        let not_after = Timestamp::from_unix_ms(BEGIN_MS + lifetime_ms);
        site_leaf(site, MemorySigner::new().spki(), role, stamp(2), not_after)
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from(self.root.der.clone()))
            .expect("a root");
        Arc::new(roots)
    }

    fn accepts_client(&self, leaf: &Certificate, after_ms: i64) -> bool {
        let provider = Arc::new(default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(self.roots(), provider).build();
        let leaf = CertificateDer::from(leaf.der.as_slice());
        verifier
            .expect("roots")
            .verify_client_cert(&leaf, &[], at(after_ms))
            .is_ok()
    }

    fn accepts_server(&self, leaf: &Certificate, name: &str) -> bool {
        let provider = Arc::new(default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(self.roots(), provider).build();
        let leaf = CertificateDer::from(leaf.der.as_slice());
        let name = ServerName::try_from(name).expect("a name");
        verifier
            .expect("roots")
            .verify_server_cert(&leaf, &[], &name, &[], at(1))
            .is_ok()
    }
}

fn at(after_ms: i64) -> UnixTime {
    let ms = u64::try_from(BEGIN_MS + after_ms).expect("after 1970");
    UnixTime::since_unix_epoch(Duration::from_millis(ms))
}

fn station() -> Role {
    Role::Station(StationName::parse("bench-3").expect("a station"))
}

fn server() -> Role {
    Role::Server {
        dns: vec!["localhost".to_owned(), "line.example".to_owned()],
        ips: vec!["127.0.0.1".parse().expect("ip"), "::1".parse().expect("ip")],
    }
}

#[test]
fn each_leaf_serves_its_own_purpose_only() {
    let site = Site::new();
    let client = site.leaf(&station(), YEAR_MS).unwrap();
    let served = site.leaf(&server(), YEAR_MS).unwrap();
    assert!(site.accepts_client(&client, 1));
    assert!(
        !site.accepts_client(&client, YEAR_MS + 1_000),
        "after its end"
    );
    assert!(!site.accepts_client(&client, -1_000), "before its begin");
    assert!(!site.accepts_client(&served, 1), "a server is no client");
    assert!(!Site::new().accepts_client(&client, 1), "another site");
    for name in ["localhost", "line.example", "127.0.0.1", "::1"] {
        assert!(site.accepts_server(&served, name), "{name}");
    }
    assert!(!site.accepts_server(&served, "other.example"));
    assert!(
        !site.accepts_server(&client, "localhost"),
        "a station is no server"
    );
}

#[test]
fn openssl_accepts_the_site_too() {
    let site = Site::new();
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "root.pem", &[&site.root.der]);
    write(
        dir.path(),
        "client.pem",
        &[&site.leaf(&station(), YEAR_MS).unwrap().der],
    );
    write(
        dir.path(),
        "server.pem",
        &[&site.leaf(&server(), YEAR_MS).unwrap().der],
    );
    let check = |purpose: &str, file: &str, expected: bool| {
        let verify = format!(
            "verify -x509_strict -attime 1735689700 -purpose {purpose} -CAfile root.pem {file}"
        );
        let (accepted, said) = openssl(dir.path(), &verify);
        assert_eq!(accepted, expected, "{purpose} {file}\n{said}");
    };
    check("sslclient", "client.pem", true);
    check("sslserver", "server.pem", true);
    check("sslclient", "server.pem", false);
    check("sslserver", "client.pem", false);
}

#[test]
fn roles_are_read_back() {
    let site = Site::new();
    let person = |name| PersonName::parse(name).unwrap();
    for role in [
        station(),
        Role::Qa(person("q.a@lab")),
        Role::Admin(person("Root_1")),
    ] {
        let leaf = site.leaf(&role, YEAR_MS).unwrap();
        let not_after = Timestamp::from_unix_ms(BEGIN_MS + YEAR_MS);
        assert_eq!(parse_peer(&leaf.der), Ok(Peer { role, not_after }));
    }
}

#[test]
fn nobody_else_is_a_peer() {
    let site = Site::new();
    let check = |der: &[u8], expected: PeerError| {
        assert_eq!(parse_peer(der), Err(expected));
    };
    check(&site.root.der, PeerError::NotAClient);
    check(
        &site.leaf(&server(), YEAR_MS).unwrap().der,
        PeerError::NotAClient,
    );
    let serial = Serial::parse("BM-000042").unwrap();
    let issuer = Issuer {
        signer: &site.key,
        certificate: &site.root.der,
    };
    let unit_key = MemorySigner::new();
    let unit = device(
        issuer,
        unit_key.spki(),
        &serial,
        &Sku::parse("K").unwrap(),
        stamp(3),
    )
    .unwrap();
    check(&unit.der, PeerError::NotAClient);
    check(&[], PeerError::Malformed);
    check(
        &[site.root.der.as_slice(), &[0]].concat(),
        PeerError::Malformed,
    );
}

/// Subjects that could be read two ways, made by OpenSSL since nothing here would.
#[test]
fn an_ambiguous_subject_has_no_role() {
    let dir = tempfile::tempdir().unwrap();
    let check = |subject: &str, expected: Result<(), PeerError>| {
        let make = format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k.pem -outform \
             DER -out c -addext extendedKeyUsage=clientAuth -addext basicConstraints=CA:FALSE \
             -subj {subject}"
        );
        let (made, said) = openssl(dir.path(), &make);
        assert!(made, "{said}");
        let der = std::fs::read(dir.path().join("c")).unwrap();
        assert_eq!(parse_peer(&der).map(drop), expected, "{subject}");
    };
    check("/OU=station/CN=bench-3", Ok(()));
    check("/OU=station/OU=admin/CN=bench-3", Err(PeerError::NoRole));
    check("/OU=station/CN=bench-3/CN=bench-4", Err(PeerError::NoRole));
    check("/OU=server/CN=provisioner", Err(PeerError::NoRole));
    check("/OU=Station/CN=bench-3", Err(PeerError::NoRole));
    check("/OU=station/CN=Bench*3", Err(PeerError::NoRole));
    check("/OU=admin", Err(PeerError::NoRole));
    check("/CN=admin", Err(PeerError::NoRole));
}

#[test]
fn what_cannot_be_a_certificate_is_refused() {
    let site = Site::new();
    assert!(matches!(
        site.leaf(&station(), 0),
        Err(IdentityError::Ended { .. })
    ));
    let nameless = Role::Server {
        dns: vec![],
        ips: vec![],
    };
    assert!(matches!(
        site.leaf(&nameless, YEAR_MS),
        Err(IdentityError::Name(_))
    ));
    let foreign = Role::Server {
        dns: vec!["größe.example".to_owned()],
        ips: vec![],
    };
    assert!(matches!(
        site.leaf(&foreign, YEAR_MS),
        Err(IdentityError::Name(_))
    ));
    for bad in ["", "a b", "a/b", "ä", &"a".repeat(65)] {
        assert!(PersonName::parse(bad).is_err(), "{bad:?}");
    }
}
