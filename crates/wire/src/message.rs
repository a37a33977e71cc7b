//! The requests and replies, and their bytes, as both sides see them: borrowed, not allocated.
//!
//! [`Request`] and [`Reply`] have no `Debug`: some carry a password or a bundle.

use crate::fields::{Fields, Value};

pub use crate::limits::{
    BUNDLE_MAX, CSR_MAX, DEVICE_ID_MAX, MACS_MAX, PROTOCOL_FIRST, PROTOCOL_INSTALL, PROTOCOL_PARTS,
    PUBLIC_KEY_MAX, SIGNATURE_MAX, TEXT_MAX,
};
pub use crate::state::{Refusal, UnitState};

/// Sixteen bytes a station never uses twice: they make a proof one of now, not of before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Nonce(pub [u8; 16]);

/// What a station asks.
pub enum Request<'a> {
    /// Who are you, and what do you hold?
    Greet {
        /// Comes back in the facts.
        nonce: Nonce,
    },
    /// Write this bundle, read it back from flash, and prove it.
    Load {
        /// Goes into the proof.
        nonce: Nonce,
        /// The unit it was issued to; another one refuses it.
        device_id: &'a [u8],
        /// Secret.
        bundle: &'a [u8],
    },
    /// Forget everything but the flash.
    Reset,
    /// Prove, from flash, what you hold.
    Prove {
        /// Goes into the proof.
        nonce: Nonce,
    },
    /// Never take another bundle.
    Lock {
        /// SHA-256 of the bundle that must be there.
        digest: [u8; 32],
    },
    /// Is this your password?
    Check {
        /// Secret; as scanned, folded by the unit.
        password: &'a [u8],
    },
    /// Write this bundle, read it back from flash, reset; then prove, unasked, that it is still there.
    Install {
        /// Kept over the reset; goes into the proof.
        nonce: Nonce,
        /// The unit it was issued to; another one refuses it.
        device_id: &'a [u8],
        /// Secret.
        bundle: &'a [u8],
    },
    /// [`Request::Install`] with the end of the bundle before its beginning: what many units share is on
    /// the line while the rest is still being made. Nothing is done before the frame is whole.
    InstallParts {
        /// Kept over the reset; goes into the proof.
        nonce: Nonce,
        /// The unit it was issued to; another one refuses it.
        device_id: &'a [u8],
        /// What the bundle ends with.
        ending: &'a [u8],
        /// All before it. Secret.
        beginning: &'a [u8],
    },
    /// Say once more what you said after the reset of this install.
    Report {
        /// The install's.
        nonce: Nonce,
    },
}

impl<'a> Request<'a> {
    /// Writes the request to the front of `out`; `None` when it does not fit.
    pub fn encode(&self, out: &mut [u8]) -> Option<usize> {
        match self {
            Request::Greet { nonce } => Fields::new(1).with_bytes(1, &nonce.0),
            Request::Load {
                nonce,
                device_id,
                bundle,
            } => Fields::new(2)
                .with_bytes(1, &nonce.0)
                .with_bytes(2, device_id)
                .with_bytes(3, bundle),
            Request::Reset => Fields::new(3),
            Request::Prove { nonce } => Fields::new(4).with_bytes(1, &nonce.0),
            Request::Lock { digest } => Fields::new(5).with_bytes(1, digest),
            Request::Check { password } => Fields::new(6).with_bytes(1, password),
            Request::Install {
                nonce,
                device_id,
                bundle,
            } => Fields::new(7)
                .with_bytes(1, &nonce.0)
                .with_bytes(2, device_id)
                .with_bytes(3, bundle),
            Request::Report { nonce } => Fields::new(8).with_bytes(1, &nonce.0),
            Request::InstallParts {
                nonce,
                device_id,
                ending,
                beginning,
            } => Fields::new(9)
                .with_bytes(1, &nonce.0)
                .with_bytes(2, device_id)
                .with_bytes(3, ending)
                .with_bytes(4, beginning),
        }
        .encode(out)
    }

    /// Reads a request; `None` for anything that is not one, however it is wrong.
    #[must_use]
    pub fn decode(bytes: &'a [u8]) -> Option<Request<'a>> {
        let fields = Fields::decode(bytes)?;
        Some(match fields.kind()? {
            1 => Request::Greet {
                nonce: Nonce(fields.array(1)?),
            },
            2 => Request::Load {
                nonce: Nonce(fields.array(1)?),
                device_id: fields.bytes(2, 4..=DEVICE_ID_MAX)?,
                bundle: fields.bytes(3, 1..=BUNDLE_MAX)?,
            },
            3 => Request::Reset,
            4 => Request::Prove {
                nonce: Nonce(fields.array(1)?),
            },
            5 => Request::Lock {
                digest: fields.array(1)?,
            },
            6 => Request::Check {
                password: fields.bytes(1, 0..=TEXT_MAX)?,
            },
            7 => Request::Install {
                nonce: Nonce(fields.array(1)?),
                device_id: fields.bytes(2, 4..=DEVICE_ID_MAX)?,
                bundle: fields.bytes(3, 1..=BUNDLE_MAX)?,
            },
            8 => Request::Report {
                nonce: Nonce(fields.array(1)?),
            },
            9 => Request::InstallParts {
                nonce: Nonce(fields.array(1)?),
                device_id: fields.bytes(2, 4..=DEVICE_ID_MAX)?,
                ending: fields.bytes(3, 1..=BUNDLE_MAX)?,
                beginning: fields.bytes(4, 1..=BUNDLE_MAX)?,
            },
            _ => return None,
        })
    }
}

/// What a unit says of itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Facts<'a> {
    /// From the greeting that asked.
    pub nonce: Nonce,
    /// The silicon's own id, 4 to 32 bytes.
    pub device_id: &'a [u8],
    /// MAC addresses, six bytes each, one after the other; at most [`MACS_MAX`].
    pub macs: &'a [u8],
    /// What it is.
    pub model: &'a str,
    /// Its hardware revision, where it knows one.
    pub revision: Option<&'a str>,
    /// Version of its firmware.
    pub firmware: &'a str,
    /// What its flash holds.
    pub state: UnitState,
    /// How often it has booted.
    pub boots: u32,
    /// Serial and attempt of the bundle, when a whole one is there.
    pub held: Option<(&'a str, u32)>,
    /// PKCS#10 (DER), when the unit has a key of its own.
    pub csr: Option<&'a [u8]>,
    /// SubjectPublicKeyInfo (DER) of that key.
    pub public_key: Option<&'a [u8]>,
    /// Which version of these messages it speaks; not sent when it is [`PROTOCOL_FIRST`].
    pub protocol: u32,
}

/// How a unit shows, after the reset, what an install left in its flash.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Installed<'a> {
    /// The install's.
    pub nonce: Nonce,
    /// In which boot it was written; the proof is only worth something in a later one.
    pub written_in: u32,
    /// Proof over nonce, both boots and flash.
    pub proof: [u8; 32],
    /// ECDSA P-256 signature (DER) over the receipt, when there is a key to sign with.
    pub signature: Option<&'a [u8]>,
    /// SubjectPublicKeyInfo (DER) of the key that signed.
    pub public_key: Option<&'a [u8]>,
}

/// How a unit shows what it holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Proved<'a> {
    /// The silicon's own id.
    pub device_id: &'a [u8],
    /// How often it has booted.
    pub boots: u32,
    /// SHA-256 of the bundle as it is in flash.
    pub digest: [u8; 32],
    /// Read-back proof over nonce and flash.
    pub proof: [u8; 32],
    /// ECDSA P-256 signature (DER) over the receipt, when there is a key to sign with.
    pub signature: Option<&'a [u8]>,
    /// SubjectPublicKeyInfo (DER) of the key that signed.
    pub public_key: Option<&'a [u8]>,
}

/// What a unit answers.
pub enum Reply<'a> {
    /// It did not do it.
    Refused(Refusal),
    /// To `Greet`.
    Facts(Facts<'a>),
    /// To `Load`: written, committed and read back from flash.
    Stored {
        /// Read-back proof over nonce and flash.
        proof: [u8; 32],
    },
    /// To `Reset` and `Install`: it follows at once.
    Resetting,
    /// To `Prove`.
    Proved(Proved<'a>),
    /// To `Lock`.
    Locked,
    /// To `Check`.
    Answer {
        /// Whether the password is the unit's.
        yes: bool,
    },
    /// Unasked, with sequence number 0: the unit has started. Also to `Report`.
    Booted {
        /// The silicon's own id.
        device_id: &'a [u8],
        /// How often it has booted.
        boots: u32,
        /// In the boot after an install, or when it is asked. A reader of the first version skips it.
        installed: Option<Installed<'a>>,
    },
}

impl<'a> Reply<'a> {
    /// Writes the reply to the front of `out`; `None` when it does not fit.
    pub fn encode(&self, out: &mut [u8]) -> Option<usize> {
        match self {
            Reply::Refused(refusal) => Fields::new(16).with_number(1, refusal.code().into()),
            Reply::Facts(facts) => facts.fields(),
            Reply::Stored { proof } => Fields::new(18).with_bytes(1, proof),
            Reply::Resetting => Fields::new(19),
            Reply::Proved(proved) => Fields::new(20)
                .with_bytes(1, proved.device_id)
                .with_number(2, proved.boots)
                .with_bytes(3, &proved.digest)
                .with_bytes(4, &proved.proof)
                .with_optional(5, proved.signature)
                .with_optional(6, proved.public_key),
            Reply::Locked => Fields::new(21),
            Reply::Answer { yes } => Fields::new(22).with(1, Value::Truth(*yes)),
            Reply::Booted {
                device_id,
                boots,
                installed,
            } => {
                let fields = Fields::new(23)
                    .with_bytes(1, device_id)
                    .with_number(2, *boots);
                match installed {
                    Some(installed) => installed.fields(fields),
                    None => fields,
                }
            }
        }
        .encode(out)
    }

    /// Reads a reply; `None` for anything that is not one, a request that came back included.
    #[must_use]
    pub fn decode(bytes: &'a [u8]) -> Option<Reply<'a>> {
        let fields = Fields::decode(bytes)?;
        Some(match fields.kind()? {
            16 => Reply::Refused(Refusal::from_code(fields.number(1)?.try_into().ok()?)),
            17 => Reply::Facts(Facts::from_fields(&fields)?),
            18 => Reply::Stored {
                proof: fields.array(1)?,
            },
            19 => Reply::Resetting,
            20 => Reply::Proved(Proved {
                device_id: fields.bytes(1, 4..=DEVICE_ID_MAX)?,
                boots: fields.number(2)?,
                digest: fields.array(3)?,
                proof: fields.array(4)?,
                signature: fields.optional(5, fields.bytes(5, 1..=SIGNATURE_MAX))?,
                public_key: fields.optional(6, fields.bytes(6, 1..=PUBLIC_KEY_MAX))?,
            }),
            21 => Reply::Locked,
            22 => Reply::Answer {
                yes: fields.truth(1)?,
            },
            23 => Reply::Booted {
                device_id: fields.bytes(1, 4..=DEVICE_ID_MAX)?,
                boots: fields.number(2)?,
                installed: Installed::from_fields(&fields)?,
            },
            _ => return None,
        })
    }
}

impl<'a> Installed<'a> {
    fn fields(&'a self, fields: Fields<'a>) -> Fields<'a> {
        fields
            .with_bytes(3, &self.nonce.0)
            .with_number(4, self.written_in)
            .with_bytes(5, &self.proof)
            .with_optional(6, self.signature)
            .with_optional(7, self.public_key)
    }

    /// `Some(None)` when there is none; `None` when there is one that cannot be read.
    fn from_fields(fields: &Fields<'a>) -> Option<Option<Installed<'a>>> {
        let Some(nonce) = fields.optional(3, fields.array(3))? else {
            return Some(None);
        };
        Some(Some(Installed {
            nonce: Nonce(nonce),
            written_in: fields.number(4)?,
            proof: fields.array(5)?,
            signature: fields.optional(6, fields.bytes(6, 1..=SIGNATURE_MAX))?,
            public_key: fields.optional(7, fields.bytes(7, 1..=PUBLIC_KEY_MAX))?,
        }))
    }
}

impl<'a> Facts<'a> {
    fn fields(&'a self) -> Fields<'a> {
        let mut fields = Fields::new(17)
            .with_bytes(1, &self.nonce.0)
            .with_bytes(2, self.device_id)
            .with_bytes(3, self.macs)
            .with_text(4, self.model);
        if let Some(revision) = self.revision {
            fields = fields.with_text(5, revision);
        }
        fields = fields
            .with_text(6, self.firmware)
            .with_number(7, self.state.code())
            .with_number(8, self.boots);
        if let Some((serial, attempt)) = self.held {
            fields = fields.with_text(9, serial).with_number(10, attempt);
        }
        fields = fields
            .with_optional(11, self.csr)
            .with_optional(12, self.public_key);
        match self.protocol {
            PROTOCOL_FIRST => fields,
            later => fields.with_number(13, later),
        }
    }

    fn from_fields(fields: &Fields<'a>) -> Option<Facts<'a>> {
        let macs = fields.bytes(3, 0..=6 * MACS_MAX)?;
        let serial = fields.optional(9, fields.text(9, 1..=TEXT_MAX))?;
        let attempt = fields.optional(10, fields.number(10))?;
        let held = match (serial, attempt) {
            (Some(serial), Some(attempt)) => Some((serial, attempt)),
            (None, None) => None,
            _ => return None,
        };
        macs.len().is_multiple_of(6).then_some(Facts {
            nonce: Nonce(fields.array(1)?),
            device_id: fields.bytes(2, 4..=DEVICE_ID_MAX)?,
            macs,
            model: fields.text(4, 1..=TEXT_MAX)?,
            revision: fields.optional(5, fields.text(5, 0..=TEXT_MAX))?,
            firmware: fields.text(6, 0..=TEXT_MAX)?,
            state: UnitState::from_code(fields.number(7)?)?,
            boots: fields.number(8)?,
            held,
            csr: fields.optional(11, fields.bytes(11, 1..=CSR_MAX))?,
            public_key: fields.optional(12, fields.bytes(12, 1..=PUBLIC_KEY_MAX))?,
            protocol: fields
                .optional(13, fields.number(13))?
                .unwrap_or(PROTOCOL_FIRST),
        })
    }
}
