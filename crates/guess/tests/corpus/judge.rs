//! Audits of many lists, a few at a time, and what each came to.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use guess::Clause;
use guess::list::{Finding, List, Report, Severity, audit, audit_by};

use super::draw::Rng;

/// Bits under which a list is a matter of policy.
pub(crate) const FLOOR: u32 = 48;

/// What an audit of a weak list came to, the best first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Outcome {
    /// Refused, and a finding is of a class that describes the scheme.
    Named,
    /// Refused for something else.
    Refused,
    Policy,
    Missed,
}

impl Outcome {
    pub(crate) fn of(report: &Report, classes: &str) -> Outcome {
        let mut structure = accusing(&report.findings).peekable();
        match report.verdict() {
            _ if structure.peek().is_some() => {
                match structure.any(|finding| classes.contains(finding.class.letter())) {
                    true => Outcome::Named,
                    false => Outcome::Refused,
                }
            }
            Some(_) => Outcome::Policy,
            None => Outcome::Missed,
        }
    }

    pub(crate) fn letter(self) -> char {
        match self {
            Outcome::Named => 'R',
            Outcome::Refused => 'r',
            Outcome::Policy => 'p',
            Outcome::Missed => '.',
        }
    }

    pub(crate) fn is_refused(self) -> bool {
        self <= Outcome::Refused
    }
}

/// What says how the passwords were made. Two units that got one password by chance are refused as
/// well, and that says nothing of it.
pub(crate) fn accusing(findings: &[Finding]) -> impl Iterator<Item = &Finding> {
    findings.iter().filter(|it| {
        let by_chance = it.clause == Clause::Unique && it.chance_log10 > -9.0;
        it.severity == Severity::Refused && !by_chance
    })
}

/// The detectors that search for seconds; any other comes before them.
const SEARCHES: &[&str] = &[
    "unkeyed hash",
    "generator seeded by an identifier",
    "congruential generator",
    "generator with few seeds",
    "generator seeded by the clock",
];

/// What [`judge`] would come to, a few detectors at a time: once one names the scheme, no other can
/// take that back.
pub(crate) fn outcome(list: &List, classes: &str, seed: u64) -> (Outcome, Vec<Report>) {
    let mut rng = Rng::new(&format!("controls {seed}"));
    let mut reports = vec![];
    let mut best = Outcome::Missed;
    for turn in 0..=SEARCHES.len() {
        let wanted = |name: &str| match turn {
            0 => !SEARCHES.contains(&name),
            turn => name == SEARCHES[turn - 1],
        };
        let report = audit_by(&wanted, list, FLOOR, &mut |bytes| rng.fill(bytes));
        best = best.min(Outcome::of(&report, classes));
        reports.push(report);
        if best == Outcome::Named {
            break;
        }
    }
    (best, reports)
}

pub(crate) fn judge(list: &List, seed: u64) -> Report {
    let mut rng = Rng::new(&format!("controls {seed}"));
    audit(list, FLOOR, &mut |bytes| rng.fill(bytes), 1, &|_| ())
}

/// `work` on every number under `many`, `threads` at once; answers in order.
pub(crate) fn each<R: Send>(
    many: usize,
    threads: usize,
    work: impl Fn(usize) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let answers = Mutex::new(vec![]);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let item = next.fetch_add(1, Ordering::Relaxed);
                    if item >= many {
                        break;
                    }
                    let answer = work(item);
                    answers
                        .lock()
                        .expect("no audit panics")
                        .push((item, answer));
                }
            });
        }
    });
    let mut answers = answers.into_inner().expect("no audit panics");
    answers.sort_by_key(|(item, _)| *item);
    answers.into_iter().map(|(_, answer)| answer).collect()
}
