//! A port as an operator names it: the path of a serial port, or `usb:` and a place.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_serial::SerialStream;

use crate::port::{Port, PortError, SerialPort};
use crate::usb::{NoPlace, UsbPlace, UsbPort, UsbStream};

/// Either kind of port.
#[derive(Clone, Debug)]
pub enum UnitPort {
    /// A serial port, also one over USB.
    Serial(SerialPort),
    /// A vendor-class interface on USB.
    Usb(UsbPort),
}

impl UnitPort {
    /// Takes a name for what it is; `baud` is for serial ports. Nothing is opened yet.
    ///
    /// # Errors
    /// When it begins with `usb:` and names no place.
    pub fn named(name: &str, baud: u32) -> Result<UnitPort, NoPlace> {
        Ok(match UsbPlace::is_meant(name) {
            true => UnitPort::Usb(UsbPort::new(name.parse()?)),
            false => UnitPort::Serial(SerialPort::new(name.to_owned(), baud)),
        })
    }
}

impl Port for UnitPort {
    type Stream = UnitStream;

    fn path(&self) -> &str {
        match self {
            UnitPort::Serial(port) => port.path(),
            UnitPort::Usb(port) => port.path(),
        }
    }

    async fn open(&mut self) -> Result<UnitStream, PortError> {
        Ok(match self {
            UnitPort::Serial(port) => UnitStream::Serial(port.open().await?),
            UnitPort::Usb(port) => UnitStream::Usb(port.open().await?),
        })
    }
}

/// Either kind of port, open.
pub enum UnitStream {
    /// A serial port.
    Serial(SerialStream),
    /// A pair of bulk endpoints.
    Usb(UsbStream),
}

impl AsyncRead for UnitStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            UnitStream::Serial(stream) => Pin::new(stream).poll_read(cx, out),
            UnitStream::Usb(stream) => Pin::new(stream).poll_read(cx, out),
        }
    }
}

impl AsyncWrite for UnitStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            UnitStream::Serial(stream) => Pin::new(stream).poll_write(cx, bytes),
            UnitStream::Usb(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            UnitStream::Serial(stream) => Pin::new(stream).poll_flush(cx),
            UnitStream::Usb(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            UnitStream::Serial(stream) => Pin::new(stream).poll_shutdown(cx),
            UnitStream::Usb(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_which_kind_it_is() {
        let named = |name: &str| UnitPort::named(name, SerialPort::BAUD);
        assert!(matches!(named("/dev/ttyACM0"), Ok(UnitPort::Serial(_))));
        let usb = named("usb:1-2.3").unwrap();
        assert!(matches!(&usb, UnitPort::Usb(_)));
        assert_eq!(usb.path(), "usb:1-2.3");
        assert!(named("usb:ttyACM0").is_err());
    }
}
