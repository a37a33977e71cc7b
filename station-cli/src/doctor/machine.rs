//! The machine: its disk, whether that keeps what it says it keeps, its terminal, its USB, and how long
//! the station's certificate lasts.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use x509_parser::pem::parse_x509_pem;

use super::Finding;
use crate::home::Home;

/// A journal is small; what is left must also hold a day of proofs.
const MB_RED: u64 = 16;
const MB_AMBER: u64 = 200;

/// A certificate is valid for 90 days, and renewing one takes an administrator.
const DAYS_AMBER: i64 = 14;

/// What is free where the journal is.
pub(super) fn disk(dir: &Path) -> Finding {
    let there = existing(dir);
    match rustix::fs::statvfs(there) {
        Err(error) => Finding::red("disk", error.to_string(), "is the folder there? call IT"),
        Ok(found) => {
            let mb = found.f_bavail.saturating_mul(found.f_frsize) / 1_000_000;
            let says = format!("{mb} MB are free at {}", there.display());
            match mb {
                0..MB_RED => Finding::red("disk", says, "make room: no unit can be journaled"),
                MB_RED..MB_AMBER => Finding::amber("disk", says, "make room"),
                _ => Finding::green("disk", says),
            }
        }
    }
}

/// The nearest folder above that is there.
fn existing(dir: &Path) -> &Path {
    let mut above = dir.ancestors().filter(|path| !path.as_os_str().is_empty());
    above.find(|path| path.exists()).unwrap_or(Path::new("."))
}

/// Whether a file that is written and synced is there.
pub(super) fn sync(dir: &Path) -> Finding {
    let folder = existing(dir);
    let path = folder.join(format!(".doctor-{}", std::process::id()));
    let at = folder.display();
    match written(&path) {
        Ok(()) => Finding::green(
            "disk sync",
            format!("a file was written and synced in {at}"),
        ),
        Err(error) => {
            let says = format!("a file cannot be written and synced in {at}: {error}");
            Finding::red(
                "disk sync",
                says,
                "stop this station: its journal would not survive a power cut",
            )
        }
    }
}

fn written(path: &Path) -> io::Result<()> {
    // What is there already is somebody else's, and stays.
    let file = File::create_new(path)?;
    let kept = keeps(file, path);
    fs::remove_file(path).and(kept)
}

fn keeps(mut file: File, path: &Path) -> io::Result<()> {
    file.write_all(&[0x5a; 4_096])?;
    file.sync_all()?;
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()?;
    match fs::read(path)?.len() {
        4_096 => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Whether this machine has USB at all.
pub(super) fn usb(root: &Path) -> Finding {
    let hubs = fs::read_dir(root.join("sys/bus/usb/devices"));
    let hubs = hubs.map_or(0, |entries| {
        let names = entries.flatten().map(|entry| entry.file_name());
        names
            .filter(|name| name.to_string_lossy().starts_with("usb"))
            .count()
    });
    match hubs {
        0 => Finding::amber(
            "usb",
            "this machine has no USB",
            "units on USB are not seen here: is it a virtual machine or a container?",
        ),
        count => Finding::green("usb", format!("{count} root hubs")),
    }
}

/// Whether the terminal shows what the station says.
pub(super) fn terminal(variable: &dyn Fn(&str) -> Option<String>) -> Finding {
    let set = |name| variable(name).filter(|value| !value.is_empty());
    let locale = set("LC_ALL")
        .or_else(|| set("LC_CTYPE"))
        .or_else(|| set("LANG"));
    let locale = locale.unwrap_or_default();
    let folded = locale.to_ascii_lowercase();
    let term = set("TERM").unwrap_or_default();
    if !folded.contains("utf-8") && !folded.contains("utf8") {
        let says = format!("the locale `{}` is not UTF-8", locale.escape_debug());
        return Finding::amber("terminal", says, "LANG=C.UTF-8, or marks are not drawn");
    }
    if matches!(term.as_str(), "" | "dumb") {
        let says = format!(
            "the terminal `{}` cannot move its cursor",
            term.escape_debug()
        );
        return Finding::amber(
            "terminal",
            says,
            "the screen is drawn line by line; set TERM",
        );
    }
    Finding::green(
        "terminal",
        format!("{} in {}", term.escape_debug(), locale.escape_debug()),
    )
}

/// How long the server takes this station.
pub(super) fn certificate(home: &Home) -> Finding {
    let path = home.dir().join("certificate.pem");
    let renew = "provisioner station token NAME, then station-cli enroll into this folder";
    let ends = fs::read(&path).ok().and_then(|pem| {
        let (_, pem) = parse_x509_pem(&pem).ok()?;
        Some(pem.parse_x509().ok()?.validity().not_after.timestamp())
    });
    let Some(ends) = ends else {
        let says = format!("{} holds no certificate", path.display());
        return Finding::red("certificate", says, renew);
    };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let left = ends - i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    judged(left.div_euclid(24 * 3_600), renew)
}

fn judged(days: i64, renew: &str) -> Finding {
    let says = format!("it is valid for {days} more days");
    match days {
        ..0 => Finding::red("certificate", "it is not valid any more", renew),
        0..DAYS_AMBER => Finding::amber("certificate", says, renew),
        _ => Finding::green("certificate", says),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn a_folder_that_is_not_there_yet_is_judged_by_what_is_above_it() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("a/b");
        assert_eq!(existing(&below), folder.path());
        assert_eq!(sync(&below).level, Level::Green);
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            0,
            "nothing is left"
        );
        assert_eq!(sync(Path::new("/proc")).level, Level::Red);
        let others = folder
            .path()
            .join(format!(".doctor-{}", std::process::id()));
        fs::write(&others, "another's").unwrap();
        let found = sync(folder.path());
        assert_eq!(found.level, Level::Red);
        assert!(found.says.contains(&*folder.path().to_string_lossy()));
        assert_eq!(fs::read_to_string(&others).unwrap(), "another's");
        let full = disk(Path::new("/proc")); // it has no room for anything
        assert_eq!(
            (full.level, full.says.as_str()),
            (Level::Red, "0 MB are free at /proc")
        );
    }

    #[test]
    fn days_are_counted_to_the_end() {
        for (days, level) in [
            (90, Level::Green),
            (13, Level::Amber),
            (0, Level::Amber),
            (-1, Level::Red),
        ] {
            assert_eq!(judged(days, "").level, level, "{days}");
        }
    }

    #[test]
    fn a_terminal_is_judged_by_what_it_can_show() {
        let check = |locale: &str, term: &str, level| {
            let variable = |name: &str| match name {
                "LANG" => Some(locale.to_owned()),
                "TERM" => Some(term.to_owned()),
                _ => None,
            };
            assert_eq!(terminal(&variable).level, level, "{locale} {term}");
        };
        check("zh_CN.UTF-8", "xterm", Level::Green);
        check("C.utf8", "linux", Level::Green);
        check("C", "xterm", Level::Amber);
        check("C.UTF-8", "dumb", Level::Amber);
    }

    #[test]
    fn usb_is_counted_by_its_root_hubs() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(usb(root.path()).level, Level::Amber);
        fs::create_dir_all(root.path().join("sys/bus/usb/devices/usb1")).unwrap();
        assert_eq!(usb(root.path()).level, Level::Green);
    }
}
