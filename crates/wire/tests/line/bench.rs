//! One unit, one station and the line between them, in memory and in no time.

use std::collections::VecDeque;

use credential::{Bundle, BundleBytes, Password, Salt};
use sha2::{Digest as _, Sha256};
use traveler::{Attempt, DeviceId, Serial};
use wire::message::{PUBLIC_KEY_MAX, SIGNATURE_MAX};
use wire::unit::{
    Effect, FLASH_SIZE, Flash, Identity, PAGE, SigningKey, Silicon, Unit, WRITE_ALIGN,
};
use wire::{
    Action, Event, Exchange, Facts, Greet, Install, Link, Load, Lock, Nonce, Prove, Reset,
    WireError,
};

pub(crate) const DEVICE: [u8; 8] = [0x00, 0xc0, 0xff, 0xee, 0, 0, 0, 0x47];
pub(crate) const OTHER_DEVICE: [u8; 8] = [0x00, 0xc0, 0xff, 0xee, 0, 0, 0, 0x48];
pub(crate) const NONCE: Nonce = Nonce([0x5a; 16]);
pub(crate) const LATER: Nonce = Nonce([0xa5; 16]);
pub(crate) const PASSWORD: &str = "K7QDM2X9TR4W";

pub(crate) fn bundle(password: &str, chain_bytes: usize) -> BundleBytes {
    let bundle = Bundle {
        serial: Serial::parse("BM-000047").unwrap(),
        attempt: Attempt(3),
        password: Password::parse(password.as_bytes()).unwrap(),
        salt: Salt::from_bytes([7; 16]),
        chain: vec![vec![0x30; chain_bytes]],
        key: None,
    };
    bundle.encode().unwrap_or_else(|error| panic!("{error}"))
}

/// NOR flash that is checked like the real thing and can lose power in any operation.
pub(crate) struct MemFlash {
    pub(crate) bytes: Vec<u8>,
    /// Erases and writes so far.
    pub(crate) operations: u32,
    /// The operation, from 0, in which power fails.
    pub(crate) cut_at: Option<u32>,
    /// How much of that operation is done, in sixteenths.
    pub(crate) torn: usize,
    pub(crate) dead: bool,
}

impl MemFlash {
    pub(crate) fn new() -> MemFlash {
        MemFlash {
            bytes: vec![0xff; FLASH_SIZE],
            operations: 0,
            cut_at: None,
            torn: 0,
            dead: false,
        }
    }

    /// How many of `length` bytes the next operation gets done.
    fn done(&mut self, length: usize) -> Result<usize, PowerCut> {
        if self.dead {
            return Err(PowerCut);
        }
        self.dead = self.cut_at == Some(self.operations);
        self.operations += 1;
        Ok(if self.dead {
            length * self.torn / 16
        } else {
            length
        })
    }
}

#[derive(Debug)]
pub(crate) struct PowerCut;

impl Flash for MemFlash {
    type Error = PowerCut;

    fn read(&self, offset: usize, out: &mut [u8]) -> Result<(), PowerCut> {
        out.copy_from_slice(&self.bytes[offset..offset + out.len()]);
        if self.dead { Err(PowerCut) } else { Ok(()) }
    }

    fn erase(&mut self, page: usize) -> Result<(), PowerCut> {
        let done = self.done(PAGE)?;
        self.bytes[page * PAGE..][..done].fill(0xff);
        if self.dead { Err(PowerCut) } else { Ok(()) }
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), PowerCut> {
        assert!(offset.is_multiple_of(WRITE_ALIGN) && bytes.len().is_multiple_of(WRITE_ALIGN));
        let target = &self.bytes[offset..offset + bytes.len()];
        assert!(target.iter().all(|byte| *byte == 0xff), "written twice");
        let done = self.done(bytes.len())?;
        self.bytes[offset..][..done].copy_from_slice(&bytes[..done]);
        if self.dead { Err(PowerCut) } else { Ok(()) }
    }
}

/// A chip whose signature is the digest of what it signed, so that a test sees what that was.
pub(crate) struct Chip {
    pub(crate) device_id: [u8; 8],
    pub(crate) boots: u32,
}

impl Silicon for Chip {
    fn identity(&self) -> Identity<'_> {
        Identity {
            device_id: &self.device_id,
            macs: &[2, 0x1a, 0x2b, 0x3c, 0x4d, 0x5e],
            model: "BM-CAM",
            revision: Some("C"),
            firmware: "1.4.0",
        }
    }

    fn boots(&self) -> u32 {
        self.boots
    }

    fn csr(&self) -> Option<&[u8]> {
        Some(&[0x30; 300])
    }

    fn public_key(&self, key: &SigningKey<'_>, out: &mut [u8; PUBLIC_KEY_MAX]) -> Option<usize> {
        out[..91].fill(match key {
            SigningKey::Own => 1,
            SigningKey::Minted(_) => 2,
        });
        Some(91)
    }

    fn sign(
        &self,
        _: &SigningKey<'_>,
        message: &[u8],
        out: &mut [u8; SIGNATURE_MAX],
    ) -> Option<usize> {
        out[..32].copy_from_slice(&Sha256::digest(message));
        Some(32)
    }
}

/// What the line does to one thing that is sent over it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    None,
    Lost,
    Garbled,
    Twice,
    InNoise,
}

impl Fault {
    pub(crate) const ALL: [Fault; 5] = [
        Fault::None,
        Fault::Lost,
        Fault::Garbled,
        Fault::Twice,
        Fault::InNoise,
    ];

    fn apply(self, sent: &[u8]) -> Vec<u8> {
        match self {
            Fault::None => sent.to_vec(),
            Fault::Lost => Vec::new(),
            Fault::Garbled => {
                let mut bytes = sent.to_vec();
                bytes[sent.len() / 2] ^= 0x10;
                bytes
            }
            Fault::Twice => [sent, sent].concat(),
            Fault::InNoise => [b"rst:0x1 (POWERON)\r\nI (31) boot: ", sent, b"\r\nuart> "].concat(),
        }
    }
}

pub(crate) struct Bench {
    pub(crate) unit: Option<Unit<MemFlash, Chip>>,
    pub(crate) link: Link,
    /// Faults of the next requests and of the next replies, in order.
    pub(crate) requests: VecDeque<Fault>,
    pub(crate) replies: VecDeque<Fault>,
    /// Requests that reached the wire.
    pub(crate) sent: u32,
    /// Time-outs the unit needs to boot.
    pub(crate) slow_boot: u32,
    booting: u32,
    /// The byte of flash in which a bit flips on the next reset.
    pub(crate) flip_on_reset: Option<usize>,
    /// Erases and writes before the newest boot.
    operations_before: u32,
}

impl Bench {
    pub(crate) fn new() -> Bench {
        Bench::with(MemFlash::new(), DEVICE)
    }

    pub(crate) fn with(flash: MemFlash, device_id: [u8; 8]) -> Bench {
        Bench {
            unit: Some(Unit::new(
                flash,
                Chip {
                    device_id,
                    boots: 1,
                },
            )),
            link: Link::new(0xfffe),
            requests: VecDeque::new(),
            replies: VecDeque::new(),
            sent: 0,
            slow_boot: 0,
            booting: 0,
            flip_on_reset: None,
            operations_before: 0,
        }
    }

    /// Runs one exchange to its end, as a station's driver does.
    pub(crate) fn drive<E: Exchange>(&mut self, mut exchange: E) -> Result<E::Done, WireError> {
        let mut events = VecDeque::from([Event::Opened]);
        for _ in 0..1_000 {
            let event = events.pop_front().unwrap_or(Event::TimedOut);
            match exchange.on(event)? {
                Action::Send(request, _) => {
                    let line = self.link.encode(&request);
                    self.sent += 1;
                    let fault = self.requests.pop_front().unwrap_or(Fault::None);
                    events.extend(self.deliver(&fault.apply(&line)));
                }
                Action::Wait(_) => {}
                Action::Finish(done) => return Ok(done),
            }
            if events.is_empty() && self.booting > 0 {
                self.booting -= 1;
            }
        }
        panic!("the exchange does not end");
    }

    /// Bytes to the unit; what the station hears of the answer.
    fn deliver(&mut self, bytes: &[u8]) -> Vec<Event> {
        if self.booting > 0 {
            return Vec::new();
        }
        let unit = self.unit.as_mut().expect("a unit is in the slot");
        let mut heard = Vec::new();
        let effect = unit.handle(bytes, &mut |line| {
            let fault = self.replies.pop_front().unwrap_or(Fault::None);
            heard.extend(fault.apply(line));
        });
        if effect == Some(Effect::Reset) {
            self.reboot();
            self.booting = self.slow_boot;
            let fault = self.replies.pop_front().unwrap_or(Fault::None);
            let unit = self.unit.as_mut().expect("a unit is in the slot");
            if self.slow_boot == 0 {
                unit.announce(&mut |line| heard.extend(fault.apply(line)));
            }
        }
        let replies = self.link.decode(&heard);
        replies.into_iter().map(Event::Received).collect()
    }

    /// Power off and on: everything but flash and the count of boots is new.
    pub(crate) fn reboot(&mut self) {
        let (mut flash, mut chip) = self
            .unit
            .take()
            .expect("a unit is in the slot")
            .into_parts();
        flash.dead = false;
        flash.cut_at = None;
        if let Some(at) = self.flip_on_reset.take() {
            flash.bytes[at] ^= 4;
        }
        self.operations_before = flash.operations;
        chip.boots += 1;
        self.unit = Some(Unit::new(flash, chip));
    }

    /// What the unit's count of boots is, without asking it over the line.
    pub(crate) fn boots(&mut self) -> u32 {
        let (flash, chip) = self
            .unit
            .take()
            .expect("a unit is in the slot")
            .into_parts();
        let boots = chip.boots;
        self.unit = Some(Unit::new(flash, chip));
        boots
    }

    /// Erases and writes since the unit booted.
    pub(crate) fn operations_since_boot(&mut self) -> u32 {
        let before = self.operations_before;
        self.with_flash(|flash| flash.operations - before)
    }

    /// Power off, flash in hand, power on.
    pub(crate) fn with_flash<R>(&mut self, look: impl FnOnce(&mut MemFlash) -> R) -> R {
        let (mut flash, chip) = self
            .unit
            .take()
            .expect("a unit is in the slot")
            .into_parts();
        let seen = look(&mut flash);
        self.unit = Some(Unit::new(flash, chip));
        seen
    }

    pub(crate) fn greet(&mut self) -> Facts {
        self.drive(Greet::new(NONCE)).expect("the unit greets")
    }

    pub(crate) fn load(&mut self, bundle: &BundleBytes) -> Result<(), WireError> {
        self.drive(Load::new(NONCE, device_id(), bundle))
    }

    pub(crate) fn prove(&mut self, bundle: &BundleBytes) -> Result<wire::Receipt, WireError> {
        self.drive(Prove::new(LATER, device_id(), bundle))
    }

    pub(crate) fn install(&mut self, bundle: &BundleBytes) -> Result<wire::Receipt, WireError> {
        self.drive(Install::new(NONCE, device_id(), bundle))
    }

    /// The same with the end of the bundle first.
    pub(crate) fn install_parts(
        &mut self,
        nonce: Nonce,
        bundle: &BundleBytes,
    ) -> Result<wire::Receipt, WireError> {
        let ending = bundle.expose(|bytes| bytes[bytes.len() / 2..].to_vec());
        self.drive(Install::new(nonce, device_id(), bundle).with_ending_first(&ending))
    }

    /// Everything a station does with a unit whose issuer it knows.
    pub(crate) fn provision_parts(
        &mut self,
        bundle: &BundleBytes,
    ) -> Result<wire::Receipt, WireError> {
        self.drive(Greet::new(NONCE))?;
        let receipt = self.install_parts(LATER, bundle)?;
        self.drive(Lock::new(bundle.digest()))?;
        Ok(receipt)
    }

    /// Everything a station does with a unit.
    pub(crate) fn provision(&mut self, bundle: &BundleBytes) -> Result<wire::Receipt, WireError> {
        let facts = self.drive(Greet::new(NONCE))?;
        let receipt = self.drive(Install::new(LATER, facts.device_id, bundle))?;
        self.drive(Lock::new(bundle.digest()))?;
        Ok(receipt)
    }

    /// The same with a unit of the first version, whose turns are six.
    pub(crate) fn provision_first(
        &mut self,
        bundle: &BundleBytes,
    ) -> Result<wire::Receipt, WireError> {
        let facts = self.drive(Greet::new(NONCE))?;
        self.drive(Load::new(NONCE, facts.device_id.clone(), bundle))?;
        self.drive(Reset::new(LATER, &facts))?;
        let receipt = self.drive(Prove::new(LATER, facts.device_id, bundle))?;
        self.drive(Lock::new(bundle.digest()))?;
        Ok(receipt)
    }
}

pub(crate) fn device_id() -> DeviceId {
    DeviceId::from_bytes(&DEVICE).unwrap()
}
