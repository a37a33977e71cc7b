//! Ports: who holds them, whether they open, and what the system does to them behind our back.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::{Finding, RULES};
use crate::port::{hidden_holders, holders};
use crate::ports::listed;
use crate::usb;

/// A program that opens serial ports that are not its own.
struct Meddler {
    name: &'static str,
    todo: &'static str,
    /// Whether our rules keep it off.
    minds_rules: bool,
}

const MEDDLERS: [Meddler; 2] = [
    Meddler {
        name: "ModemManager",
        todo: "it writes AT commands to new ports: install the rules of `doctor --udev`, or stop it",
        minds_rules: true,
    },
    Meddler {
        name: "brltty",
        todo: "it takes USB bridges for braille displays: remove it, or mask brltty.service",
        minds_rules: false,
    },
];

/// Where rules are installed.
const RULE_FOLDERS: [&str; 3] = [
    "etc/udev/rules.d",
    "run/udev/rules.d",
    "usr/lib/udev/rules.d",
];

/// Everything about the ports that are listed and those that were named. `root` is `/`.
pub(super) fn look(named: &[PathBuf], root: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut paths: Vec<PathBuf> = named.to_vec();
    match listed() {
        Ok(listed) => {
            let listed = listed.into_iter().map(|port| PathBuf::from(port.path));
            let fresh: Vec<PathBuf> = listed.filter(|path| !named.contains(path)).collect();
            paths.extend(fresh);
        }
        Err(error) => {
            let todo = "name them with --port";
            findings.push(Finding::amber("ports", error.to_string(), todo));
        }
    }
    if paths.is_empty() {
        let todo = "plug an adapter or a unit in; a unit that appears by itself needs none";
        findings.push(Finding::amber(
            "ports",
            "this machine has no port that a unit could be on",
            todo,
        ));
    }
    for path in &paths {
        findings.push(port(path, root));
        findings.extend(latency(path, root));
    }
    findings.extend(meddlers(root));
    let wanted = !paths.is_empty();
    findings.extend(wanted.then(|| rules(root)));
    findings
}

/// Whether a port would open, as far as that can be told without opening it.
fn port(path: &Path, root: &Path) -> Finding {
    let name = path.display().to_string();
    let usb = usb::file_of(&name);
    let path = usb.as_deref().unwrap_or(path);
    let Ok(found) = fs::metadata(path) else {
        let todo = "plug the adapter or the unit in, or correct the slot's path";
        return Finding::red("port", "it is not there", todo).of(name);
    };
    let held = holders(path);
    if !held.is_empty() {
        let who: Vec<String> = held.iter().map(ToString::to_string).collect();
        let says = format!("it is held by {}", who.join(", "));
        let known = MEDDLERS
            .iter()
            .find(|known| held.iter().any(|it| it.is(known.name)));
        let todo = known.map_or("end that program, or it is a station at work", |known| {
            known.todo
        });
        return Finding::red("port", says, todo).of(name);
    }
    if access(path, Access::READ_OK | Access::WRITE_OK).is_err() {
        let group = group_of(found.gid()).unwrap_or_else(|| found.gid().to_string());
        let says = format!(
            "this user may not open it (mode {:o}, group {group})",
            found.mode() & 0o777
        );
        let todo = match &usb {
            // Its group is root's by default, which nobody should be put in.
            Some(_) => "allow it with a udev rule for its vendor id, of the form MODE=\"0660\", \
                        GROUP=\"plugdev\""
                .to_owned(),
            None => format!("usermod -aG {group} USER and log in again, or `doctor --udev`"),
        };
        return Finding::red("port", says, todo).of(name);
    }
    if hidden_holders(root) {
        // No reason to look at it: nobody but root sees more, and who is known to take ports is
        // looked for by name below.
        let says = "this user may open it; only root sees whether another user's program holds it";
        return Finding::green("port", says).of(name);
    }
    Finding::green("port", "free, and this user may open it").of(name)
}

fn group_of(id: u32) -> Option<String> {
    let groups = fs::read_to_string("/etc/group").ok()?;
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == id.to_string()).then(|| name.to_owned())
    })
}

/// An FTDI bridge keeps a short answer back for so many milliseconds; 16 unless it is told.
fn latency(path: &Path, root: &Path) -> Option<Finding> {
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let name = real.file_name()?.to_str()?.to_owned();
    let timer = root
        .join("sys/bus/usb-serial/devices")
        .join(&name)
        .join("latency_timer");
    let text = fs::read_to_string(timer).ok()?;
    let says = format!("{} ms", text.trim());
    let finding = match text.trim() {
        "1" => Finding::green("ftdi latency", says),
        _ => Finding::amber(
            "ftdi latency",
            says,
            "each exchange waits for it: `doctor --udev` sets 1",
        ),
    };
    Some(finding.of(path.display().to_string()))
}

/// Programs that run and open ports of their own accord.
fn meddlers(root: &Path) -> Vec<Finding> {
    let processes = fs::read_dir(root.join("proc"))
        .into_iter()
        .flatten()
        .flatten();
    let names: Vec<String> = processes
        .filter(|it| {
            it.file_name()
                .to_string_lossy()
                .bytes()
                .all(|b| b.is_ascii_digit())
        })
        .filter_map(|it| fs::read_to_string(it.path().join("comm")).ok())
        .map(|name| name.trim_end().to_owned())
        .collect();
    let one = |known: &Meddler| {
        let name = known.name;
        // The kernel keeps 15 characters of a name.
        let runs = names.iter().any(|it| *it == name[..name.len().min(15)]);
        let kept_off = known.minds_rules && installed(root);
        match (runs, kept_off) {
            (false, _) => Finding::green("other programs", format!("no {name}")),
            (true, true) => Finding::green(
                "other programs",
                format!("{name} runs, and rules keep it off"),
            ),
            (true, false) => Finding::amber("other programs", format!("{name} runs"), known.todo),
        }
    };
    MEDDLERS.iter().map(one).collect()
}

fn installed(root: &Path) -> bool {
    let folders = RULE_FOLDERS.iter().map(|folder| root.join(folder));
    let files = folders
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten()
        .flatten();
    let mut texts = files.filter_map(|file| fs::read_to_string(file.path()).ok());
    texts.any(|text| text == RULES)
}

fn rules(root: &Path) -> Finding {
    match installed(root) {
        true => Finding::green("udev rules", "installed"),
        false => Finding::amber(
            "udev rules",
            "those of this version are not installed",
            "station-cli doctor --udev > /etc/udev/rules.d/70-birthmark.rules",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    fn write(root: &Path, name: &str, text: &str) {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn a_bridge_that_keeps_answers_back_is_amber() {
        let root = tempfile::tempdir().unwrap();
        let port = root.path().join("ttyUSB7");
        fs::write(&port, "").unwrap();
        assert!(latency(&port, root.path()).is_none(), "no FTDI bridge");
        let timer = "sys/bus/usb-serial/devices/ttyUSB7/latency_timer";
        for (ms, level) in [("16\n", Level::Amber), ("1\n", Level::Green)] {
            write(root.path(), timer, ms);
            let found = latency(&port, root.path()).unwrap();
            assert_eq!(found.level, level, "{}", found.says);
        }
    }

    #[test]
    fn programs_that_open_ports_are_named_until_rules_keep_them_off() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "proc/12/comm", "ModemManager\n");
        write(root.path(), "proc/self/comm", "ModemManager\n");
        write(root.path(), "proc/13/comm", "brltty\n");
        let levels = || {
            let found = meddlers(root.path());
            found.iter().map(|it| it.level).collect::<Vec<_>>()
        };
        assert_eq!(levels(), [Level::Amber, Level::Amber]);
        assert_eq!(rules(root.path()).level, Level::Amber);
        write(root.path(), "etc/udev/rules.d/70-birthmark.rules", RULES);
        assert_eq!(levels(), [Level::Green, Level::Amber]);
        assert_eq!(rules(root.path()).level, Level::Green);
    }

    /// A process that does not show what it has open may have the port open.
    #[test]
    fn a_port_whose_holder_cannot_be_seen_is_not_called_free() {
        let root = tempfile::tempdir().unwrap();
        let free = tempfile::NamedTempFile::new().unwrap();
        fs::create_dir_all(root.path().join("proc/12/fd")).unwrap();
        fs::create_dir_all(root.path().join("proc/13")).unwrap(); // it has ended
        write(root.path(), "proc/self/fd", "");
        let says = || port(free.path(), root.path()).says;
        assert!(says().starts_with("free"));
        write(root.path(), "proc/14/fd", "no folder: it cannot be read");
        assert!(says().contains("only root sees"));
    }

    #[test]
    fn a_port_that_is_not_there_is_red() {
        let found = port(Path::new("/dev/no-such-port"), Path::new("/"));
        assert_eq!(
            (found.level, found.says.as_str()),
            (Level::Red, "it is not there")
        );
    }
}
