//! What a program holds in memory is in no core file of it, and no other process of its user reads it
//! there.

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Resource, getgid, getrlimit, getuid};

use crate::binaries::{WITHIN, binaries, until};

/// The group of nobody, as which root runs what it looks at.
const NOBODYS_GROUP: u32 = 65_534;

/// Ended at the latest with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A program that has begun, and the user and group as which it runs.
struct Begun {
    running: Running,
    owner: (u32, u32),
}

impl Begun {
    /// Its files in /proc are root's once it is not dumpable, user and group (proc(5)): with root's
    /// group they would be so before.
    fn begin(program: &Path, arguments: &[&str], folder: &Path) -> Begun {
        let (user, group) = (getuid().as_raw(), getgid().as_raw());
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let is_root = user == 0;
        if is_root {
            command.gid(NOBODYS_GROUP);
        }
        let child = command.spawn().unwrap();
        Begun {
            running: Running(child),
            owner: (user, if is_root { NOBODYS_GROUP } else { group }),
        }
    }

    /// A file that is not the folder itself: of that the owner is always its user.
    fn limits(&self) -> String {
        format!("/proc/{}/limits", self.running.0.id())
    }

    /// Whether neither of its limits allows a core file, in bytes (proc(5)).
    fn limit_is_none(&self) -> bool {
        let limits = std::fs::read_to_string(self.limits()).unwrap_or_default();
        let core = limits
            .lines()
            .find(|line| line.starts_with("Max core file size"));
        let mut words = core.unwrap_or_default().split_whitespace().skip(4);
        words.next() == Some("0") && words.next() == Some("0")
    }

    fn is_dumpable(&self) -> bool {
        let owner = std::fs::metadata(self.limits()).map(|file| (file.uid(), file.gid()));
        owner.is_ok_and(|owner| owner == self.owner)
    }
}

#[test]
fn no_program_that_holds_secrets_leaves_a_core_file() {
    let folder = tempfile::tempdir().unwrap();
    let programs = binaries();
    // One that keeps nothing to itself shows that the test would see it.
    let shown = Begun::begin(Path::new("/bin/cat"), &[], folder.path());
    assert!(until(WITHIN, || shown.is_dumpable().then_some(())).is_some());
    // Where nobody may have a core file the limit says nothing, and the other half has to.
    let tells = getrlimit(Resource::Core).maximum != Some(0);
    assert_ne!(shown.limit_is_none(), tells);

    let token = ["serve", "--socket", "socket", "--store", "token"];
    let mut begun = Vec::new();
    // Each stays until its input or the test ends. Of simulated units only the core file is refused: a
    // station's doctor says which process holds their port.
    for (program, arguments, to_itself) in [
        (&programs.provisioner, ["lint", "-"].as_slice(), true),
        (&programs.hsm_sim, &token, true),
        (&programs.station_cli, &["ports", "--watch"], true),
        (&programs.line_sim, &["unit", "--flash", "unit.json"], false),
    ] {
        let one = Begun::begin(program, arguments, folder.path());
        let kept = || one.limit_is_none() && !(to_itself && one.is_dumpable());
        let seen = until(WITHIN, || kept().then_some(()));
        assert!(seen.is_some(), "{} may leave a core", program.display());
        begun.push((one, to_itself));
    }
    // And not only before it ran.
    for (one, to_itself) in &begun {
        assert!(one.limit_is_none() && !(*to_itself && one.is_dumpable()));
    }
}
