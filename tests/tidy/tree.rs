//! What the rules stand on: the files of the tree, how a rule is tried and how it judges.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Line, from 1, and what is wrong there.
pub(crate) type Offence = (usize, String);

/// Tries the rule on samples (path, text), then judges every file of the tree by it.
pub(crate) fn enforce(
    rule: fn(&str, &str) -> Vec<Offence>,
    bad: &[(&str, &str)],
    good: &[(&str, &str)],
    advice: &str,
) {
    for (path, text) in bad {
        assert!(
            !rule(path, text).is_empty(),
            "the rule lets {path} pass: {text}"
        );
    }
    for (path, text) in good {
        assert_eq!(rule(path, text), [], "a false alarm in {path}: {text}");
    }
    let mut offences = Vec::new();
    for path in tree() {
        // Not text, or gone from the disk: no rule about text applies.
        let text = std::fs::read_to_string(root().join(&path)).unwrap_or_default();
        let found = rule(&path, &text).into_iter();
        offences.extend(found.map(|(line, what)| format!("{path}:{line}: {what}")));
    }
    judge(&offences, advice);
}

pub(crate) fn judge(offences: &[String], advice: &str) {
    let list = offences.join("\n  ");
    assert!(
        offences.is_empty(),
        "{} offences\n  {list}\nto do: {advice}",
        offences.len()
    );
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file that git tracks or would track, but the rules themselves.
fn tree() -> Vec<String> {
    let listed = git(&["ls-files", "--cached", "--others", "--exclude-standard"]);
    let files: BTreeSet<String> = listed.lines().map(str::to_owned).collect();
    assert!(
        files.contains("Cargo.toml"),
        "git lists no Cargo.toml: run this in a clone"
    );
    files
        .into_iter()
        .filter(|path| !path.starts_with("tests/tidy"))
        .collect()
}

pub(crate) fn git(arguments: &[&str]) -> String {
    let output = Command::new("git")
        // A clone made by another user, as in a container, is still this tree.
        .args(["-c", "safe.directory=*", "-C"])
        .arg(root())
        .args(arguments)
        .output()
        .expect("git is installed");
    assert!(
        output.status.success(),
        "git: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("paths are UTF-8")
}

pub(crate) fn in_folder(path: &str, folder: &str) -> bool {
    let mut parents = path.split('/').rev().skip(1);
    parents.any(|parent| parent == folder)
}

/// Whether the whole file is tests.
pub(crate) fn all_tests(path: &str) -> bool {
    in_folder(path, "tests") || path.ends_with("/tests.rs")
}

/// Where the tests at a source file's end begin; its length when it has none.
pub(crate) fn tests_at(text: &str) -> usize {
    text.rfind("#[cfg(test)]\nmod ").unwrap_or(text.len())
}

pub(crate) fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line))
}

/// The lines of Rust code, comments left out, that offend.
pub(crate) fn lines_with(path: &str, text: &str, offends: impl Fn(&str) -> bool) -> Vec<Offence> {
    if !path.ends_with(".rs") {
        return Vec::new();
    }
    numbered(text)
        .filter(|(_, line)| !line.trim_start().starts_with("//") && offends(line))
        .map(|(number, line)| (number, line.trim().to_owned()))
        .collect()
}

pub(crate) fn name_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The names that follow `prefix`, where `prefix` is not the end of a longer name.
pub(crate) fn after<'a>(line: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    line.match_indices(prefix)
        .filter(|(at, _)| !line[..*at].ends_with(name_part))
        .map(move |(at, _)| {
            let rest = &line[at + prefix.len()..];
            &rest[..rest.find(|c| !name_part(c)).unwrap_or(rest.len())]
        })
}
