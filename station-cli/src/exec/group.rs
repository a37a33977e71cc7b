//! A tool and all that it started, none of which outlives the station.
//!
//! The group's leader is not the tool but a guard, which waits for the end of a pipe whose other end
//! only the station has. Whatever ends the station, a kill or a lack of memory included, the kernel
//! closes that end, and the guard kills the group. As its leader it also holds the group's number:
//! it cannot come to be another's. What leaves the group is out of reach, here as for every shell.

use std::io;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, ChildStdin, Command};

/// What the guard is: the system's own shell, whose line holds nothing of anybody's. A tool that asks
/// its whole group to end is not what it is there for.
const GUARD: [&str; 3] = [
    "/bin/sh",
    "-c",
    "trap '' HUP INT QUIT TERM; read -r _; kill -s KILL 0",
];

/// A process group with a guard. Dropped, for whatever reason, nothing in it goes on.
pub(super) struct Group {
    leader: Pid,
    /// Waited for once it was killed.
    _guard: Child,
    /// Its end is the station's.
    _station: Option<ChildStdin>,
}

impl Group {
    /// One with nothing in it but its guard.
    pub(super) fn new() -> io::Result<Group> {
        let [shell, option, line] = GUARD;
        let mut guard = Command::new(shell)
            .args([option, line])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let id = guard.id().and_then(|id| i32::try_from(id).ok());
        let leader = id.and_then(Pid::from_raw);
        Ok(Group {
            leader: leader.ok_or_else(|| io::Error::other("the guard has no number"))?,
            _station: guard.stdin.take(),
            _guard: guard,
        })
    }

    /// Starts a tool in it. Killed in this very call, a station leaves at most a tool that got no
    /// secret: its standard input ends with the station.
    pub(super) fn start(&self, tool: &mut Command) -> io::Result<Child> {
        tool.process_group(self.leader.as_raw_nonzero().get())
            .kill_on_drop(true)
            .spawn()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Also when the tool has ended: what it left behind keeps the group, and may hold the port.
        let _ = kill_process_group(self.leader, Signal::KILL);
    }
}
