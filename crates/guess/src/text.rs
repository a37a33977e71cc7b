//! Folding, so that a label and an identifier that look alike are compared alike.

use zeroize::Zeroizing;

/// What each byte folds to; 0 for what is dropped.
static FOLDED: [u8; 256] = folds();

const fn folds() -> [u8; 256] {
    let mut folds = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        let capital = (byte as u8).to_ascii_uppercase();
        if capital.is_ascii_alphanumeric() {
            folds[byte] = match capital {
                b'O' => b'0',
                b'I' | b'L' => b'1',
                other => other,
            };
        }
        byte += 1;
    }
    folds
}

/// Capitals and digits only; O is 0, I and L are 1, everything else is a separator and dropped.
pub(crate) fn fold(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut folded = Zeroizing::new(Vec::with_capacity(text.len()));
    folded.extend(folded_bytes(text));
    folded
}

/// The same without a copy.
pub(crate) fn folded_bytes(text: &[u8]) -> impl DoubleEndedIterator<Item = u8> {
    let folds = text.iter().map(|byte| FOLDED[usize::from(*byte)]);
    folds.filter(|byte| *byte != 0)
}

/// A password as a label shows it: without case, look-alikes and hyphens; other symbols stay.
pub(crate) fn alike(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut alike = Zeroizing::new(Vec::with_capacity(text.len()));
    let kept = text.iter().filter(|byte| **byte != b'-');
    alike.extend(kept.map(|&byte| match byte.to_ascii_uppercase() {
        b'O' => b'0',
        b'I' | b'L' => b'1',
        other => other,
    }));
    alike
}

/// An identifier without separators and case.
pub(crate) fn plain(text: &[u8]) -> Vec<u8> {
    text.iter()
        .filter(|byte| byte.is_ascii_alphanumeric())
        .map(u8::to_ascii_uppercase)
        .collect()
}
