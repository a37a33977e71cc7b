//! Serials in a row, counted as the line's own labels are.

use traveler::Serial;

use crate::shift::Check;

/// The serial after this one: its last run of digits one higher, at the same width. A check character
/// at its end is made anew.
///
/// # Errors
/// Why there is none.
pub(super) fn after(serial: &Serial, check: Option<Check>) -> Result<Serial, String> {
    let text = serial.as_str();
    let body = match check {
        None => text,
        Some(check) if !check.holds(text) => {
            return Err(format!(
                "{serial} does not have the check character of [scan]"
            ));
        }
        Some(_) => &text[..text.len() - 1],
    };
    let is_digit = |c: char| c.is_ascii_digit();
    let end = body.rfind(is_digit).map(|last| last + 1);
    let end = end.ok_or_else(|| format!("{serial} has no digits to count with"))?;
    let start = body[..end]
        .rfind(|c| !is_digit(c))
        .map_or(0, |last| last + 1);
    let digits = counted(&body[start..end]);
    let digits = digits.ok_or_else(|| format!("there is no serial after {serial}"))?;
    let next = format!("{}{digits}{}", &body[..start], &body[end..]);
    let next = match check {
        None => next,
        Some(check) => check
            .close(&next)
            .ok_or_else(|| format!("{next} takes no check character"))?,
    };
    Serial::parse(&next).map_err(|error| error.to_string())
}

/// So many in a row, the first one given.
pub(super) fn row(
    first: Serial,
    units: usize,
    check: Option<Check>,
) -> Result<Vec<Serial>, String> {
    if let Some(check) = check
        && !check.holds(first.as_str())
    {
        return Err(format!(
            "{first} does not have the check character of [scan]"
        ));
    }
    let mut all = vec![first];
    while let Some(last) = all.last().filter(|_| all.len() < units) {
        all.push(after(last, check)?);
    }
    Ok(all)
}

/// Digits one higher, at the same width; `None` after the last.
fn counted(digits: &str) -> Option<String> {
    let mut next: Vec<char> = digits.chars().collect();
    for digit in next.iter_mut().rev() {
        match *digit {
            '9' => *digit = '0',
            lower => {
                *digit = char::from_digit(lower.to_digit(10)? + 1, 10)?;
                return Some(next.into_iter().collect());
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(first: &str, check: Option<Check>, expected: Result<&str, &str>) {
        let found = after(&Serial::parse(first).unwrap(), check);
        match expected {
            Ok(next) => assert_eq!(found.unwrap().as_str(), next),
            Err(why) => assert!(found.clone().unwrap_err().contains(why), "{found:?}"),
        }
    }

    #[test]
    fn the_last_run_of_digits_is_counted_at_its_width() {
        check("CAM2-00001", None, Ok("CAM2-00002"));
        check("CAM2-00999", None, Ok("CAM2-01000"));
        check("CAM2-99999", None, Err("no serial after"));
        check("A47", None, Ok("A48"));
        check("A1-09-B", None, Ok("A1-10-B"));
        check("999", None, Err("no serial after"));
        check("ABC", None, Err("no digits"));
    }

    #[test]
    fn the_check_character_is_made_anew() {
        for kind in [Check::Mod37_36, Check::Luhn] {
            let first = kind.close("1700099").unwrap();
            let row = row(Serial::parse(&first).unwrap(), 12, Some(kind)).unwrap();
            assert_eq!(row.len(), 12);
            for (at, serial) in row.iter().enumerate() {
                let text = serial.as_str();
                assert!(kind.holds(text), "{text}");
                assert_eq!(text[..7], (1_700_099 + at).to_string());
            }
        }
        check("79927398710", Some(Check::Luhn), Err("check character"));
        check(
            "A1-2425G-ABC1234002-M",
            Some(Check::Mod37_36),
            Ok("A1-2425G-ABC1234003-K"),
        );
    }

    #[test]
    fn a_row_has_no_serial_twice() {
        let mut row = row(Serial::parse("CAM2-00090").unwrap(), 256, None).unwrap();
        assert_eq!(row.last().unwrap().as_str(), "CAM2-00345");
        row.dedup();
        assert_eq!(row.len(), 256);
    }
}
