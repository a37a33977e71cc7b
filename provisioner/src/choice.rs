//! What a person chooses when a site is made, and how it is said on the command line.

use std::path::PathBuf;
use std::str::FromStr;

use traveler::{OperatorId, ParseIdError};

use crate::pin::{PinArgs, PinSource};

/// Who stands at a ceremony. The record and the log have the badge; the person's name goes into
/// `operators.toml`, where it can be erased.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Present {
    /// The badge.
    pub badge: OperatorId,
    /// The person, when it is said.
    pub person: Option<String>,
}

impl FromStr for Present {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Present, ParseIdError> {
        let (badge, person) = match text.split_once('=') {
            Some((badge, person)) => (badge, Some(person.trim().to_owned())),
            None => (text, None),
        };
        Ok(Present {
            badge: OperatorId::parse(badge)?,
            person,
        })
    }
}

/// Where a new site keeps its keys.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// `soft:FILE`, `sim:SOCKET` or `pkcs11:MODULE?token=LABEL`; absent: a software token below the
    /// data directory.
    pub hsm: Option<String>,
    /// The token's PIN; absent: one is made beside the software token.
    pub pin_file: Option<PathBuf>,
    /// Where the PIN comes from this once, in place of a file that `serve` finds again.
    pub pin: Option<PinSource>,
    /// Who stands at the ceremony, for its record.
    pub operators: Vec<Present>,
    /// The issuing certificate and its root (PEM), signed by a root that is kept elsewhere.
    pub issuing_cert: Option<PathBuf>,
}

impl Choice {
    /// The badges of those who stand there.
    pub(crate) fn badges(&self) -> Vec<String> {
        let badge = |present: &Present| present.badge.to_string();
        self.operators.iter().map(badge).collect()
    }

    /// Where the PIN comes from, when it is said.
    pub(crate) fn pin_source(&self) -> Option<PinSource> {
        let file = self.pin_file.clone().map(PinSource::File);
        self.pin.clone().or(file)
    }
}

/// The arguments of `init`.
#[derive(clap::Args, Debug)]
pub(crate) struct InitArgs {
    /// Where the keys are: soft:FILE, sim:SOCKET or pkcs11:MODULE?token=LABEL [default: a
    /// software token in the data directory].
    #[arg(long, value_name = "PLACE")]
    hsm: Option<String>,
    #[command(flatten)]
    pin: PinArgs,
    /// Who stands at the key ceremony: the log keeps the badge for good, the name goes into
    /// operators.toml, where `operator erase` erases it; may be given again.
    #[arg(long, value_name = "BADGE[=NAME]")]
    operator: Vec<Present>,
    /// Make the keys and print a request for the issuing certificate; no site is made yet.
    #[arg(long, requires = "hsm", conflicts_with = "issuing_cert")]
    issuing_csr: bool,
    /// File with the issuing certificate and its root (PEM), signed where the root is kept.
    #[arg(long, value_name = "FILE", requires = "hsm")]
    issuing_cert: Option<PathBuf>,
}

impl InitArgs {
    /// Whether only a request is asked for, and what was chosen.
    pub(crate) fn chosen(self) -> (bool, Choice) {
        let choice = Choice {
            hsm: self.hsm,
            pin: self.pin.once(),
            pin_file: self.pin.pin_file,
            operators: self.operator,
            issuing_cert: self.issuing_cert,
        };
        (self.issuing_csr, choice)
    }
}
