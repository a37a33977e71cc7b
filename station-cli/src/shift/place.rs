//! Where a slot's unit is plugged in: a place on the USB tree, never the number a port got.
//!
//! The kernel numbers ports in the order in which they appear, so `ttyUSB0` is another slot after
//! each pulled cable. udev's `/dev/serial/by-path/` names stay; where no udevd speaks, the chain of
//! hub ports in sysfs does (`1-1.2`: bus 1, port 1, port 2 of the hub there). A unit there that has
//! no serial port is spoken to by its vendor interface.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::plug::{UnitPort, UnitStream};
use crate::port::{Port, PortError, SerialPort};
use crate::usb::{UsbPlace, UsbPort};

/// The kernel's list of what is plugged in.
const USB: &str = "/sys/bus/usb/devices";

/// A place, as it was configured.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// A path that stays, perhaps with one `*` or more in its last part.
    Path(String),
    /// A chain of hub ports.
    Usb(UsbPlace),
}

impl Place {
    /// A path that may be used, or what to do instead.
    pub(crate) fn path(text: &str) -> Result<Place, String> {
        let name = text.rsplit('/').next().unwrap_or_default();
        let numbered = ["ttyUSB", "ttyACM"]
            .iter()
            .any(|kind| name.starts_with(kind));
        let folder = text.strip_suffix(name).unwrap_or_default();
        if numbered {
            return Err(format!(
                "{text} is another slot after the next pulled cable: name the place, path = \
                 \"/dev/serial/by-path/...\" (ls -l /dev/serial/by-path) or usb = \"1-1.2\" \
                 (`station-cli ports` shows the location)"
            ));
        }
        if let Some(chain) = text.strip_prefix("usb:") {
            return Place::usb(chain);
        }
        if !text.starts_with('/') || name.is_empty() || folder.contains('*') {
            return Err(format!(
                "{text} is no usable path: it begins with / and has a * in its last part alone"
            ));
        }
        Ok(Place::Path(text.to_owned()))
    }

    /// A chain of hub ports, or what one looks like.
    pub(crate) fn usb(text: &str) -> Result<Place, String> {
        let place = format!("usb:{text}").parse();
        place.map(Place::Usb).map_err(|_| {
            format!(
                "usb = \"{text}\" is no place: bus, hyphen and ports, as \"1-1.2\" \
                 (`station-cli ports` shows the location)"
            )
        })
    }

    /// What an attempt is bound to, in the journal.
    pub(crate) fn name(&self) -> String {
        match self {
            Place::Path(path) => path.clone(),
            Place::Usb(place) => place.socket().to_string(),
        }
    }

    /// The port that is there now. Two are never chosen between.
    fn find(&self, usb: &Path) -> Result<PathBuf, PortError> {
        let found = match self {
            Place::Path(path) if !path.contains('*') => vec![path.into()],
            Place::Path(pattern) => matching(pattern),
            Place::Usb(place) => below(usb, &place.location()),
        };
        let path = self.name();
        let live: Vec<PathBuf> = found.into_iter().filter(|path| !is_left(path)).collect();
        match live.as_slice() {
            [] => Err(PortError::Missing { path }),
            [one] => Ok(one.clone()),
            more => Err(PortError::Unusable {
                path,
                reason: format!("{} ports are there, name one of them", more.len()),
            }),
        }
    }
}

/// Whether a link outlived what it was made for. The number of a pseudo-terminal, which a simulated
/// unit is on, goes to the next terminal that somebody opens; a link that is older than the port it
/// leads to was not made for it. udev's links go with their ports, and their ports' times change with
/// permissions: those are not asked.
fn is_left(path: &Path) -> bool {
    let times = (fs::symlink_metadata(path), fs::metadata(path));
    let (Ok(link), Ok(port)) = times else {
        return false; // what opens it says why not
    };
    let of = |data: &fs::Metadata| (data.ctime(), data.ctime_nsec());
    let pseudo = || fs::canonicalize(path).is_ok_and(|port| port.starts_with("/dev/pts"));
    link.is_symlink() && of(&link) < of(&port) && pseudo()
}

/// What a pattern with `*` in its last part names.
fn matching(pattern: &str) -> Vec<PathBuf> {
    let (folder, name) = pattern.rsplit_once('/').unwrap_or(("", pattern));
    let entries = fs::read_dir(format!("{folder}/")).into_iter().flatten();
    let fits = |entry: &fs::DirEntry| entry.file_name().to_str().is_some_and(|s| globs(name, s));
    entries
        .flatten()
        .filter(fits)
        .map(|entry| entry.path())
        .collect()
}

/// Whether a name has the form of a pattern, in which `*` is any number of characters.
fn globs(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut left) = name.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        // The earliest place is as good as any: what is left is longest.
        match left.find(part) {
            Some(at) => left = &left[at + part.len()..],
            None => return false,
        }
    }
    left.ends_with(last)
}

/// The ports of the interfaces of what is plugged in at a place (Documentation/ABI/stable/sysfs-bus-usb).
fn below(usb: &Path, chain: &str) -> Vec<PathBuf> {
    let names = |folder: &Path| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.collect::<Vec<String>>()
    };
    let interface = format!("{chain}:");
    let interfaces = names(usb)
        .into_iter()
        .filter(|name| name.starts_with(&interface));
    let mut ports = Vec::new();
    for interface in interfaces {
        let folder = usb.join(interface);
        let here = names(&folder); // of usb-serial
        let class = names(&folder.join("tty")); // of cdc-acm
        let is_port = |name: &String| name.starts_with("ttyUSB") || name.starts_with("ttyACM");
        let found = here.into_iter().chain(class).filter(is_port);
        ports.extend(found.map(|name| Path::new("/dev").join(name)));
    }
    ports.sort();
    ports
}

/// The port of one slot.
#[derive(Clone, Debug)]
pub(crate) struct SlotPort {
    place: Place,
    name: String,
    number: String,
    baud: u32,
}

impl SlotPort {
    pub(crate) fn new(place: Place, number: u32, baud: u32) -> SlotPort {
        SlotPort {
            name: place.name(),
            number: number.to_string(),
            place,
            baud,
        }
    }
}

impl SlotPort {
    fn is_plugged(&self, usb: &Path) -> bool {
        let chain = self.name.strip_prefix("usb:");
        chain.is_some_and(|chain| usb.join(chain).exists())
    }
}

impl Port for SlotPort {
    type Stream = UnitStream;

    fn path(&self) -> &str {
        &self.name
    }

    fn slot(&self) -> &str {
        &self.number
    }

    fn device(&self) -> Result<String, PortError> {
        match (self.place.find(Path::new(USB)), &self.place) {
            (Ok(path), _) => Ok(path.display().to_string()),
            // A unit without a serial port: fastboot and its like take the place on the bus.
            (Err(PortError::Missing { .. }), Place::Usb(_)) if self.is_plugged(Path::new(USB)) => {
                Ok(self.name.clone())
            }
            (Err(error), _) => Err(error),
        }
    }

    async fn open(&mut self) -> Result<UnitStream, PortError> {
        let mut port = match (self.place.find(Path::new(USB)), &self.place) {
            (Ok(path), _) => {
                UnitPort::Serial(SerialPort::new(path.display().to_string(), self.baud))
            }
            // What has no serial port there may be a unit with a port of its own.
            (Err(PortError::Missing { .. }), Place::Usb(place)) => {
                UnitPort::Usb(UsbPort::new(place.clone()))
            }
            (Err(error), _) => return Err(error),
        };
        port.open().await
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname};

    use super::*;

    #[test]
    fn a_port_number_is_no_place() {
        for number in ["/dev/ttyUSB0", "/dev/ttyACM12", "ttyUSB0"] {
            let error = Place::path(number).unwrap_err();
            assert!(error.contains("/dev/serial/by-path/"), "{error}");
        }
        for bad in ["", "pts/3", "/dev/", "/dev/*/x"] {
            assert!(Place::path(bad).is_err(), "{bad}");
        }
        for good in [
            "/dev/pts/3",
            "/dev/serial/by-path/pci-0000:00:14.0-usb-0:1.2:1.0",
        ] {
            assert_eq!(Place::path(good).unwrap().name(), good);
        }
        for bad in ["", "1", "1-", "1-1.", "usb1", "1-1.2:1.0", "1-0"] {
            assert!(Place::usb(bad).is_err(), "{bad}");
        }
        assert_eq!(Place::usb("1-1.2").unwrap().name(), "usb:1-1.2");
        assert_eq!(Place::path("usb:1-1.2"), Place::usb("1-1.2"));
    }

    #[test]
    fn a_pattern_names_one_port_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let place = Place::path(&at("pci-*-usb-0:1.2:*").display().to_string()).unwrap();
        let find = || place.find(Path::new("/nowhere"));
        assert!(matches!(find(), Err(PortError::Missing { .. })));
        fs::write(at("pci-0000:00:14.0-usb-0:1.3:1.0"), "").unwrap();
        assert!(matches!(find(), Err(PortError::Missing { .. })));
        fs::write(at("pci-0000:00:14.0-usb-0:1.2:1.0"), "").unwrap();
        assert_eq!(find().unwrap(), at("pci-0000:00:14.0-usb-0:1.2:1.0"));
        fs::write(at("pci-0000:00:14.0-usb-0:1.2:1.2"), "").unwrap();
        assert!(
            matches!(find(), Err(PortError::Unusable { .. })),
            "two are there"
        );
    }

    /// A maker's tool opens the port itself: a pattern is no name of one, and a port that is not there
    /// is no reason to run the tool, which might take another slot's.
    #[test]
    fn a_tool_is_told_the_port_that_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let slot = |place| SlotPort::new(place, 1, 115_200);
        let port = slot(Place::path(&at("pci-*-usb-0:1.2:*")).unwrap());
        assert!(matches!(port.device(), Err(PortError::Missing { .. })));
        fs::write(at("pci-0000:00:14.0-usb-0:1.2:1.0"), "").unwrap();
        assert_eq!(port.device().unwrap(), at("pci-0000:00:14.0-usb-0:1.2:1.0"));
        let port = slot(Place::usb("9-9.9.9").unwrap());
        assert!(matches!(port.device(), Err(PortError::Missing { .. })));
        assert!(!port.is_plugged(folder.path()));
        fs::create_dir(at("9-9.9.9")).unwrap();
        assert!(port.is_plugged(folder.path()));
    }

    #[test]
    fn a_chain_of_hub_ports_is_followed_through_sysfs() {
        let usb = tempfile::tempdir().unwrap();
        let make = |path: &str| fs::create_dir_all(usb.path().join(path)).unwrap();
        let find = |chain: &str| Place::usb(chain).unwrap().find(usb.path());
        make("1-1.2");
        make("1-1.2:1.0/ttyUSB7/tty/ttyUSB7");
        make("1-1.20:1.0/ttyUSB8");
        make("1-3:1.0/tty/ttyACM3");
        make("1-3:1.1");
        assert_eq!(find("1-1.2").unwrap(), Path::new("/dev/ttyUSB7"));
        assert_eq!(find("1-3").unwrap(), Path::new("/dev/ttyACM3"));
        assert!(matches!(find("1-4"), Err(PortError::Missing { .. })));
    }

    /// The station would greet whoever got the terminal next.
    #[test]
    fn a_link_does_not_lead_to_what_took_its_ports_name() {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        let port = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("slot-1");
        let places = ["slot-1", "slot-*"].map(|name| {
            let path = folder.path().join(name).display().to_string();
            Place::path(&path).unwrap()
        });
        let find = |place: &Place| place.find(Path::new("/nowhere"));
        symlink(&port, &link).unwrap();
        for place in &places {
            assert_eq!(find(place).unwrap(), link);
        }
        // What comes under this name later is younger than the link. The kernel's clock for files
        // ticks a few times in a hundredth of a second.
        let made = fs::symlink_metadata(&link).unwrap();
        let mode = fs::metadata(&port).unwrap().permissions();
        let younger = |_| {
            fs::set_permissions(&port, mode.clone()).unwrap();
            fs::metadata(&port).unwrap().ctime_nsec() != made.ctime_nsec()
        };
        assert!((0..10_000_000).any(younger));
        for place in &places {
            let error = find(place).unwrap_err();
            assert!(matches!(error, PortError::Missing { .. }), "{error}");
        }
        fs::remove_file(&link).unwrap();
        symlink(&port, &link).unwrap();
        assert_eq!(find(&places[0]).unwrap(), link, "made anew, it is meant");
    }

    #[test]
    fn a_star_is_any_text() {
        for (pattern, name, expected) in [
            ("a", "a", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*b*c", "axxbyc", true),
            ("a*b*c", "axxc", false),
            ("a*c", "ab", false),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(globs(pattern, name), expected, "{pattern} {name}");
        }
    }
}
