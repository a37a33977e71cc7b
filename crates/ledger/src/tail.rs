//! The end of the log, where an intruder has the least to forge.
//!
//! Entries that a signed checkpoint covers cannot be altered unseen. Above the newest checkpoint
//! anybody who can write the file writes what the rules allow, hashes and all; and whoever takes
//! checkpoints away makes such a place. What nobody signed is therefore always a finding.

use rusqlite::Connection;

use crate::files::Beside;
use crate::replay::Replay;
use crate::sql;

/// The checkpoint beside the database: the tail was not cut behind it.
pub(crate) fn check_beside(
    connection: &Connection,
    replay: &mut Replay<'_>,
    beside: Option<Vec<u8>>,
) {
    let beside = Beside::of(beside, &replay.keys);
    let (size, findings) = (replay.size, &mut replay.findings);
    match beside {
        Beside::Missing if replay.covered > 0 => findings.add(
            None,
            "the checkpoint file beside the log is missing: the log begins with one, so \
             somebody took it away",
        ),
        Beside::Missing | Beside::Torn => {}
        Beside::Foreign(why) => {
            findings.add(None, format!("the checkpoint file beside the log: {why}"));
        }
        Beside::Signed(checkpoint) if checkpoint.size > size => {
            let what = format!(
                "it is missing: the checkpoint file beside the log was signed over {} entries",
                checkpoint.size
            );
            findings.add(size, what);
        }
        Beside::Signed(checkpoint) => {
            let root = sql::root(connection, checkpoint.size);
            if !root.is_ok_and(|root| root == checkpoint.root) {
                let what = format!(
                    "the checkpoint file beside the log was signed over {} other entries",
                    checkpoint.size
                );
                findings.add(checkpoint.size.checked_sub(1), what);
            } else if checkpoint.size > replay.covered {
                let what = format!(
                    "the checkpoint over {} entries, which is beside the log, is missing in it",
                    checkpoint.size
                );
                findings.add(checkpoint.size.checked_sub(1), what);
                replay.covered = checkpoint.size;
            }
        }
    }
}

/// What no signed checkpoint covers.
pub(crate) fn check_tail(replay: &mut Replay<'_>) {
    if replay.covered < replay.size {
        let what = "it and all after it are covered by no signed checkpoint: written while the \
            HSM was away, or added by somebody else";
        replay.findings.add(replay.covered, what);
    }
}
