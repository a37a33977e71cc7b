//! A log that was put back from a copy learns again what came after the copy.
//!
//! What joins on comes back byte for byte, from the newest export or from stations whose entries lie
//! side by side; then stations and witnesses find what they remember, and go on. What does not join
//! on is lost, and that is never glossed over: two people type the numbers, the gap is an entry for
//! ever, units that stations can prove are written again with their proofs, and what nobody can
//! prove is blocked. Whoever remembers the lost log goes on refusing until it has been told.
//!
//! Nothing is written before all of it is checked. A crash on the way leaves a log that no server
//! opens; running it again with the same files goes on.

mod journal;
mod loss;
mod order;
mod restore;
mod token;
mod withdrawn;
mod write;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use hsm::Hsm;
use ledger::{Reader, SignerName};
use serde_json::{Value, json};
use tlog::{Checkpoint, LogKeys};
use traveler::{OperatorId, OrderId, Serial};

use self::journal::Journal;
use self::loss::{Loss, Remembered};
use self::order::OrderAgain;
pub(crate) use self::restore::ASIDE;
use self::restore::Tripwires;
pub(crate) use self::token::marks;
use self::token::{rotated_unseen, token_mark};
use self::write::{Said, Written};
use crate::audit::read_remembered;
use crate::backwards;
use crate::cli::{Format, print};
use crate::config::Config;
use crate::figures::hex;
use crate::pin::PinArgs;
use crate::serve;
use crate::site::{self, Site};

/// Some remember more than could be brought back.
const LOST: u8 = 1;
/// Serials that are named in a text; all of them are in the JSON.
const NAMED: usize = 20;

/// The arguments of `recover`.
#[derive(clap::Args, Debug)]
#[command(group(clap::ArgGroup::new("source").args(["bundle", "journal"]).required(true).multiple(true)))]
pub(crate) struct RecoverArgs {
    /// The newest export of this log that anybody has.
    #[arg(long, value_name = "DIR")]
    bundle: Option<PathBuf>,
    /// What a station handed over (`station-cli sync --export FILE`); may be given again.
    #[arg(long, value_name = "FILE")]
    journal: Vec<PathBuf>,
    /// A checkpoint that a witness or auditor remembers; may be given again.
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// A product definition that was applied after the copy; may be given again.
    #[arg(long, value_name = "FILE")]
    product: Vec<PathBuf>,
    /// An order that was created after the copy, ID:PRODUCT:QUANTITY[:ALLOWANCE]; may be given again.
    #[arg(long, value_name = "ORDER")]
    order: Vec<OrderAgain>,
    /// A serial that may be in the field and is in no record: nothing is ever issued for it; may be
    /// given again.
    #[arg(long, value_name = "SERIAL")]
    block: Vec<Serial>,
    /// Accept that the rest is lost: the statement with its numbers, as `recover` prints it.
    #[arg(long, value_name = "STATEMENT", requires = "by")]
    accept_loss: Option<String>,
    /// The badges of the two people who accept it.
    #[arg(long, value_name = "BADGE")]
    by: Vec<OperatorId>,
    #[command(flatten)]
    pin: PinArgs,
    /// Accept a software token in place of an HSM.
    #[arg(long)]
    allow_simulated_hsm: bool,
}

/// `provisioner recover`, with the log's key as it is in the HSM.
pub(crate) fn run(site: &Site, mut args: RecoverArgs, format: Format) -> Result<ExitCode> {
    let mut config = Config::read(site.data())?;
    config.allow_simulated_hsm |= args.allow_simulated_hsm;
    std::mem::take(&mut args.pin).tell(&mut config)?;
    let hsm = serve::open_hsm(site, &config)?;
    let keys = restore::log_keys(site, args.bundle.as_deref())?;
    serve::log_key(keys.newest(), &hsm)?; // the token is this log's
    let journals = args.journal.iter().map(|file| Journal::read(file, &keys));
    let journals = journals.collect::<Result<Vec<_>>>()?;
    let products = args.product.iter().map(|file| site::read(file));
    let products = products.collect::<Result<Vec<_>, _>>()?;
    let before = restore::end_of(site, &keys)?.size;
    let tripwires = Tripwires::read(site, &keys)?;
    let remembered = remembered(site, &keys, &args.checkpoint, &journals, &tripwires)?;
    let seen: Vec<Checkpoint> = remembered.iter().map(|one| one.seen.clone()).collect();

    let comes_back = match &args.bundle {
        Some(bundle) => restore::from_bundle(site, &keys, bundle, &seen)?,
        None => Vec::new(),
    };
    // Only now, and kept: until this ends, it accuses the log of being short.
    tripwires.set_aside()?;
    restore::bring_back(site, &hsm, &comes_back)?;
    let joins_on = restore::from_journals(site, &journals, &seen)?;
    restore::bring_back(site, &hsm, &joins_on)?;

    let mark = token_mark(&*hsm, site, keys.newest().name())?;
    let loss = Loss::of(site, &remembered, mark, &journals)?;
    let outcome = Outcome {
        before,
        now: restore::end_of(site, &keys)?,
        newer_keys: rotated_unseen(site, &hsm, &keys)?,
        loss,
    };
    if !args.may_write(&outcome.loss)? {
        return outcome.not_yet(site, &tripwires, &args, format);
    }
    tripwires.begin()?;
    let said = Said {
        restored: before,
        by: &args.by,
        simulated: hsm.describe()?.simulated,
        orders: &args.order,
        products: &products,
        block: &args.block,
    };
    let signer = &Arc::new(serve::log_key(keys.newest(), &hsm)?.signer);
    let nothing = outcome.loss.is_none() && args.block.is_empty();
    let written = match nothing {
        true => Written::default(),
        false => write::write(site, signer, &outcome.loss, &journals, &said)?,
    };
    outcome.done(site, &*hsm, &keys, &tripwires, &written, format)
}

impl RecoverArgs {
    /// Whether what is lost may be put on record: nothing is, or two people have typed the numbers.
    fn may_write(&self, loss: &Loss) -> Result<bool> {
        let people = self.by.iter().any(|badge| Some(badge) != self.by.first());
        if let Some(typed) = &self.accept_loss {
            if loss.unsaid && typed.trim() != loss.statement() {
                bail!(
                    "that is not what was found: \"{}\"; nothing is accepted",
                    loss.statement()
                );
            }
            if !people {
                bail!("it takes two people: give --by BADGE twice");
            }
        }
        let blocks = !loss.unproven.is_empty() || !self.block.is_empty();
        // Units that the log's own key proves need nobody's word, once the gap is on record.
        Ok(match loss.unsaid {
            true => self.accept_loss.is_some(),
            false => people || !blocks && (loss.units.is_empty() || loss.orders.is_empty()),
        })
    }
}

/// Everything that anybody remembers of the log, and who.
fn remembered(
    site: &Site,
    keys: &LogKeys,
    files: &[PathBuf],
    journals: &[Journal],
    tripwires: &Tripwires,
) -> Result<Vec<Remembered>> {
    let mut all = Vec::new();
    let mut add = |by: String, (note, seen): (String, Checkpoint)| {
        all.push(Remembered { by, note, seen });
    };
    for journal in journals {
        if let Some(read) = &journal.remembered {
            add(format!("station {}", journal.station), read.clone());
        }
    }
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        add(format!("file {name}"), read_remembered(file, keys)?);
    }
    for read in &tripwires.seen {
        add("server".to_owned(), read.clone());
    }
    if let Ok(read) = read_remembered(&site.backwards(), keys) {
        add("server, from a station".to_owned(), read);
    }
    Ok(all)
}

/// How it went.
struct Outcome {
    before: u64,
    now: Checkpoint,
    loss: Loss,
    /// Keys for which the token has a successor that the log does not name.
    newer_keys: Vec<SignerName>,
}

impl Outcome {
    /// What was found, and what it takes to go on. The server stays locked.
    fn not_yet(
        &self,
        site: &Site,
        tripwires: &Tripwires,
        args: &RecoverArgs,
        format: Format,
    ) -> Result<ExitCode> {
        if let Some(note) = &self.loss.note {
            backwards::lock(&site.backwards(), note)?;
        }
        tripwires.done()?;
        print(format, &self.json(false, &Written::default()), || {
            counts(self.before, self.now.size) + &self.ways_on(args)
        })?;
        Ok(ExitCode::from(LOST))
    }

    fn ways_on(&self, args: &RecoverArgs) -> String {
        let loss = &self.loss;
        let mut text = String::new();
        if loss.unsaid {
            text.push_str(&format!(
                "LOST    {}: a log of {} entries is remembered and nothing here joins on to entry \
                 {}.\nThe server stays locked. First of all find more: a newer export (--bundle), \
                 and of EVERY station what\n`station-cli sync --export FILE` writes (--journal \
                 FILE).\n",
                loss.statement(),
                loss.remembered,
                loss.kept,
            ));
        }
        for lost in &loss.unnamed {
            text.push_str(&format!("  {} remembers {} entries\n", lost.by, lost.size));
        }
        let serials = loss.serials();
        text.push_str(&format!(
            "  {} units of it are proven by the journals given and will be written again{}\n",
            serials.len(),
            named(serials.iter()),
        ));
        let leases = loss.leases();
        if !leases.is_empty() {
            text.push_str(&format!(
                "  {} of them are leased and may meet their unit yet{}\n",
                leases.len(),
                named(leases.iter()),
            ));
        }
        if !loss.unproven.is_empty() {
            text.push_str(&format!(
                "  {} were under way, nobody can prove them, and they will be blocked{}\n",
                loss.unproven.len(),
                named(loss.unproven.keys()),
            ));
        }
        let given = |id: &OrderId| args.order.iter().any(|again| again.order == *id);
        for (order, built) in loss.orders.iter().filter(|(id, _)| !given(id)) {
            text.push_str(&format!(
                "  order {order} (product {built}) was created after the copy: give --product FILE \
                 and\n  --order {order}:PRODUCT:QUANTITY, or its units are blocked\n",
            ));
        }
        for key in &self.newer_keys {
            text.push_str(&format!(
                "  the token holds a newer {key} key than the log names: if it was rotated after \
                 the copy, that is lost too.\n  Find an export made since (--bundle); without one \
                 the line goes on with the key before, and\n  `provisioner rotate --key {key}` \
                 has to be run again.\n"
            ));
        }
        let statement = loss.statement();
        text.push_str(&match loss.unsaid {
            true => format!(
                "Serials that were built since the copy and are in none of these files: name each \
                 with --block SERIAL.\nThen two people accept it, for ever on record:\n  --accept-loss \
                 \"{statement}\" --by BADGE --by BADGE\n"
            ),
            false => "Two people say so: --by BADGE --by BADGE\n".to_owned(),
        });
        text
    }

    /// The log is whole, or says what it lost: the server may start.
    fn done(
        &self,
        site: &Site,
        hsm: &dyn Hsm,
        keys: &LogKeys,
        tripwires: &Tripwires,
        written: &Written,
        format: Format,
    ) -> Result<ExitCode> {
        let now = restore::end_of(site, keys)?;
        let reader = Reader::open(&site.ledger())?;
        hsm.raise_high_water(&marks(hsm, &reader, &now.origin)?, now.size)?;
        unlock(&site.backwards())?;
        tripwires.put_back(reader.checkpoint()?)?;
        tripwires.done()?;
        let mut fact = self.json(true, written);
        fact["entries"] = json!(now.size);
        fact["root"] = json!(hex(&now.root));
        print(format, &fact, || {
            let mut text = counts(self.before, now.size);
            if self.loss.unsaid {
                text.push_str(&format!(
                    "LOST    {}; it stands in the log for ever\n",
                    self.loss.statement()
                ));
            }
            if written.recovered > 0 {
                text.push_str(&format!(
                    "{} entries about {} units are written again with their proofs\n",
                    written.recovered,
                    self.loss.serials().len()
                ));
            }
            for (serial, why) in &written.blocked {
                text.push_str(&format!("BLOCKED {serial}: {why}\n"));
            }
            if self.loss.unsaid {
                text.push_str(
                    "Start the server. At each station a lead runs `station-cli recovery`; the \
                     witness runs\n`audit witness --accept-loss`. A station that comes late hands \
                     over its journal and this is run again.\n",
                );
            }
            text
        })?;
        Ok(ExitCode::SUCCESS)
    }

    fn json(&self, recovered: bool, written: &Written) -> Value {
        let loss = &self.loss;
        json!({
            "entries_before": self.before,
            "entries": self.now.size,
            "root": hex(&self.now.root),
            "kept": loss.kept,
            "remembered": loss.remembered,
            "lost": match loss.unsaid { true => loss.lost(), false => 0 },
            "statement": loss.unsaid.then(|| loss.statement()),
            "units_proven": loss.serials(),
            "leases_proven": loss.leases(),
            "units_unproven": loss.unproven.keys().collect::<Vec<_>>(),
            "orders_unknown": loss.orders,
            "entries_written_again": written.recovered,
            "blocked": written.blocked,
            "newer_keys": self.newer_keys.iter().map(|key| key.as_str()).collect::<Vec<_>>(),
            "recovered": recovered,
        })
    }
}

fn counts(before: u64, now: u64) -> String {
    format!("{before} entries were there, {now} are there now\n")
}

fn unlock(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// `: A, B, C and 7 more`
fn named<'a>(serials: impl ExactSizeIterator<Item = &'a Serial>) -> String {
    let more = serials.len().saturating_sub(NAMED);
    let names: Vec<String> = serials.take(NAMED).map(ToString::to_string).collect();
    match (names.len(), more) {
        (0, _) => String::new(),
        (_, 0) => format!(": {}", names.join(", ")),
        (_, more) => format!(": {} and {more} more", names.join(", ")),
    }
}
