//! Runs the detectors, and holds what they find against control lists before it is said.
//!
//! A finding that random passwords of the same shape show as well, or that survives shuffling the
//! passwords over the units though it names the unit, is no finding: it is withdrawn, and said to
//! be.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::detect::{Detector, Link, all, small};
use super::report::{Class, Finding, Report, Severity, Withdrawn};
use super::shape::Shape;
use super::table::Table;
use super::{Cells, List};
use crate::Clause;

/// Control lists for each detector that found something.
const CONTROLS: usize = 20;

/// Shuffled lists for each detector whose finding hangs on the unit.
const SHUFFLES: usize = 4;

/// Rows under which a shuffle leaves too many passwords where they were to say anything.
const SHUFFLED_ROWS: usize = 8;

/// Rows of a control list; thresholds are for any number of rows, so fewer serve as well.
const CONTROL_ROWS: usize = 5_000;

/// How far an audit is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Looks taken.
    pub done: usize,
    /// Looks to take, as far as is known now.
    pub of: usize,
}

/// Judges a list. `floor_bits` is the strength under which a list is a [`Severity::Policy`]
/// finding; `random` fills with random bytes for the controls; `threads` detectors look at once.
pub fn audit(
    list: &List,
    floor_bits: u32,
    random: &mut dyn FnMut(&mut [u8]),
    threads: usize,
    progress: &(dyn Fn(Progress) + Sync),
) -> Report {
    let table = Table::whole(list);
    let detectors = all();
    let done = AtomicUsize::new(0);
    let found = in_parallel(&detectors, threads, |detector| {
        let found = (detector.look)(&table);
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        let of = detectors.len();
        progress(Progress { done, of });
        found
    });

    // Controls are drawn before the threads start: randomness is the caller's, one at a time.
    let suspects: Vec<(Detector, Vec<Finding>)> = detectors
        .iter()
        .copied()
        .zip(found)
        .filter(|(_, found)| !found.is_empty())
        .collect();
    let controls = match suspects.is_empty() {
        true => Controls::default(),
        false => Controls::draw(&table, random),
    };
    let of = detectors.len() + suspects.len();
    let judged = in_parallel(&suspects, threads, |(detector, _)| {
        let because = controls.speak_against(detector);
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        progress(Progress { done, of });
        because
    });

    let (mut findings, mut withdrawn) = (vec![], vec![]);
    for ((_, found), because) in suspects.into_iter().zip(judged) {
        for finding in found {
            match because {
                Some(because) if finding.severity == Severity::Refused => {
                    withdrawn.push(Withdrawn { finding, because });
                }
                _ => findings.push(finding),
            }
        }
    }
    let bits = small::bits(&table);
    if !list.is_empty() && bits < f64::from(floor_bits) {
        findings.push(under_floor(list.len(), bits, floor_bits));
    }
    findings.sort_by(|a, b| {
        let chance = a.chance_log10.total_cmp(&b.chance_log10);
        b.severity.cmp(&a.severity).then(chance)
    });
    Report {
        rows: list.len(),
        bits,
        findings,
        withdrawn,
    }
}

fn under_floor(rows: usize, bits: f64, floor_bits: u32) -> Finding {
    Finding {
        severity: Severity::Policy,
        class: Class::Small,
        detector: "strength",
        clause: Clause::Guessable,
        rows,
        examples: vec![],
        evidence: format!("at most {bits:.1} bits each, under the floor of {floor_bits}"),
        chance_log10: 0.0,
    }
}

/// Lists on which a detector must be silent.
#[derive(Default)]
struct Controls<'a> {
    random: Vec<Table<'a>>,
    shuffled: Vec<Table<'a>>,
}

impl<'a> Controls<'a> {
    fn draw(table: &Table<'a>, random: &mut dyn FnMut(&mut [u8])) -> Controls<'a> {
        let table = table.sample(CONTROL_ROWS);
        let shape = Shape::of(&table);
        Controls {
            random: (0..CONTROLS)
                .map(|_| table.with_passwords(drawn(&table, &shape, random)))
                .collect(),
            shuffled: (0..SHUFFLES)
                .filter(|_| table.len() >= SHUFFLED_ROWS)
                .map(|_| table.with_order(&shuffled(table.len(), random)))
                .collect(),
        }
    }

    fn speak_against(&self, detector: &Detector) -> Option<&'static str> {
        let refused = |table: &Table<'_>| {
            let mut found = (detector.look)(table).into_iter();
            found.any(|finding| finding.severity == Severity::Refused)
        };
        if self.random.iter().any(refused) {
            return Some("random passwords of the same shape show it as well");
        }
        if detector.hangs_on == Link::Units && self.shuffled.iter().any(refused) {
            return Some("it is still there when the passwords are shuffled over the units");
        }
        None
    }
}

/// Random passwords of the table's shape: every symbol is drawn anew from the alphabet, separators
/// and lengths stay.
fn drawn(table: &Table<'_>, shape: &Shape, random: &mut dyn FnMut(&mut [u8])) -> Cells {
    let mut cells = Cells::default();
    for row in 0..table.len() {
        let own = table.password(row);
        let mut password = Vec::with_capacity(own.len());
        for (place, &byte) in own.iter().enumerate() {
            if own.len() == shape.length && shape.separators.contains(&place) {
                password.push(byte);
            } else {
                password.push(shape.alphabet[below(shape.alphabet.len(), random)]);
            }
        }
        cells.push(&password);
    }
    cells
}

/// A permutation (Fisher and Yates), in which no unit keeps its own password or a neighbour's: one
/// row alone may prove that a list is derived, and columns may have slipped by a row.
fn shuffled(rows: usize, random: &mut dyn FnMut(&mut [u8])) -> Vec<u32> {
    let mut order: Vec<u32> = (0..rows as u32).collect();
    for last in (1..rows).rev() {
        order.swap(last, below(last + 1, random));
    }
    let near = |row: usize, password: u32| row.abs_diff(password as usize) < 2;
    for row in 0..rows {
        // Few are near, and for each nearly every row will do to change with.
        for _ in 0..100 {
            if !near(row, order[row]) {
                break;
            }
            let other = below(rows, random);
            if !near(other, order[row]) && !near(row, order[other]) {
                order.swap(row, other);
            }
        }
    }
    order
}

/// A number under `bound`, by rejection; `bound` is not 0.
fn below(bound: usize, random: &mut dyn FnMut(&mut [u8])) -> usize {
    let bound = bound as u64;
    let fair = u64::MAX - u64::MAX % bound;
    loop {
        let mut bytes = [0; 8];
        random(&mut bytes);
        let value = u64::from_le_bytes(bytes);
        if value < fair {
            return (value % bound) as usize;
        }
    }
}

/// `work` on every item, several at once; answers in the items' order.
fn in_parallel<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let answers: Mutex<Vec<(usize, R)>> = Mutex::new(Vec::with_capacity(items.len()));
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, 64) {
            scope.spawn(|| {
                loop {
                    let item = next.fetch_add(1, Ordering::Relaxed);
                    let Some(given) = items.get(item) else { break };
                    let answer = work(given);
                    let mut answers = answers.lock().unwrap_or_else(|e| e.into_inner());
                    answers.push((item, answer));
                }
            });
        }
    });
    let mut answers = answers.into_inner().unwrap_or_else(|e| e.into_inner());
    answers.sort_by_key(|(item, _)| *item);
    answers.into_iter().map(|(_, answer)| answer).collect()
}
