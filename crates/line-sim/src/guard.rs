//! What a simulated line starts does not outlive it, whatever ends it.
//!
//! A guard waits for the end of a pipe whose other end only this process has. A kill that nobody hears
//! closes it as well, and the guard kills its process group, which is what was started under it; also
//! where that is stopped, as by a network cut.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// Runs what it is given once the pipe ends, and kills its group.
const LINE: &str = "trap '' HUP INT QUIT TERM; read -r _; \"$@\"; kill -s KILL 0";

/// The leader of a process group. Dropped, nothing in it goes on.
pub(crate) struct Guard(Child);

impl Guard {
    /// One that first runs a command, such as the one that ends what has left its group; `["true"]`
    /// does nothing.
    pub(crate) fn that_runs(command: &[&str]) -> io::Result<Guard> {
        let guard = Command::new("/bin/sh")
            .args(["-c", LINE, "guard"])
            .args(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Guard(guard))
    }

    /// A guard, and a command that is started under it.
    pub(crate) fn start(command: &mut Command) -> io::Result<(Guard, Child)> {
        let guard = Guard::that_runs(&["true"])?;
        let leader = i32::try_from(guard.0.id()).map_err(io::Error::other)?;
        let child = command.process_group(leader).spawn()?;
        Ok((guard, child))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.0.stdin.take()); // which ends it
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_started_under_a_guard_ends_with_it() {
        let mut command = Command::new("cat");
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        let (guard, mut child) = Guard::start(&mut command).unwrap();
        let _stays = child.stdin.take().unwrap(); // it waits for input for ever
        assert!(child.try_wait().unwrap().is_none());
        drop(guard);
        assert!(!child.wait().unwrap().success());
    }
}
