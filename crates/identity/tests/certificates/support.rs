//! A key in memory, fixed stamps, and OpenSSL as the second opinion.

use std::path::Path;
use std::process::Command;

use identity::{SignError, Signer, Stamp, pem};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData, SigningKey};
use traveler::Timestamp;

/// 2025-01-01T00:00:00Z.
pub(crate) const BEGIN_MS: i64 = 1_735_689_600_000;

/// A P-256 key in memory.
pub(crate) struct MemorySigner {
    pub(crate) pair: KeyPair,
    spki: Vec<u8>,
}

impl MemorySigner {
    pub(crate) fn new() -> MemorySigner {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
        let spki = pair.subject_public_key_info();
        MemorySigner { pair, spki }
    }
}

impl Signer for MemorySigner {
    fn spki(&self) -> &[u8] {
        &self.spki
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.pair.sign(message).map_err(|error| SignError {
            reason: error.to_string(),
        })
    }
}

/// A stamp whose serial number differs by `number`.
pub(crate) fn stamp(number: u8) -> Stamp {
    let mut serial_number = [0xa5; 16];
    serial_number[15] = number;
    Stamp {
        serial_number,
        not_before: Timestamp::from_unix_ms(BEGIN_MS),
    }
}

/// Runs `openssl` in `dir` and returns whether it was content, and all it said.
pub(crate) fn openssl(dir: &Path, arguments: &str) -> (bool, String) {
    let run = Command::new("openssl")
        .current_dir(dir)
        .args(arguments.split(' '))
        .output();
    let output = run.expect("openssl is installed by tests/run");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

/// Writes certificates as one PEM file.
pub(crate) fn write(dir: &Path, name: &str, certificates: &[&[u8]]) {
    let text: Vec<String> = certificates
        .iter()
        .map(|der| pem("CERTIFICATE", der).to_string())
        .collect();
    std::fs::write(dir.join(name), text.concat()).expect("a writable folder");
}
