//! Serial ports: opened for one process alone, never guessed between two.

use std::fs;
use std::future::Future;
use std::io;
use std::path::Path;

use serde::Serialize;
use serialport::{SerialPortType, UsbPortInfo};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_serial::{SerialPortBuilderExt, SerialStream};

/// Why a port cannot be used now.
#[derive(Debug, Error)]
pub enum PortError {
    /// Nothing is there.
    #[error("there is no port {path}: plug the unit in, or choose one of `station-cli ports`")]
    Missing {
        /// The path that was named.
        path: String,
    },
    /// Another process has it.
    #[error("port {path} is in use by {holder}: end that first")]
    Busy {
        /// The path that was named.
        path: String,
        /// Name and number of the process, as far as this user may see it.
        holder: String,
    },
    /// It is there and does not open.
    #[error("port {path} does not open: {reason}")]
    Unusable {
        /// The path that was named.
        path: String,
        /// Why.
        reason: String,
    },
}

/// Where a unit is plugged in. It can be opened again after a cable was pulled.
pub trait Port: Send {
    /// Bytes to and from the unit.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send;

    /// Its path: the place an attempt is bound to, until it is settled.
    fn path(&self) -> &str;

    /// What the bench calls the position: on entries and labels.
    fn slot(&self) -> &str {
        self.path()
    }

    /// What another program calls the port that is there now.
    ///
    /// # Errors
    /// [`PortError`] when there is none, or more than one.
    fn device(&self) -> Result<String, PortError> {
        Ok(self.path().to_owned())
    }

    /// Opens it for this process alone.
    ///
    /// # Errors
    /// Every variant of [`PortError`].
    fn open(&mut self) -> impl Future<Output = Result<Self::Stream, PortError>> + Send;
}

/// A serial port of this machine, 8N1 without flow control.
#[derive(Clone, Debug)]
pub struct SerialPort {
    path: String,
    baud: u32,
}

impl SerialPort {
    /// Speed unless another is asked for; USB ignores it.
    pub const BAUD: u32 = 115_200;

    /// Names a port; nothing is opened yet.
    #[must_use]
    pub fn new(path: String, baud: u32) -> SerialPort {
        SerialPort { path, baud }
    }

    fn try_open(&self) -> Result<SerialStream, PortError> {
        let path = self.path.clone();
        if !Path::new(&path).exists() {
            return Err(PortError::Missing { path });
        }
        tokio_serial::new(&path, self.baud)
            .open_native_async()
            .map_err(|error| match holder(Path::new(&path)) {
                Some(holder) => PortError::Busy { path, holder },
                // EBUSY and a lock held by a process that may not be seen.
                None if is_busy(error.kind()) => PortError::Busy {
                    path,
                    holder: "another station-cli, or a process of another user".to_owned(),
                },
                None => PortError::Unusable {
                    path,
                    reason: error.to_string(),
                },
            })
    }
}

impl Port for SerialPort {
    type Stream = SerialStream;

    fn path(&self) -> &str {
        &self.path
    }

    async fn open(&mut self) -> Result<SerialStream, PortError> {
        self.try_open()
    }
}

fn is_busy(kind: serialport::ErrorKind) -> bool {
    use serialport::ErrorKind as Kind;
    matches!(
        kind,
        Kind::NoDevice | Kind::Io(io::ErrorKind::WouldBlock | io::ErrorKind::ResourceBusy)
    )
}

/// A process that has a file open.
pub(crate) struct Holder {
    id: u32,
    name: String,
}

impl Holder {
    /// Whether it is the program of this name; the kernel keeps 15 characters of one.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name == name[..name.len().min(15)]
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (process {})", self.name, self.id)
    }
}

/// Whether there are processes of which this user may not see what they have open: then nobody can
/// say here that a port is free.
pub(crate) fn hidden_holders(root: &Path) -> bool {
    let Ok(processes) = fs::read_dir(root.join("proc")) else {
        return true;
    };
    let mut processes = processes.flatten().filter(|process| {
        let name = process.file_name();
        name.to_string_lossy().bytes().all(|b| b.is_ascii_digit())
    });
    // One that has ended meanwhile is not there, and holds nothing.
    processes.any(|process| match fs::read_dir(process.path().join("fd")) {
        Ok(_) => false,
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    })
}

/// Other processes that have this file open (Linux's /proc, as far as permitted): at most three, since
/// a person has to end them.
pub(crate) fn holders(path: &Path) -> Vec<Holder> {
    let (Ok(path), Ok(processes)) = (fs::canonicalize(path), fs::read_dir("/proc")) else {
        return Vec::new();
    };
    processes
        .flatten()
        .filter_map(|process| {
            let id: u32 = process.file_name().to_str()?.parse().ok()?;
            Some((id, process.path()))
        })
        .filter(|(id, process)| *id != std::process::id() && has_open(process, &path))
        .map(|(id, process)| {
            let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
            let name = name.trim_end().to_owned();
            Holder { id, name }
        })
        .take(3)
        .collect()
}

/// Their names and numbers, for a sentence.
pub(crate) fn holder(path: &Path) -> Option<String> {
    let names: Vec<String> = holders(path).iter().map(ToString::to_string).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

fn has_open(process: &Path, path: &Path) -> bool {
    let files = fs::read_dir(process.join("fd")).into_iter().flatten();
    files
        .flatten()
        .any(|file| fs::read_link(file.path()).is_ok_and(|target| target == path))
}

/// One port of this machine, as `station-cli ports` prints it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct PortFacts {
    /// What to give to `--port`.
    pub path: String,
    /// "usb", "pci", "bluetooth" or "unknown"; "usb-vendor" where it is no serial port.
    pub kind: &'static str,
    /// Bus and chain of hub ports: stays when the unit or the name changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Vendor and product id, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usb_id: Option<String>,
    /// What the USB side calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// Another number each time something is plugged in, where the kernel counts; 0 elsewhere.
    #[serde(skip)]
    pub(crate) plugged: u64,
}

/// Lists the serial ports of this machine.
pub(crate) fn serial_ports() -> Result<Vec<PortFacts>, serialport::Error> {
    let all = serialport::available_ports()?.into_iter();
    Ok(all
        .map(|port| facts(port.port_name, port.port_type))
        .collect())
}

fn facts(path: String, kind: SerialPortType) -> PortFacts {
    let plain = |kind| PortFacts {
        path: path.clone(),
        kind,
        location: None,
        usb_id: None,
        product: None,
        plugged: 0,
    };
    match kind {
        SerialPortType::UsbPort(usb) => with_usb(plain("usb"), usb),
        SerialPortType::PciPort => plain("pci"),
        SerialPortType::BluetoothPort => plain("bluetooth"),
        SerialPortType::Unknown => plain("unknown"),
    }
}

fn with_usb(port: PortFacts, usb: UsbPortInfo) -> PortFacts {
    PortFacts {
        location: usb.location.map(|location| location.to_string()),
        usb_id: Some(format!("{:04x}:{:04x}", usb.vid, usb.pid)),
        product: usb.product,
        ..port
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_that_is_not_there_is_missing() {
        let mut port = SerialPort::new("/dev/no-such-port".into(), SerialPort::BAUD);
        let error = port.open().await.err().unwrap();
        assert!(matches!(error, PortError::Missing { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_file_is_no_port() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().display().to_string();
        let error = SerialPort::new(path, 9_600).open().await.err().unwrap();
        assert!(matches!(error, PortError::Unusable { .. }), "{error}");
    }

    #[test]
    fn the_process_that_holds_a_file_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(holder(file.path()), None, "this process does not count");
        let mut child = std::process::Command::new("sh")
            .args(["-c", "exec 3<\"$0\"; echo; read line"])
            .arg(file.path())
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // The line comes after the file was opened.
        let mut ready = [0];
        io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
        let named = holder(file.path()).unwrap();
        assert!(
            named.contains(&format!("process {}", child.id())),
            "{named}"
        );
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
