//! Units with a vendor-class interface on USB: a pair of bulk endpoints instead of a serial port.
//!
//! A unit is found by where it is plugged in, and its interface by its class (0xFF): vendor and
//! product ids are for people, an address or a serial number is never looked at. Whatever the kernel
//! or another program drives is left to it: many adapters for serial lines are of class 0xFF as well.
//!
//! Opening one may wait for the unit, for seconds when it does not answer: it is done in a thread of
//! its own, and all that the others wait for is their own units.
//!
//! Deliberately absent: libusb, a reset of the port, taking an interface away from its driver, and
//! control requests that not every unit has to know.

mod pipe;
mod place;
mod socket;
mod stream;

use std::path::PathBuf;
use std::time::Duration;

use nusb::descriptors::{ConfigurationDescriptor, InterfaceDescriptor, TransferType};
use nusb::transfer::{Bulk, Direction, In, Out};
use nusb::{DeviceInfo, ErrorKind, MaybeFuture};
use thiserror::Error;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout};

use crate::port::{Port, PortError, PortFacts, holder};

use socket::Found;

pub use place::{NoPlace, UsbPlace};
pub use stream::UsbStream;

/// `bInterfaceClass` of what a vendor defines (USB 2.0, table 9-12).
const VENDOR: u8 = 0xff;
/// By then the kernel's list is without a unit that was pulled.
const LEAVES_WITHIN: Duration = Duration::from_millis(50);
/// By then a unit that was plugged in can be opened, or never.
const READY_WITHIN: Duration = Duration::from_secs(1);
/// By then what held a unit in this process has let go of it, twice over.
const FREE_WITHIN: Duration = Duration::from_millis(200);
/// A unit that keeps the kernel waiting longer, as it is opened, is not opened: less than the 5 s that
/// the kernel waits for one answer.
const OPENS_WITHIN: Duration = Duration::from_secs(3);
/// How often that is tried.
const AGAIN: Duration = Duration::from_millis(25);

/// A unit's own USB port, by its place. Nothing is opened yet.
#[derive(Clone, Debug)]
pub struct UsbPort {
    place: UsbPlace,
    /// The socket alone: whichever of its interfaces is meant, one unit is in it, and one attempt.
    path: String,
    name: String,
}

impl UsbPort {
    /// Names a place.
    #[must_use]
    pub fn new(place: UsbPlace) -> UsbPort {
        UsbPort {
            path: place.socket().to_string(),
            name: place.to_string(),
            place,
        }
    }

    fn missing(&self) -> PortError {
        PortError::Missing {
            path: self.name.clone(),
        }
    }

    fn unusable(&self, reason: String) -> PortError {
        PortError::Unusable {
            path: self.name.clone(),
            reason,
        }
    }

    /// What is plugged in there now, whatever it is.
    fn find(&self) -> Result<Found, PortError> {
        let found = Found::at(&self.place).map_err(|error| self.unusable(error.to_string()))?;
        found.ok_or_else(|| self.missing())
    }

    /// What it says to an operator that a unit was found and not opened. One that leaves at that moment
    /// fails in many ways, and in all of them it is missing.
    async fn failed(&self, found: &Found, failed: NotClaimed) -> PortError {
        let kind = failed.kind();
        if kind == ErrorKind::Disconnected {
            return self.missing();
        }
        if !matches!(kind, ErrorKind::Busy | ErrorKind::PermissionDenied) {
            sleep(LEAVES_WITHIN).await;
        }
        match self.find() {
            Ok(now) if now.is(found) => {}
            Ok(_) => return self.missing(), // a moment ago: asked again, it is found
            Err(error) => return error,
        }
        match kind {
            ErrorKind::Busy => PortError::Busy {
                path: self.name.clone(),
                holder: holder(&found.node())
                    .unwrap_or_else(|| "another slot or a process of another user".to_owned()),
            },
            ErrorKind::PermissionDenied => self.unusable(format!(
                "this user may not use {}: allow it with a udev rule",
                found.node().display()
            )),
            _ => self.unusable(failed.to_string()),
        }
    }

    /// Claims it in a thread that may wait for it. What comes too late is let go of there.
    async fn claim(&self, found: &Found) -> Result<UsbStream, NotClaimed> {
        let (found, wanted) = (found.clone(), self.place.interface());
        let claiming = spawn_blocking(move || claim(&found, wanted));
        match timeout(OPENS_WITHIN, claiming).await {
            Ok(Ok(claimed)) => claimed,
            Ok(Err(_)) | Err(_) => Err(NotClaimed::Silent),
        }
    }
}

/// Opens it, finds its pair of endpoints and takes them. Waits for the unit, as long as the kernel does.
fn claim(found: &Found, wanted: Option<u8>) -> Result<UsbStream, NotClaimed> {
    let unit = found.open()?;
    let pair = {
        let configuration = unit.active_configuration();
        let configuration = configuration.map_err(|_| NotClaimed::Unconfigured)?;
        let free = |interface| found.is_free(interface);
        choose(&configuration, wanted, free).map_err(NotClaimed::Unfit)?
    };
    // Exclusive: the kernel gives an interface to one open file alone.
    let interface = unit.claim_interface(pair.interface).wait()?;
    if interface.get_alt_setting() != pair.setting {
        interface.set_alt_setting(pair.setting).wait()?;
    }
    let input = interface.endpoint::<Bulk, In>(pair.input)?;
    let output = interface.endpoint::<Bulk, Out>(pair.output)?;
    Ok(UsbStream::new(input, output))
}

impl Port for UsbPort {
    type Stream = UsbStream;

    fn path(&self) -> &str {
        &self.path
    }

    async fn open(&mut self) -> Result<UsbStream, PortError> {
        let begun = Instant::now();
        loop {
            let found = self.find()?;
            match self.claim(&found).await {
                Ok(stream) => return Ok(stream),
                Err(error) if begun.elapsed() < error.may_last() => sleep(AGAIN).await,
                Err(error) => return Err(self.failed(&found, error).await),
            }
        }
    }
}

/// Why what was found cannot be opened.
#[derive(Debug, Error)]
enum NotClaimed {
    #[error(transparent)]
    Usb(#[from] nusb::Error),
    /// The kernel's file of it.
    #[error("its file does not open: {0}")]
    Node(#[source] std::io::Error),
    /// It keeps the kernel waiting.
    #[error("it does not answer as it is opened")]
    Silent,
    /// The kernel has not chosen a configuration, or found none that it can give power to.
    #[error("it is not configured: does it ask for more power than its hub gives?")]
    Unconfigured,
    /// It has nothing to speak to; the text says why.
    #[error("{0}")]
    Unfit(String),
}

impl NotClaimed {
    fn kind(&self) -> ErrorKind {
        match self {
            NotClaimed::Usb(error) => error.kind(),
            NotClaimed::Node(error) => match error.kind() {
                std::io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
                std::io::ErrorKind::NotFound => ErrorKind::Disconnected,
                std::io::ErrorKind::ResourceBusy => ErrorKind::Busy,
                _ => ErrorKind::Other,
            },
            NotClaimed::Silent | NotClaimed::Unconfigured | NotClaimed::Unfit(_) => {
                ErrorKind::Other
            }
        }
    }

    /// How long it may be so and pass. The kernel shows a unit before it has configured it, and udevd allows
    /// it to its users a little later. And what this process has just left may be held for a moment more:
    /// by transfers that come back, or by an opening that took too long.
    fn may_last(&self) -> Duration {
        match (self, self.kind()) {
            (NotClaimed::Unconfigured, _) | (_, ErrorKind::PermissionDenied) => READY_WITHIN,
            (_, ErrorKind::Busy) => FREE_WITHIN,
            _ => Duration::ZERO,
        }
    }
}

/// Two endpoints to speak over.
#[derive(Debug, Eq, PartialEq)]
struct Pair {
    interface: u8,
    /// The alternate setting that has them.
    setting: u8,
    input: u8,
    output: u8,
}

/// Finds the pair, or says why there is none. Never guesses between two interfaces.
fn choose(
    configuration: &ConfigurationDescriptor<'_>,
    wanted: Option<u8>,
    free: impl Fn(u8) -> bool,
) -> Result<Pair, String> {
    let mut pairs: Vec<Pair> = Vec::new();
    let mut taken = None;
    for setting in configuration.interface_alt_settings() {
        let number = setting.interface_number();
        let asked = setting.class() == VENDOR && wanted.is_none_or(|wanted| wanted == number);
        let seen = pairs.iter().any(|pair| pair.interface == number);
        let Some(pair) = pair(&setting).filter(|_| asked && !seen) else {
            continue;
        };
        match free(number) {
            true => pairs.push(pair),
            false => taken = Some(number),
        }
    }
    let named = || pairs.iter().map(|pair| pair.interface.to_string());
    if pairs.len() > 1 {
        let named: Vec<String> = named().collect();
        return Err(format!(
            "it has interfaces {} to speak to: add :NUMBER to the port's name",
            named.join(" and ")
        ));
    }
    pairs.pop().ok_or_else(|| match (taken, wanted) {
        (Some(number), _) => format!("a driver of the kernel has its interface {number}"),
        (None, Some(number)) => {
            format!("its interface {number} is none of class 0xFF with bulk pipes")
        }
        (None, None) => "it has no interface of class 0xFF with bulk pipes".to_owned(),
    })
}

/// The one bulk endpoint each way; a second one leaves open which is meant.
fn pair(setting: &InterfaceDescriptor<'_>) -> Option<Pair> {
    let only = |direction| {
        let mut bulk = setting.endpoints().filter(|endpoint| {
            let bulk = endpoint.transfer_type() == TransferType::Bulk;
            bulk && endpoint.direction() == direction && endpoint.max_packet_size() > 0
        });
        bulk.next().filter(|_| bulk.next().is_none())
    };
    Some(Pair {
        interface: setting.interface_number(),
        setting: setting.alternate_setting(),
        input: only(Direction::In)?.address(),
        output: only(Direction::Out)?.address(),
    })
}

/// All that is plugged in, by place; waits for units that keep the kernel waiting. A machine without USB has none.
fn plugged_in() -> Result<Vec<(UsbPlace, DeviceInfo)>, nusb::Error> {
    let all = match nusb::list_devices().wait() {
        Ok(all) => all,
        Err(error) if is_not_found(&error) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let placed = all.filter_map(|info| {
        let bus = info.bus_id().parse().ok()?;
        Some((UsbPlace::new(bus, info.port_chain())?, info))
    });
    Ok(placed.collect())
}

/// Whether the kernel's list itself is not there.
fn is_not_found(error: &nusb::Error) -> bool {
    let code = error.os_error().and_then(|code| i32::try_from(code).ok());
    code.is_some_and(|code| {
        std::io::Error::from_raw_os_error(code).kind() == std::io::ErrorKind::NotFound
    })
}

/// The units that can be opened here, as `station-cli ports` prints them, each with what tells it
/// from the one that was in the same socket before.
pub(crate) fn units() -> Result<Vec<PortFacts>, nusb::Error> {
    let offers = |info: &DeviceInfo| {
        let mut vendor = info.interfaces().filter(|one| one.class() == VENDOR);
        vendor.any(|one| is_free(info, one.interface_number()))
    };
    let all = plugged_in()?.into_iter().filter(|(_, info)| offers(info));
    Ok(all
        .map(|(place, info)| PortFacts {
            path: place.to_string(),
            kind: "usb-vendor",
            location: Some(place.location()),
            usb_id: Some(format!(
                "{:04x}:{:04x}",
                info.vendor_id(),
                info.product_id()
            )),
            product: info.product_string().map(str::to_owned),
            plugged: u64::from(info.device_address()),
        })
        .collect())
}

/// The file that is opened for what is plugged in at a place; `None` when the name is none of a place or
/// nothing is there.
pub(crate) fn file_of(name: &str) -> Option<PathBuf> {
    let found = UsbPort::new(name.parse().ok()?).find().ok()?;
    Some(found.node())
}

/// Whether no driver of the kernel has an interface. One that a program has claimed shows as `usbfs`
/// and is listed: whoever opens it is told by whom it is held.
#[cfg(target_os = "linux")]
fn is_free(info: &DeviceInfo, interface: u8) -> bool {
    driver(info.sysfs_path(), interface).is_none_or(|driver| driver == "usbfs")
}

/// Elsewhere the system keeps them apart by itself.
#[cfg(not(target_os = "linux"))]
fn is_free(_: &DeviceInfo, _: u8) -> bool {
    true
}

/// The driver of an interface, from its folder `1-2.3:CONFIGURATION.INTERFACE`.
#[cfg(target_os = "linux")]
fn driver(unit: &std::path::Path, interface: u8) -> Option<String> {
    let ending = format!(".{interface}");
    let folders = std::fs::read_dir(unit).ok()?.flatten();
    let folder = folders.map(|entry| entry.path()).find(|path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.and_then(|name| name.split_once(':'))
            .is_some_and(|(_, rest)| rest.ends_with(&ending))
    })?;
    let driver = std::fs::read_link(folder.join("driver")).ok()?;
    Some(driver.file_name()?.to_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One alternate setting: number, setting, class, and its endpoints as (address, attributes,
    /// largest packet).
    type Setting<'a> = (u8, u8, u8, &'a [(u8, u8, u16)]);

    /// The bytes a unit would answer with (USB 2.0, 9.6.3, 9.6.5, 9.6.6).
    fn configuration(settings: &[Setting<'_>]) -> Vec<u8> {
        let mut bytes = vec![9, 2, 0, 0, 4, 1, 0, 0x80, 50];
        for (number, setting, class, endpoints) in settings {
            let count = u8::try_from(endpoints.len()).unwrap();
            bytes.extend([9, 4, *number, *setting, count, *class, 0, 0, 0]);
            for (address, attributes, packet) in *endpoints {
                let [low, high] = packet.to_le_bytes();
                bytes.extend([7, 5, *address, *attributes, low, high, 0]);
            }
        }
        let length = u16::try_from(bytes.len()).unwrap().to_le_bytes();
        bytes[2..4].copy_from_slice(&length);
        bytes
    }

    const BULK: &[(u8, u8, u16)] = &[(0x81, 2, 512), (0x01, 2, 512)];

    fn chosen(settings: &[Setting<'_>], wanted: Option<u8>, driven: &[u8]) -> Result<Pair, String> {
        let bytes = configuration(settings);
        let configuration = ConfigurationDescriptor::new(&bytes).unwrap();
        choose(&configuration, wanted, |number| !driven.contains(&number))
    }

    fn interface(settings: &[Setting<'_>]) -> u8 {
        chosen(settings, None, &[]).unwrap().interface
    }

    #[test]
    fn the_interface_is_found_by_its_class_and_pipes() {
        let serial: Setting<'_> = (0, 0, 0x0a, &[(0x82, 2, 512), (0x02, 2, 512)]);
        assert_eq!(interface(&[serial, (1, 0, VENDOR, BULK)]), 1);
        let tiny: Setting<'_> = (0, 0, VENDOR, &[(0x82, 2, 0), (0x02, 2, 0)]);
        assert_eq!(interface(&[tiny, (1, 0, VENDOR, BULK)]), 1);
        let one_way: Setting<'_> = (0, 0, VENDOR, &[(0x82, 2, 512)]);
        assert_eq!(interface(&[one_way, (1, 0, VENDOR, BULK)]), 1);
        let three: Setting<'_> = (0, 0, VENDOR, &[(0x82, 2, 64), (0x83, 2, 64), (0x02, 2, 64)]);
        assert_eq!(interface(&[three, (1, 0, VENDOR, BULK)]), 1);
        let with_interrupt: &[(u8, u8, u16)] = &[(0x83, 3, 8), (0x81, 2, 512), (0x01, 2, 512)];
        assert_eq!(interface(&[(2, 0, VENDOR, with_interrupt)]), 2);
    }

    #[test]
    fn the_setting_that_has_the_pipes_is_chosen() {
        let settings = [(0, 0, VENDOR, &[][..]), (0, 1, VENDOR, BULK)];
        assert_eq!(chosen(&settings, None, &[]).unwrap().setting, 1);
    }

    #[test]
    fn two_interfaces_are_not_guessed_between() {
        let two = [(0, 0, VENDOR, BULK), (3, 0, VENDOR, BULK)];
        let error = chosen(&two, None, &[]).unwrap_err();
        assert!(error.contains("0 and 3"), "{error}");
        assert_eq!(chosen(&two, Some(3), &[]).unwrap().interface, 3);
        assert_eq!(chosen(&two, None, &[0]).unwrap().interface, 3);
        assert!(chosen(&two, Some(1), &[]).is_err());
    }

    #[test]
    fn what_the_kernel_drives_is_left_to_it() {
        let adapter = [(0, 0, VENDOR, BULK)];
        let error = chosen(&adapter, None, &[0]).unwrap_err();
        assert!(error.contains("driver"), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_driver_is_read_from_the_interface_s_folder() {
        let unit = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let folder = unit.path().join(name);
            std::fs::create_dir(&folder).unwrap();
            folder
        };
        folder("power");
        folder("1-2.1:1.1");
        let driven = folder("1-2.1:1.0");
        std::os::unix::fs::symlink("../../../bus/usb/drivers/ftdi_sio", driven.join("driver"))
            .unwrap();
        assert_eq!(driver(unit.path(), 0).as_deref(), Some("ftdi_sio"));
        assert_eq!(driver(unit.path(), 1), None);
        assert_eq!(driver(unit.path(), 2), None);
    }

    #[test]
    fn an_attempt_is_bound_to_the_socket_whichever_interface_is_named() {
        for name in ["usb:1-2.3", "usb:1-2.3:0", "usb:1-2.3:1"] {
            let port = UsbPort::new(name.parse().unwrap());
            assert_eq!(port.path(), "usb:1-2.3");
            assert!(port.missing().to_string().contains(name), "as it was named");
        }
    }

    #[test]
    fn only_what_may_pass_is_waited_for() {
        let node = |kind| NotClaimed::Node(std::io::Error::from(kind));
        for (error, lasts) in [
            (NotClaimed::Unconfigured, READY_WITHIN),
            (node(std::io::ErrorKind::PermissionDenied), READY_WITHIN),
            (node(std::io::ErrorKind::ResourceBusy), FREE_WITHIN),
            (node(std::io::ErrorKind::NotFound), Duration::ZERO),
            (NotClaimed::Silent, Duration::ZERO),
            (NotClaimed::Unfit(String::new()), Duration::ZERO),
        ] {
            assert_eq!(error.may_last(), lasts, "{error}");
        }
    }

    #[tokio::test]
    async fn an_empty_socket_is_missing_also_where_there_is_no_usb() {
        // No machine has 255 buses, and some have none.
        let mut port = UsbPort::new("usb:255-1".parse().unwrap());
        let error = port.open().await.err().unwrap();
        assert!(matches!(error, PortError::Missing { .. }), "{error}");
        assert!(units().is_ok());
    }
}
