//! PEM (RFC 7468): base 64 of DER in lines of 64 between two labels.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Wraps DER in a label such as `CERTIFICATE` or `PRIVATE KEY`; the text is wiped when dropped,
/// since it may be a key.
#[must_use]
pub fn pem(label: &str, der: &[u8]) -> Zeroizing<String> {
    let encoded = Zeroizing::new(STANDARD.encode(der));
    // Room for everything at once: growing would leave part of a key in freed memory.
    let capacity = encoded.len() + encoded.len() / 64 + 2 * label.len() + 64;
    let mut text = Zeroizing::new(String::with_capacity(capacity));
    text.push_str("-----BEGIN ");
    text.push_str(label);
    text.push_str("-----\n");
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(length: usize, lines: &[usize]) {
        let text = pem("CERTIFICATE", &vec![0; length]);
        let body: Vec<usize> = text.lines().map(str::len).collect();
        assert_eq!(body[1..body.len() - 1], *lines, "{length} bytes");
        assert!(text.starts_with("-----BEGIN CERTIFICATE-----\n"));
        assert!(text.ends_with("\n-----END CERTIFICATE-----\n"));
    }

    #[test]
    fn lines_are_sixty_four_wide() {
        check(0, &[]);
        check(1, &[4]);
        check(48, &[64]);
        check(49, &[64, 4]);
    }
}
