//! What a program holds in memory is in no core file of it.

use std::process::{Child, Command, Stdio};

use rustix::process::Pid;

use crate::binaries::{WITHIN, binaries, until};

/// Ended at the latest with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn no_program_that_holds_secrets_leaves_a_core_file() {
    let folder = tempfile::tempdir().unwrap();
    let programs = binaries();
    let token = ["serve", "--socket", "socket", "--store", "token"];
    // Each stays until its input or the test ends.
    for (program, arguments) in [
        (&programs.provisioner, ["lint", "-"].as_slice()),
        (&programs.hsm_sim, &token),
        (&programs.station_cli, &["ports", "--watch"]),
        (&programs.line_sim, &["unit", "--flash", "unit.json"]),
    ] {
        let child = Command::new(program)
            .args(arguments)
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let running = Running(child);
        let limits = format!(
            "/proc/{}/limits",
            Pid::from_child(&running.0).as_raw_nonzero()
        );
        // Soft and hard limit, in bytes (proc(5)).
        let none = || {
            let limits = std::fs::read_to_string(&limits).ok()?;
            let core = limits
                .lines()
                .find(|line| line.starts_with("Max core file size"))?;
            let mut words = core.split_whitespace().skip(4);
            (words.next() == Some("0") && words.next() == Some("0")).then_some(())
        };
        let held = until(WITHIN, none);
        assert!(held.is_some(), "{} may leave a core", program.display());
    }
}
