//! A station's folder: who it is, whom it trusts, and what it must not forget.
//!
//! ```text
//! station.toml     server, station, verifier key of the log; written last, so it says "enrolled"
//! key.pem          the station's key, made here, never sent
//! certificate.pem  who the site says this station is
//! site-root.pem    the one root this station trusts
//! checkpoint       the newest log this station has seen
//! proven.jsonl     what was proven to it, and proven.older.jsonl
//! lost/            records that a lead put aside: lost by a recovered server, on hold, damaged
//! journal/         one file for each attempt under way
//! lease/           credentials for the hours without a network, encrypted
//! outbox/          what the server has yet to hear of them
//! labels/          labels to print, unless another folder is named
//! slots.toml       what stands at the bench, written by a person; only shifts need it
//! tools.toml       which makers' tools this station runs, written by a person
//! ```

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tlog::VerifierKey;
use traveler::{OrderId, StationName};
use zeroize::Zeroizing;

use crate::durable;
use crate::journal::Journal;
use crate::lease::Leases;
use crate::log::Seen;
use crate::outbox::Outbox;
use crate::remembered::Remembered;

/// Why a station's folder cannot be used.
#[derive(Debug, Error)]
pub enum HomeError {
    /// Nobody enrolled here.
    #[error(
        "{dir} is not enrolled: run `station-cli enroll --server URL --token-file - --data {dir}`"
    )]
    NotEnrolled {
        /// The folder.
        dir: String,
    },
    /// It belongs to somebody else: its journal may hold attempts only that server can settle.
    #[error("{dir} belongs to station {station} of {server}: choose another --data folder")]
    OtherServer {
        /// The folder.
        dir: String,
        /// Who it is.
        station: StationName,
        /// Whose it is.
        server: String,
    },
    /// A file of it is not what this program wrote.
    #[error("{path} cannot be used: {what}; restore it, or enrol into a new folder")]
    Damaged {
        /// The file.
        path: String,
        /// Where and how.
        what: String,
    },
    /// The disk does not do as it is told.
    #[error("{path} cannot be read or written: {source}")]
    Io {
        /// The file or folder.
        path: String,
        /// Why.
        source: io::Error,
    },
}

impl HomeError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> HomeError {
        let path = path.display().to_string();
        move |source| HomeError::Io { path, source }
    }
}

/// What `station.toml` holds.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct StationFile {
    server: String,
    station: StationName,
    vkey: String,
}

/// An enrolled station's folder.
#[derive(Clone, Debug)]
pub struct Home {
    dir: PathBuf,
    server: String,
    station: StationName,
    vkey: VerifierKey,
    /// What its slots share; clones of this share it too.
    remembered: Arc<Remembered>,
}

/// What a station shows and trusts. The key is wiped by its own type.
pub(crate) struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
    pub(crate) root: CertificateDer<'static>,
}

/// What enrolment brought, ready to be kept.
pub(crate) struct Enrolled<'a> {
    pub(crate) server: &'a str,
    pub(crate) station: &'a StationName,
    pub(crate) vkey: &'a VerifierKey,
    pub(crate) key_pem: &'a Zeroizing<String>,
    pub(crate) certificate_pem: &'a str,
    pub(crate) root_pem: &'a str,
}

impl Home {
    /// Opens the folder of an enrolled station.
    ///
    /// # Errors
    /// Every variant of [`HomeError`] but `OtherServer`.
    pub fn open(dir: &Path) -> Result<Home, HomeError> {
        let path = dir.join("station.toml");
        let text = durable::read(&path)
            .map_err(HomeError::io(&path))?
            .ok_or_else(|| HomeError::NotEnrolled {
                dir: dir.display().to_string(),
            })?;
        let damaged = |what: String| HomeError::Damaged {
            path: path.display().to_string(),
            what: what.trim_end().to_owned(),
        };
        let file: StationFile = toml::from_str(&text).map_err(|e| damaged(e.to_string()))?;
        let vkey = VerifierKey::parse(&file.vkey).map_err(|e| damaged(e.to_string()))?;
        Ok(Home {
            dir: dir.to_owned(),
            server: file.server,
            station: file.station,
            vkey,
            remembered: Arc::default(),
        })
    }

    /// Keeps what enrolment brought. `station.toml` goes first and comes last: a crash in between
    /// leaves a folder that is not enrolled, never a key beside another key's certificate.
    pub(crate) fn keep(dir: &Path, enrolled: &Enrolled<'_>) -> Result<Home, HomeError> {
        let write = |name: &str, text: &str, mode: u32| {
            let path = dir.join(name);
            durable::replace(&path, text.as_bytes(), mode).map_err(HomeError::io(&path))
        };
        let commit = dir.join("station.toml");
        durable::remove(&commit).map_err(HomeError::io(&commit))?;
        write("key.pem", enrolled.key_pem, durable::PRIVATE)?;
        write("certificate.pem", enrolled.certificate_pem, durable::PUBLIC)?;
        write("site-root.pem", enrolled.root_pem, durable::PUBLIC)?;
        let file = StationFile {
            server: enrolled.server.to_owned(),
            station: enrolled.station.clone(),
            vkey: enrolled.vkey.to_string(),
        };
        let text = toml::to_string(&file).map_err(|e| HomeError::Damaged {
            path: commit.display().to_string(),
            what: e.to_string(),
        })?;
        write("station.toml", &text, durable::PUBLIC)?;
        Home::open(dir)
    }

    /// Where it is.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Address of the server, as it was enrolled with.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Who this station is.
    #[must_use]
    pub fn station(&self) -> &StationName {
        &self.station
    }

    /// Whose signature on a checkpoint counts.
    #[must_use]
    pub fn vkey(&self) -> &VerifierKey {
        &self.vkey
    }

    /// The attempts under way.
    #[must_use]
    pub fn journal(&self) -> Journal {
        Journal::new(self.dir.join("journal"))
    }

    /// Credentials that are leased to this station.
    pub(crate) fn leases(&self) -> Leases {
        Leases::new(self.dir.join("lease"))
    }

    /// What the server has yet to hear.
    pub(crate) fn outbox(&self) -> Outbox {
        Outbox::new(self.dir.join("outbox"))
    }

    /// Where labels go unless another folder is named.
    #[must_use]
    pub fn labels(&self) -> PathBuf {
        self.dir.join("labels")
    }

    /// The newest log this station has seen.
    pub(crate) fn seen(&self) -> Seen<'_> {
        let path = self.dir.join("checkpoint");
        Seen::new(path, &self.vkey, &self.remembered)
    }

    /// What bundles of this order end with, as far as a slot of this station has seen one; public.
    pub(crate) fn ending(&self, order: &OrderId) -> Vec<u8> {
        self.remembered.ending(order)
    }

    pub(crate) fn remember_ending(&self, order: &OrderId, ending: Vec<u8>) {
        self.remembered.remember_ending(order, ending);
    }

    /// Reads key and certificates.
    pub(crate) fn identity(&self) -> Result<Identity, HomeError> {
        let [key, certificate, root] =
            ["key.pem", "certificate.pem", "site-root.pem"].map(|name| self.dir.join(name));
        let pem = |path: &Path| {
            let text = durable::read(path).map_err(HomeError::io(path))?;
            Ok(Zeroizing::new(text.unwrap_or_default()))
        };
        let damaged = |path: &Path, what: &str| HomeError::Damaged {
            path: path.display().to_string(),
            what: what.to_owned(),
        };
        let one_certificate = |path: &Path| {
            CertificateDer::from_pem_slice(pem(path)?.as_bytes())
                .map_err(|_| damaged(path, "it holds no certificate in PEM form"))
        };
        Ok(Identity {
            chain: vec![one_certificate(&certificate)?],
            key: PrivateKeyDer::from_pem_slice(pem(&key)?.as_bytes())
                .map_err(|_| damaged(&key, "it holds no private key in PEM form"))?,
            root: one_certificate(&root)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: Option<&str>, expected: &str) {
        let folder = tempfile::tempdir().unwrap();
        if let Some(text) = text {
            std::fs::write(folder.path().join("station.toml"), text).unwrap();
        }
        let error = Home::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn a_folder_that_cannot_be_used_says_what_to_do() {
        check(None, "run `station-cli enroll");
        check(Some("server = 1"), "line 1");
        check(
            Some("server = \"s\"\nstation = \"Bench\"\nvkey = \"\""),
            "line 2",
        );
        check(
            Some("server = \"s\"\nstation = \"bench\"\nvkey = \"x\""),
            "verifier key",
        );
        check(Some("sever = \"s\""), "sever");
    }

    #[test]
    fn what_was_kept_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let vkey = tlog::vkey("line.example/log", &[7; 32]).unwrap();
        let station = StationName::parse("bench-1").unwrap();
        let enrolled = Enrolled {
            server: "https://127.0.0.1:7443",
            station: &station,
            vkey: &vkey,
            key_pem: &Zeroizing::new("not a key".into()),
            certificate_pem: "",
            root_pem: "",
        };
        Home::keep(folder.path(), &enrolled).unwrap();
        let home = Home::open(folder.path()).unwrap();
        assert_eq!(home.server(), "https://127.0.0.1:7443");
        assert_eq!(home.station(), &station);
        assert_eq!(home.vkey().to_string(), vkey.to_string());
        let error = home.identity().err().unwrap().to_string();
        assert!(error.contains("certificate.pem"), "{error}");
    }
}
