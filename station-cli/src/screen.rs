//! Progress for a person at the bench, on standard error, when there is a screen to move on.

use std::io::{self, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Duration;
use traveler::Serial;

use crate::report::Report;
use crate::seams::{Progress, Stage};

/// One moving line: which unit, how far, which step.
pub struct Screen {
    bar: ProgressBar,
}

impl Screen {
    const TICK: Duration = Duration::from_millis(100);

    /// A line that shows nothing before the first step, and nothing at all without a terminal.
    #[must_use]
    pub fn new() -> Screen {
        let bar = ProgressBar::new(Stage::COUNT);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} [{bar:18}] {msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        Screen { bar }
    }
}

impl Default for Screen {
    fn default() -> Screen {
        Screen::new()
    }
}

impl Progress for Screen {
    fn stage(&mut self, serial: &Serial, stage: Stage) {
        self.bar.set_prefix(serial.to_string());
        self.bar.set_position(stage.number());
        self.bar.set_message(stage.as_str());
        self.bar.enable_steady_tick(Screen::TICK);
        // Without a screen what an operator must do is still asked for.
        if matches!(stage, Stage::Label | Stage::Printer | Stage::Reconnect)
            && !io::stderr().is_terminal()
        {
            let _ = writeln!(io::stderr(), "{serial}: {}", stage.as_str());
        }
    }

    fn ended(&mut self, _: &Report) {
        self.bar.finish_and_clear();
    }
}
