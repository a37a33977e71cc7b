//! `provisioner lint`: is this list of passwords, made elsewhere, guessable?
//!
//! Asks no server, writes nothing, and shows no password unless it is told to. Deliberately absent:
//! a clean bill for what cannot be seen; each report says what that is.

mod report;

use std::fs::File;
use std::io::{self, Read};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use credential::{Breach, Policy};
use guess::Clause;
use guess::csv;
use guess::list::{self, Column, Finding, List, Progress, Severity};
use indicatif::{ProgressBar, ProgressStyle};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::cli::{Format, print, say};

/// The list is refused, or under its policy.
const FINDINGS: u8 = 1;

/// Read at once, in bytes.
const PIECE: usize = 256 << 10;

/// Rows a finding names.
const EXAMPLES: usize = 10;

/// Tenths of a percent in the bar of the tests.
const BAR: u64 = 1_000;

/// What is judged, and against what.
#[derive(Args, Debug)]
pub(crate) struct LintArgs {
    /// The list (CSV with comma, semicolon or tab); `-` reads standard input.
    file: PathBuf,
    /// The policy whose rules and strength floor it is held to.
    #[arg(long, value_name = "NAME", default_value = Policy::DEFAULT)]
    profile: String,
    /// The same units, generated a second time: whoever derives passwords gives the same again.
    #[arg(long, value_name = "FILE")]
    again: Option<PathBuf>,
    /// Show the passwords of the rows that are named as examples; they are masked otherwise.
    #[arg(long)]
    show_passwords: bool,
}

/// `provisioner lint ...`
pub(crate) fn run(args: &LintArgs, format: Format) -> Result<ExitCode> {
    let policy = Policy::named(&args.profile, None)?;
    let again = args.again.as_deref();
    if again == Some(args.file.as_path()) {
        bail!("--again takes a second list: the same units, generated once more");
    }
    let first = read(&args.file)?;
    let second = again.map(read).transpose()?;

    // Before the long part: a second list that cannot be used is told at once.
    let second = second
        .map(|second| {
            list::Pairing::of(&first.list, &second.list)
                .map(|pairing| (second, pairing))
                .with_context(|| format!("cannot hold the list against {}", shown(again)))
        })
        .transpose()?;

    let mut report = judge(&first.list, &policy)?;
    let mut challenged = false;
    if let Some((second, pairing)) = &second {
        let finding = list::again(&first.list, &second.list, pairing, report.bits);
        report.findings.push(finding);
        challenged = pairing.matched() == first.list.len();
    }
    report.findings.extend(breaches(&first.list, &policy));
    report.sort();

    let said = report::Said {
        name: shown(Some(&args.file)),
        read: &first,
        policy: &policy,
        report: &report,
        challenged,
        show_passwords: args.show_passwords,
    };
    print(format, &said.json(), || said.text())?;
    Ok(match report.verdict() {
        None => ExitCode::SUCCESS,
        Some(_) => ExitCode::from(FINDINGS),
    })
}

fn shown(file: Option<&Path>) -> String {
    match file {
        Some(file) if file != Path::new("-") => file.display().to_string(),
        _ => "standard input".to_owned(),
    }
}

/// Reads a list as it comes, without keeping its text.
fn read(file: &Path) -> Result<csv::Read> {
    let name = shown(Some(file));
    let unreadable = || format!("cannot read {name}");
    let (mut source, length): (Box<dyn Read>, u64) = if file == Path::new("-") {
        (Box::new(io::stdin().lock()), 0)
    } else {
        let open = File::open(file).with_context(unreadable)?;
        let length = open.metadata().with_context(unreadable)?.len();
        (Box::new(open), length)
    };
    let bar = bar(length, "reading")?;
    let mut reader = csv::Reader::new();
    let mut piece = Zeroizing::new(vec![0; PIECE]);
    loop {
        let taken = match source.read(&mut piece) {
            Ok(0) => break,
            Ok(taken) => taken,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error).with_context(unreadable),
        };
        bar.inc(taken as u64);
        reader.feed(&piece[..taken]).with_context(|| name.clone())?;
    }
    bar.finish_and_clear();
    let read = reader.finish().with_context(|| name.clone())?;
    if !read.ignored.is_empty() {
        say(&format!(
            "{name}: columns that are not looked at: {}",
            read.ignored.join(", ")
        ));
    }
    Ok(read)
}

fn judge(list: &List, policy: &Policy) -> Result<list::Report> {
    let system = SystemRandom::new();
    let mut failed = false;
    let mut random = |out: &mut [u8]| failed |= system.fill(out).is_err();
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let bar = bar(BAR, "testing")?;
    let report = list::audit(
        list,
        policy.floor_bits(),
        &mut random,
        threads,
        &|progress| {
            let Progress { done, of, at } = progress;
            bar.set_message(format!("testing ({at})"));
            bar.set_position(done as u64 * BAR / of.max(1) as u64);
        },
    );
    bar.finish_and_clear();
    if failed {
        bail!("the system gave no randomness for the control lists");
    }
    Ok(report)
}

/// A bar on a terminal, and nothing without one.
fn bar(length: u64, what: &'static str) -> Result<ProgressBar> {
    let bar = ProgressBar::new(length).with_message(what);
    bar.set_style(
        ProgressStyle::with_template("{spinner} {msg} [{bar:30}] {percent} %")?
            .progress_chars("=> "),
    );
    Ok(bar)
}

/// What the rule behind the policy asks of each password, gathered by what is amiss.
fn breaches(list: &List, policy: &Policy) -> Vec<Finding> {
    let mut kinds: Vec<(Breach, usize, Vec<usize>)> = vec![];
    for row in 0..list.len() {
        let Some(breach) = policy.breach(list.cell(Column::Password, row)) else {
            continue;
        };
        let place = kinds.iter().position(|(kind, ..)| *kind == breach);
        let place = place.unwrap_or_else(|| {
            kinds.push((breach, 0, vec![]));
            kinds.len() - 1
        });
        let (_, rows, examples) = &mut kinds[place];
        *rows += 1;
        if examples.len() < EXAMPLES {
            examples.push(row);
        }
    }
    let finding = |(breach, rows, examples): (Breach, usize, Vec<usize>)| Finding {
        severity: Severity::Policy,
        class: list::Class::Small,
        detector: "policy",
        clause: Clause::Guessable,
        rows,
        examples,
        evidence: format!(
            "{breach} in {rows} of {} rows; {} asks otherwise",
            list.len(),
            policy.source()
        ),
        chance_log10: 0.0,
    };
    kinds.into_iter().map(finding).collect()
}
