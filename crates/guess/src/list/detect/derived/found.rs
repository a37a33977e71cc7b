//! Makes findings of the alignments that stand out, and says them in words.

use super::password::Reading;
use super::scan::Line;
use super::weigh::{Beside, Desk, REFUSED, ROWS, Scales, Weighed};
use crate::Clause;
use crate::list::report::{Class, Finding, Severity};
use crate::list::table::{Table, spread};

/// Findings of one detector; a list of two schemes shows two, and a password of two parts as well.
const FINDINGS: usize = 4;

/// Rows that a finding names.
const EXAMPLES: usize = 5;

/// Bits of a password beside a public fact in it, from which on it is a matter of taste.
const FREE_BITS: f64 = 60.0;

/// What a text is, in words.
pub(super) struct Named {
    /// For example `MAC in decimal`.
    pub(super) what: String,
    pub(super) clause: Clause,
    pub(super) class: Class,
    pub(super) detector: &'static str,
}

/// The findings behind some alignments, the most telling first.
pub(super) fn findings(
    scales: &Scales<'_, '_>,
    lines: &[Line],
    name: &dyn Fn(u32) -> Named,
) -> Vec<Finding> {
    let all = scales.table.len();
    let count = all.min(ROWS);
    let rows: Vec<usize> = spread(all, ROWS, scales.table.seed()).collect();
    let mut explained = vec![0u64; count];
    let mut lines = lines.to_vec();
    let mut findings = vec![];
    while findings.len() < FINDINGS {
        let weighed: Vec<Weighed> = lines
            .iter()
            .filter_map(|line| scales.weigh(*line, &rows, &explained))
            .filter(|weighed| weighed.chance < REFUSED)
            .collect();
        let Some(best) = weighed.iter().min_by(|a, b| a.chance.total_cmp(&b.chance)) else {
            break;
        };
        for (explained, more) in explained.iter_mut().zip(&best.explains) {
            *explained |= more;
        }
        findings.push(finding(scales, best, name(best.line.text)));
        lines = weighed.iter().map(|weighed| weighed.line).collect();
    }
    findings
}

fn finding(scales: &Scales<'_, '_>, best: &Weighed, named: Named) -> Finding {
    let table: &Table<'_> = scales.table;
    let mut desk = Desk::default();
    let (mut rows, mut examples) = (0, vec![]);
    for row in 0..table.len() {
        if scales.shows(best, row, &mut desk) {
            rows += 1;
            if examples.len() < EXAMPLES {
                examples.push(row);
            }
        }
    }
    let shown = examples.first().map_or(0, |&row| row);
    let beside = scales.beside(best.line, shown, &mut desk);
    let password = part_of_password(&beside, best, table.password(shown));
    let text = part_of_text(&beside, best.window);
    let backwards = match best.line.reading {
        Reading::Backward => ", reversed",
        _ => "",
    };
    let slip = match best.line.slip {
        1 => ", of the row below",
        -1 => ", of the row above",
        _ => "",
    };
    let rest = rest(scales, &beside, best, shown);
    let free = beside.filled.count_ones() - best.window.count_ones();
    let free = f64::from(free) * -scales.ground.alike(best.line.reading).log2();
    // A brand before a random password is poor style; the random part must carry it alone.
    let public = named.clause == Clause::Public;
    let severity = match public && (free >= FREE_BITS || best.is_constant) {
        true => Severity::Note,
        false => Severity::Refused,
    };
    Finding {
        severity,
        class: named.class,
        detector: named.detector,
        clause: named.clause,
        rows,
        examples: examples.iter().map(|&row| table.number(row)).collect(),
        evidence: format!(
            "{password} = {text}{}{backwards}{slip}, in {rows} of {} rows{rest}",
            named.what,
            table.len()
        ),
        chance_log10: best.chance * std::f64::consts::LOG10_2,
    }
}

/// Which part of the password is explained.
fn part_of_password(beside: &Beside, best: &Weighed, password: &[u8]) -> String {
    let every = match best.line.reading {
        Reading::Odd => " at odd places",
        Reading::Even => " at even places",
        _ => "",
    };
    let symbols = best.window.count_ones();
    if best.window == beside.filled {
        return match every {
            "" => "password".to_owned(),
            every => format!("all symbols{every} of the password"),
        };
    }
    let written = beside.written(best.window);
    let (first, last) = (written.trailing_zeros(), 63 - written.leading_zeros());
    let length = password.len().min(64) as u32;
    if first == 0 {
        format!("first {symbols} symbols{every} of the password")
    } else if last + 1 == length {
        format!("last {symbols} symbols{every} of the password")
    } else {
        format!(
            "{symbols} symbols{every} of the password, from place {}",
            first + 1
        )
    }
}

/// Which part of the text it is.
fn part_of_text(beside: &Beside, window: u64) -> String {
    let places = beside.in_text(window);
    let length = places.len();
    if length == beside.text_length {
        String::new()
    } else if places.end == beside.text_length {
        format!("last {length} of ")
    } else if places.start == 0 {
        format!("first {length} of ")
    } else {
        format!("places {} to {} of ", places.start + 1, places.end)
    }
}

/// What is to be said of the rest of the password.
fn rest(scales: &Scales<'_, '_>, beside: &Beside, best: &Weighed, row: usize) -> &'static str {
    if best.window == beside.filled {
        return "";
    }
    let password = scales.table.password(row);
    let left = beside.written(beside.filled & !best.window);
    let constant = (0..64)
        .filter(|place| left >> place & 1 == 1)
        .all(|place| scales.ground.is_constant(password, place));
    match constant {
        true => "; the rest is the same in every row",
        false => "",
    }
}
