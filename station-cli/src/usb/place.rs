//! Where a unit is plugged in: a bus and a chain of hub ports, which stay when the unit, its
//! address or its serial number changes.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// What a place begins with, so that it is no path of a serial port.
const PREFIX: &str = "usb:";
/// The longest chain: seven tiers, of which the root hub is one (USB 2.0, 4.1.1).
const CHAIN_MAX: usize = 6;

/// One socket of this machine or of a hub on it, written as the kernel does: `usb:1-2.3` is port 3 of
/// the hub in port 2 of bus 1. A socket for SuperSpeed is on two buses, one a speed.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct UsbPlace {
    bus: u8,
    /// One to [`CHAIN_MAX`] ports, none 0, from the root hub outwards.
    chain: Vec<u8>,
    /// Which interface, for a unit that has several to speak to: `usb:1-2.3:1`.
    interface: Option<u8>,
}

/// Why a text is no place.
#[derive(Clone, Debug, Error, Eq, PartialEq)]
#[error("a USB port is usb:BUS-PORT with up to {CHAIN_MAX} ports, as usb:1-2.3, not {0:?}")]
pub struct NoPlace(String);

impl UsbPlace {
    /// Whether a port's name means one of these at all.
    #[must_use]
    pub fn is_meant(name: &str) -> bool {
        name.starts_with(PREFIX)
    }

    /// The place that bus and chain name; `None` for a root hub, which is in no socket.
    pub(super) fn new(bus: u8, chain: &[u8]) -> Option<UsbPlace> {
        let sound = bus > 0 && (1..=CHAIN_MAX).contains(&chain.len()) && !chain.contains(&0);
        sound.then(|| UsbPlace {
            bus,
            chain: chain.to_vec(),
            interface: None,
        })
    }

    /// The socket alone, whichever interface is meant.
    pub(crate) fn socket(&self) -> UsbPlace {
        UsbPlace {
            interface: None,
            ..self.clone()
        }
    }

    pub(super) fn interface(&self) -> Option<u8> {
        self.interface
    }

    /// Bus and chain without a prefix, as sysfs and the serial ports' listing have it: `1-2.3`.
    #[must_use]
    pub fn location(&self) -> String {
        let chain: Vec<String> = self.chain.iter().map(u8::to_string).collect();
        format!("{}-{}", self.bus, chain.join("."))
    }
}

impl FromStr for UsbPlace {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<UsbPlace, NoPlace> {
        parse(text).ok_or_else(|| NoPlace(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<UsbPlace> {
    let place = text.strip_prefix(PREFIX)?;
    let (place, interface) = match place.split_once(':') {
        Some((place, interface)) => (place, Some(number(interface)?)),
        None => (place, None),
    };
    let (bus, chain) = place.split_once('-')?;
    let chain: Vec<u8> = chain.split('.').map(number).collect::<Option<_>>()?;
    Some(UsbPlace {
        interface,
        ..UsbPlace::new(number(bus)?, &chain)?
    })
}

/// One spelling a number: the journal holds slots apart by their text.
fn number(text: &str) -> Option<u8> {
    let number: u8 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

impl fmt::Display for UsbPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.location())?;
        self.interface.map_or(Ok(()), |n| write!(f, ":{n}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_one_spelling() {
        for text in [
            "usb:1-2",
            "usb:3-1.4.2",
            "usb:1-2.3:0",
            "usb:12-1.1.1.1.1.1",
        ] {
            let place: UsbPlace = text.parse().unwrap();
            assert_eq!(place.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_place_is_refused() {
        let bad = "usb: usb:1 usb:1- usb:-1 usb:0-1 usb:1-0 usb:1-2. usb:1-02 usb:+1-2 usb:1-2.3: \
                   usb:1-2:x usb:256-1 usb:1-256 usb:1-1.1.1.1.1.1.1 1-2 USB:1-2 usb:1-2/1";
        for text in bad.split_whitespace() {
            assert!(text.parse::<UsbPlace>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_socket_is_the_same_whichever_interface_is_meant() {
        let place = |text: &str| text.parse::<UsbPlace>().unwrap();
        assert_eq!(place("usb:1-2:1").socket(), place("usb:1-2"));
        assert_ne!(place("usb:1-2").socket(), place("usb:1-2.1").socket());
    }
}
