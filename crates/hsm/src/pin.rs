//! The PIN that opens a token.

use zeroize::Zeroizing;

/// The PIN that opens a token: 4 to 255 bytes, any values.
///
/// No `Debug`, `Display`, `Clone`, `PartialEq` or `Serialize`. `expose` is the only way out.
///
/// ```compile_fail
/// fn printable<T: std::fmt::Debug>() {}
/// printable::<hsm::Pin>();
/// ```
pub struct Pin(Zeroizing<Vec<u8>>);

/// A PIN has 4 to 255 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a PIN has 4 to 255 bytes, and this one does not: put the PIN alone into its file")]
pub struct PinLength;

impl Pin {
    /// Takes a PIN as read from a file: one line ending is stripped.
    ///
    /// # Errors
    ///
    /// [`PinLength`] when what is left is too short or too long.
    pub fn parse(bytes: &[u8]) -> Result<Pin, PinLength> {
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        if !(4..=255).contains(&bytes.len()) {
            return Err(PinLength);
        }
        Ok(Pin(Zeroizing::new(bytes.to_vec())))
    }

    /// Lends the PIN to `f`, which derives a key from it or sends it to its token.
    pub fn expose<R>(&self, f: impl FnOnce(&[u8]) -> R) -> R {
        f(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &[u8], expected: Option<&[u8]>) {
        let pin = Pin::parse(input).ok();
        assert_eq!(
            pin.map(|pin| pin.expose(<[u8]>::to_vec)).as_deref(),
            expected
        );
    }

    #[test]
    fn a_pin_loses_one_line_ending_and_has_a_length() {
        check(b"1234", Some(b"1234"));
        check(b"1234\n", Some(b"1234"));
        check(b"1234\r\n", Some(b"1234"));
        check(b"1234\n\n", Some(b"1234\n"));
        check(b"123\n", None);
        check(b"", None);
        check(&[7; 255], Some(&[7; 255]));
        check(&[7; 256], None);
    }
}
