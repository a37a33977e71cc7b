//! Folding, so that a label and an identifier that look alike are compared alike.

use zeroize::Zeroizing;

/// Capitals and digits only; O is 0, I and L are 1, everything else is a separator and dropped.
pub(crate) fn fold(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut folded = Zeroizing::new(Vec::with_capacity(text.len()));
    folded.extend(
        text.iter()
            .filter(|byte| byte.is_ascii_alphanumeric())
            .map(|byte| match byte.to_ascii_uppercase() {
                b'O' => b'0',
                b'I' | b'L' => b'1',
                other => other,
            }),
    );
    folded
}
