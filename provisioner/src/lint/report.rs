//! How a verdict on a list is said: to a person, verdict first; to a script, as one object.

use credential::Policy;
use guess::Clause;
use guess::csv::Read;
use guess::list::{Column, Finding, Report, Severity, UNSEEN};
use serde_json::{Value, json};

/// In the name of a column these mean that it may hold what should be judged.
const SECRET: [&str; 6] = ["pass", "pwd", "psk", "key", "pin", "secret"];

/// Example rows shown with each finding.
const SHOWN: usize = 3;

/// All that is said of one list.
pub(super) struct Said<'a> {
    pub(super) name: String,
    pub(super) read: &'a Read,
    pub(super) policy: &'a Policy,
    pub(super) report: &'a Report,
    /// Whether a second generation was held against it.
    pub(super) challenged: bool,
    pub(super) show_passwords: bool,
}

impl Said<'_> {
    pub(super) fn json(&self) -> Value {
        let columns: Vec<&str> = self.read.columns.iter().map(|it| it.name()).collect();
        let withdrawn = self.report.withdrawn.iter().map(|withdrawn| {
            let mut finding = self.finding(&withdrawn.finding);
            finding["because"] = withdrawn.because.into();
            finding
        });
        json!({
            "rows": self.report.rows,
            "units": self.report.units,
            "passwords": self.report.passwords,
            "columns": columns,
            "ignored": self.read.ignored,
            "verdict": word(self.report.verdict()),
            "detectors": guess::DETECTORS,
            "profile": self.policy.name(),
            "profile_sha256": self.policy.hash().to_string(),
            "bits": round(self.report.bits),
            "floor_bits": self.policy.floor_bits(),
            "findings": self.report.findings.iter().map(|it| self.finding(it)).collect::<Vec<_>>(),
            "withdrawn": withdrawn.collect::<Vec<_>>(),
            "unseen": self.unseen(),
        })
    }

    fn finding(&self, finding: &Finding) -> Value {
        let lines: Vec<u64> = finding
            .examples
            .iter()
            .map(|&row| self.read.lines[row])
            .collect();
        json!({
            "verdict": verdict(finding.severity),
            "class": finding.class.letter().to_string(),
            "detector": finding.detector,
            "clause": finding.clause.to_string(),
            "rows": finding.rows,
            "lines": lines,
            "evidence": finding.evidence,
            "chance": chance(finding.chance_log10),
        })
    }

    pub(super) fn text(&self) -> String {
        let report = self.report;
        let mut text = format!(
            "{:<8}  {}: {}\n",
            word(report.verdict()).to_uppercase(),
            self.name,
            self.headline()
        );
        for clause in [
            Clause::Unique,
            Clause::Counter,
            Clause::Public,
            Clause::Identifier,
            Clause::Guessable,
        ] {
            let of_clause = |it: &&Finding| it.severity == Severity::Refused && it.clause == clause;
            let findings: Vec<&Finding> = report.findings.iter().filter(of_clause).collect();
            if !findings.is_empty() {
                text.push_str(&format!("\n{clause}  {}\n", limb(clause)));
                for (at, finding) in findings.iter().enumerate() {
                    text.push_str(&self.told(finding));
                    // One finding's rows are enough for a person to look them up.
                    if at == 0 {
                        text.push_str(&self.examples(finding));
                    }
                }
            }
        }
        self.strength(&mut text);
        let notes = report
            .findings
            .iter()
            .filter(|it| it.severity == Severity::Note);
        let mut notes = notes.peekable();
        if notes.peek().is_some() {
            text.push_str("\nNoted, nothing to mend\n");
            notes.for_each(|it| text.push_str(&format!("  {}\n", it.evidence)));
        }
        if !report.withdrawn.is_empty() {
            text.push_str("\nFound and withdrawn, because control lists spoke against it\n");
            for withdrawn in &report.withdrawn {
                let evidence = &withdrawn.finding.evidence;
                text.push_str(&format!("  {evidence}: {}\n", withdrawn.because));
            }
        }
        text.push_str("\nWhat no look at a list can see\n");
        for unseen in self.unseen() {
            text.push_str(&wrapped(&unseen));
        }
        text
    }

    fn headline(&self) -> String {
        let Report {
            rows,
            units,
            passwords,
            ..
        } = self.report;
        let of = match (rows == units, units == passwords) {
            (true, true) => format!("{rows} units, each with its own password"),
            (true, false) => format!("{units} units, {passwords} different passwords"),
            (false, _) => format!("{rows} rows, {units} units, {passwords} different passwords"),
        };
        match self.report.verdict() {
            Some(Severity::Refused) => format!(
                "{of}. Not to be shipped: S.I. 2023/1007 Schedule 1 paragraph 1 forbids what was found"
            ),
            Some(_) => format!(
                "{of}. No scheme was found, but they are less than {} asks",
                self.policy.name()
            ),
            None if !self.report.withdrawn.is_empty() => {
                format!("{of}. What was found had to be withdrawn: read why")
            }
            None => format!("{of}. Nothing found by which they could be guessed"),
        }
    }

    fn told(&self, finding: &Finding) -> String {
        let mut text = format!(
            "  {} {:<22} {}\n",
            finding.class.letter(),
            finding.detector,
            finding.evidence
        );
        text.push_str(&format!(
            "{:27}by chance: {}\n",
            "",
            odds(finding.chance_log10)
        ));
        text
    }

    fn examples(&self, finding: &Finding) -> String {
        let mut text = String::new();
        for &row in finding.examples.iter().take(SHOWN) {
            text.push_str(&format!("{:27}{}\n", "", self.example(row)));
        }
        let more = finding.rows.saturating_sub(SHOWN);
        if more > 0 && !finding.examples.is_empty() {
            text.push_str(&format!("{:27}and {more} more\n", ""));
        }
        text
    }

    /// One row: its line, whose it is, and its password, masked unless it was asked for.
    fn example(&self, row: usize) -> String {
        let list = &self.read.list;
        let cell = |column| String::from_utf8_lossy(list.cell(column, row)).into_owned();
        let mut text = format!("line {}", self.read.lines[row]);
        for column in [Column::Serial, Column::Mac] {
            let of_unit = cell(column);
            if !of_unit.is_empty() {
                text.push_str(&format!("  {} {of_unit}", column.name()));
            }
        }
        let password = cell(Column::Password);
        let password = match self.show_passwords {
            true => password,
            false => "*".repeat(password.chars().count()),
        };
        format!("{text}  password {password}")
    }

    fn strength(&self, text: &mut String) {
        let (bits, policy) = (round(self.report.bits), self.policy);
        let weak = self.report.findings.iter();
        let weak = weak.filter(|it| it.severity == Severity::Policy);
        text.push_str(&format!(
            "\nStrength  at most {bits} bits each; {} v{} asks for {}\n",
            policy.name(),
            policy.version(),
            policy.floor_bits()
        ));
        for finding in weak {
            text.push_str(&format!("  {}\n", finding.evidence));
        }
    }

    fn unseen(&self) -> Vec<String> {
        let mut unseen: Vec<String> = UNSEEN.iter().map(|it| (*it).to_owned()).collect();
        if !self.challenged {
            unseen.push(
                "Challenge the maker: generate the same units twice and run `provisioner lint FILE \
                 --again SECOND.csv`; the same password twice means it was derived."
                    .to_owned(),
            );
        }
        unseen.extend(self.report.limits.iter().cloned());
        if !self.read.ignored.is_empty() {
            let ignored = self.read.ignored.join(", ");
            unseen.push(format!("These columns were not looked at: {ignored}."));
        }
        let secret = |name: &&String| {
            let name = name.to_lowercase();
            SECRET.iter().any(|word| name.contains(word))
        };
        if let Some(name) = self.read.ignored.iter().find(secret) {
            unseen.push(format!(
                "The column {name} sounds like a secret and was NOT judged: give it as `password` in a list \
                 of its own."
            ));
        }
        let absent = [Column::Serial, Column::Mac, Column::Uid, Column::Date]
            .into_iter()
            .filter(|column| !self.read.list.has(*column))
            .map(Column::name);
        let absent: Vec<&str> = absent.collect();
        if !absent.is_empty() {
            unseen.push(format!(
                "This list has no {}: what hangs on that was not looked for.",
                absent.join(", ")
            ));
        }
        unseen
    }
}

fn word(verdict: Option<Severity>) -> &'static str {
    verdict.map_or("clean", self::verdict)
}

fn verdict(severity: Severity) -> &'static str {
    match severity {
        Severity::Note => "note",
        Severity::Policy => "policy",
        Severity::Refused => "refused",
    }
}

/// A sentence in lines that a terminal does not break, indented.
fn wrapped(text: &str) -> String {
    const WIDTH: usize = 98;
    let (mut out, mut column) = (String::new(), WIDTH);
    for word in text.split(' ') {
        let length = word.chars().count() + 1;
        if column + length > WIDTH {
            out.push_str(if out.is_empty() { " " } else { "\n " });
            column = 1;
        }
        out.push(' ');
        out.push_str(word);
        column += length;
    }
    out.push('\n');
    out
}

/// What a limb forbids, in the words of the Regulations.
fn limb(clause: Clause) -> &'static str {
    match clause {
        Clause::Unique => "unique per product",
        Clause::Counter => "based on incremental counters",
        Clause::Public => "based on or derived from publicly available information",
        Clause::Identifier => "based on or derived from unique product identifiers",
        Clause::Guessable => "otherwise guessable",
    }
}

/// A chance as a number; what is too small for one is the smallest there is.
fn chance(log10: f64) -> f64 {
    10f64.powf(log10.min(0.0)).max(f64::MIN_POSITIVE)
}

fn odds(log10: f64) -> String {
    if log10 > -1.0 {
        return "nothing rare, and no excuse".to_owned();
    }
    if log10 <= -300.0 {
        return "less than once in 10^300 lists".to_owned();
    }
    format!("once in 10^{:.0} lists", -log10.min(0.0))
}

fn round(bits: f64) -> f64 {
    (bits * 10.0).floor() / 10.0
}
