//! Recall of the list door over the corpus of its tests: which weak schemes it refuses at which
//! number of units, and whether it refuses a clean list.
//!
//! `cargo run --release -p guess --example recall -- [--seeds K] [--clean M] [--schemes FILTER]
//! [--n 10,30,100,300,1000] [--variants N] [--clean-rows N] [--seed N|os]`: K lists for each cell,
//! M clean lists of at most so many rows, only schemes whose id contains FILTER or whose class is
//! FILTER, those numbers of units, and variants with N units each (0: none). The seed replays all
//! of it; with `os` clean lists are drawn by the operating system's generator. Two lists at a time.

#![allow(clippy::print_stdout, reason = "tables are what it is for")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use guess::list::{Finding, Severity};

#[allow(dead_code, reason = "the test asserts more than this example prints")]
#[path = "../tests/corpus/mod.rs"]
mod corpus;

use corpus::clean::clean;
use corpus::judge::{FLOOR, Outcome, accusing, each, judge, outcome};
use corpus::lists::{Variant, weak};
use corpus::weak::{Scheme, schemes};

const THREADS: usize = 2;

/// Slowest audits that are named.
const SLOWEST: usize = 8;

struct Options {
    seeds: u64,
    clean: usize,
    clean_rows: usize,
    filter: String,
    units: Vec<usize>,
    variants: usize,
    /// `None`: clean lists are the operating system's, weak ones are of the first seed.
    seed: Option<u64>,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut options = Options {
            seeds: 1,
            clean: 150,
            clean_rows: 5_000,
            filter: String::new(),
            units: vec![10, 30, 100, 300, 1_000],
            variants: 300,
            seed: Some(0),
        };
        while let Some(name) = args.next() {
            let value = args.next().ok_or(format!("{name}: no value"))?;
            let number = || {
                value
                    .parse()
                    .map_err(|_| format!("{name} {value}: no number"))
            };
            match name.as_str() {
                "--seeds" => options.seeds = number()? as u64,
                "--clean" => options.clean = number()?,
                "--clean-rows" => options.clean_rows = number()?,
                "--variants" => options.variants = number()?,
                "--seed" if value == "os" => options.seed = None,
                "--seed" => options.seed = Some(number()? as u64),
                "--schemes" => options.filter = value,
                "--n" => {
                    let units: Result<_, _> = value.split(',').map(str::parse).collect();
                    options.units = units.map_err(|_| format!("--n {value}: no numbers"))?;
                }
                _ => return Err(format!("{name}: no such option")),
            }
        }
        Ok(options)
    }

    fn wants(&self, scheme: &Scheme) -> bool {
        scheme.id.contains(&self.filter) || self.filter == scheme.class().to_string()
    }
}

/// One weak list to audit.
struct Cell {
    scheme: &'static Scheme,
    units: usize,
    variant: Variant,
    seed: u64,
}

struct Judged {
    outcome: Outcome,
    detectors: Vec<&'static str>,
    withdrawn: usize,
    took: Duration,
}

fn main() -> Result<(), String> {
    let options = Options::parse(std::env::args().skip(1))?;
    let start = Instant::now();
    let cells = cells(&options);
    let judged = each(cells.len(), THREADS, |at| judged(&cells[at]));
    let lists: Vec<(&Cell, &Judged)> = cells.iter().zip(&judged).collect();
    let clean = options.seed.map(|seed| format!("seed {seed}"));
    println!(
        "weak lists: seed {}; clean lists: {}; floor {FLOOR} bits",
        options.seed.unwrap_or_default(),
        clean
            .as_deref()
            .unwrap_or("the operating system's generator")
    );
    if !lists.is_empty() {
        println!("R refused as expected, r refused otherwise, p policy, . missed");
        by_scheme(&options, &lists);
        by_class(&options, &lists);
        by_variant(&options, &lists);
    }
    let slow = lists.iter().map(|(cell, judged)| {
        let variant = cell.variant.name();
        (
            judged.took,
            format!("{} N={} {variant}", cell.scheme.id, cell.units),
        )
    });
    let mut slow: Vec<(Duration, String)> = slow.collect();
    slow.extend(clean_lists(&options));
    slow.sort_by_key(|(took, _)| std::cmp::Reverse(*took));
    println!("\nslowest audits");
    for (took, name) in slow.iter().take(SLOWEST) {
        println!("{:9.3} s  {name}", took.as_secs_f64());
    }
    let of_audits: Duration = slow.iter().map(|(took, _)| *took).sum();
    println!(
        "\n{} lists in {:.1} s, {:.1} s of it audits on {THREADS} threads",
        slow.len(),
        start.elapsed().as_secs_f64(),
        of_audits.as_secs_f64()
    );
    Ok(())
}

fn cells(options: &Options) -> Vec<Cell> {
    let mut cells = vec![];
    for scheme in schemes().filter(|scheme| options.wants(scheme)) {
        let first = options.seed.unwrap_or_default();
        for seed in first..first + options.seeds {
            let mut cell = |units, variant| {
                cells.push(Cell {
                    scheme,
                    units,
                    variant,
                    seed,
                });
            };
            for &units in &options.units {
                cell(units, Variant::Sequential);
                cell(units, Variant::Shuffled);
            }
            for variant in Variant::ALL {
                let ordered = matches!(variant, Variant::Sequential | Variant::Shuffled);
                let there = ordered && options.units.contains(&options.variants);
                if options.variants > 0 && !there {
                    cell(options.variants, variant);
                }
            }
        }
    }
    cells
}

fn judged(cell: &Cell) -> Judged {
    let list = weak(cell.scheme, cell.units, cell.variant, cell.seed);
    let start = Instant::now();
    let (outcome, reports) = outcome(&list, cell.scheme.classes, cell.seed);
    let findings = reports.iter().flat_map(|report| accusing(&report.findings));
    let mut detectors: Vec<&str> = findings.map(|it| it.detector).collect();
    detectors.sort_unstable();
    detectors.dedup();
    Judged {
        outcome,
        detectors,
        withdrawn: reports.iter().map(|report| report.withdrawn.len()).sum(),
        took: start.elapsed(),
    }
}

fn by_scheme(options: &Options, lists: &[(&Cell, &Judged)]) {
    let width = 2 * options.seeds as usize + 4;
    print!("\n{:26}", "scheme (in order, shuffled)");
    for units in &options.units {
        print!("{:>width$}", format!("N={units}"));
    }
    println!("  withdrawn, detectors");
    for scheme in schemes().filter(|scheme| options.wants(scheme)) {
        let unseeable = if scheme.seeable { ' ' } else { '*' };
        print!("{:4}{:22}{unseeable}", scheme.classes, scheme.id);
        let own = || lists.iter().filter(|(cell, _)| cell.scheme.id == scheme.id);
        for &units in &options.units {
            let letters = |variant| -> String {
                own()
                    .filter(|(cell, _)| cell.units == units && cell.variant == variant)
                    .map(|(_, judged)| judged.outcome.letter())
                    .collect()
            };
            let both = [Variant::Sequential, Variant::Shuffled]
                .map(letters)
                .join(" ");
            print!("{both:>width$}");
        }
        let withdrawn: usize = own().map(|(_, judged)| judged.withdrawn).sum();
        let mut detectors: BTreeMap<&str, usize> = BTreeMap::new();
        for detector in own().flat_map(|(_, judged)| &judged.detectors) {
            *detectors.entry(detector).or_default() += 1;
        }
        let detectors: Vec<String> = detectors
            .iter()
            .map(|(name, many)| format!("{name} {many}"))
            .collect();
        println!("  {withdrawn}, {}", detectors.join("; "));
    }
    println!("* no test of the output can see it; not counted below");
}

/// `named/refused/policy/lists` as shares.
fn share<'a>(outcomes: impl Iterator<Item = &'a Judged>) -> String {
    let outcomes: Vec<Outcome> = outcomes.map(|judged| judged.outcome).collect();
    if outcomes.is_empty() {
        return "-".to_owned();
    }
    let percent = |is: fn(Outcome) -> bool| {
        100.0 * outcomes.iter().filter(|it| is(**it)).count() as f64 / outcomes.len() as f64
    };
    format!(
        "{:3.0} {:3.0} {:3.0}",
        percent(|it| it == Outcome::Named),
        percent(Outcome::is_refused),
        percent(|it| it <= Outcome::Policy)
    )
}

fn by_class(options: &Options, lists: &[(&Cell, &Judged)]) {
    println!("\n% refused as expected, refused, refused or policy (in order and shuffled)");
    print!("{:8}", "class");
    for units in &options.units {
        print!("{:>14}", format!("N={units}"));
    }
    println!("{:>14}", "all");
    let counted = || {
        lists.iter().filter(|(cell, _)| {
            cell.scheme.seeable && matches!(cell.variant, Variant::Sequential | Variant::Shuffled)
        })
    };
    for class in "ABCDEF*".chars() {
        print!(
            "{:8}",
            if class == '*' {
                "all".to_owned()
            } else {
                class.to_string()
            }
        );
        let own = || counted().filter(|(cell, _)| class == '*' || cell.scheme.class() == class);
        for &units in &options.units {
            let of_size = own().filter(|(cell, _)| cell.units == units);
            print!("{:>14}", share(of_size.map(|(_, judged)| *judged)));
        }
        let all = own().filter(|(cell, _)| options.units.contains(&cell.units));
        println!("{:>14}", share(all.map(|(_, judged)| *judged)));
    }
}

fn by_variant(options: &Options, lists: &[(&Cell, &Judged)]) {
    if options.variants == 0 {
        return;
    }
    println!("\n% as above, variants at N={}", options.variants);
    print!("{:16}", "variant");
    for class in "ABCDEF".chars() {
        print!("{class:>14}");
    }
    println!("{:>14}", "all");
    for variant in Variant::ALL {
        print!("{:16}", variant.name());
        for class in "ABCDEF*".chars() {
            let own = lists.iter().filter(|(cell, _)| {
                cell.scheme.seeable
                    && cell.variant == variant
                    && cell.units == options.variants
                    && (class == '*' || cell.scheme.class() == class)
            });
            print!("{:>14}", share(own.map(|(_, judged)| *judged)));
        }
        println!();
    }
}

/// Audits the clean lists; how long each took, and its name.
fn clean_lists(options: &Options) -> Vec<(Duration, String)> {
    let judged = each(options.clean, THREADS, |at| {
        let (name, format, list) = clean(options.seed, at, options.clean_rows);
        let start = Instant::now();
        (name, format, judge(&list, at as u64), start.elapsed())
    });
    println!("\nclean lists: format, lists, refused, with findings withdrawn, under the floor");
    let mut table: BTreeMap<&str, [usize; 4]> = BTreeMap::new();
    for (name, format, report, _) in &judged {
        let under = |it: &Finding| it.severity == Severity::Policy;
        let facts = [
            true,
            accusing(&report.findings).next().is_some(),
            !report.withdrawn.is_empty(),
            report.findings.iter().any(under),
        ];
        let totals = table.entry(format).or_default();
        for (total, fact) in totals.iter_mut().zip(facts) {
            *total += usize::from(fact);
        }
        for finding in accusing(&report.findings) {
            let chance = finding.chance_log10;
            println!(
                "REFUSED {name}: {}: {} (10^{chance:.1})",
                finding.detector, finding.evidence
            );
        }
        for withdrawn in &report.withdrawn {
            let finding = &withdrawn.finding;
            println!(
                "withdrawn {name}: {}: {}",
                finding.detector, finding.evidence
            );
        }
    }
    let mut all = [0; 4];
    for (format, totals) in &table {
        let [lists, refused, withdrawn, under] = totals;
        println!("{format:24}{lists:6}{refused:6}{withdrawn:6}{under:6}");
        for (sum, total) in all.iter_mut().zip(totals) {
            *sum += total;
        }
    }
    println!(
        "{:24}{:6}{:6}{:6}{:6}",
        "all", all[0], all[1], all[2], all[3]
    );
    judged
        .into_iter()
        .map(|(name, _, _, took)| (took, name))
        .collect()
}
