//! What a unit says, in the words of the crate `traveler`: bytes that are no id are no reply.

use std::boxed::Box;
use std::string::ToString;

use traveler::{Attempt, DeviceId, Digest, Mac, Serial};

use super::{Answer, Booted, Facts, Held, Installed, Receipt, Reply};
use crate::message;

impl Reply {
    /// Parses a message; `None` for what is no reply or names something no id can be.
    pub(super) fn decode(bytes: &[u8]) -> Option<Reply> {
        Some(match message::Reply::decode(bytes)? {
            message::Reply::Refused(refusal) => Reply::Refused(refusal),
            message::Reply::Facts(facts) => Reply::Facts(Box::new(Facts::parse(&facts)?)),
            message::Reply::Stored { proof } => Reply::Stored { proof },
            message::Reply::Resetting => Reply::Resetting,
            message::Reply::Proved(proved) => Reply::Proved {
                proof: proved.proof,
                receipt: Receipt {
                    device_id: DeviceId::from_bytes(proved.device_id).ok()?,
                    boots: proved.boots,
                    digest: Digest(proved.digest),
                    signature: proved.signature.map(<[u8]>::to_vec),
                    public_key: proved.public_key.map(<[u8]>::to_vec),
                },
            },
            message::Reply::Locked => Reply::Locked,
            message::Reply::Answer { yes: true } => Reply::Answer(Answer::Yes),
            message::Reply::Answer { yes: false } => Reply::Answer(Answer::No),
            message::Reply::Booted {
                device_id,
                boots,
                installed,
            } => Reply::Booted(Booted {
                device_id: DeviceId::from_bytes(device_id).ok()?,
                boots,
                installed: installed.map(|installed| Installed {
                    nonce: installed.nonce,
                    written_in: installed.written_in,
                    proof: installed.proof,
                    signature: installed.signature.map(<[u8]>::to_vec),
                    public_key: installed.public_key.map(<[u8]>::to_vec),
                }),
            }),
        })
    }
}

impl Facts {
    fn parse(facts: &message::Facts<'_>) -> Option<Facts> {
        let held = match facts.held {
            Some((serial, attempt)) => Some(Held {
                serial: Serial::parse(serial).ok()?,
                attempt: Attempt(attempt),
            }),
            None => None,
        };
        let (macs, _) = facts.macs.as_chunks::<6>();
        Some(Facts {
            nonce: facts.nonce,
            device_id: DeviceId::from_bytes(facts.device_id).ok()?,
            macs: macs.iter().map(|mac| Mac(*mac)).collect(),
            model: facts.model.to_string(),
            revision: facts.revision.map(ToString::to_string),
            firmware: facts.firmware.to_string(),
            state: facts.state,
            boots: Some(facts.boots),
            held,
            csr: facts.csr.map(<[u8]>::to_vec),
            public_key: facts.public_key.map(<[u8]>::to_vec),
            protocol: facts.protocol,
        })
    }
}
