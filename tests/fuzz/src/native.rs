//! Both sides of `wire`'s own protocol, each before another that says anything at all.

use credential::BundleBytes;
use traveler::DeviceId;
use wire::frame::{self, LINE_MAX, MESSAGE_MAX, UNASKED};
use wire::message::{PUBLIC_KEY_MAX, SIGNATURE_MAX};
use wire::unit::{Effect, FLASH_SIZE, Flash, Identity, PAGE, SigningKey, Silicon, Unit};
use wire::{Action, Event, Exchange, Install, Link, Nonce, UnitState};

const ID: [u8; 4] = [0, 0x11, 0x22, 0x33];
/// Of the station's; the proof over it is in no input by chance.
const NONCE: Nonce = Nonce([0x5a; 16]);
/// Number of the station's first request.
const ASKED: u16 = 2;

struct Cells(Vec<u8>);

impl Flash for Cells {
    type Error = ();

    fn read(&self, offset: usize, out: &mut [u8]) -> Result<(), ()> {
        out.copy_from_slice(&self.0[offset..offset + out.len()]);
        Ok(())
    }

    fn erase(&mut self, page: usize) -> Result<(), ()> {
        self.0[page * PAGE..][..PAGE].fill(0xff);
        Ok(())
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), ()> {
        let target = &mut self.0[offset..offset + bytes.len()];
        assert!(target.iter().all(|byte| *byte == 0xff), "written twice");
        target.copy_from_slice(bytes);
        Ok(())
    }
}

struct Chip(u32);

impl Silicon for Chip {
    fn identity(&self) -> Identity<'_> {
        Identity {
            device_id: &ID,
            macs: &[],
            model: "CAM2",
            revision: None,
            firmware: "1.0",
        }
    }

    fn boots(&self) -> u32 {
        self.0
    }

    fn csr(&self) -> Option<&[u8]> {
        None
    }

    fn public_key(&self, _: &SigningKey<'_>, _: &mut [u8; PUBLIC_KEY_MAX]) -> Option<usize> {
        None
    }

    fn sign(&self, _: &SigningKey<'_>, _: &[u8], _: &mut [u8; SIGNATURE_MAX]) -> Option<usize> {
        None
    }
}

/// A unit answers or does not, keeps whole what it holds, and for good what is locked; a station
/// takes nothing for an install that was not done.
pub fn native(input: &[u8]) {
    let mut unit = Unit::new(Cells(vec![0xff; FLASH_SIZE]), Chip(1));
    let mut locked = None;
    let device_id = DeviceId::from_bytes(&ID).expect("an id");
    let bundle = crate::bundle().encode();
    let bundle: BundleBytes = bundle.unwrap_or_else(|error| panic!("{error}"));
    let mut station = Some(Install::new(NONCE, device_id, &bundle));
    let mut link = Link::new(ASKED - 1);
    if let Some(Ok(Action::Send(request, _))) = station.as_mut().map(|it| it.on(Event::Opened)) {
        link.encode(&request);
    }
    for (kind, piece) in pieces(input) {
        match kind % 5 {
            0 => hear(&mut unit, piece),
            1 => hear(&mut unit, &framed(u16::from(kind), piece)),
            2 => listen(&mut station, &mut link, piece),
            3 => listen(&mut station, &mut link, &framed(UNASKED, piece)),
            _ => listen(&mut station, &mut link, &framed(ASKED, piece)),
        }
        let seen = unit.contents(|state, held| (state, held.map(<[u8]>::to_vec)));
        let (state, held) = seen.unwrap_or_else(|refusal| panic!("{refusal}"));
        let is_whole = matches!(state, UnitState::Loaded | UnitState::Locked);
        assert_eq!(is_whole, held.is_some());
        assert!(locked.is_none() || (state == UnitState::Locked && held == locked));
        locked = held.filter(|_| state == UnitState::Locked);
    }
}

/// A kind, a length and so many bytes, as often as the input has them.
fn pieces(mut input: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let ([kind, high, low], rest) = input.split_first_chunk::<3>()?;
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (piece, rest) = rest.split_at(length);
        input = rest;
        Some((*kind, piece))
    })
}

fn framed(seq: u16, message: &[u8]) -> Vec<u8> {
    let message = &message[..message.len().min(MESSAGE_MAX)];
    let mut line = vec![0; LINE_MAX];
    let length = frame::encode(seq, &mut line, |out| {
        out.get_mut(..message.len())?.copy_from_slice(message);
        Some(message.len())
    });
    line.truncate(length.unwrap_or_default());
    line
}

fn hear(unit: &mut Unit<Cells, Chip>, bytes: &[u8]) {
    if unit.handle(bytes, &mut |_| {}) != Some(Effect::Reset) {
        return;
    }
    // Taken apart and put together again: what a reset leaves is flash and the count of boots.
    let blank = Unit::new(Cells(vec![0xff; FLASH_SIZE]), Chip(0));
    let (flash, chip) = std::mem::replace(unit, blank).into_parts();
    *unit = Unit::new(flash, Chip(chip.0 + 1));
    unit.announce(&mut |_| {});
}

fn listen(station: &mut Option<Install>, link: &mut Link, bytes: &[u8]) {
    for reply in link.decode(bytes) {
        let Some(install) = station else { return };
        match install.on(Event::Received(reply)) {
            Ok(Action::Finish(_)) => panic!("an install passes that was not done"),
            Ok(_) => {}
            Err(_) => *station = None,
        }
    }
}
