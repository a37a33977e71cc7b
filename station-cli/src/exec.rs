//! A vendor's own tool, run for one step: secrets by standard input alone, a time it must end in,
//! and what its exit code means.
//!
//! The tool gets a process group of its own, which is killed with everything in it when the time is
//! over or the station stops waiting: a flasher that hangs must not hold the port, nor go on writing
//! behind the station's back. What it prints is read back and compared, and never shown: it may be
//! a secret that an earlier run wrote, or one spelt as no mask knows. Deliberately absent: a shell, secrets in arguments or environment (a profile with
//! one is not read), files with secrets.

use std::io;
use std::process::Stdio;
use std::sync::Arc;

use rustix::process::{Pid, Signal, kill_process_group};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::{Duration, timeout};
use wire::WireError;
use wire::console::{ConsoleError, Found, Values, only};
use wire::profile::{ExecProfile, Part, Script, States, Step, ToolLine};
use zeroize::Zeroizing;

use crate::begin::Credential;
use crate::drive::UnitError;
use crate::steps::Steps;

/// How long a tool may run, unless its profile says otherwise: flashing a whole image takes a minute.
const WITHIN: Duration = Duration::from_secs(120);
/// What is kept of a tool's output, in bytes; the rest is read and dropped.
const OUTPUT_MAX: usize = 64 * 1024;

/// Why a tool's run did not do a step. Never what the tool said: that may be a secret.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum ToolError {
    /// It is not there, or may not be run.
    #[error("{step}: {program} cannot be run: {reason}; install it or correct the device profile")]
    Missing {
        /// In which step.
        step: Step,
        /// What was to be run.
        program: String,
        /// What the system says.
        reason: String,
    },
    /// A part of the bundle cannot be given to it.
    #[error(transparent)]
    Values(ConsoleError),
    /// It did not end.
    #[error("{step}: the tool did not end within {seconds} s and was killed")]
    TimedOut {
        /// In which step.
        step: Step,
        /// How long it had.
        seconds: u64,
    },
    /// It found no unit.
    #[error("{step}: the tool finds no unit")]
    Absent {
        /// In which step.
        step: Step,
    },
    /// The unit said no.
    #[error("{step}: the unit refuses")]
    Refused {
        /// In which step.
        step: Step,
    },
    /// It ended otherwise than its profile knows.
    #[error("{step}: the tool ended with {code}; run it by hand to see what it says")]
    Failed {
        /// In which step.
        step: Step,
        /// Exit code, or the signal.
        code: String,
    },
    /// It ended well and did not say what it should.
    #[error("{step}: the tool's output is not understood: {what}")]
    Unclear {
        /// In which step.
        step: Step,
        /// What was looked for.
        what: String,
    },
}

/// A unit at a port that only a tool opens.
pub(crate) struct ToolUnit {
    profile: Arc<ExecProfile>,
    port: String,
    values: Values,
}

impl ToolUnit {
    pub(crate) fn new(profile: Arc<ExecProfile>, port: &str) -> ToolUnit {
        ToolUnit {
            profile,
            port: port.to_owned(),
            values: Values::none(),
        }
    }

    async fn run(&self, step: Step, line: &ToolLine, found: &mut Found) -> Result<(), UnitError> {
        let output = self.output(step, line).await?;
        let unclear = |what: &str| ToolError::Unclear {
            step,
            what: what.to_owned(),
        };
        if line
            .refuse
            .as_ref()
            .is_some_and(|no| no.anywhere.is_match(&output))
        {
            return Err(ToolError::Refused { step }.into());
        }
        for (says, capture) in &line.capture {
            let said = match only(&capture.pattern, &output) {
                Ok(Some(said)) => said,
                Ok(None) if capture.optional => b"",
                _ => return Err(unclear(says.as_str()).into()),
            };
            let said = String::from_utf8_lossy(said).into_owned();
            found.answers.insert(*says, said);
        }
        for (value, pattern) in &line.read_back {
            let said = only(pattern, &output).ok().flatten();
            let said = said.ok_or_else(|| unclear(value.part.as_str()))?;
            if !self.values.same(*value, said) {
                return Err(WireError::Mismatch.into());
            }
            found.read_back.push(value.part);
        }
        Ok(())
    }

    /// Runs a line to its end; what it printed, both ways out together.
    async fn output(&self, step: Step, line: &ToolLine) -> Result<Zeroizing<Vec<u8>>, ToolError> {
        let within = line.within.unwrap_or(WITHIN);
        let mut group = Group::of(self.start(step, line)?);
        let mut input = Zeroizing::new(Vec::new());
        for text in &line.stdin {
            let text = self.values.fill(text, &self.port);
            input.extend_from_slice(&text.map_err(ToolError::Values)?);
            input.push(b'\n');
        }
        let (stdin, stdout, stderr) = (
            group.child.stdin.take(),
            group.child.stdout.take(),
            group.child.stderr.take(),
        );
        let talking = async {
            let write = async {
                // A tool that reads nothing and ends is judged by its exit code.
                if let Some(mut stdin) = stdin {
                    let _ = stdin.write_all(&input).await;
                    let _ = stdin.shutdown().await;
                }
            };
            let (_, out, err, ended) =
                tokio::join!(write, read(stdout), read(stderr), group.child.wait());
            (out, err, ended)
        };
        let Ok((mut out, err, ended)) = timeout(within, talking).await else {
            let seconds = within.as_secs();
            return Err(ToolError::TimedOut { step, seconds }); // the group dies with `group`
        };
        out.extend_from_slice(&err);
        let code = ended.ok().and_then(|status| status.code());
        match code {
            Some(0) => Ok(out),
            Some(code) if line.absent.contains(&code) => Err(ToolError::Absent { step }),
            Some(code) if line.refused.contains(&code) => Err(ToolError::Refused { step }),
            code => Err(ToolError::Failed {
                step,
                code: code
                    .map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}")),
            }),
        }
    }

    fn start(&self, step: Step, line: &ToolLine) -> Result<Child, ToolError> {
        let mut words = Vec::new();
        for word in &line.run {
            let word = self.values.fill(word, &self.port);
            let word = word.map_err(ToolError::Values)?;
            words.push(String::from_utf8_lossy(&word).into_owned());
        }
        let program = words.first().cloned().unwrap_or_default();
        let started = Command::new(&program)
            .args(words.get(1..).unwrap_or_default())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        started.map_err(|error: io::Error| ToolError::Missing {
            step,
            program,
            reason: error.to_string(),
        })
    }
}

impl Steps for ToolUnit {
    fn holds(&mut self, credential: &Credential) {
        self.values = Values::of(&credential.bundle);
    }

    async fn step(&mut self, step: Step) -> Result<Found, UnitError> {
        let mut found = Found::default();
        let profile = Arc::clone(&self.profile);
        if let Script::Run(lines) = profile.scripts.step(step) {
            for line in lines {
                self.run(step, line, &mut found).await?;
            }
        }
        Ok(found)
    }

    fn states(&self) -> &States {
        &self.profile.scripts.states
    }

    fn parts(&self) -> &[Part] {
        &self.profile.scripts.parts
    }

    fn locks(&self) -> bool {
        self.profile.scripts.unlocked().is_none()
    }
}

/// A tool and all that it started. Dropped, for whatever reason, none of them goes on.
struct Group {
    child: Child,
    leader: Option<Pid>,
}

impl Group {
    fn of(child: Child) -> Group {
        let leader = child.id().and_then(|id| i32::try_from(id).ok());
        Group {
            leader: leader.and_then(Pid::from_raw),
            child,
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Also when the leader has ended: what it left behind keeps the group, and may hold the port.
        if let Some(leader) = self.leader {
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// All that comes, of which the first part is kept.
async fn read(from: Option<impl AsyncRead + Unpin>) -> Zeroizing<Vec<u8>> {
    let mut kept = Zeroizing::new(Vec::with_capacity(4096));
    let Some(mut from) = from else { return kept };
    let mut bytes = Zeroizing::new([0; 4096]);
    while let Ok(length @ 1..) = from.read(bytes.as_mut_slice()).await {
        let room = OUTPUT_MAX.saturating_sub(kept.len());
        kept.extend_from_slice(&bytes[..length.min(room)]);
    }
    kept
}
