//! Global Trade Item Numbers (GS1 General Specifications, section 3.3.2 and 7.9).

/// A trade item number of 8, 12, 13 or 14 digits with a right check digit, written with 14.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Gtin(String);

/// A number that is none.
#[derive(Debug, thiserror::Error)]
#[error("{0} is no GTIN: it has 8, 12, 13 or 14 digits, of which the last checks the others")]
pub struct GtinError(String);

impl Gtin {
    /// Reads a number as it stands under a bar code.
    ///
    /// # Errors
    /// [`GtinError`] when the length or the check digit is wrong.
    pub fn parse(text: &str) -> Result<Gtin, GtinError> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits || ![8, 12, 13, 14].contains(&text.len()) {
            return Err(GtinError(text.to_owned()));
        }
        let padded = format!("{text:0>14}");
        // Weights 3 and 1 in turn; with the check digit the sum is a multiple of ten.
        let weighed = padded.bytes().zip([3, 1].into_iter().cycle());
        let sum: u32 = weighed
            .map(|(digit, weight)| u32::from(digit - b'0') * weight)
            .sum();
        match sum.is_multiple_of(10) {
            true => Ok(Gtin(padded)),
            false => Err(GtinError(text.to_owned())),
        }
    }

    /// Its 14 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_digits_are_held() {
        // The examples of the General Specifications, section 7.9.1 and of ISO/IEC 15420.
        for good in [
            "6291041500213",
            "96385074",
            "036000291452",
            "00012345600012",
        ] {
            assert_eq!(Gtin::parse(good).unwrap().as_str().len(), 14, "{good}");
        }
        for bad in ["", "6291041500214", "629104150021", "9638507A", "123456789"] {
            assert!(Gtin::parse(bad).is_err(), "{bad}");
        }
    }
}
