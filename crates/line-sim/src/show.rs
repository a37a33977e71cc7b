//! What a person sees of the line: one moving row a slot on a terminal, one line a unit elsewhere.

use std::time::Duration;

use console::style;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use station_cli::{Outcome, Progress, Report, Stage};
use traveler::Serial;

/// The rows of all slots, and the count below them.
pub(crate) struct Wall {
    screen: MultiProgress,
    total: ProgressBar,
    moving: bool,
}

/// One slot's row.
pub(crate) struct Row {
    bar: ProgressBar,
    total: ProgressBar,
    moving: bool,
    slot: String,
}

impl Wall {
    /// A wall for `units` units; it draws only on a terminal.
    #[must_use]
    pub(crate) fn new(units: u64) -> Wall {
        let moving = console::user_attended_stderr();
        let target = if moving {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let screen = MultiProgress::with_draw_target(target);
        let total = screen.add(ProgressBar::new(units));
        total.set_style(style_of(
            "\n  {wide_bar:.green/dim} {pos}/{len} sealed  {elapsed}",
        ));
        Wall {
            screen,
            total,
            moving,
        }
    }

    /// A row for one slot, above the count.
    #[must_use]
    pub(crate) fn row(&self, slot: &str) -> Row {
        let bar = self
            .screen
            .insert_before(&self.total, ProgressBar::new(Stage::COUNT));
        bar.set_style(style_of("  {prefix:<18} {bar:18.blue/dim} {msg}"));
        bar.set_prefix(slot.to_owned());
        bar.set_message(style("EMPTY").dim().to_string());
        Row {
            bar,
            total: self.total.clone(),
            moving: self.moving,
            slot: slot.to_owned(),
        }
    }

    /// Takes the rows off the screen.
    pub(crate) fn clear(self) {
        self.total.finish_and_clear();
        let _ = self.screen.clear(); // a screen that is gone needs no clearing
    }
}

impl Row {
    /// How long a result stays on the row before the next unit goes in.
    pub(crate) const STICKS: Duration = Duration::from_millis(250);

    /// Whether somebody watches, so that a result should stay for a moment.
    #[must_use]
    pub(crate) fn is_watched(&self) -> bool {
        self.moving
    }
}

impl Progress for Row {
    fn stage(&mut self, serial: &Serial, stage: Stage) {
        self.bar
            .set_message(format!("{serial}  {}", style(stage.as_str()).blue()));
        self.bar.set_position(stage.number());
    }

    fn ended(&mut self, report: &Report) {
        let verdict = match report.outcome {
            Outcome::Sealed => {
                self.total.inc(1);
                self.bar.set_position(Stage::COUNT);
                style("✓ PASS").green().bold()
            }
            Outcome::Refused => style("⚠ REFUSED").yellow().bold(),
            _ => style("✗ FAIL").red().bold(),
        };
        let says = Some(report.says).filter(|_| report.outcome != Outcome::Sealed);
        let line = format!("{}  {verdict}  {}", report.serial, says.unwrap_or_default());
        if self.moving {
            self.bar.set_message(line);
        } else {
            let ms = report.cycle_ms;
            crate::cli::say(&format!("  {:<18} {line}  {ms} ms", self.slot));
        }
    }
}

fn style_of(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .expect("a fixed template that parses")
        .progress_chars("█▌░")
}
