//! The server with its keys in SoftHSM, by PKCS#11.
//!
//! SoftHSM finds its configuration by the environment, so the test runs itself again in a process
//! of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use hsm::{Pin, Pkcs11Token};

use crate::contention::exactly_what_the_order_permits;
use crate::site::Town;

const NAME: &str = "softhsm::sixty_four_clients_get_exactly_what_the_order_permits_from_softhsm";

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

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_clients_get_exactly_what_the_order_permits_from_softhsm() {
    let dir = tempfile::tempdir().unwrap();
    let Some(configuration) = std::env::var_os("SOFTHSM2_CONF") else {
        let done = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME, "--nocapture"])
            .env("SOFTHSM2_CONF", dir.path().join("softhsm2.conf"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        let words = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(
            done.status.success() && said.contains("1 passed"),
            "{said}{words}"
        );
        return;
    };
    let folder = Path::new(&configuration).parent().unwrap();
    let tokens = folder.join("tokens");
    std::fs::create_dir(&tokens).unwrap();
    let text = format!("directories.tokendir = {}\n", tokens.display());
    std::fs::write(&configuration, text).unwrap();
    let pin_file = folder.join("pin");
    std::fs::write(&pin_file, "135799\n").unwrap();
    let pin = |text: &str| Pin::parse(text.as_bytes()).unwrap();
    Pkcs11Token::initialize(&module(), "line 1", &pin("246800"), &pin("135799")).unwrap();

    let place = format!("pkcs11:{}?token=line 1", module().display());
    let town = Town::on(dir, place, pin_file).await;
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
