//! What an auditor can ask for.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use traveler::{OrderId, Serial};

/// Verbs about the record.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditVerb {
    /// Recompute everything and name the first entry that is not as it was written.
    Verify(VerifyArgs),
    /// One unit's entries in order.
    Unit {
        /// Which.
        serial: Serial,
        /// Write each entry and the proof that it is in the log (C2SP tlog-proof) into this
        /// folder.
        #[arg(long, value_name = "DIR", alias = "out")]
        proof: Option<PathBuf>,
    },
    /// One order: its count, voids and causes, first-pass yield, who and where.
    Order {
        /// Which.
        id: OrderId,
    },
    /// Write the log as other people's tools read it (C2SP tlog-tiles); with --format csv or
    /// jsonl also tables of entries, units and orders.
    Export {
        /// A new or empty directory, or an older export of the same log.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Only what came behind this: a number of entries, or a file with a checkpoint, which
        /// the log must go on from. Tables only; the tiles are always whole.
        #[arg(long, value_name = "SIZE|FILE")]
        since: Option<String>,
    },
    /// The brand owner's witness: verify a bundle, remember its checkpoint and cosign it. Exit
    /// code 1 when the log went backwards, was forked or altered; what was found is printed.
    Witness(WitnessArgs),
}

/// What is checked, and against what.
#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    /// An exported bundle instead of the data directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) bundle: Option<PathBuf>,
    /// One entry's proof (C2SP tlog-proof) instead of a whole log.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["bundle", "checkpoint", "since"])]
    pub(crate) proof: Option<PathBuf>,
    /// The entry's bytes [default: the .json file beside the proof].
    #[arg(long, value_name = "FILE", requires = "proof")]
    pub(crate) entry: Option<PathBuf>,
    /// File with the log's verifier key [default: the site's, or the bundle's own].
    #[arg(long, value_name = "FILE")]
    pub(crate) vkey: Option<PathBuf>,
    /// A checkpoint that somebody remembers, such as a station's; may be given again.
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: Vec<PathBuf>,
    /// Begin behind this checkpoint, which an earlier audit ended with.
    #[arg(long, value_name = "FILE")]
    pub(crate) since: Option<PathBuf>,
    /// A witness's key that must have cosigned the checkpoint; may be given again.
    #[arg(long, value_name = "FILE")]
    pub(crate) witness: Vec<PathBuf>,
    /// Threads that hash and parse, 1 to 8 [default: as many as there are processors].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=8))]
    pub(crate) threads: Option<u8>,
}

/// Where a witness works.
#[derive(Args, Debug)]
pub(crate) struct WitnessArgs {
    /// The exported bundle; its checkpoint gets the witness's line.
    #[arg(long, value_name = "DIR")]
    pub(crate) bundle: PathBuf,
    /// The witness's own folder: its key and what it has seen. Made at first use.
    #[arg(long, value_name = "DIR")]
    pub(crate) home: PathBuf,
    /// The witness's name, chosen at first use [default: a random one].
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Accept that the log lost what the witness has cosigned: the statement that an entry of the
    /// log has on it, typed whole.
    #[arg(long, value_name = "STATEMENT")]
    pub(crate) accept_loss: Option<String>,
    /// File with the log's verifier key, wanted when this witness sees the log for the first
    /// time [default: the bundle's own].
    #[arg(long, value_name = "FILE")]
    pub(crate) vkey: Option<PathBuf>,
}
