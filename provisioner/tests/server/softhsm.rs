//! The server with its keys in SoftHSM, by PKCS#11.
//!
//! SoftHSM finds its configuration by the environment, so the test runs itself again in a process
//! of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use hsm::{Hsm, Key, Pin, Pkcs11Token};

use crate::contention::exactly_what_the_order_permits;
use crate::rotation::both_keys_are_handed_over;
use crate::site::Town;

/// Where Debian's package puts it.
fn module() -> PathBuf {
    let places = ["/usr/lib/softhsm", "/usr/lib/x86_64-linux-gnu/softhsm"];
    let mut modules = places
        .map(|folder| Path::new(folder).join("libsofthsm2.so"))
        .into_iter();
    modules
        .find(|module| module.exists())
        .expect("SoftHSM is not installed: tests/run installs Debian's softhsm2")
}

/// A new site on a new token of SoftHSM; none in the process that started this one for it, where the
/// test has passed already.
async fn town(name: &str, more: &str) -> Option<Town> {
    let dir = tempfile::tempdir().unwrap();
    let Some(configuration) = std::env::var_os("SOFTHSM2_CONF") else {
        let done = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env("SOFTHSM2_CONF", dir.path().join("softhsm2.conf"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        let words = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(
            done.status.success() && said.contains("1 passed"),
            "{said}{words}"
        );
        return None;
    };
    let folder = Path::new(&configuration).parent().unwrap();
    let tokens = folder.join("tokens");
    std::fs::create_dir(&tokens).unwrap();
    let text = format!("directories.tokendir = {}\n", tokens.display());
    std::fs::write(&configuration, text).unwrap();
    let pin_file = folder.join("pin");
    std::fs::write(&pin_file, format!("{PIN}\n")).unwrap();
    let pin = |text: &str| Pin::parse(text.as_bytes()).unwrap();
    Pkcs11Token::initialize(&module(), LABEL, &pin("246800"), &pin(PIN)).unwrap();

    let place = format!("pkcs11:{}?token={LABEL}{more}", module().display());
    Some(Town::on(dir, place, pin_file).await)
}

const LABEL: &str = "line 1";
const PIN: &str = "135799";

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_clients_get_exactly_what_the_order_permits_from_softhsm() {
    let name = "softhsm::sixty_four_clients_get_exactly_what_the_order_permits_from_softhsm";
    let Some(town) = town(name, "").await else {
        return;
    };
    let first = &town.entries()[0];
    assert_eq!(first["simulated_hsm"], true, "its keys lie in a file");
    for key in first["ceremony"]["keys"].as_array().unwrap() {
        let is = |fact: &str| key[fact].as_bool().unwrap();
        assert!(
            is("made") && is("sensitive") && is("never_extractable"),
            "{key}"
        );
        assert!(!is("extractable"), "{key}");
    }
    assert!(
        first["ceremony"]["firmware"]
            .as_str()
            .unwrap()
            .starts_with("2.")
    );
    let text = std::fs::read_to_string(town.site.data().join("ceremony.txt")).unwrap();
    assert!(text.contains("never extractable") && !text.contains("CAN LEAVE"));
    exactly_what_the_order_permits(town).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_keys_are_handed_over_in_softhsm() {
    let name = "softhsm::both_keys_are_handed_over_in_softhsm";
    // Its tickets are wrapped as a token without AES-GCM does.
    if let Some(town) = town(name, "&wrap=cbc-hmac").await {
        let first = &town.entries()[0];
        let keys = first["ceremony"]["keys"].as_array().unwrap();
        let how = |label: &str| keys.iter().find(|key| key["key"] == label).unwrap();
        assert_eq!(how("ticket")["algorithm"], "AES-256-CBC, HMAC-SHA-256");
        assert_eq!(how("ticket-mac")["never_extractable"], true);
        both_keys_are_handed_over(town).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_fingerprint_key_stops_the_server() {
    let name = "softhsm::another_fingerprint_key_stops_the_server";
    let Some(town) = town(name, "").await else {
        return;
    };
    let (site, _dir) = town.stop().await;
    let gone = Command::new("pkcs11-tool")
        .args(["--module", &module().display().to_string(), "--login"])
        .args(["--pin", "env:TOOL_PIN", "--token-label", LABEL])
        .args(["--delete-object", "--type", "secrkey", "--label"])
        .arg("fingerprint")
        .env("TOOL_PIN", PIN)
        .output()
        .expect("tests/run installs Debian's opensc");
    assert!(gone.status.success(), "{gone:?}");
    let missing = Town::try_serve(&site).await.err().unwrap().to_string();
    assert!(missing.contains("no key fingerprint"), "{missing}");
    let pin = Pin::parse(PIN.as_bytes()).unwrap();
    let token = Pkcs11Token::open(&module(), LABEL, pin, 2).unwrap();
    token.make_key(Key::Fingerprint).unwrap();
    let other = Town::try_serve(&site).await.err().unwrap().to_string();
    assert!(other.contains("no duplicate would be seen"), "{other}");
}
