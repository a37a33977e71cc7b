//! One order as QA asks about it: the count, and what the entries say of how it came about.
//!
//! The count is the order's row; everything else is told by the entries themselves, read from the
//! one that created the order to the last one that touched it: an order costs what it is long, not
//! what the log is. Whether they are as they were written is for `audit verify`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Result, bail};
use ledger::OrderRow;
use serde_json::{Value, json};
use traveler::{Entry, Event, LeaseStep, Leased, OrderId, Serial, State, Timestamp, VoidCause};

mod tally;

use self::tally::{Stopped, Tally, count_reason, counts};
use super::reader;
use crate::cli::{Format, print};
use crate::figures::{order_json, order_line, order_record};
use crate::site::Site;

/// `provisioner audit order`
pub(super) fn run(site: &Site, id: &OrderId, format: Format) -> Result<()> {
    let reader = reader(site)?;
    let Some(row) = reader.order(id)? else {
        bail!("there is no order {id} here: check it, or name the server with --data");
    };
    let mut story = Story::default();
    // An entry is JSON as this software writes it, and an order's name needs no escapes in it.
    let own = format!("\"order\":\"{id}\"");
    // A load changes no count, so the row of an order with units under way may be behind it.
    let to = match row.open {
        0 => row.seq + 1,
        _ => reader.size()?,
    };
    let from = reader.last_entry(to, &mut |bytes| {
        let text = String::from_utf8_lossy(bytes);
        text.contains("\"kind\":\"order_created\"") && text.contains(&own)
    })?;
    let mut unreadable = None;
    reader.entries_within((from.unwrap_or(0), to), &mut |seq, bytes| {
        let text = String::from_utf8_lossy(bytes);
        if !text.contains(&own) && !text.contains("\"kind\":\"line_") {
            return;
        }
        match Entry::from_bytes(bytes) {
            Ok(entry) => story.tell(id, &entry),
            Err(_) => unreadable = unreadable.or(Some(seq)),
        }
    })?;
    // The line may have been resumed after the order ended.
    for seq in reader.stops()?.iter().filter_map(|stop| stop.resumed_seq) {
        if let Some(bytes) = reader.entry(seq)?.filter(|_| seq >= to) {
            story.tell(id, &Entry::from_bytes(&bytes)?);
        }
    }
    if let Some(seq) = unreadable {
        bail!("entry {seq} cannot be read: run `provisioner audit verify`");
    }
    let product_sha256 = row.product_sha256.to_string();
    let record = order_record((row.clone(), reader.lease_count(id)?));
    let mut fact = order_json(&record);
    if let (Some(fact), Value::Object(more)) = (fact.as_object_mut(), story.json(&product_sha256)) {
        fact.extend(more);
    }
    print(format, &fact, || order_line(&record) + &story.text(&row))
}

/// What the entries say of one order.
#[derive(Default)]
struct Story {
    created: bool,
    closed: bool,
    first: Option<(u64, Timestamp)>,
    last: Option<(u64, Timestamp)>,
    /// How often each unit was begun.
    tries: HashMap<Serial, u32>,
    leases: u64,
    spent: u64,
    /// Why leases ended without a unit.
    returns: BTreeMap<&'static str, u64>,
    sealed_at_first: u64,
    voids: BTreeMap<&'static str, u64>,
    scraps: BTreeMap<String, u64>,
    reworks: BTreeMap<String, u64>,
    reprints: BTreeMap<String, u64>,
    reprinted: u64,
    stations: BTreeMap<String, Tally>,
    operators: BTreeMap<String, Tally>,
    policies: BTreeSet<String>,
    redraws: u64,
    simulated: u64,
    stops: Vec<Stopped>,
}

impl Story {
    fn tell(&mut self, id: &OrderId, entry: &Entry) {
        match entry.event.happened() {
            Event::OrderCreated { order, .. } if order == id => self.created = true,
            Event::OrderClosed { order, .. } if order == id => self.closed = true,
            Event::LineStopped {
                order,
                clause,
                detector,
                evidence,
                ..
            } => {
                // It stops every order; those that were not open it never touched.
                if self.created && !self.closed {
                    self.stops.push(Stopped {
                        seq: entry.seq,
                        time: entry.time,
                        order: order.to_string(),
                        clause: clause.clone(),
                        detector: detector.clone(),
                        evidence: evidence.clone(),
                        resumed: None,
                    });
                }
                return;
            }
            Event::LineResumed {
                stopped_seq,
                reason,
                by,
            } => {
                let stop = self.stops.iter_mut().find(|stop| stop.seq == *stopped_seq);
                if let Some(stop) = stop {
                    stop.resumed = Some((entry.seq, entry.time, by.clone(), reason.clone()));
                }
                return;
            }
            Event::Leased(leased) if leased.lease.order == *id => self.leased(leased),
            Event::LeaseVoided { lease, cause } if lease.order == *id => {
                self.returned(lease, *cause);
            }
            event => match event.step() {
                Some((step, state)) if step.order == *id => {
                    self.step(&step.serial, state, event);
                    let operator = step.operator.as_ref().map(ToString::to_string);
                    let station = self.stations.entry(step.station.to_string());
                    station.or_default().count(event, state);
                    if let Some(operator) = operator {
                        let operator = self.operators.entry(operator);
                        operator.or_default().count(event, state);
                    }
                }
                _ => return,
            },
        }
        self.first = self.first.or(Some((entry.seq, entry.time)));
        self.last = Some((entry.seq, entry.time));
        self.simulated += u64::from(entry.simulated_hsm);
    }

    fn leased(&mut self, leased: &Leased) {
        self.leases += 1;
        self.policies.insert(leased.policy_sha256.to_string());
        self.redraws += u64::from(leased.gate.redraws);
        self.tallies(&leased.lease, |tally| tally.leased += 1);
    }

    fn returned(&mut self, lease: &LeaseStep, cause: VoidCause) {
        *self.returns.entry(cause.as_str()).or_default() += 1;
        self.tallies(lease, |tally| tally.returned += 1);
    }

    fn tallies(&mut self, lease: &LeaseStep, count: impl Fn(&mut Tally)) {
        count(self.stations.entry(lease.station.to_string()).or_default());
        if let Some(operator) = &lease.operator {
            count(self.operators.entry(operator.to_string()).or_default());
        }
    }

    fn step(&mut self, serial: &Serial, state: State, event: &Event) {
        match event {
            Event::Issued(issued) => {
                *self.tries.entry(serial.clone()).or_default() += 1;
                self.policies.insert(issued.policy_sha256.to_string());
                self.redraws += u64::from(issued.gate.redraws);
            }
            Event::Spent(_) => {
                *self.tries.entry(serial.clone()).or_default() += 1;
                self.spent += 1;
            }
            Event::Voided { cause, .. } => *self.voids.entry(cause.as_str()).or_default() += 1,
            Event::Scrapped { reason, .. } => count_reason(&mut self.scraps, reason),
            Event::Rework { reason, .. } => count_reason(&mut self.reworks, reason),
            Event::Reprinted { reason, .. } => {
                self.reprinted += 1;
                count_reason(&mut self.reprints, reason);
            }
            _ => {}
        }
        // A lease that came back was no try at a unit, nor is what another order did with it.
        if state == State::Sealed && self.tries.get(serial) == Some(&1) {
            self.sealed_at_first += 1;
        }
    }

    /// Units sealed at their first try in this order, of units started, as a share; none before the first.
    fn first_pass(&self) -> Option<f64> {
        let started = self.tries.len();
        (started > 0).then(|| self.sealed_at_first as f64 / started as f64)
    }

    fn json(&self, product_sha256: &str) -> Value {
        let place = |place: &Option<(u64, Timestamp)>| {
            place.map(|(seq, time)| json!({ "seq": seq, "time": time }))
        };
        let tallies = |tallies: &BTreeMap<String, Tally>| -> Value {
            let one = |(name, tally): (&String, &Tally)| (name.clone(), tally.json());
            Value::Object(tallies.iter().map(one).collect())
        };
        json!({
            "product_sha256": product_sha256,
            "policy_sha256": self.policies,
            "first_pass": {
                "sealed_at_attempt_1": self.sealed_at_first,
                "units_started": self.tries.len(),
                "yield": self.first_pass(),
            },
            "void_causes": self.voids,
            "leases": {
                "leased": self.leases,
                "spent": self.spent,
                "returned_causes": self.returns,
            },
            "scrap_reasons": self.scraps,
            "rework_reasons": self.reworks,
            "reprints": self.reprinted,
            "reprint_reasons": self.reprints,
            "redraws": self.redraws,
            "first_entry": place(&self.first),
            "last_entry": place(&self.last),
            "stations": tallies(&self.stations),
            "operators": tallies(&self.operators),
            "line_stops": self.stops.iter().map(Stopped::json).collect::<Vec<_>>(),
            "entries_under_a_simulated_hsm": self.simulated,
        })
    }

    fn text(&self, row: &OrderRow) -> String {
        let mut text = String::new();
        let mut line = |name: &str, words: String| {
            text.push_str(&format!("  {name:<12}{words}\n"));
        };
        let (first, started) = (self.sealed_at_first, self.tries.len());
        line(
            "first pass",
            match self.first_pass() {
                Some(share) => format!(
                    "{:.1} %: {first} of {started} units started were sealed at the first try",
                    100.0 * share
                ),
                None => "no unit was started yet".to_owned(),
            },
        );
        let spent = u64::from(row.voided) + u64::from(row.reworked);
        let causes = counts(self.voids.iter().map(|(cause, count)| (*cause, *count)));
        line("voids", format!("{}{causes}", row.voided));
        if self.leases > 0 {
            let causes = counts(self.returns.iter().map(|(cause, count)| (*cause, *count)));
            let returned: u64 = self.returns.values().sum();
            let (leased, spent) = (self.leases, self.spent);
            line(
                "leases",
                format!("{leased}, spent on units {spent}, ended without one {returned}{causes}"),
            );
        }
        let reasons = |map: &BTreeMap<String, u64>| {
            counts(map.iter().map(|(reason, count)| (reason.as_str(), *count)))
        };
        line(
            "scrapped",
            format!("{}{}", row.scrapped, reasons(&self.scraps)),
        );
        line(
            "reworked",
            format!("{}{}", row.reworked, reasons(&self.reworks)),
        );
        let why = reasons(&self.reprints);
        line("reprints", format!("{}{why}", self.reprinted));
        line(
            "allowance",
            format!("{spent} of {} spent on voids and reworks", row.allowance),
        );
        if let (Some((from, begun)), Some((to, ended))) = (self.first, self.last) {
            line(
                "time",
                format!("{begun} to {ended}, entries {from} to {to}"),
            );
        }
        for (station, tally) in &self.stations {
            line("station", format!("{station}: {}", tally.text()));
        }
        for (operator, tally) in &self.operators {
            line("operator", format!("{operator}: {}", tally.text()));
        }
        for stop in &self.stops {
            line("line stop", stop.text());
        }
        line("product", format!("sha256 {}", row.product_sha256));
        for policy in &self.policies {
            line("policy", format!("sha256 {policy}"));
        }
        if self.simulated > 0 {
            line(
                "keys",
                format!("a simulated HSM in {} entries", self.simulated),
            );
        }
        text
    }
}
