//! Draws what a unit will hold: a password that passed the gate, a key where the unit has none,
//! and the certificate, as one bundle that nobody has seen yet.

use compliance::Product;
use credential::{Bundle, BundleBytes, Password, Policy, PolicyError, PrivateKey, Salt};
use guess::{Clause, Facts, Verdict};
use hsm::Key;
use ledger::OrderRow;
use traveler::{Digest, Fingerprint, GateRecord, Issued, Step};
use zeroize::Zeroizing;

use api::IssueCall;

use crate::auth::sha256;
use crate::issue::IssueError;
use crate::line::Line;

/// Draws the gate may refuse in a row before the generator is called unfit.
///
/// A fair draw is refused with at most 4 % (GUESS.md, minting), so 16 in a row with 4e-23.
const REDRAWS_TOLERATED: u32 = 16;

impl Line {
    /// Draws a password, a key where the unit has none, and the certificate, as one bundle.
    pub(crate) fn draw(
        &self,
        call: &IssueCall,
        step: &Step,
        product: &Product,
        policy: &Policy,
    ) -> Result<Drawn, IssueError> {
        let (password, redraws) = self.mint(policy, product, call)?;
        let fingerprint = password.folded(|clear| self.hsm.mac(Key::Fingerprint, clear))?;
        let folded = password.folded(|clear| Zeroizing::new(clear.to_vec()));
        let (spki, key) = unit_key(call)?;
        let chain = self
            .authority
            .device(&spki, &step.serial, &product.sku, self.now())?;
        let mut salt = [0; 16];
        self.hsm.random(&mut salt)?;

        let certificate_sha256 = sha256(&chain[0]);
        let bundle = Bundle {
            serial: step.serial.clone(),
            attempt: step.attempt,
            password,
            salt: Salt::from_bytes(salt),
            chain,
            key,
        };
        Ok(Drawn {
            bundle: bundle.encode()?,
            folded,
            fingerprint: cut(&fingerprint),
            certificate_sha256,
            public_key_sha256: sha256(&spki),
            redraws,
        })
    }

    /// Draws until the gate lets a password through.
    fn mint(
        &self,
        policy: &Policy,
        product: &Product,
        call: &IssueCall,
    ) -> Result<(Password, u32), IssueError> {
        let macs: Vec<String> = call.macs.iter().map(ToString::to_string).collect();
        let facts = Facts {
            serial: call.serial.as_str(),
            device_id: call.device_id.as_str(),
            macs: &macs,
            model: &call.model,
            ssid: product.ssid_prefix.as_deref(),
            public: &[product.sku.as_str(), &product.name],
        };
        let mut redraws = 0;
        loop {
            let password = credential::mint(policy, &mut |out| self.hsm.random(out))?;
            let verdict = self.with_recent(&call.order, |recent| {
                password.folded(|clear| guess::judge(clear, &facts, recent))
            });
            match verdict {
                Verdict::Pass => return Ok((password, redraws)),
                Verdict::Refused {
                    detector, clause, ..
                } if clause == Clause::Counter || redraws == REDRAWS_TOLERATED => {
                    return Err(IssueError::Guessable {
                        detector,
                        clause,
                        draws: redraws + 1,
                    });
                }
                Verdict::Refused { .. } => redraws += 1,
            }
        }
    }

    /// A chance collision is drawn again; more than the policy's arithmetic allows is a fault.
    pub(crate) fn tolerate(&self, policy: &Policy, collisions: u32) -> Result<(), IssueError> {
        let issued = self.read(|ledger| ledger.size())?; // entries: no fewer than issues
        if collisions > credential::collisions_tolerated(policy.bits(), issued) {
            return Err(IssueError::Repeating { collisions });
        }
        Ok(())
    }
}

/// A bundle that nobody has seen yet, and what the ledger will say of it.
pub(crate) struct Drawn {
    pub(crate) bundle: BundleBytes,
    pub(crate) folded: Zeroizing<Vec<u8>>,
    fingerprint: Fingerprint,
    certificate_sha256: Digest,
    public_key_sha256: Digest,
    redraws: u32,
}

impl Drawn {
    pub(crate) fn record(
        &self,
        line: &Line,
        call: &IssueCall,
        step: &Step,
        order: &OrderRow,
        policy: &Policy,
        collisions: u32,
    ) -> Issued {
        let detectors = guess::DETECTORS.to_owned();
        Issued {
            step: step.clone(),
            slot: call.slot.clone(),
            macs: call.macs.clone(),
            product: order.product.clone(),
            product_sha256: order.product_sha256,
            policy_sha256: policy.hash(),
            fingerprint: self.fingerprint,
            fingerprint_key: line.fingerprint_key,
            certificate_sha256: self.certificate_sha256,
            public_key_sha256: self.public_key_sha256,
            bundle_sha256: self.bundle.digest(),
            key_made_on_unit: call.csr.is_some(),
            gate: GateRecord {
                detectors,
                redraws: self.redraws,
                collisions,
            },
        }
    }
}

/// The key a unit's certificate is for: its own, or one made for it.
fn unit_key(call: &IssueCall) -> Result<(Vec<u8>, Option<PrivateKey>), IssueError> {
    if let Some(csr) = &call.csr {
        return Ok((identity::check_csr(csr)?, None));
    }
    let minted = credential::mint_key(&ring::rand::SystemRandom::new())?;
    Ok((minted.spki, Some(minted.private)))
}

/// The password policy of a product.
pub(crate) fn policy_of(product: &Product) -> Result<Policy, PolicyError> {
    Policy::named(&product.password.policy, product.password.length)
}

/// The fingerprint an entry keeps of a MAC.
fn cut(mac: &[u8; 32]) -> Fingerprint {
    let mut fingerprint = [0; 16];
    fingerprint.copy_from_slice(&mac[..16]);
    Fingerprint(fingerprint)
}
