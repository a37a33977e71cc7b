//! `station-cli lease`: credentials for the hours without a network, asked for while there is one.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde_json::{Value, json};
use traveler::{Entry, Event, OperatorId, OrderId, Serial, Timestamp};

use super::take::{Ask, give_back, lease};
use super::{Leased, count};
use crate::calls::Server;
use crate::cli::{DataArgs, Format, FormatArgs, WaitArgs, print, say};
use crate::damaged::damaged;
use crate::failure::Failure;
use crate::home::Home;
use crate::outbox::Upload;
use crate::shift::{Check, check_of};

/// As many as a station may hold: a rule of the ledger, said before the network is asked.
const UNITS_MAX: u32 = traveler::LEASES_HELD_MAX;
/// Longest list of serials that is read, in bytes.
const LIST_MAX: u64 = 64 * 1024;

/// The arguments of `lease`.
#[derive(Args)]
pub(crate) struct LeaseArgs {
    /// The work order; without it, says what is held.
    #[arg(long, value_name = "ID")]
    order: Option<OrderId>,
    /// So many serials in a row, at most 256.
    #[arg(long, value_name = "N", requires = "order", value_parser = clap::value_parser!(u16).range(1..=i64::from(UNITS_MAX)))]
    units: Option<u16>,
    /// The first of them [default: the one after the highest that was proven to this station].
    #[arg(long, value_name = "SERIAL", requires = "units")]
    from: Option<Serial>,
    /// These serials instead, one a line; `-` is standard input.
    #[arg(long, value_name = "FILE", requires = "order", conflicts_with_all = ["units", "from"])]
    serials: Option<PathBuf>,
    /// How long, as 90m or 2h: 60 s to 12 h [default: the server's, 2 h].
    #[arg(long, value_name = "DURATION", requires = "order", value_parser = valid)]
    valid: Option<u32>,
    /// Give back what no unit got.
    #[arg(long = "return", conflicts_with = "order")]
    give_back: bool,
    /// Who asks for it: a badge pseudonym.
    #[arg(long, value_name = "BADGE")]
    operator: Option<OperatorId>,
    /// The slots file, which says what the check character of a serial is [default: slots.toml in the
    /// station's folder, if there is one].
    #[arg(long, value_name = "FILE")]
    slots: Option<PathBuf>,
    #[command(flatten)]
    wait: WaitArgs,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    format: FormatArgs,
}

/// Seconds, as people write them.
fn valid(text: &str) -> Result<u32, String> {
    let (number, factor) = match text.as_bytes().last() {
        Some(b'h') => (&text[..text.len() - 1], 3_600),
        Some(b'm') => (&text[..text.len() - 1], 60),
        Some(b's') => (&text[..text.len() - 1], 1),
        _ => (text, 1),
    };
    let seconds = number.parse::<u32>().ok();
    let seconds = seconds.and_then(|number| number.checked_mul(factor));
    seconds
        .filter(|seconds| traveler::LEASE_LASTS_S.contains(seconds))
        .ok_or_else(|| format!("{text} is not within 60s to 12h, as 90m or 2h"))
}

/// Does what the arguments say. Exit code 0, or that of what failed.
pub(crate) async fn run(args: LeaseArgs) -> Result<u8> {
    let home = Home::open(&args.data.data)?;
    let done = match (&args.order, args.give_back) {
        (None, false) => status(&home)?,
        (None, true) => back(&home, &args).await?,
        (Some(order), _) => take(&home, &args, order).await?,
    };
    match args.format.format {
        Format::Json => print(&done.facts)?,
        Format::Text => say(&done.words),
    }
    Ok(0)
}

/// What was done, for both kinds of reader.
struct Done {
    words: String,
    facts: Value,
}

async fn take(home: &Home, args: &LeaseArgs, order: &OrderId) -> Result<Done> {
    let server = Server::of(home)?;
    let serials = serials(home, args, order)?;
    let ask = Ask {
        order,
        serials: &serials,
        valid_s: args.valid.unwrap_or_default(),
        operator: args.operator.as_ref(),
        patience: args.wait.patience(),
    };
    let units = with_advice(lease(home, &server, &ask).await)?;
    let standing = Standing::of(home, Some(order))?;
    let (first, last) = (&serials[0], &serials[units - 1]);
    Ok(Done {
        words: format!(
            "{units} units of {order} are leased, {first} to {last}; {}",
            standing.words()
        ),
        facts: json!({
            "order": order, "leased": serials, "expires": standing.expires,
            "left": standing.left, "to_upload": standing.to_upload,
        }),
    })
}

/// A failure with what to do about it.
fn with_advice<T>(done: Result<T, Failure>) -> Result<T> {
    done.map_err(|failure| {
        let action = failure.advice().action;
        anyhow::Error::from(failure).context(action)
    })
}

async fn back(home: &Home, args: &LeaseArgs) -> Result<Done> {
    let server = Server::of(home)?;
    let patience = args.wait.patience();
    let voided = give_back(home, &server, patience, args.operator.as_ref()).await;
    let voided = with_advice(voided)?;
    let standing = Standing::of(home, None)?;
    Ok(Done {
        words: format!("{voided} given back and void; {}", standing.words()),
        facts: json!({
            "returned": voided, "left": standing.left, "to_upload": standing.to_upload,
        }),
    })
}

/// What is held, in numbers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Standing {
    /// Whether there was a lease at all, spent by now or not.
    pub(crate) leased: bool,
    /// Unspent, and may be given to a unit.
    pub(crate) left: usize,
    /// Unspent, and too old.
    pub(crate) expired: usize,
    /// Given to a unit that is under way.
    pub(crate) under_way: usize,
    /// When the first of those left expires.
    pub(crate) expires: Option<Timestamp>,
    /// Units the server has yet to hear of.
    pub(crate) to_upload: usize,
    /// Units that a person has to look at.
    pub(crate) on_hold: Vec<Serial>,
}

impl Standing {
    /// Reads it; of one order or of all.
    pub(crate) fn of(home: &Home, order: Option<&OrderId>) -> Result<Standing, Failure> {
        let ours = |it: &OrderId| order.is_none_or(|order| order == it);
        let all = home.leases().all()?;
        let now = home.leases().now()?;
        let known = order.map(|order| home.leases().order(order)).transpose()?;
        let mut standing = Standing {
            leased: all.iter().any(|leased| ours(&leased.order)) || known.flatten().is_some(),
            ..Standing::default()
        };
        for leased in all.iter().filter(|leased| ours(&leased.order)) {
            match (&leased.released, leased.expires > now) {
                (Some(_), _) => standing.under_way += 1,
                (None, false) => standing.expired += 1,
                (None, true) => {
                    standing.left += 1;
                    let first = standing.expires.get_or_insert(leased.expires);
                    *first = leased.expires.min(*first);
                }
            }
        }
        let (held, to_tell): (Vec<Upload>, Vec<Upload>) = home
            .outbox()
            .all()?
            .into_iter()
            .partition(|upload| upload.hold.is_some());
        standing.to_upload = to_tell.len();
        standing.on_hold = held.into_iter().map(|upload| upload.serial).collect();
        for serial in damaged(home)?.into_iter().map(|one| one.serial) {
            if !standing.on_hold.contains(&serial) {
                standing.on_hold.push(serial);
            }
        }
        Ok(standing)
    }

    pub(crate) fn words(&self) -> String {
        let until = self.expires.map(|time| format!(" until {time}"));
        let expired = match self.expired {
            0 => String::new(),
            some => format!(", {some} expired"),
        };
        format!(
            "{} left{}{expired}, {} under way, {} to upload, {} on hold",
            self.left,
            until.unwrap_or_default(),
            self.under_way,
            self.to_upload,
            self.on_hold.len(),
        )
    }
}

fn status(home: &Home) -> Result<Done> {
    let standing = Standing::of(home, None)?;
    let held: Vec<Leased> = home.leases().all()?;
    let one = |leased: &Leased| {
        json!({
            "serial": leased.serial, "order": leased.order, "attempt": leased.attempt,
            "expires": leased.expires, "released": leased.released.is_some(),
        })
    };
    Ok(Done {
        words: standing.words(),
        facts: json!({
            "left": standing.left, "expired": standing.expired, "under_way": standing.under_way,
            "expires": standing.expires, "to_upload": standing.to_upload,
            "on_hold": standing.on_hold, "held": held.iter().map(one).collect::<Vec<_>>(),
        }),
    })
}

/// Which serials are asked for.
fn serials(home: &Home, args: &LeaseArgs, order: &OrderId) -> Result<Vec<Serial>> {
    if let Some(file) = &args.serials {
        return listed(file);
    }
    let Some(units) = args.units else {
        bail!("say how many: --units N, or which: --serials FILE");
    };
    let check = check(home, args.slots.as_deref())?;
    let first = match (&args.from, highest(home, order)?) {
        (Some(first), _) => first.clone(),
        (None, Some(last)) => count::after(&last, check).map_err(anyhow::Error::msg)?,
        (None, None) => bail!(
            "no unit of {order} was proven to this station yet: say which serial is the first, with \
             --from SERIAL"
        ),
    };
    count::row(first, units.into(), check).map_err(anyhow::Error::msg)
}

fn check(home: &Home, slots: Option<&Path>) -> Result<Option<Check>> {
    let own = home.dir().join("slots.toml");
    match slots {
        Some(file) => Ok(check_of(file)?),
        None if own.exists() => Ok(check_of(&own)?),
        None => Ok(None),
    }
}

fn listed(file: &Path) -> Result<Vec<Serial>> {
    let mut text = String::new();
    let name = file.display();
    match file.to_str() {
        Some("-") => std::io::stdin()
            .lock()
            .take(LIST_MAX)
            .read_to_string(&mut text),
        _ => {
            std::fs::File::open(file).and_then(|file| file.take(LIST_MAX).read_to_string(&mut text))
        }
    }
    .with_context(|| format!("{name} cannot be read"))?;
    let mut all: Vec<Serial> = Vec::new();
    for (at, line) in text.lines().map(str::trim).enumerate() {
        if line.is_empty() {
            continue;
        }
        let serial = Serial::parse(line);
        let serial = serial.with_context(|| format!("{name}, line {}", at + 1))?;
        ensure!(
            !all.contains(&serial),
            "{name}, line {}: {serial} is there twice",
            at + 1
        );
        all.push(serial);
    }
    ensure!(
        (1..=UNITS_MAX as usize).contains(&all.len()),
        "{name} has {} serials, a lease takes 1 to {UNITS_MAX}",
        all.len()
    );
    Ok(all)
}

/// The highest serial of an order that was proven to this station, by length and then by text: what is
/// uploaded late is proven late.
fn highest(home: &Home, order: &OrderId) -> Result<Option<Serial>> {
    let mut highest: Option<Serial> = None;
    home.seen().proven().each(|kept| {
        let Ok(entry) = Entry::from_bytes(kept.entry.as_bytes()) else {
            return Ok(()); // of a newer server
        };
        let event = entry.event.happened();
        let found = match event {
            Event::Leased(leased) => Some((&leased.lease.order, &leased.lease.serial)),
            _ => event.step().map(|(step, _)| (&step.order, &step.serial)),
        };
        if let Some((of, serial)) = found
            && of == order
        {
            let size = |serial: &Serial| serial.as_str().len();
            let higher = |before: &Serial| (size(before), before) < (size(serial), serial);
            if highest.as_ref().is_none_or(higher) {
                highest = Some(serial.clone());
            }
        }
        Ok(())
    })?;
    Ok(highest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_written_as_people_do_and_bounded() {
        for (text, expected) in [
            ("2h", Some(7_200)),
            ("90m", Some(5_400)),
            ("60s", Some(60)),
            ("7200", Some(7_200)),
            ("12h", Some(43_200)),
            ("13h", None),
            ("59", None),
            ("0h", None),
            ("-1h", None),
            ("h", None),
            ("", None),
            ("2d", None),
            ("4294967295h", None),
        ] {
            assert_eq!(valid(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn a_list_names_each_serial_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("list");
        let read = |text: &str| {
            std::fs::write(&file, text).unwrap();
            listed(&file).map_err(|error| format!("{error:#}"))
        };
        let names = |found: Vec<Serial>| found.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(read("A47\n\n A48 \r\n").unwrap()), ["A47", "A48"]);
        assert!(
            read("A47\nA48\nA47\n")
                .unwrap_err()
                .contains("line 3: A47 is there twice")
        );
        assert!(read("A47\nb\n").unwrap_err().contains("line 2"));
        assert!(read("\n").unwrap_err().contains("1 to 256"));
        let many: String = (0..257).map(|n| format!("A{n:03}\n")).collect();
        assert!(read(&many).unwrap_err().contains("has 257"));
    }
}
