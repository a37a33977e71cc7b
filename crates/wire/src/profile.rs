//! Device profiles: how a product's units are spoken to, as data.
//!
//! A profile is a TOML text with a name, a version and a driver. `native` units speak the frames of
//! this crate and need nothing more. `console` units have a console already: the profile says, step
//! by step, what is typed and what comes back. `exec` units are written by their maker's own tool.
//! The SHA-256 of the text is what a product and its log entries name, so a profile is never changed
//! under an order: another text is another digest.
//!
//! Every profile has every step of DESIGN.md section 6: identify, precheck, write, persist, verify,
//! reset, verify again, lock. A step that a unit cannot do is not left out but declared, with a
//! reason that people see; only `persist` and `lock` can be. Deliberately absent: secrets (a
//! profile is public, it stands in the log), files and ports.

mod lines;
mod read;
mod tables;
mod template;

use std::collections::BTreeMap;
use std::string::String;
use std::sync::Arc;
use std::time::Duration;
use std::vec::Vec;

use regex::bytes::Regex;
use thiserror::Error;
use traveler::Digest;

pub use lines::{Answer, ConsoleLine, ToolLine};
pub use template::{Form, Part, Piece, Template, Value};

/// The longest profile, in bytes: it is kept, with its product, in an entry of the log.
pub const PROFILE_MAX: usize = 12_288;

/// The profiles that come with this program: name and text.
pub const SHIPPED: [(&str, &str); 4] = [
    ("at-modem", include_str!("../profiles/at-modem.toml")),
    ("linux-login", include_str!("../profiles/linux-login.toml")),
    ("u-boot", include_str!("../profiles/u-boot.toml")),
    (
        "zephyr-shell",
        include_str!("../profiles/zephyr-shell.toml"),
    ),
];

/// One device profile.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Its name: 1 to 32 of a-z, 0-9 and hyphen.
    pub name: String,
    /// Its version, from 1; for people: the digest is what counts.
    pub version: u32,
    /// How its units are spoken to.
    pub driver: Driver,
    /// SHA-256 of the text it was read from.
    pub sha256: Digest,
}

/// How a unit is spoken to.
#[derive(Clone, Debug)]
pub enum Driver {
    /// By the frames of this crate: the unit itself proves what it holds.
    Native,
    /// By its own console: the station reads back what it wrote.
    Console(Arc<ConsoleProfile>),
    /// By its maker's tool: the station reads back what the tool wrote.
    Exec(Arc<ExecProfile>),
}

impl Driver {
    /// The word in the file.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Driver::Native => "native",
            Driver::Console(_) => "console",
            Driver::Exec(_) => "exec",
        }
    }
}

/// The steps of every profile, in their order.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Step {
    /// Who is it?
    Identify,
    /// What does it hold?
    Precheck,
    /// The parts of the bundle that it stores.
    Write,
    /// Into memory that survives.
    Persist,
    /// Read back.
    Verify,
    /// Everything but that memory is forgotten.
    Reset,
    /// Read back again.
    VerifyAgain,
    /// Never to be written again.
    Lock,
}

impl Step {
    /// All, in order.
    pub const ALL: [Step; 8] = [
        Step::Identify,
        Step::Precheck,
        Step::Write,
        Step::Persist,
        Step::Verify,
        Step::Reset,
        Step::VerifyAgain,
        Step::Lock,
    ];

    /// The table of the file that describes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Step::Identify => "identify",
            Step::Precheck => "precheck",
            Step::Write => "write",
            Step::Persist => "persist",
            Step::Verify => "verify",
            Step::Reset => "reset",
            Step::VerifyAgain => "verify_again",
            Step::Lock => "lock",
        }
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// What one step does, or why a unit cannot do it.
#[derive(Clone, Debug)]
pub enum Script<L> {
    /// These, in order; the whole step may be repeated from its start.
    Run(Vec<L>),
    /// Nothing, for this reason.
    None(String),
}

impl<L> Script<L> {
    /// Its lines; none when the step is not done.
    #[must_use]
    pub fn lines(&self) -> &[L] {
        match self {
            Script::Run(lines) => lines,
            Script::None(_) => &[],
        }
    }
}

/// What console and exec profiles have in common.
#[derive(Clone, Debug)]
pub struct Scripts<L> {
    /// The parts of the bundle that the unit stores; the password is always one.
    pub parts: Vec<Part>,
    /// What the marker of `precheck` means.
    pub states: States,
    /// One of each.
    steps: BTreeMap<Step, Script<L>>,
}

impl<L> Scripts<L> {
    /// What one step does.
    ///
    /// # Panics
    /// Never: a profile without one of the steps is not read.
    #[must_use]
    pub fn step(&self, step: Step) -> &Script<L> {
        self.steps.get(&step).expect("a profile has every step")
    }

    /// Why its units are not locked; `None` when they are.
    #[must_use]
    pub fn unlocked(&self) -> Option<&str> {
        match self.step(Step::Lock) {
            Script::Run(_) => None,
            Script::None(reason) => Some(reason),
        }
    }
}

/// What the marker means: exactly one of these matches all of it, or the unit is not understood.
#[derive(Clone, Debug)]
pub struct States {
    /// Nothing was ever written.
    pub blank: Pattern,
    /// Something was, and can be replaced.
    pub loaded: Pattern,
    /// It can not; absent for units that cannot be locked.
    pub locked: Option<Pattern>,
}

/// A unit that already has a console.
#[derive(Clone, Debug)]
pub struct ConsoleProfile {
    /// How its console behaves.
    pub manner: Manner,
    /// What is typed.
    pub scripts: Scripts<ConsoleLine>,
}

/// How a console behaves.
#[derive(Clone, Debug)]
pub struct Manner {
    /// The last line when the unit is done with a command.
    pub prompt: Pattern,
    /// Lines of a reply that say no.
    pub refuse: Option<Pattern>,
    /// Lines that mean nothing: a kernel's log, unasked reports.
    pub noise: Vec<Pattern>,
    /// What ends a line that is typed.
    pub line_end: String,
    /// What brings the prompt back, from a half-typed line as well.
    pub wake: String,
    /// What takes back a line that was not ended; empty where `erase` does, or nothing is echoed.
    pub cancel: String,
    /// What takes back one byte of such a line, where nothing takes back all of it.
    pub erase: String,
    /// Whether the unit sends back what is typed.
    pub echo: bool,
    /// Whether the port is on the unit itself and goes away with its reset. The port of an adapter
    /// goes away with its cable alone, whatever the unit does.
    pub own_port: bool,
    /// Bytes typed at once, while all goes well.
    pub chunk: usize,
    /// The longest line it takes, in bytes.
    pub max_line: usize,
    /// Pause after each piece that is typed without echo.
    pub gap: Duration,
    /// Silence after which a line that has come is whole.
    pub settle: Duration,
    /// How long a piece's echo may take.
    pub echo_within: Duration,
    /// How long an answer may take, unless its line says otherwise.
    pub within: Duration,
    /// How long the prompt may take to come, a boot included.
    pub wake_within: Duration,
    /// How to get from other prompts, such as a login's, to the console's.
    pub login: Vec<Login>,
}

/// What is typed where another prompt stands. No secret: a profile is public.
#[derive(Clone, Debug)]
pub struct Login {
    /// The last line there.
    pub prompt: Pattern,
    /// What is typed.
    pub run: Vec<ConsoleLine>,
}

/// A unit that its maker's own tool writes.
#[derive(Clone, Debug)]
pub struct ExecProfile {
    /// What is run.
    pub scripts: Scripts<ToolLine>,
}

/// A pattern and the text it was written as.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// Finds it anywhere.
    pub anywhere: Regex,
    /// Matches all of a text or nothing.
    pub whole: Regex,
}

/// Why a text is no profile. Says where, and what to do.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum ProfileError {
    /// Longer than its place in the log.
    #[error("the profile has {0} bytes: shorten it to {PROFILE_MAX}")]
    TooLong(usize),
    /// Not TOML, a field too many or too few, or a value that does not fit.
    #[error("line {line}, column {column}: {message}")]
    At {
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What is wrong there.
        message: String,
    },
    /// Each value fits, but not together.
    #[error("{field}: {message}")]
    Field {
        /// Which table or key.
        field: String,
        /// What is wrong with it, and what to do.
        message: String,
    },
}

impl Profile {
    /// Reads a profile from TOML.
    ///
    /// # Errors
    /// Every variant of [`ProfileError`].
    pub fn parse(text: &str) -> Result<Profile, ProfileError> {
        read::profile(text)
    }

    /// Reads one that comes with this program; `None` when there is none of that name.
    #[must_use]
    pub fn shipped(name: &str) -> Option<&'static str> {
        let found = SHIPPED.iter().find(|(known, _)| *known == name);
        found.map(|(_, text)| *text)
    }

    /// What is said for native units, which need no file.
    #[must_use]
    pub fn is_native(&self) -> bool {
        matches!(self.driver, Driver::Native)
    }

    /// The parts of a bundle that its units store; all of them for native ones.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        match &self.driver {
            Driver::Native => &Part::ALL,
            Driver::Console(console) => &console.scripts.parts,
            Driver::Exec(exec) => &exec.scripts.parts,
        }
    }

    /// Why its units are not locked; `None` when they are.
    #[must_use]
    pub fn unlocked(&self) -> Option<&str> {
        match &self.driver {
            Driver::Native => None,
            Driver::Console(console) => console.scripts.unlocked(),
            Driver::Exec(exec) => exec.scripts.unlocked(),
        }
    }
}
