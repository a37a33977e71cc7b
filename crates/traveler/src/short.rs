//! A short text in place: a log is read and written a million names at a time, and none of them is
//! worth an allocation.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

/// A text of at most `N` bytes, `N` up to 255.
#[derive(Clone)]
pub(crate) struct Short<const N: usize> {
    length: u8,
    /// Zeros behind the text.
    bytes: [u8; N],
}

impl<const N: usize> Short<N> {
    /// The text, or `None` when it is longer.
    pub(crate) fn new(text: &str) -> Option<Short<N>> {
        let mut bytes = [0; N];
        bytes
            .get_mut(..text.len())?
            .copy_from_slice(text.as_bytes());
        let length = u8::try_from(text.len()).ok()?;
        Some(Short { length, bytes })
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default() // it was a text
    }
}

impl<const N: usize> PartialEq for Short<N> {
    fn eq(&self, other: &Short<N>) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl<const N: usize> Eq for Short<N> {}

impl<const N: usize> Ord for Short<N> {
    fn cmp(&self, other: &Short<N>) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl<const N: usize> PartialOrd for Short<N> {
    fn partial_cmp(&self, other: &Short<N>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<const N: usize> Hash for Short<N> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl<const N: usize> std::fmt::Debug for Short<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_str().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_kept_and_compared_as_a_text() {
        let long = "a".repeat(8);
        for text in ["", "a", "ab", "b", "é", &long] {
            let short = Short::<8>::new(text).unwrap();
            assert_eq!(short.as_str(), text);
            assert_eq!(format!("{short:?}"), format!("{text:?}"));
            for other in ["", "a", "ab", "b", "é", &long] {
                let other_short = Short::<8>::new(other).unwrap();
                assert_eq!(short.cmp(&other_short), text.cmp(other));
                assert_eq!(short == other_short, text == other);
            }
        }
        assert!(Short::<8>::new("123456789").is_none());
    }
}
