//! Tree heads as text (c2sp.org/tlog-checkpoint): origin, size, root, one line each.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::hash::Hash;

/// Which log, how long, and the one hash that stands for all of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Checkpoint {
    /// The log's name; also the name of its key.
    pub origin: String,
    /// Number of entries.
    pub size: u64,
    /// RFC 6962 root over them.
    pub root: Hash,
}

/// A text that is not a checkpoint.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("this is not a checkpoint: {0}")]
pub struct CheckpointError(&'static str);

impl Checkpoint {
    /// Reads a note's text. Extension lines are allowed and ignored, as the specification asks.
    ///
    /// # Errors
    /// [`CheckpointError`] when a line is missing or not in its one canonical form.
    pub fn parse(text: &str) -> Result<Checkpoint, CheckpointError> {
        let body = text
            .strip_suffix('\n')
            .ok_or(CheckpointError("no newline at the end"))?;
        let mut lines = body.split('\n');
        let origin = lines.next().unwrap_or_default();
        let size = lines.next().ok_or(CheckpointError("no size"))?;
        let root = lines.next().ok_or(CheckpointError("no root hash"))?;
        if origin.is_empty() || lines.any(str::is_empty) {
            return Err(CheckpointError("an empty line"));
        }
        let number: u64 = size
            .parse()
            .map_err(|_| CheckpointError("the size is no number"))?;
        if number.to_string() != size {
            return Err(CheckpointError("the size has leading zeros or a sign"));
        }
        let root = BASE64
            .decode(root)
            .ok()
            .and_then(|bytes| Hash::try_from(bytes).ok());
        let root = root.ok_or(CheckpointError("the root is not base 64 of 32 bytes"))?;
        Ok(Checkpoint {
            origin: origin.to_owned(),
            size: number,
            root,
        })
    }

    /// The text that is signed.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!(
            "{}\n{}\n{}\n",
            self.origin,
            self.size,
            BASE64.encode(self.root)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of c2sp.org/tlog-checkpoint.
    /// If it fails, change the code, not the vector.
    const EXAMPLE: &str =
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

    #[test]
    fn the_published_example_round_trips() {
        let parsed = Checkpoint::parse(EXAMPLE).unwrap();
        assert_eq!(
            (parsed.origin.as_str(), parsed.size),
            ("example.com/behind-the-sofa", 20_852_163)
        );
        assert_eq!(parsed.to_text(), EXAMPLE);
        assert_eq!(
            Checkpoint::parse(&format!("{EXAMPLE}extension\n")),
            Ok(parsed)
        );
    }

    #[test]
    fn the_other_implementation_reads_ours() {
        let ours = Checkpoint {
            origin: "birthmark.example/log".into(),
            size: 70_000,
            root: [9; 32],
        };
        let theirs = tlog_tiles::Checkpoint::from_bytes(ours.to_text().as_bytes()).unwrap();
        assert_eq!(
            (theirs.origin(), theirs.size()),
            (ours.origin.as_str(), ours.size)
        );
        assert_eq!(theirs.hash().0, ours.root);
    }

    #[test]
    fn only_the_canonical_form_is_read() {
        let root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
        for bad in [
            String::new(),
            "log\n".into(),
            "log\n1\n".into(),
            format!("log\n1\n{root}"),
            format!("\n1\n{root}\n"),
            format!("log\n01\n{root}\n"),
            format!("log\n+1\n{root}\n"),
            format!("log\n-1\n{root}\n"),
            format!("log\n18446744073709551616\n{root}\n"),
            format!("log\n1\n{root}\n\n"),
            "log\n1\nAAAA\n".into(),
            format!("log\n1\n{}\n", root.replace('=', "")),
        ] {
            assert!(Checkpoint::parse(&bad).is_err(), "{bad:?}");
        }
    }
}
