//! A unit in memory: the real unit side of `wire`, flash that survives resets, and a cable.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use rcgen::{CertificateParams, KeyPair, PublicKeyData, SigningKey as _};
use ring::rand::SystemRandom;
use station_cli::{Port, PortError};
use std::io;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use traveler::DeviceId;
use wire::frame::{self, Decoder, LINE_MAX};
use wire::message::{Facts, PROTOCOL_PARTS, PUBLIC_KEY_MAX, Reply, Request, SIGNATURE_MAX};
use wire::unit::{Effect, FLASH_SIZE, Flash, Identity, PAGE, SigningKey, Silicon, Unit};

/// The product all units of these tests are of.
pub const MODEL: &str = "CAM2";

/// Flash: what survives.
#[derive(Clone)]
struct Cells(Arc<Mutex<Vec<u8>>>);

impl Flash for Cells {
    type Error = ();

    fn read(&self, offset: usize, out: &mut [u8]) -> Result<(), ()> {
        out.copy_from_slice(&self.0.lock().unwrap()[offset..offset + out.len()]);
        Ok(())
    }

    fn erase(&mut self, page: usize) -> Result<(), ()> {
        self.0.lock().unwrap()[page * PAGE..(page + 1) * PAGE].fill(0xff);
        Ok(())
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), ()> {
        let mut cells = self.0.lock().unwrap();
        for (cell, byte) in cells[offset..].iter_mut().zip(bytes) {
            *cell &= byte; // NOR: a write only clears bits
        }
        Ok(())
    }
}

/// Silicon, with a key of its own or without.
struct Chip {
    device_id: Vec<u8>,
    boots: u32,
    own: Option<Arc<(KeyPair, Vec<u8>)>>,
}

impl Chip {
    fn with_key<R>(&self, key: &SigningKey<'_>, f: impl FnOnce(&KeyPair) -> R) -> Option<R> {
        match key {
            SigningKey::Own => Some(f(&self.own.as_ref()?.0)),
            SigningKey::Minted(der) => {
                let key = KeyPair::from_pkcs8_der_and_sign_algo(
                    &(*der).into(),
                    &rcgen::PKCS_ECDSA_P256_SHA256,
                );
                key.ok().map(|key| f(&key))
            }
        }
    }
}

impl Silicon for Chip {
    fn identity(&self) -> Identity<'_> {
        Identity {
            device_id: &self.device_id,
            macs: &[2, 0, 0, 0, 0, 1],
            model: MODEL,
            revision: Some("B"),
            firmware: "1.0",
        }
    }

    fn boots(&self) -> u32 {
        self.boots
    }

    fn csr(&self) -> Option<&[u8]> {
        Some(&self.own.as_ref()?.1)
    }

    fn public_key(&self, key: &SigningKey<'_>, out: &mut [u8; PUBLIC_KEY_MAX]) -> Option<usize> {
        let spki = self.with_key(key, PublicKeyData::subject_public_key_info)?;
        out[..spki.len()].copy_from_slice(&spki);
        Some(spki.len())
    }

    fn sign(
        &self,
        key: &SigningKey<'_>,
        message: &[u8],
        out: &mut [u8; SIGNATURE_MAX],
    ) -> Option<usize> {
        let signature = self.with_key(key, |key| key.sign(message))?.ok()?;
        out[..signature.len()].copy_from_slice(&signature);
        Some(signature.len())
    }
}

/// What goes wrong with a unit.
#[derive(Clone, Copy, Default)]
pub struct UnitFaults {
    /// One bit of the bundle flips in each of the next so many resets.
    pub flips: u32,
    /// The cable is pulled when so many more bytes have gone to the unit.
    pub pull_after: Option<usize>,
    /// The unit leaves the bus with its reset, as one on its own USB port does.
    pub leaves_bus: bool,
    /// And so many openings after that still find what left.
    pub ghosts: u32,
    /// Another unit stands there after the next reset, blank.
    pub swap: Option<[u8; 8]>,
}

/// A unit under test in a fixture.
pub struct Dut {
    device_id: Vec<u8>,
    own: Option<Arc<(KeyPair, Vec<u8>)>>,
    boots: u32,
    cells: Cells,
    unit: Unit<Cells, Chip>,
    /// What the unit has said and nobody read.
    said: Vec<u8>,
    pub faults: UnitFaults,
    /// Opened so often; a stream of an older opening is dead.
    opening: u32,
    pub plugged: bool,
    /// Whether it left the bus with a reset.
    left: bool,
    /// The newest version of the messages that its firmware knows.
    pub speaks: u32,
    /// What was said to it, to count what came in parts.
    heard: Decoder,
    pub in_parts: u32,
    /// Openings that fail before the cable is back.
    pub back_after: u32,
    reader: Option<Waker>,
    /// Shared with every open port.
    open: Arc<()>,
    /// Whether it was ever opened while somebody still had a port that went away: the kernel would
    /// have given it another name by then.
    pub misnamed: bool,
}

impl Dut {
    /// A blank one. `own_key`: whether it made a key of its own.
    pub fn new(device_id: [u8; 8], own_key: bool) -> Dut {
        let own = own_key.then(|| {
            let key = KeyPair::generate().unwrap();
            let csr = CertificateParams::default().serialize_request(&key);
            Arc::new((key, csr.unwrap().der().to_vec()))
        });
        let cells = Cells(Arc::new(Mutex::new(vec![0xff; FLASH_SIZE])));
        let chip = Chip {
            device_id: device_id.to_vec(),
            boots: 1,
            own: own.clone(),
        };
        Dut {
            device_id: device_id.to_vec(),
            own,
            boots: 1,
            unit: Unit::new(cells.clone(), chip),
            cells,
            said: Vec::new(),
            faults: UnitFaults::default(),
            opening: 0,
            plugged: true,
            left: false,
            speaks: PROTOCOL_PARTS,
            heard: Decoder::new(),
            in_parts: 0,
            back_after: 0,
            reader: None,
            open: Arc::default(),
            misnamed: false,
        }
    }

    /// The bytes of flash, bundle included.
    pub fn flash(&self) -> Vec<u8> {
        self.cells.0.lock().unwrap().clone()
    }

    /// Whether its lock is programmed.
    pub fn is_locked(&self) -> bool {
        self.flash()[256..272].iter().any(|byte| *byte != 0xff)
    }

    /// The silicon's own id, as the log writes it.
    pub fn device_id(&self) -> String {
        DeviceId::from_bytes(&self.device_id).unwrap().to_string()
    }

    /// Power off and on.
    pub fn reboot(&mut self) {
        self.boots += 1;
        if let Some(other) = self.faults.swap.take() {
            self.device_id = other.to_vec();
            self.cells = Cells(Arc::new(Mutex::new(vec![0xff; FLASH_SIZE])));
        }
        if self.faults.flips > 0 {
            self.faults.flips -= 1;
            self.cells.0.lock().unwrap()[PAGE + 40] ^= 0x10;
        }
        let chip = Chip {
            device_id: self.device_id.clone(),
            boots: self.boots,
            own: self.own.clone(),
        };
        self.unit = Unit::new(self.cells.clone(), chip);
        self.said = b"\r\nboot rom v2.3, flash 4MB\r\n".to_vec();
        if self.faults.leaves_bus {
            self.opening += 1;
            self.left = true;
        }
        let said = &mut self.said;
        self.unit
            .announce(&mut |bytes| said.extend_from_slice(bytes));
    }

    fn hear(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let frame = self.heard.push(*byte);
            let request = frame.and_then(|frame| Request::decode(frame.message));
            self.in_parts += u32::from(matches!(request, Some(Request::InstallParts { .. })));
        }
        let (said, speaks) = (&mut self.said, self.speaks);
        let effect = self.unit.handle(bytes, &mut |out| match speaks {
            PROTOCOL_PARTS => said.extend_from_slice(out),
            older => said.extend(as_older(out, older)),
        });
        if effect == Some(Effect::Reset) {
            self.reboot();
        }
    }
}

/// What an older unit would have said: of the newer messages it says nothing in its facts.
fn as_older(line: &[u8], protocol: u32) -> Vec<u8> {
    let mut decoder = Decoder::new();
    let mut older = vec![0; LINE_MAX];
    for byte in line {
        let Some(frame) = decoder.push(*byte) else {
            continue;
        };
        let Some(Reply::Facts(facts)) = Reply::decode(frame.message) else {
            break;
        };
        let facts = Reply::Facts(Facts { protocol, ..facts });
        let length = frame::encode(frame.seq, &mut older, |out| facts.encode(out));
        older.truncate(length.unwrap());
        return older;
    }
    line.to_vec()
}

/// The place a unit stands at. Units can be put in and taken out.
#[derive(Clone)]
pub struct Fixture {
    pub path: String,
    pub dut: Arc<Mutex<Dut>>,
}

impl Fixture {
    pub fn new(path: &str, dut: Dut) -> Fixture {
        Fixture {
            path: path.to_owned(),
            dut: Arc::new(Mutex::new(dut)),
        }
    }

    pub fn dut(&self) -> MutexGuard<'_, Dut> {
        self.dut.lock().unwrap()
    }

    fn missing(&self) -> PortError {
        PortError::Missing {
            path: self.path.clone(),
        }
    }
}

impl Port for Fixture {
    type Stream = Cable;

    fn path(&self) -> &str {
        &self.path
    }

    async fn open(&mut self) -> Result<Cable, PortError> {
        tokio::task::yield_now().await;
        let mut dut = self.dut();
        if !dut.plugged {
            match dut.back_after.checked_sub(1) {
                Some(0) => dut.plugged = true,
                Some(left) => dut.back_after = left,
                None => {}
            }
            return Err(self.missing());
        }
        dut.opening += 1;
        let opening = dut.opening;
        dut.misnamed |= Arc::strong_count(&dut.open) > 1;
        if dut.left && dut.faults.ghosts > 0 {
            dut.faults.ghosts -= 1;
            dut.opening += 1;
        }
        Ok(Cable {
            opening,
            dut: Arc::clone(&self.dut),
            moved: false,
            _open: Arc::clone(&dut.open),
        })
    }
}

/// An open port. Every second poll does nothing, so that a sweep can stop before each effect.
pub struct Cable {
    opening: u32,
    dut: Arc<Mutex<Dut>>,
    moved: bool,
    _open: Arc<()>,
}

impl Cable {
    fn hesitate(&mut self, cx: &Context<'_>) -> bool {
        self.moved = !self.moved;
        if self.moved {
            cx.waker().wake_by_ref();
        }
        self.moved
    }

    fn pulled(&self, dut: &Dut) -> bool {
        !dut.plugged || dut.opening != self.opening
    }
}

impl AsyncRead for Cable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.hesitate(cx) {
            return Poll::Pending;
        }
        let mut dut = self.dut.lock().unwrap();
        if self.pulled(&dut) {
            return Poll::Ready(Ok(())); // nothing read: an end of file
        }
        if dut.said.is_empty() {
            dut.reader = Some(cx.waker().clone());
            drop(dut);
            self.moved = true;
            return Poll::Pending;
        }
        let length = dut.said.len().min(buffer.remaining());
        buffer.put_slice(&dut.said[..length]);
        dut.said.drain(..length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Cable {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.hesitate(cx) {
            return Poll::Pending;
        }
        let mut dut = self.dut.lock().unwrap();
        if self.pulled(&dut) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if let Some(left) = dut.faults.pull_after {
            let heard = left.min(bytes.len());
            dut.hear(&bytes[..heard]);
            dut.faults.pull_after = Some(left - heard);
            if left <= bytes.len() {
                dut.faults.pull_after = None;
                dut.plugged = false;
                dut.reboot(); // it was powered through the cable
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            return Poll::Ready(Ok(heard));
        }
        dut.hear(bytes);
        if let Some(reader) = dut.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The same randomness everybody uses, where a test needs some.
pub fn random() -> SystemRandom {
    SystemRandom::new()
}
