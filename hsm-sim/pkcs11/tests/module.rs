//! The module as its users have it: loaded by our own client and by OpenSC's `pkcs11-tool`, in front
//! of a simulator that fails.
//!
//! The module finds its socket by the environment, so each test runs itself again in a process of
//! its own.

#![allow(clippy::unwrap_used, reason = "a test may stop anywhere")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use hsm::{Hsm, HsmError, Key, Pin, Pkcs11Token};
use hsm_sim::{Fault, Handle, Server, open_or_create};
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey,
};

const SOCKET: &str = "BIRTHMARK_HSM_SIM_SOCKET";

/// Beside this test, as cargo builds it.
fn module() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let places = test.ancestors().skip(1).take(2);
    let mut modules = places.map(|folder| folder.join("libhsm_sim_pkcs11.so"));
    modules
        .find(|module| module.exists())
        .expect("cargo builds the module")
}

/// Runs `body` in a process whose environment names the socket in its folder.
fn alone(name: &str, body: impl FnOnce(&Path)) {
    if let Some(socket) = std::env::var_os(SOCKET) {
        return body(Path::new(&socket).parent().unwrap());
    }
    let folder = tempfile::tempdir().unwrap();
    let done = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(SOCKET, folder.path().join("socket"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let words = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(
        done.status.success() && said.contains("1 passed"),
        "{said}{words}"
    );
}

fn serve(folder: &Path) -> Handle {
    let opened = open_or_create(&folder.join("token"), None).unwrap();
    let server = Server::bind(&folder.join("socket"), opened.token).unwrap();
    server.spawn().unwrap()
}

fn pin(folder: &Path) -> Pin {
    Pin::parse(&std::fs::read(folder.join("token.pin")).unwrap()).unwrap()
}

fn open(folder: &Path) -> Result<Pkcs11Token, HsmError> {
    Pkcs11Token::open(&module(), "hsm-sim", pin(folder), 8)
}

fn furnished(folder: &Path) -> Pkcs11Token {
    let token = open(folder).unwrap();
    for key in Key::ALL {
        token.make_key(key).unwrap();
    }
    token
}

/// The PIN goes by the environment of that tool: it takes no file.
fn pkcs11_tool(folder: &Path, arguments: &[&str]) -> Output {
    let pin = std::fs::read_to_string(folder.join("token.pin")).unwrap();
    Command::new("pkcs11-tool")
        .arg("--module")
        .arg(module())
        .args([
            "--token-label",
            "hsm-sim",
            "--login",
            "--pin",
            "env:TOOL_PIN",
        ])
        .args(arguments)
        .env("TOOL_PIN", pin.trim_end())
        .current_dir(folder)
        .output()
        .expect("pkcs11-tool is not installed: tests/run installs Debian's opensc")
}

fn done(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}{words}");
    said
}

#[test]
fn our_own_client_does_everything_through_it() {
    alone("our_own_client_does_everything_through_it", |folder| {
        let server = serve(folder);
        let token = furnished(folder);
        let about = token.describe().unwrap();
        assert!(
            about.simulated && about.model.contains("simulat"),
            "{about:?}"
        );
        for key in [Key::DeviceRoot, Key::DeviceIssuing, Key::Site, Key::Log] {
            let spki = token.public_key(key).unwrap();
            let signature = token.sign(key, b"message").unwrap();
            let verified = match key {
                Key::Log => {
                    UnparsedPublicKey::new(&ED25519, &spki[12..]).verify(b"message", &signature)
                }
                _ => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &spki[26..])
                    .verify(b"message", &signature),
            };
            assert!(verified.is_ok(), "{key}");
        }
        let wrapped = token.wrap(Key::Ticket, b"unit 1", b"bundle").unwrap();
        let plain = token.unwrap(Key::Ticket, b"unit 1", &wrapped).unwrap();
        assert_eq!(plain.as_slice(), b"bundle");
        for at in [0, 12, wrapped.len() - 1] {
            let mut altered = wrapped.clone();
            altered[at] ^= 1;
            let refused = token.unwrap(Key::Ticket, b"unit 1", &altered);
            assert!(matches!(refused, Err(HsmError::Refused { .. })));
        }
        let (mut a, mut b) = (vec![0; 9_000], vec![0; 9_000]);
        token.random(&mut a).unwrap();
        token.random(&mut b).unwrap();
        assert!(a != b && a[8_990..] != [0; 10]);
        assert!(token.key_facts(Key::Fingerprint).unwrap().never_extractable);
        for (raised, kept) in [(7, 7), (5, 7), (9, 9)] {
            token.raise_high_water("birthmark/a", raised).unwrap();
            assert_eq!(token.high_water("birthmark/a"), Ok(Some(kept)));
        }
        assert_eq!(token.high_water("birthmark/b"), Ok(None));

        // In process and through the module, it is the same token.
        let mac = token.mac(Key::Fingerprint, b"p").unwrap();
        server.stop();
        let inside = open_or_create(&folder.join("token"), None).unwrap().token;
        assert_eq!(inside.mac(Key::Fingerprint, b"p"), Ok(mac));
        let plain = inside.unwrap(Key::Ticket, b"unit 1", &wrapped).unwrap();
        assert_eq!(plain.as_slice(), b"bundle");
    });
}

#[test]
fn faults_come_through_and_the_client_outlives_them() {
    alone(
        "faults_come_through_and_the_client_outlives_them",
        |folder| {
            let server = serve(folder);
            let token = furnished(folder);
            let mac = token.mac(Key::Fingerprint, b"p").unwrap();
            for fault in [Fault::Gone, Fault::Busy] {
                server.set_fault(fault);
                let lost = token.mac(Key::Fingerprint, b"p");
                assert!(
                    matches!(lost, Err(HsmError::Unavailable { .. })),
                    "{lost:?}"
                );
                server.set_fault(Fault::None);
                assert_eq!(token.mac(Key::Fingerprint, b"p"), Ok(mac));
            }
            // Killed and started again.
            let mut server = server;
            for _ in 0..100 {
                server.stop();
                let lost = token.mac(Key::Fingerprint, b"p");
                assert!(
                    matches!(lost, Err(HsmError::Unavailable { .. })),
                    "{lost:?}"
                );
                server = serve(folder);
                assert_eq!(token.mac(Key::Fingerprint, b"p"), Ok(mac));
            }
        },
    );
}

#[test]
fn a_wrong_pin_is_seen_in_the_token_s_flags_and_not_tried_again() {
    let name = "a_wrong_pin_is_seen_in_the_token_s_flags_and_not_tried_again";
    alone(name, |folder| {
        let server = serve(folder);
        let wrong = || Pkcs11Token::open(&module(), "hsm-sim", Pin::parse(b"9999").unwrap(), 8);
        assert_eq!(wrong().err(), Some(HsmError::WrongPin));
        // However often the server is started again, the token sees no second try.
        for _ in 0..20 {
            match wrong().err() {
                Some(HsmError::Refused { reason }) => {
                    assert!(reason.contains("a wrong PIN was given to it"), "{reason}");
                }
                other => panic!("{other:?}"),
            }
        }
        let listed = done(&pkcs11_tool(folder, &["--list-objects"]));
        assert!(
            !listed.contains("label:"),
            "the right PIN opens it still: {listed}"
        );
        open(folder).unwrap();
        server.stop();
    });
}

#[test]
fn many_threads_sign_side_by_side() {
    alone("many_threads_sign_side_by_side", |folder| {
        let _server = serve(folder);
        let token = furnished(folder);
        let expected = token.sign(Key::DeviceIssuing, b"message").unwrap();
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let signed = token.sign(Key::DeviceIssuing, b"message");
                        assert_eq!(signed.as_ref(), Ok(&expected));
                    }
                });
            }
        });
    });
}

#[test]
fn other_peoples_tool_lists_makes_signs_and_draws() {
    alone("other_peoples_tool_lists_makes_signs_and_draws", |folder| {
        let _server = serve(folder);
        let make = [
            "--keypairgen",
            "--key-type",
            "EC:prime256v1",
            "--label",
            "site",
        ];
        done(&pkcs11_tool(folder, &make));
        let token = open(folder).unwrap();
        let spki = token.public_key(Key::Site).unwrap();
        let other = [
            "--keypairgen",
            "--key-type",
            "EC:prime256v1",
            "--label",
            "mine",
        ];
        assert!(!pkcs11_tool(folder, &other).status.success());

        std::fs::write(folder.join("message"), b"message").unwrap();
        let sign = "--sign --mechanism ECDSA-SHA256 --label site --input-file message \
                    --output-file signature";
        done(&pkcs11_tool(
            folder,
            &sign.split_whitespace().collect::<Vec<_>>(),
        ));
        let signature = std::fs::read(folder.join("signature")).unwrap();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &spki[26..])
            .verify(b"message", &signature)
            .unwrap();

        done(&pkcs11_tool(
            folder,
            &["--generate-random", "48", "--output-file", "random"],
        ));
        let random = std::fs::read(folder.join("random")).unwrap();
        assert!(random.len() == 48 && random[40..] != [0; 8]);

        token.make_key(Key::Log).unwrap();
        token.make_key(Key::Ticket).unwrap();
        let listed = done(&pkcs11_tool(folder, &["--list-objects"]));
        for label in ["site", "log", "ticket"] {
            assert!(
                listed.contains(&format!("label:      {label}\n")),
                "{listed}"
            );
        }
        let never = listed.matches("sensitive, always sensitive, never extractable, local");
        assert_eq!(never.count(), 3, "{listed}");
        let tested = pkcs11_tool(folder, &["--test"]);
        let words = String::from_utf8_lossy(&tested.stderr).into_owned();
        assert!(done(&tested).contains("No errors"), "{words}");
        let slots = done(&pkcs11_tool(folder, &["--list-slots"]));
        assert!(slots.contains("simulat"), "{slots}");
    });
}
