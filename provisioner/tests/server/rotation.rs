//! Another key takes over in the middle of an order: old units, old proofs and the new ones.

use std::path::Path;
use std::process::{Command, ExitCode};

use credential::{Bundle, BundleBytes};
use provisioner::site::Site;

use crate::site::{Town, Unit};

/// `provisioner rotate`, in this process; the server is stopped.
async fn rotate(site: &Site, key: &str, more: &[&str]) -> ExitCode {
    let data = site.data().display().to_string();
    let arguments = [
        &["provisioner", "rotate", "--key", key, "--data", &data],
        &["--allow-simulated-hsm", "--format", "json"][..],
        more,
    ]
    .concat();
    let arguments: Vec<_> = arguments.into_iter().map(Into::into).collect();
    let done = tokio::task::spawn_blocking(|| provisioner::cli::main(arguments));
    done.await.unwrap()
}

const WHY: [&str; 4] = ["--reason", "one year", "--operator", "officer 1"];

/// Whether OpenSSL builds the unit's chain from the site's files.
fn chains(site: &Site, folder: &Path, bundle: &[u8]) -> bool {
    let bundle = Bundle::decode(
        BundleBytes::from_bytes(bundle)
            .unwrap()
            .expose(|it| it.to_vec())
            .as_slice(),
    );
    let leaf = folder.join("leaf.pem");
    let text = identity::pem("CERTIFICATE", &bundle.unwrap().chain[0]);
    std::fs::write(&leaf, text.as_bytes()).unwrap();
    let verified = Command::new("openssl")
        .args(["verify", "-CAfile"])
        .arg(site.device_root())
        .arg("-untrusted")
        .arg(site.device_issuing())
        .arg(leaf)
        .output();
    verified.unwrap().status.success()
}

fn issuing_of(bundle: &[u8]) -> Vec<u8> {
    let bytes = BundleBytes::from_bytes(bundle)
        .unwrap()
        .expose(|it| it.to_vec());
    Bundle::decode(&bytes).unwrap().chain.remove(1)
}

/// One unit before, one on its way through both rotations, one after.
pub(crate) async fn both_keys_are_handed_over(town: Town) {
    let order = town.order(3).await;
    let mut bench = town.bench("bench-1").await;
    let units = [1, 2, 3].map(Unit::new);
    let first = bench.issue(&order, &units[0]).await.unwrap();
    bench.confirm(&units[0], &first).await.unwrap();
    let second = bench.issue(&order, &units[1]).await.unwrap();
    let enrolled = town.token("bench-2").await;
    let old_key = town.site.vkey().unwrap();

    let (site, dir) = town.stop().await;
    assert_eq!(rotate(&site, "log", &WHY).await, ExitCode::SUCCESS);
    let new_key = site.vkey().unwrap();
    assert_ne!(new_key, old_key);
    // A crash behind the entry leaves the old key in the file: the next start puts it right.
    std::fs::write(site.vkey_file(), format!("{old_key}\n")).unwrap();
    assert_eq!(rotate(&site, "issuing", &WHY).await, ExitCode::SUCCESS);

    let town = Town::again(site, dir).await;
    assert_eq!(town.site.vkey().unwrap(), new_key);
    let mut bench = town.enrol(&enrolled).await.unwrap();
    let mut other = town.bench("bench-1").await;
    let resumed = other.resume(&units[1], &second).await.unwrap();
    assert_eq!(
        resumed.bundle, second.bundle,
        "the same secret, the same chain"
    );
    let proof = other.confirm(&units[1], &resumed).await.unwrap();
    assert_eq!(proof.rotations.len(), 1);
    let third = bench.issue(&order, &units[2]).await.unwrap();
    bench.confirm(&units[2], &third).await.unwrap();
    assert_eq!(
        town.count(&order).await.sealed,
        0,
        "a label is not asked for, a seal is"
    );
    assert_eq!(issuing_of(&first.bundle), issuing_of(&second.bundle));
    assert_ne!(issuing_of(&first.bundle), issuing_of(&third.bundle));

    let fingerprint_keys: std::collections::BTreeSet<_> = town
        .entries()
        .iter()
        .filter_map(|entry| entry["fingerprint_key"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(fingerprint_keys.len(), 1, "every entry names the one key");
    let kinds: Vec<_> = town
        .entries()
        .iter()
        .map(|entry| entry["kind"].clone())
        .collect();
    for kind in ["log_key_rotated", "issuing_key_rotated"] {
        assert_eq!(kinds.iter().filter(|it| **it == kind).count(), 1);
    }
    let (site, dir) = town.stop().await;
    for bundle in [&first.bundle, &second.bundle, &third.bundle] {
        assert!(chains(&site, dir.path(), bundle));
    }
    for key in [&old_key, &new_key] {
        let report = ledger::verify(&site.ledger(), key, &mut |_, _| {}).unwrap();
        assert_eq!((report.findings, &report.vkey), (vec![], &new_key));
    }
    // Each of them once more: the keys after the next.
    for key in ["log", "issuing"] {
        assert_eq!(rotate(&site, key, &WHY).await, ExitCode::SUCCESS);
    }
    let town = Town::again(site, dir).await;
    let report = ledger::verify(&town.site.ledger(), &old_key, &mut |_, _| {}).unwrap();
    assert_eq!(report.findings, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_keys_are_handed_over_in_a_soft_token() {
    both_keys_are_handed_over(Town::start().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_waits_for_the_server_to_stop_and_for_a_known_key() {
    let town = Town::start().await;
    let busy = rotate(&town.site, "log", &WHY).await;
    assert_eq!(busy, ExitCode::from(2));
    let (site, dir) = town.stop().await;
    // An issuing certificate that was never put on record is not used, and neither is its key.
    let before = std::fs::read(site.device_issuing()).unwrap();
    let csr = rotate(&site, "issuing", &["--issuing-csr"]).await;
    assert_eq!(csr, ExitCode::SUCCESS);
    assert_eq!(std::fs::read(site.device_issuing()).unwrap(), before);
    let strange = site.device_root().display().to_string();
    let wrong = [&WHY[..], &["--issuing-cert", &strange]].concat();
    assert_eq!(rotate(&site, "issuing", &wrong).await, ExitCode::from(2));
    let log_with_chain = [&WHY[..], &["--issuing-cert", &strange]].concat();
    assert_eq!(
        rotate(&site, "log", &log_with_chain).await,
        ExitCode::from(2)
    );
    let key = site.vkey().unwrap();
    let town = Town::again(site, dir).await;
    assert_eq!(town.site.vkey().unwrap(), key);
    assert_eq!(town.entries().len(), 1);
}
