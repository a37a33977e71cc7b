//! A vendor's own tool, run for one step: secrets by standard input alone, a time it must end in,
//! and what its exit code means.
//!
//! The tool gets a process group of its own, which is killed with everything in it when the time is
//! over, the station stops waiting, or the station itself is killed: a flasher that hangs must not
//! hold the port, nor go on writing behind the station's back. What it prints is read back and
//! compared, and never shown: it may be a secret that an earlier run wrote, or one spelt as no mask
//! knows. Deliberately absent: a shell that sees anything of a profile, secrets in arguments or
//! environment (a profile with one is not read), files with secrets.

mod group;

use std::io;
use std::process::Stdio;
use std::sync::Arc;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::{Duration, timeout};
use wire::WireError;
use wire::console::{ConsoleError, Found, Values, only};
use wire::profile::{ExecProfile, Part, Script, States, Step, ToolLine};
use zeroize::Zeroizing;

use self::group::Group;
use crate::begin::Credential;
use crate::drive::UnitError;
use crate::steps::Steps;

/// How long a tool may run, unless its profile says otherwise: flashing a whole image takes a minute.
const WITHIN: Duration = Duration::from_secs(120);
/// What is kept of each of a tool's two outputs, in bytes: the end, where results stand.
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
    /// This station does not run it.
    #[error(
        "{step}: this station does not run {program}: whoever answers for the station writes its \
         absolute path into tools.toml in the station's folder, as allow = [\"/usr/bin/tool\"], and the \
         device profile names it so"
    )]
    NotAllowed {
        /// In which step.
        step: Step,
        /// What was to be run.
        program: String,
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

    /// Every line of a step, from its start.
    async fn once(&self, step: Step) -> Result<Found, UnitError> {
        let mut found = Found::default();
        if let Script::Run(lines) = self.profile.scripts.step(step) {
            for line in lines {
                self.run(step, line, &mut found).await?;
            }
        }
        Ok(found)
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
            let said = match only(pattern, &output) {
                Ok(Some(said)) => said,
                // It was there before the reset: a tool that finds none any more read a wrong one.
                Ok(None) if step == Step::VerifyAgain => return Err(WireError::Mismatch.into()),
                _ => return Err(unclear(value.part.as_str()).into()),
            };
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
        let group = Group::new().map_err(|error| missing(step, "/bin/sh", &error))?;
        let mut child = self.start(&group, step, line)?;
        let mut input = Zeroizing::new(Vec::new());
        for text in &line.stdin {
            let text = self.values.fill(text, &self.port);
            input.extend_from_slice(&text.map_err(ToolError::Values)?);
            input.push(b'\n');
        }
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let talking = async {
            let write = async {
                // A tool that reads nothing and ends is judged by its exit code.
                if let Some(mut stdin) = stdin {
                    let _ = stdin.write_all(&input).await;
                    let _ = stdin.shutdown().await;
                }
            };
            let (_, out, err, ended) =
                tokio::join!(write, read(stdout), read(stderr), child.wait());
            (out, err, ended)
        };
        let Ok((out, err, ended)) = timeout(within, talking).await else {
            let seconds = within.as_secs();
            return Err(ToolError::TimedOut { step, seconds }); // the group dies with `group`
        };
        // Not one behind the other in place: what outgrew its memory would be left there, not wiped.
        let mut both = Zeroizing::new(Vec::with_capacity(out.len() + 1 + err.len()));
        both.extend_from_slice(&out);
        both.push(b'\n'); // a last line without an end is not one with the first of the other
        both.extend_from_slice(&err);
        let code = ended.ok().and_then(|status| status.code());
        match code {
            Some(0) => Ok(both),
            Some(code) if line.absent.contains(&code) => Err(ToolError::Absent { step }),
            Some(code) if line.refused.contains(&code) => Err(ToolError::Refused { step }),
            code => Err(ToolError::Failed {
                step,
                code: code
                    .map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}")),
            }),
        }
    }

    fn start(&self, group: &Group, step: Step, line: &ToolLine) -> Result<Child, ToolError> {
        let mut words = Vec::new();
        for word in &line.run {
            let word = self.values.fill(word, &self.port);
            let word = word.map_err(ToolError::Values)?;
            words.push(String::from_utf8_lossy(&word).into_owned());
        }
        let program = words.first().cloned().unwrap_or_default();
        let mut tool = Command::new(&program);
        tool.args(words.get(1..).unwrap_or_default())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let started = group.start(&mut tool);
        started.map_err(|error| missing(step, &program, &error))
    }
}

impl Steps for ToolUnit {
    fn holds(&mut self, credential: &Credential) {
        self.values = Values::of(&credential.bundle);
    }

    async fn step(&mut self, step: Step) -> Result<Found, UnitError> {
        match self.once(step).await {
            // One wrong reading may be the tool's own; bad memory reads wrong twice.
            Err(UnitError::Wire(WireError::Mismatch)) => self.once(step).await,
            ended => ended,
        }
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

fn missing(step: Step, program: &str, error: &io::Error) -> ToolError {
    ToolError::Missing {
        step,
        program: program.to_owned(),
        reason: error.to_string(),
    }
}

/// All that comes, of which the last part is kept.
async fn read(from: Option<impl AsyncRead + Unpin>) -> Zeroizing<Vec<u8>> {
    // As large as it gets: one that grew would leave copies behind that nobody wipes.
    let mut kept = Zeroizing::new(Vec::with_capacity(OUTPUT_MAX + 4096));
    let Some(mut from) = from else { return kept };
    let mut bytes = Zeroizing::new([0; 4096]);
    while let Ok(length @ 1..) = from.read(bytes.as_mut_slice()).await {
        kept.extend_from_slice(&bytes[..length]);
        let over = kept.len().saturating_sub(OUTPUT_MAX);
        kept.drain(..over);
    }
    kept
}

#[cfg(test)]
mod tests {
    use wire::profile::{Driver, Profile};

    use super::*;

    /// A tool that is a shell's script in `verify`, and does nothing elsewhere.
    fn tool(script: &str, port: &str) -> ToolUnit {
        let script = script.replace('{', "{{").replace('}', "}}");
        let text = format!(
            r#"
            name = "tool"
            version = 1
            driver = "exec"
            parts = ["password"]
            states = {{ blank = "0", loaded = "1" }}
            identify.run = [{{ run = ["true"], capture = {{ device_id = "(1)", model = "(m)" }} }}]
            precheck.run = [{{ run = ["true"], capture = {{ marker = "([01])" }} }}]
            write.run = [{{ run = ["cat"], stdin = ["{{password}}"] }}]
            persist.none = "writing it persists it"
            verify.run = [{{ run = ["sh", "-c", '{script}', "sh", "{{port}}"],
                            capture = {{ "model?" = "(?m)^model=(.*)$" }},
                            read_back = {{ password = "(?m)^psk=(.*)$" }} }}]
            reset.run = [{{ run = ["true"] }}]
            verify_again.like = "verify"
            lock.none = "these units have no lock at all"
            "#
        );
        let profile = Profile::parse(&text).unwrap_or_else(|error| panic!("{error}"));
        let Driver::Exec(exec) = profile.driver else {
            panic!("no tool");
        };
        let mut unit = ToolUnit::new(exec, port);
        unit.values = Values::of(&credential::Bundle {
            serial: traveler::Serial::parse("BM-000042").unwrap(),
            attempt: traveler::Attempt(1),
            password: credential::Password::parse(b"K7QDM2X9TR4W").unwrap_or_else(|_| panic!()),
            salt: credential::Salt::from_bytes([7; 16]),
            chain: vec![vec![0x30]],
            key: None,
        });
        unit
    }

    #[tokio::test]
    async fn what_a_tool_said_is_in_no_error() {
        for script in ["echo K7QDM2X9TR4W; exit 3", "echo OLDSECRET99 >&2; exit 3"] {
            let error = tool(script, "").step(Step::Verify).await.unwrap_err();
            let said = format!("{error} {error:?}");
            assert!(said.contains("exit code 3"), "{said}");
            assert!(!said.contains("K7QD") && !said.contains("OLD"), "{said}");
        }
    }

    #[tokio::test]
    async fn the_two_ways_out_are_told_apart_and_the_end_of_each_is_kept() {
        let script = "printf model=CAM2; printf psk=K7QDM2X9TR4W >&2";
        let found = tool(script, "").step(Step::Verify).await.unwrap();
        assert_eq!(found.read_back, [Part::Password]);
        let script = "head -c 200000 /dev/zero | tr \"\\000\" x; echo; echo psk=K7QDM2X9TR4W";
        let found = tool(script, "").step(Step::Verify).await.unwrap();
        assert_eq!(found.read_back, [Part::Password]);
    }

    #[tokio::test]
    async fn a_wrong_reading_is_read_once_more_before_it_counts() {
        let folder = tempfile::tempdir().unwrap();
        let seen = folder.path().join("seen");
        let seen = seen.to_str().unwrap();
        let script = "if [ -e $1 ]; then echo psk=K7QDM2X9TR4W; else echo psk=K7Q; : > $1; fi";
        let found = tool(script, seen).step(Step::Verify).await.unwrap();
        assert_eq!(found.read_back, [Part::Password]);
        let error = tool("echo psk=K7Q", "").step(Step::Verify).await;
        let mismatch = matches!(error, Err(UnitError::Wire(WireError::Mismatch)));
        assert!(mismatch, "it is wrong twice");
    }

    #[tokio::test]
    async fn what_is_gone_after_the_reset_is_bad_memory() {
        let gone = |error| matches!(error, Err(UnitError::Wire(WireError::Mismatch)));
        let error = tool("echo nothing", "").step(Step::VerifyAgain).await;
        assert!(gone(error.map(drop)));
        let error = tool("echo nothing", "").step(Step::Verify).await;
        assert!(!gone(error.map(drop)), "it may be the pattern");
    }
}
