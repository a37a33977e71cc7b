//! What is in one socket, asked of that socket alone.
//!
//! A list of all of USB reads texts of each unit under that unit's lock, which one that does not
//! answer holds for seconds: nobody else is to wait for it.

#[cfg(target_os = "linux")]
pub(super) use linux::Found;
#[cfg(not(target_os = "linux"))]
pub(super) use listed::Found;

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::{self, OpenOptions};
    use std::io;
    use std::path::{Path, PathBuf};

    use nusb::{Device, MaybeFuture};

    use super::super::place::UsbPlace;
    use super::super::{NotClaimed, driver};

    /// The kernel's list, a folder a socket (Documentation/ABI/stable/sysfs-bus-usb).
    const UNITS: &str = "/sys/bus/usb/devices";

    /// What is plugged in there now, whatever it is. Finding it waits for no unit.
    #[derive(Clone, Debug)]
    pub(crate) struct Found {
        folder: PathBuf,
        /// Both by the kernel's count: the bus, and what was plugged into it.
        number: (u8, u8),
    }

    impl Found {
        /// Looks; `None` when nothing is there, also on a machine without USB.
        pub(crate) fn at(place: &UsbPlace) -> io::Result<Option<Found>> {
            Found::below(Path::new(UNITS), place)
        }

        fn below(units: &Path, place: &UsbPlace) -> io::Result<Option<Found>> {
            let folder = units.join(place.location());
            let (Some(bus), Some(unit)) = (number(&folder, "busnum")?, number(&folder, "devnum")?)
            else {
                return Ok(None);
            };
            let number = (bus, unit);
            Ok(Some(Found { folder, number }))
        }

        /// Whether it is the very one, not plugged in anew.
        pub(crate) fn is(&self, other: &Found) -> bool {
            self.number == other.number
        }

        /// The file that is opened for it.
        pub(crate) fn node(&self) -> PathBuf {
            let (bus, unit) = self.number;
            PathBuf::from(format!("/dev/bus/usb/{bus:03}/{unit:03}"))
        }

        /// Opens it. May wait for the unit itself, as long as the kernel does.
        pub(crate) fn open(&self) -> Result<Device, NotClaimed> {
            let file = OpenOptions::new().read(true).write(true).open(self.node());
            let file = file.map_err(NotClaimed::Node)?;
            // Empty while the kernel has chosen none.
            let chosen = fs::read_to_string(self.folder.join("bConfigurationValue"));
            if chosen.is_ok_and(|chosen| chosen.trim().is_empty()) {
                return Err(NotClaimed::Unconfigured);
            }
            Ok(Device::from_fd(file.into()).wait()?)
        }

        /// Whether no driver of the kernel has an interface. One that a program has claimed shows as
        /// `usbfs` and is free in this: whoever opens it is told by whom it is held.
        pub(crate) fn is_free(&self, interface: u8) -> bool {
            driver(&self.folder, interface).is_none_or(|driver| driver == "usbfs")
        }
    }

    /// One of a folder's numbers; `None` where the folder is not there, or leaves at this moment.
    fn number(folder: &Path, name: &str) -> io::Result<Option<u8>> {
        let text = match fs::read_to_string(folder.join(name)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error()) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        text.trim().parse().map(Some).map_err(io::Error::other)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_socket_is_asked_alone() {
            let units = tempfile::tempdir().unwrap();
            let put = |place: &str, unit: &str| {
                let folder = units.path().join(place);
                fs::create_dir_all(&folder).unwrap();
                fs::write(folder.join("busnum"), "1\n").unwrap();
                fs::write(folder.join("devnum"), unit).unwrap();
            };
            let find = || Found::below(units.path(), &"usb:1-2.3:1".parse().unwrap());
            assert!(find().unwrap().is_none());
            fs::create_dir(units.path().join("1-2.3")).unwrap();
            assert!(find().unwrap().is_none(), "it is leaving");
            put("1-2", "nothing of this is read");
            put("1-2.3", "12\n");
            let found = find().unwrap().unwrap();
            assert_eq!(found.node(), Path::new("/dev/bus/usb/001/012"));
            assert!(found.is(&find().unwrap().unwrap()));
            put("1-2.3", "13\n");
            assert!(!found.is(&find().unwrap().unwrap()), "plugged in anew");
            put("1-2.3", "x\n");
            assert!(find().is_err());
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod listed {
    use std::path::PathBuf;

    use nusb::{Device, DeviceInfo, MaybeFuture};

    use super::super::place::UsbPlace;
    use super::super::{NotClaimed, plugged_in};

    /// As on Linux, found in the list of all: no system besides it has a folder a socket.
    #[derive(Clone, Debug)]
    pub(crate) struct Found(DeviceInfo);

    impl Found {
        pub(crate) fn at(place: &UsbPlace) -> Result<Option<Found>, nusb::Error> {
            let all = plugged_in()?.into_iter();
            let mut here = all.filter(|(other, _)| *other == place.socket());
            Ok(here.next().map(|(_, info)| Found(info)))
        }

        pub(crate) fn is(&self, other: &Found) -> bool {
            self.0.id() == other.0.id()
        }

        pub(crate) fn node(&self) -> PathBuf {
            let address = self.0.device_address();
            PathBuf::from(format!("/dev/bus/usb/{}/{address:03}", self.0.bus_id()))
        }

        pub(crate) fn open(&self) -> Result<Device, NotClaimed> {
            Ok(self.0.open().wait()?)
        }

        /// The system keeps them apart by itself.
        pub(crate) fn is_free(&self, _: u8) -> bool {
            true
        }
    }
}
