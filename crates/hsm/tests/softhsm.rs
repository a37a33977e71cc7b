//! The PKCS#11 client against SoftHSM 2, and what OpenSC's `pkcs11-tool` says of its keys.
//!
//! SoftHSM reads its configuration's place from the environment when it is initialised, and PKCS#11
//! has one context a process, so each test runs itself again in a process of its own.

#![allow(clippy::unwrap_used, reason = "a test may stop anywhere")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Barrier;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, KeyType, ObjectClass};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use hsm::{Hsm, HsmError, Key, Kind, Pin, Pkcs11Token, Wrapping};
use ring::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey};

const LABEL: &str = "line 1";
const PIN: &str = "13579";
const CONFIGURATION: &str = "SOFTHSM2_CONF";

/// Where Debian's package puts it.
fn module() -> PathBuf {
    let places = [
        "/usr/lib/softhsm/libsofthsm2.so",
        "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    ];
    let found = places.into_iter().map(PathBuf::from).find(|it| it.exists());
    found.expect("SoftHSM is not installed: tests/run installs Debian's softhsm2")
}

/// Runs `body` in a process with a fresh token of its own.
fn alone(name: &str, body: impl FnOnce()) {
    if std::env::var_os("BIRTHMARK_ALONE").is_some() {
        Pkcs11Token::initialize(&module(), LABEL, &pin("24680"), &pin(PIN)).unwrap();
        return body();
    }
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    std::fs::create_dir(&tokens).unwrap();
    let configuration = folder.path().join("softhsm2.conf");
    let text = format!("directories.tokendir = {}\n", tokens.display());
    std::fs::write(&configuration, text).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env("BIRTHMARK_ALONE", "1")
        .env(CONFIGURATION, configuration)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}{words}");
    assert!(said.contains("1 passed"), "{said}");
}

fn pin(text: &str) -> Pin {
    Pin::parse(text.as_bytes()).unwrap()
}

fn open() -> Result<Pkcs11Token, HsmError> {
    Pkcs11Token::open(&module(), LABEL, pin(PIN), 8)
}

/// A token with every key.
fn furnished() -> Pkcs11Token {
    let token = open().unwrap();
    for key in Key::ALL {
        token.make_key(key).unwrap();
    }
    token
}

fn open_as(wrapping: Wrapping) -> Pkcs11Token {
    Pkcs11Token::open_wrapping(&module(), LABEL, pin(PIN), 8, Some(wrapping)).unwrap()
}

#[test]
fn a_token_without_gcm_wraps_by_cbc_and_hmac() {
    alone("a_token_without_gcm_wraps_by_cbc_and_hmac", || {
        let gcm = furnished();
        assert_eq!(gcm.wrapping(), Wrapping::Gcm);
        let by_gcm = gcm.wrap(Key::Ticket, b"unit 1", b"bundle").unwrap();
        drop(gcm);
        // Its list of mechanisms is that of a token which has none.
        let token = open_as(Wrapping::CbcHmac);
        assert_eq!(
            token.wrap(Key::Ticket, b"", b"").err(),
            Some(HsmError::NoSuchKey(Key::TicketMac))
        );
        token.make_key(Key::Ticket).unwrap();
        assert!(token.key_facts(Key::TicketMac).unwrap().never_extractable);
        for length in [0, 1, 15, 16, 17, 300, 59_990] {
            let plain = vec![7; length];
            let wrapped = token.wrap(Key::Ticket, b"unit 1", &plain).unwrap();
            assert!(wrapped.len() <= length + 72 && wrapped.starts_with(b"bm-cbc1"));
            let back = token.unwrap(Key::Ticket, b"unit 1", &wrapped).unwrap();
            assert_eq!(*back, plain);
        }
        let wrapped = token.wrap(Key::Ticket, b"unit 1", b"bundle").unwrap();
        assert_ne!(
            token.wrap(Key::Ticket, b"unit 1", b"bundle"),
            Ok(wrapped.clone())
        );
        let refused = |aad: &[u8], wrapped: &[u8]| {
            let answer = token.unwrap(Key::Ticket, aad, wrapped);
            assert!(
                matches!(answer, Err(HsmError::Refused { .. })),
                "{answer:?}"
            );
        };
        for at in 0..wrapped.len() {
            let mut altered = wrapped.clone();
            altered[at] ^= 1;
            refused(b"unit 1", &altered);
            refused(b"unit 1", &wrapped[..at]);
        }
        refused(b"unit 2", &wrapped);
        refused(b"", &wrapped);
        // The form says which it is, so a ticket of either is opened by a token that has both.
        assert_eq!(
            *token.unwrap(Key::Ticket, b"unit 1", &by_gcm).unwrap(),
            *b"bundle"
        );
        let again = open();
        let gcm = again.unwrap();
        assert_eq!(
            *gcm.unwrap(Key::Ticket, b"unit 1", &wrapped).unwrap(),
            *b"bundle"
        );
    });
}

/// Another user of the module in this process, logged in as we are.
fn neighbour() -> (Pkcs11, Session) {
    let context = Pkcs11::new(module()).unwrap();
    let _already = context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK));
    let slot = context.get_slots_with_initialized_token().unwrap()[0];
    let session = context.open_rw_session(slot).unwrap();
    let _already = session.login(UserType::User, Some(&AuthPin::new(PIN.into())));
    (context, session)
}

fn verifies(key: Key, spki: &[u8], message: &[u8], signature: &[u8]) -> bool {
    match key.kind() {
        Kind::P256 => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &spki[26..])
            .verify(message, signature)
            .is_ok(),
        _ => UnparsedPublicKey::new(&ED25519, &spki[12..])
            .verify(message, signature)
            .is_ok(),
    }
}

fn pkcs11_tool(arguments: &[&str]) -> Output {
    Command::new("pkcs11-tool")
        .arg("--module")
        .arg(module())
        .args(["--token-label", LABEL])
        .args(arguments)
        .output()
        .expect("pkcs11-tool is not installed: tests/run installs Debian's opensc")
}

#[test]
fn every_command_does_what_it_says_and_again_after_a_restart() {
    alone(
        "every_command_does_what_it_says_and_again_after_a_restart",
        || {
            let token = furnished();
            let about = token.describe().unwrap();
            assert!(about.simulated, "its keys lie in a file: {about:?}");
            assert!(about.model.contains("SoftHSM"), "{about:?}");
            for key in [Key::DeviceRoot, Key::DeviceIssuing, Key::Site, Key::Log] {
                let spki = token.public_key(key).unwrap();
                for message in [&b""[..], b"message", &[7; 60_000]] {
                    let signature = token.sign(key, message).unwrap();
                    assert!(verifies(key, &spki, message, &signature), "{key}");
                }
                assert_eq!(token.mac(key, b"").err(), Some(HsmError::WrongKind(key)));
            }
            let mac = token.mac(Key::Fingerprint, b"password").unwrap();
            assert_ne!(token.mac(Key::Fingerprint, b"passwore"), Ok(mac));
            let wrapped = token.wrap(Key::Ticket, b"unit 1", b"bundle").unwrap();
            let (mut a, mut b) = ([0; 64], [0; 64]);
            token.random(&mut a).unwrap();
            token.random(&mut b).unwrap();
            assert_ne!(a, b);
            let public = token.public_key(Key::Log);
            drop(token);

            let again = open().unwrap();
            assert_eq!(again.public_key(Key::Log), public);
            assert_eq!(again.mac(Key::Fingerprint, b"password"), Ok(mac));
            let plain = again.unwrap(Key::Ticket, b"unit 1", &wrapped).unwrap();
            assert_eq!(plain.as_slice(), b"bundle");
            assert_eq!(again.describe(), Ok(about));
        },
    );
}

#[test]
fn wrapped_bytes_open_under_their_own_context_only() {
    alone("wrapped_bytes_open_under_their_own_context_only", || {
        let token = furnished();
        let wrapped = token.wrap(Key::Ticket, b"unit 1", b"bundle").unwrap();
        assert_eq!(wrapped.len(), 6 + 28);
        let refused = |aad: &[u8], wrapped: &[u8]| {
            matches!(
                token.unwrap(Key::Ticket, aad, wrapped),
                Err(HsmError::Refused { .. })
            )
        };
        assert!(!refused(b"unit 1", &wrapped));
        assert!(refused(b"unit 2", &wrapped));
        for at in 0..wrapped.len() {
            let mut altered = wrapped.clone();
            altered[at] ^= 0x80;
            assert!(refused(b"unit 1", &altered), "byte {at}");
            assert!(refused(b"unit 1", &wrapped[..at]), "cut at {at}");
        }
    });
}

#[test]
fn other_peoples_tool_lists_the_keys_as_sensitive_and_never_extractable() {
    let name = "other_peoples_tool_lists_the_keys_as_sensitive_and_never_extractable";
    alone(name, || {
        let token = furnished();
        let facts = token.key_facts(Key::Fingerprint).unwrap();
        assert!(facts.sensitive && facts.always_sensitive && facts.never_extractable);
        assert!(facts.made_inside && !facts.extractable);
        let output = pkcs11_tool(&["--login", "--pin", PIN, "--list-objects"]);
        let listed = String::from_utf8(output.stdout).unwrap();
        let mut objects: Vec<&str> = listed
            .split("Private Key Object")
            .flat_map(|part| part.split("Secret Key Object"))
            .skip(1)
            .collect();
        objects.retain(|object| object.contains("Access:"));
        for key in Key::ALL {
            let label = format!("label:      {}\n", key.label());
            let object = objects.iter().find(|object| object.contains(&label));
            let object = object.unwrap_or_else(|| panic!("no {key} in {listed}"));
            let access = "Access:     sensitive, always sensitive, never extractable, local";
            assert!(object.contains(access), "{object}");
        }
    });
}

/// A key of the line's label that others made, with this access.
fn planted(label: &str, sensitive: bool, extractable: bool) {
    let (_context, session) = neighbour();
    let template = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::ValueLen(32.into()),
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Label(label.into()),
        Attribute::Encrypt(true),
        Attribute::Decrypt(true),
        Attribute::Sensitive(sensitive),
        Attribute::Extractable(extractable),
    ];
    session
        .generate_key(&Mechanism::AesKeyGen, &template)
        .unwrap();
}

fn refuses(expected: &str) {
    match open().err() {
        Some(HsmError::Refused { reason }) => assert!(reason.contains(expected), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_key_that_can_leave_the_token_is_refused() {
    alone("a_key_that_can_leave_the_token_is_refused", || {
        planted("ticket", true, true);
        refuses("key ticket is not used: it is extractable");
    });
}

#[test]
fn a_key_that_the_token_shows_is_refused() {
    alone("a_key_that_the_token_shows_is_refused", || {
        planted("ticket", false, false);
        refuses("key ticket is not used: it is not sensitive");
    });
}

#[test]
fn two_keys_of_one_label_are_refused() {
    alone("two_keys_of_one_label_are_refused", || {
        planted("ticket", true, false);
        open().unwrap();
        planted("ticket", true, false);
        refuses("key ticket is not used: there are 2 of this label");
    });
}

#[test]
fn a_key_of_another_kind_is_refused() {
    alone("a_key_of_another_kind_is_refused", || {
        planted("fingerprint", true, false);
        refuses("key fingerprint is not used: it is of another kind");
    });
}

#[test]
fn a_wrong_pin_is_tried_once_and_the_token_is_not_locked() {
    alone(
        "a_wrong_pin_is_tried_once_and_the_token_is_not_locked",
        || {
            let wrong = || Pkcs11Token::open(&module(), LABEL, pin("99999"), 8).err();
            assert_eq!(wrong(), Some(HsmError::WrongPin));
            // The token counts it: nothing is tried again, right or wrong, until a person has.
            for refused in [wrong(), open().err()] {
                let Some(HsmError::Refused { reason }) = refused else {
                    panic!("{refused:?}");
                };
                assert!(reason.contains("a wrong PIN was given to it"), "{reason}");
            }
            let shown = pkcs11_tool(&["--login", "--pin", PIN, "--list-objects"]);
            assert!(shown.status.success());
            open().unwrap();
        },
    );
}

#[test]
fn a_token_that_is_not_there_is_unavailable() {
    alone("a_token_that_is_not_there_is_unavailable", || {
        let other = Pkcs11Token::open(&module(), "line 2", pin(PIN), 8).err();
        let Some(HsmError::Unavailable { reason }) = other else {
            panic!("{other:?}");
        };
        assert!(
            reason.contains("shows no token labelled line 2"),
            "{reason}"
        );
        let nowhere = Pkcs11Token::open(Path::new("/nonexistent.so"), LABEL, pin(PIN), 8).err();
        assert!(matches!(nowhere, Some(HsmError::Refused { .. })));
    });
}

#[test]
fn a_module_that_forgot_us_is_begun_anew() {
    alone("a_module_that_forgot_us_is_begun_anew", || {
        let token = furnished();
        let mac = token.mac(Key::Fingerprint, b"p");
        for _ in 0..20 {
            neighbour().0.finalize().unwrap();
            assert_eq!(token.mac(Key::Fingerprint, b"p"), mac);
            let (_context, session) = neighbour();
            session.logout().unwrap();
            assert_eq!(token.mac(Key::Fingerprint, b"p"), mac);
        }
    });
}

/// The loss comes between two rounds: SoftHSM does not bear a neighbour's call while it is begun anew.
#[test]
fn many_threads_share_a_few_sessions_and_lose_them_together() {
    let name = "many_threads_share_a_few_sessions_and_lose_them_together";
    const THREADS: usize = 32;
    const ROUNDS: usize = 100;
    alone(name, || {
        let token = furnished();
        let mac = token.mac(Key::Fingerprint, b"p");
        let spki = token.public_key(Key::DeviceIssuing).unwrap();
        let barrier = Barrier::new(THREADS + 1);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..ROUNDS {
                        barrier.wait();
                        assert_eq!(token.mac(Key::Fingerprint, b"p"), mac);
                        let signature = token.sign(Key::DeviceIssuing, b"m").unwrap();
                        assert!(verifies(Key::DeviceIssuing, &spki, b"m", &signature));
                        barrier.wait();
                    }
                });
            }
            for round in 0..ROUNDS {
                let (context, session) = neighbour();
                match round % 2 {
                    0 => session.logout().unwrap(),
                    _ => context.finalize().unwrap(),
                }
                barrier.wait();
                barrier.wait();
            }
        });
    });
}

#[test]
fn the_high_water_mark_only_rises_and_is_one_log_s() {
    alone("the_high_water_mark_only_rises_and_is_one_log_s", || {
        let token = open().unwrap();
        assert_eq!(token.high_water("birthmark/a"), Ok(None));
        for (raised, kept) in [(7, 7), (5, 7), (9, 9)] {
            token.raise_high_water("birthmark/a", raised).unwrap();
            assert_eq!(token.high_water("birthmark/a"), Ok(Some(kept)));
        }
        assert_eq!(token.high_water("birthmark/b"), Ok(None));
        drop(token);
        assert_eq!(open().unwrap().high_water("birthmark/a"), Ok(Some(9)));
    });
}
