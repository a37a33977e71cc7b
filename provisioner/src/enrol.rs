//! A station trades its one-time token for a certificate over a key that it made itself.

use identity::{CsrError, Role};
use ledger::AppendError;
use thiserror::Error;
use traveler::{Event, StationName};

use crate::auth::sha256;
use crate::authority::AuthorityError;
use crate::line::Line;

/// Why a station was not enrolled.
#[derive(Debug, Error)]
pub(crate) enum EnrolError {
    /// The token is not one that was given out.
    #[error("the token is not known here: ask for a new one with `provisioner station token NAME`")]
    Token,
    /// The station's key request cannot be used.
    #[error("the station's key request cannot be used")]
    BadKey(#[from] CsrError),
    /// The certificate could not be made.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The ledger's rules refuse (the token is used, too old, or its station revoked), or it
    /// cannot be written.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
}

/// A station that may work from now on.
pub(crate) struct Enrolled {
    /// Its name.
    pub(crate) station: StationName,
    /// Its certificate (DER).
    pub(crate) certificate: Vec<u8>,
}

impl Line {
    /// Uses up a token.
    ///
    /// The certificate leaves only after the entry that names it is durable; when the reply is
    /// lost, the token is used up and the administrator gives out another.
    ///
    /// # Errors
    /// [`EnrolError`]; the token is used up only by success.
    pub(crate) fn enrol(&self, token: &str, csr: &[u8]) -> Result<Enrolled, EnrolError> {
        let token_sha256 = sha256(token.trim().as_bytes());
        let station = self
            .read(|ledger| ledger.station_by_token(&token_sha256))?
            .ok_or(EnrolError::Token)?;
        let spki = identity::check_csr(csr)?;
        let role = Role::Station(station.clone());
        let hours = self.station_certificate_hours;
        let certificate = self.authority.leaf(&spki, &role, self.now(), hours)?;
        let event = Event::StationEnrolled {
            station: station.clone(),
            token_sha256,
            certificate_sha256: sha256(&certificate),
        };
        self.append(vec![event])?;
        Ok(Enrolled {
            station,
            certificate,
        })
    }
}
