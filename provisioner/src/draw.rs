//! Draws what a unit will hold: a password that passed the gate, a key where the unit has none,
//! and the certificate, as one bundle that nobody has seen yet.

use compliance::Product;
use credential::{
    Bundle, BundleBytes, KeyError, MintError, Password, Policy, PolicyError, PrivateKey, Salt,
    Unfit,
};
use guess::{Clause, Facts, Verdict};
use hsm::{HsmError, Key};
use ledger::OrderRow;
use ring::rand::{SecureRandom, SystemRandom};
use traveler::{Attempt, Digest, Fingerprint, GateRecord, Issued, Mac, OrderId, Serial, Step};
use zeroize::Zeroizing;

use api::IssueCall;

use crate::auth::sha256;
use crate::issue::IssueError;
use crate::labels;
use crate::line::Line;

/// Draws in a row the gate may refuse before its facts are measured against a fair generator.
const REDRAWS_UNSUSPECTED: u32 = 4;

/// Draws of the system's own generator that the gate is measured with.
const CONTROLS: u32 = 256;

/// Chance of calling a fair generator unfit because of refusals in a row, at one issue.
const FALSE_ALARM: f64 = 1e-17;

/// The share of refused controls from which a policy leaves a unit no room.
const ROOM_MIN: f64 = 0.75;

/// What a credential is drawn for.
pub(crate) struct Wanted<'a> {
    pub(crate) order: &'a OrderId,
    pub(crate) serial: &'a Serial,
    pub(crate) attempt: Attempt,
    /// Empty while nobody has met the silicon.
    pub(crate) device_id: &'a str,
    pub(crate) macs: &'a [Mac],
    pub(crate) model: &'a str,
    /// PKCS#10 made on the unit; none: a key is minted.
    pub(crate) csr: Option<&'a [u8]>,
}

impl<'a> Wanted<'a> {
    /// For the unit that an issue is for.
    pub(crate) fn of(call: &'a IssueCall, attempt: Attempt) -> Wanted<'a> {
        Wanted {
            order: &call.order,
            serial: &call.serial,
            attempt,
            device_id: call.device_id.as_str(),
            macs: &call.macs,
            model: &call.model,
            csr: call.csr.as_deref(),
        }
    }
}

impl Line {
    /// Draws a password, a key where the unit has none, and the certificate, as one bundle.
    pub(crate) fn draw(
        &self,
        wanted: &Wanted<'_>,
        product: &Product,
        policy: &Policy,
    ) -> Result<Drawn, IssueError> {
        let (password, redraws) = self.mint(policy, product, wanted)?;
        let fingerprint = password.folded(|clear| self.hsm.mac(Key::Fingerprint, clear))?;
        let folded = password.folded(|clear| Zeroizing::new(clear.to_vec()));
        let (spki, key) = unit_key(wanted.csr)?;
        let chain = self
            .authority
            .device(&spki, wanted.serial, &product.sku, self.now())?;
        let mut salt = [0; 16];
        self.random_watched(&mut salt)?;

        let certificate_sha256 = sha256(&chain[0]);
        let bundle = Bundle {
            serial: wanted.serial.clone(),
            attempt: wanted.attempt,
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
    ///
    /// Every refusal is a redraw. Whether there are too many is for the monitor to say, over the
    /// order, and for a bound on refusals in a row, at this unit.
    fn mint(
        &self,
        policy: &Policy,
        product: &Product,
        wanted: &Wanted<'_>,
    ) -> Result<(Password, u32), IssueError> {
        let macs: Vec<String> = wanted.macs.iter().map(ToString::to_string).collect();
        let ssid = labels::ssid(product, wanted.serial);
        let facts = Facts {
            serial: wanted.serial.as_str(),
            device_id: wanted.device_id,
            macs: &macs,
            model: wanted.model,
            ssid: ssid.as_deref().or(product.ssid_prefix.as_deref()),
            public: &[product.sku.as_str(), &product.name],
        };
        let mut chance = match self.watch.chance(wanted.order) {
            Some(chance) => chance,
            None => refusal_chance(policy, &facts)?,
        };
        let mut redraws = 0;
        loop {
            let password = self.mint_watched(wanted.order, policy)?;
            let verdict = self.watch.with_recent(wanted.order, |recent| {
                password.folded(|clear| guess::judge(clear, &facts, recent))
            });
            let Verdict::Refused {
                detector, clause, ..
            } = verdict
            else {
                self.watch.judged(wanted.order, policy, false, chance)?;
                return Ok((password, redraws));
            };
            redraws += 1;
            if redraws == REDRAWS_UNSUSPECTED {
                // This unit's facts may leave less room than those of the order's first.
                chance = chance.max(refusal_chance(policy, &facts)?);
            }
            if f64::from(redraws) * chance.ln() < FALSE_ALARM.ln() {
                return Err(IssueError::Unfit(Unfit {
                    detector,
                    clause: limb(clause),
                    evidence: format!("the gate refused {redraws} draws in a row"),
                }));
            }
            self.watch.judged(wanted.order, policy, true, chance)?;
        }
    }

    /// One draw, which the monitors see before any rule refuses it.
    fn mint_watched(&self, order: &OrderId, policy: &Policy) -> Result<Password, IssueError> {
        let (mut heard, mut seen) = (Ok(()), Ok(()));
        let minted = credential::mint_seen(
            policy,
            &mut |out| {
                self.hsm.random(out)?;
                if heard.is_ok() {
                    heard = self.watch.heard(out);
                }
                Ok::<(), HsmError>(())
            },
            &mut |indices| {
                if seen.is_ok() {
                    seen = self.watch.drawn(order, policy, indices);
                }
            },
        );
        seen?;
        heard?;
        minted.map_err(|error| match error {
            MintError::Random(error) => error.into(),
            MintError::Unfit | MintError::Missed { .. } => IssueError::Unfit(Unfit {
                detector: "unusable output",
                clause: limb(Clause::Guessable),
                evidence: error.to_string(),
            }),
        })
    }

    /// Random bytes for another purpose, of the same generator and so under the same watch.
    fn random_watched(&self, out: &mut [u8]) -> Result<(), IssueError> {
        self.hsm.random(out)?;
        Ok(self.watch.heard(out)?)
    }

    /// A chance collision is drawn again; more than the policy's arithmetic allows is a fault.
    pub(crate) fn tolerate(&self, policy: &Policy, collisions: u32) -> Result<(), IssueError> {
        let issued = self.read(|ledger| ledger.size())?; // entries: no fewer than issues
        if collisions > credential::collisions_tolerated(policy.bits(), issued) {
            return Err(IssueError::Unfit(Unfit {
                detector: "duplicate index",
                clause: limb(Clause::Guessable),
                evidence: format!("{collisions} draws in a row were issued before"),
            }));
        }
        Ok(())
    }
}

/// Bounds the chance that the gate refuses a fair draw of this policy for these facts: measured
/// with draws of the system's own generator, which are thrown away, and six and a half standard
/// deviations more (4e-11).
fn refusal_chance(policy: &Policy, facts: &Facts<'_>) -> Result<f64, IssueError> {
    let system = SystemRandom::new();
    let mut fill = |out: &mut [u8]| system.fill(out).map_err(|_| KeyError);
    let (mut refused, mut last) = (0, "none");
    for _ in 0..CONTROLS {
        let control = credential::mint(policy, &mut fill).map_err(|_| KeyError)?;
        if let Verdict::Refused { detector, .. } =
            control.folded(|clear| guess::judge(clear, facts, &[]))
        {
            (refused, last) = (refused + 1, detector);
        }
    }
    let (hits, draws) = (f64::from(refused), f64::from(CONTROLS));
    if hits / draws >= ROOM_MIN {
        return Err(IssueError::NoRoom {
            policy: policy.name().to_owned(),
            refused,
            draws: CONTROLS,
            detector: last,
        });
    }
    Ok(((hits + 6.5 * (hits + 10.0).sqrt() + 10.0) / draws).min(0.95))
}

/// The limb as entries and people cite it.
fn limb(clause: Clause) -> &'static str {
    match clause {
        Clause::Unique => "1(2)(a)",
        Clause::Counter => "1(3)(a)",
        Clause::Public => "1(3)(b)",
        Clause::Identifier => "1(3)(c)",
        Clause::Guessable => "1(3)(d)",
    }
}

/// A bundle that nobody has seen yet, and what the ledger will say of it.
pub(crate) struct Drawn {
    pub(crate) bundle: BundleBytes,
    pub(crate) folded: Zeroizing<Vec<u8>>,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) certificate_sha256: Digest,
    pub(crate) public_key_sha256: Digest,
    pub(crate) redraws: u32,
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
fn unit_key(csr: Option<&[u8]>) -> Result<(Vec<u8>, Option<PrivateKey>), IssueError> {
    if let Some(csr) = csr {
        return Ok((identity::check_csr(csr)?, None));
    }
    let minted = credential::mint_key(&SystemRandom::new())?;
    Ok((minted.spki, Some(minted.private)))
}

/// The password policy of a product.
pub(crate) fn policy_of(product: &Product) -> Result<Policy, PolicyError> {
    let rule = &product.password;
    Policy::named(&rule.policy, rule.length)?.with_lockout(rule.lockout.is_some())
}

/// The fingerprint an entry keeps of a MAC.
fn cut(mac: &[u8; 32]) -> Fingerprint {
    let mut fingerprint = [0; 16];
    fingerprint.copy_from_slice(&mac[..16]);
    Fingerprint(fingerprint)
}
