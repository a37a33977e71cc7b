//! The data directory: which file is where, and that it is whole.
//!
//! Everything in it but `hsm/`, `admin/`, `qa/` and `operators.toml` may be shown to anybody.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use thiserror::Error;
use tlog::VerifierKey;

/// What can be wrong with a data directory.
#[derive(Debug, Error)]
pub enum SiteError {
    /// A file of the directory cannot be read or written.
    #[error("cannot use {}", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file is there but is not what it should be.
    #[error("{} is damaged: restore it from a backup", .path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
    },
}

/// The files of one server.
#[derive(Clone, Debug)]
pub struct Site {
    data: PathBuf,
}

impl Site {
    /// A site at `data`; nothing is read yet.
    #[must_use]
    pub fn at(data: &Path) -> Site {
        Site {
            data: data.to_owned(),
        }
    }

    /// The directory itself.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The log and everything derived from it.
    #[must_use]
    pub fn ledger(&self) -> PathBuf {
        self.data.join("ledger.db")
    }

    /// The log's verifier key (C2SP signed-note), for anyone.
    #[must_use]
    pub fn vkey_file(&self) -> PathBuf {
        self.data.join("vkey")
    }

    /// Root certificate of the units' chain (PEM).
    #[must_use]
    pub fn device_root(&self) -> PathBuf {
        self.data.join("ca/device-root.pem")
    }

    /// The certificates that have signed units (PEM), the newest first; which of them is in force
    /// is for the log to say.
    #[must_use]
    pub fn device_issuing(&self) -> PathBuf {
        self.data.join("ca/device-issuing.pem")
    }

    /// Root certificate of stations and people (PEM).
    #[must_use]
    pub fn site_root(&self) -> PathBuf {
        self.data.join("ca/site-root.pem")
    }

    /// The address a running server listens on.
    #[must_use]
    pub fn listening(&self) -> PathBuf {
        self.data.join("listening")
    }

    /// A person's credential: `certificate.pem` and `key.pem`.
    #[must_use]
    pub fn credential(&self, who: &str) -> PathBuf {
        self.data.join(who)
    }

    /// Replaces the log's verifier key by the one that took over.
    ///
    /// # Errors
    /// [`SiteError::File`].
    pub(crate) fn put_vkey(&self, vkey: &VerifierKey) -> Result<(), SiteError> {
        replace_durably(&self.vkey_file(), format!("{vkey}\n").as_bytes(), false)
    }

    /// Reads the log's verifier key.
    ///
    /// # Errors
    /// [`SiteError`] when it is absent or damaged.
    pub fn vkey(&self) -> Result<VerifierKey, SiteError> {
        let path = self.vkey_file();
        let text = read(&path)?;
        VerifierKey::parse(text.trim_end()).map_err(|_| SiteError::Damaged { path })
    }
}

/// Reads a text file and says which one when it cannot.
///
/// # Errors
/// [`SiteError::File`].
pub fn read(path: &Path) -> Result<String, SiteError> {
    fs::read_to_string(path).map_err(|source| SiteError::File {
        path: path.to_owned(),
        source,
    })
}

/// Reads one certificate of a PEM file, as DER.
///
/// # Errors
/// [`SiteError`] when there is none.
pub fn read_certificate(path: &Path) -> Result<Vec<u8>, SiteError> {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    let text = read(path)?;
    CertificateDer::from_pem_slice(text.as_bytes())
        .map(|der| der.to_vec())
        .map_err(|_| SiteError::Damaged {
            path: path.to_owned(),
        })
}

/// Reads every certificate of a PEM file, as DER.
///
/// # Errors
/// [`SiteError`] when there is none.
pub(crate) fn read_certificates(path: &Path) -> Result<Vec<Vec<u8>>, SiteError> {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    let text = read(path)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes())
        .map(|der| der.map(|der| der.to_vec()))
        .collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        _ => Err(SiteError::Damaged {
            path: path.to_owned(),
        }),
    }
}

/// Writes a new file durably, readable by its owner alone when `secret`.
///
/// # Errors
/// [`SiteError::File`] also when the file is already there.
pub fn write_new(path: &Path, bytes: &[u8], secret: bool) -> Result<(), SiteError> {
    let mode = if secret { 0o600 } else { 0o644 };
    let write = || -> io::Result<()> {
        let parent = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(parent)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(path)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        File::open(parent)?.sync_all()
    };
    write().map_err(|source| SiteError::File {
        path: path.to_owned(),
        source,
    })
}

/// Replaces a small public file in one step, so that a reader sees the old or the new.
///
/// # Errors
/// [`SiteError::File`].
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), SiteError> {
    let fresh = path.with_extension("new");
    let write = || -> io::Result<()> {
        fs::write(&fresh, bytes)?;
        fs::rename(&fresh, path)
    };
    write().map_err(|source| SiteError::File {
        path: path.to_owned(),
        source,
    })
}

/// Replaces a file in one step and durably, readable by its owner alone when `secret`.
///
/// A crash leaves the old file or the new one, and after the return only the new one.
///
/// # Errors
/// [`SiteError::File`].
pub fn replace_durably(path: &Path, bytes: &[u8], secret: bool) -> Result<(), SiteError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let fresh = path.with_file_name(name);
    let mode = if secret { 0o600 } else { 0o644 };
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        sync_folder_of(path)
    };
    write().map_err(|source| SiteError::File {
        path: path.to_owned(),
        source,
    })
}

/// Makes a file's name durable.
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
