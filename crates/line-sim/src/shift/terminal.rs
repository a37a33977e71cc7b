//! A terminal that nobody looks at but this program: tmux, with the station in it.
//!
//! Scans go through a buffer that tmux reads from standard input: a label is secret, and arguments
//! of processes are not.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::guard::Guard;

/// One tmux server with one window. It ends with this, and with this process.
pub(super) struct Terminal {
    socket: String,
    command: String,
    _guard: Guard,
}

impl Terminal {
    /// Opens a window of this size and runs a command line of a shell in it.
    pub(super) fn open(size: (u16, u16), command: &str) -> Result<Terminal> {
        let socket = format!("birthmark-shift-{}", std::process::id());
        let guard = Guard::that_runs(&["tmux", "-L", &socket, "kill-server"])?;
        let terminal = Terminal {
            socket,
            command: format!("exec {command}"),
            _guard: guard,
        };
        let (wide, high) = (size.0.to_string(), size.1.to_string());
        let fresh = [
            ["-f", "/dev/null"],
            ["new-session", "-d"],
            ["-x", &wide],
            ["-y", &high],
        ];
        let mut arguments = fresh.as_flattened().to_vec();
        // Kept after its end, so that its last words can be read and it can be started anew.
        let keep = ["cat", ";", "set-option", "-g", "remain-on-exit", "on", ";"];
        arguments.extend(keep);
        arguments.extend(["respawn-pane", "-k", &terminal.command]);
        terminal.tmux(&arguments, None)?;
        Ok(terminal)
    }

    /// Starts the command anew.
    pub(super) fn restart(&self) -> Result<()> {
        self.tmux(&["respawn-pane", "-k", &self.command], None)
            .map(drop)
    }

    /// Types a line, as a keyboard wedge does.
    pub(super) fn scan(&self, text: &str) -> Result<()> {
        // tmux itself dies of what is pasted where no program is, and the screen with it.
        let commands = [
            ["load-buffer", "-", ";"],
            ["if-shell", "-F", "#{pane_dead}"],
            [
                "delete-buffer ; display-message -p dead",
                "paste-buffer -d",
                ";",
            ],
        ];
        let said = self.tmux(commands.as_flattened(), Some(&format!("{text}\n")))?;
        ensure!(said.stdout.is_empty(), "the station has ended");
        Ok(())
    }

    /// Asks the program to end, as Ctrl-C does.
    pub(super) fn interrupt(&self) -> Result<()> {
        self.tmux(&["send-keys", "C-c"], None).map(drop)
    }

    /// What is on the screen.
    pub(super) fn screen(&self) -> Result<String> {
        let shown = self.tmux(&["capture-pane", "-p"], None)?;
        Ok(String::from_utf8_lossy(&shown.stdout).into_owned())
    }

    /// The number of the process in it.
    pub(super) fn process(&self) -> Result<i32> {
        self.ask("#{pane_pid}")?
            .parse()
            .context("tmux knows no process")
    }

    /// The exit code of the program, once it has ended; 128 and the signal when one ended it, as a
    /// shell has it.
    pub(super) fn ended(&self) -> Result<Option<u8>> {
        let said = self.ask("#{pane_dead},#{pane_dead_status},#{pane_dead_signal}")?;
        Ok(code_of(&said))
    }

    fn ask(&self, what: &str) -> Result<String> {
        let said = self.tmux(&["display-message", "-p", what], None)?;
        Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
    }

    fn tmux(&self, arguments: &[&str], input: Option<&str>) -> Result<Output> {
        let mut child = Command::new("tmux")
            .args(["-u", "-L", &self.socket])
            .args(arguments)
            .stdin(if input.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("tmux does not run: install it")?;
        if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
            stdin.write_all(input.as_bytes())?;
        }
        let output = child.wait_with_output()?;
        ensure!(
            output.status.success(),
            "tmux: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(output)
    }
}

/// A program whose terminal is gone ends by then, or is ended.
const GONE_WITHIN: Timespec = Timespec {
    tv_sec: 5,
    tv_nsec: 0,
};

impl Terminal {
    /// The program while it runs, by a handle that no other process can get.
    fn program(&self) -> Option<OwnedFd> {
        let said = self.ask("#{pane_dead} #{pane_pid}").ok()?;
        let number = said.strip_prefix("0 ")?.parse().ok()?;
        pidfd_open(Pid::from_raw(number)?, PidfdFlags::empty()).ok()
    }
}

/// Of whether it is dead, its exit code and its signal: of these tmux leaves empty what is not so,
/// and both where its terminal is closed and the process is not collected yet.
fn code_of(said: &str) -> Option<u8> {
    let mut said = said.split(',');
    said.next().filter(|dead| *dead == "1")?;
    let mut number = || said.next().and_then(|text| text.parse::<u8>().ok());
    let (status, signal) = (number(), number());
    status.or(signal.and_then(|signal| signal.checked_add(128)))
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let program = self.program();
        let _ = self.tmux(&["kill-server"], None);
        // It loses its terminal, which ends it. Whatever holds it up, it outlives no shift.
        if let Some(program) = program {
            let mut ends = [PollFd::new(&program, PollFlags::IN)];
            if poll(&mut ends, Some(&GONE_WITHIN)) != Ok(1) {
                let _ = pidfd_send_signal(&program, Signal::KILL);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_has_ended_by_its_code_or_by_a_signal() {
        for (said, code) in [
            ("0,,", None),
            ("", None),
            ("1,0,", Some(0)),
            ("1,30,", Some(30)),
            ("1,,9", Some(137)),
            ("1,,", None),
        ] {
            assert_eq!(code_of(said), code, "{said}");
        }
    }
}
