//! The tree's own rules: what neither the compiler nor clippy knows about this project.
//!
//! One test a rule. A rule is a function from one file to its offences, its exceptions are data at
//! the top of its file, and before it judges the tree it must refuse bad samples and pass good
//! ones: a check that cannot fail is no check. The rules do not judge their own files, which quote
//! what they forbid.
//!
//! Judged is what git tracks or would track, so a new file is seen before its first commit.
//! Deliberately absent: layout (rustfmt), idiom and the length of functions (clippy), licences of
//! dependencies. The spec is DESIGN.md section 1 and STYLE.md sections 1, 2, 3, 6, 7 and 8.

use std::path::Path;

use cargo_metadata::{DependencyKind, MetadataCommand};

use tree::{Offence, enforce, git, judge, numbered, root};

#[path = "tidy/code.rs"]
mod code;
#[path = "tidy/tree.rs"]
mod tree;
#[path = "tidy/words.rs"]
mod words;

/// Which crate may link which, lowest first; a crate may name only crates above its own row.
const EDGES: &str = "\
traveler:
tlog:
hsm:
guess:
credential: traveler guess
identity: traveler
ledger: traveler tlog
label: traveler
compliance: traveler
api: traveler credential
wire: traveler credential
provisioner: api credential guess identity label ledger hsm tlog compliance traveler wire
station-cli: api wire credential label traveler tlog
hsm-sim: hsm
hsm-sim-pkcs11: hsm
line-sim: api compliance credential guess hsm hsm-sim identity label ledger provisioner \
    station-cli tlog traveler wire
fuzz: credential guess hsm hsm-sim-pkcs11 traveler wire
gadget: line-sim station-cli traveler
birthmark:";

/// Libraries that bring a socket, a disk or a port, and the only crates that may link them.
const REACH: &str = "\
tokio: provisioner station-cli hsm-sim line-sim gadget
tonic: api provisioner station-cli line-sim
rusqlite: ledger
serialport: station-cli line-sim
tokio-serial: station-cli line-sim
nusb: station-cli
anyhow: provisioner station-cli hsm-sim line-sim gadget";

/// The manifest of the one crate with unsafe code.
const UNSAFE: &str = "hsm-sim/pkcs11/Cargo.toml";

/// Endings of files that a run leaves behind.
const ARTEFACTS: &str = ".crt .csr .db .db-journal .db-shm .db-wal .der .key .log .p12 .pem \
    .sqlite .tmp";

#[test]
fn edges_run_down() {
    let refused = |name: &str, links: &[&str]| !edge_offences(name, links).is_empty();
    assert!(
        refused("station-cli", &["ledger"]),
        "a station must not link the ledger"
    );
    assert!(
        refused("traveler", &["api"]),
        "an edge upwards must be refused"
    );
    assert!(
        refused("guess", &["tokio"]),
        "a pure crate must not link a runtime"
    );
    assert!(
        refused("no-such-crate", &[]),
        "a crate missing from the table must be refused"
    );
    assert!(!refused(
        "ledger",
        &["traveler", "tlog", "rusqlite", "serde"]
    ));

    let rows: Vec<_> = table(EDGES).collect();
    for (row, (name, links)) in rows.iter().enumerate() {
        for link in links {
            let above = rows[..row].iter().any(|(other, _)| other == link);
            assert!(
                above,
                "the table itself lets {name} link {link}, which is not above it"
            );
        }
    }

    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo metadata reads the workspace");
    let mut offences = Vec::new();
    for package in metadata.workspace_packages() {
        let links: Vec<&str> = package
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind == DependencyKind::Normal)
            .map(|dependency| dependency.name.as_str())
            .collect();
        offences.extend(edge_offences(&package.name, &links));
    }
    judge(
        &offences,
        "drop the dependency; a new edge is its own commit, here and in DESIGN.md section 1",
    );
}

/// `links`: the normal dependencies of the crate, ours and others'.
fn edge_offences(name: &str, links: &[&str]) -> Vec<String> {
    let Some((_, allowed)) = table(EDGES).find(|(row, _)| *row == name) else {
        return vec![format!("{name} is not in the table of edges")];
    };
    let mut offences = Vec::new();
    for link in links {
        let ours = table(EDGES).any(|(row, _)| row == *link);
        let reach = table(REACH).find(|(library, _)| library == link);
        if ours && !allowed.contains(link) {
            offences.push(format!("{name} links {link}"));
        }
        if reach.is_some_and(|(_, crates)| !crates.contains(&name)) {
            offences.push(format!("{name} links {link}, which reaches outside"));
        }
    }
    offences
}

/// Rows of `name: word word`.
fn table(text: &'static str) -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
    let rows = text.lines().filter_map(|row| row.split_once(':'));
    rows.map(|(name, words)| (name, words.split_whitespace().collect()))
}

#[test]
fn manifests_agree() {
    let good = "[package]\ndescription = \"Says what\"\nlicense.workspace = true\n\n\
                [lints]\nworkspace = true\n";
    let path = "crates/x/Cargo.toml";
    enforce(
        manifest_offences,
        &[
            (path, &good.replace("license", "licence")),
            (path, &good.replace("Says what", "")),
            (path, &good.replace("[lints]", "[other]")),
            (path, &format!("{good}[dependencies]\nring = \"0.17\"\n")),
            (
                path,
                &good.replace(
                    "[lints]\nworkspace = true",
                    "[lints.rust]\nunsafe_code = \"allow\"",
                ),
            ),
            (
                path,
                &format!("{good}[dependencies.ring]\nversion = \"0.17\"\n"),
            ),
        ],
        &[
            (path, good),
            (
                UNSAFE,
                &good.replace(
                    "[lints]\nworkspace = true",
                    "[lints.rust]\nunsafe_code = \"allow\"",
                ),
            ),
            (
                path,
                &format!("{good}[dependencies]\nring = {{ workspace = true }}\n"),
            ),
        ],
        "every crate has a description, the workspace's licence and lints, and takes its \
         dependencies as `{ workspace = true }`",
    );
}

fn manifest_offences(path: &str, text: &str) -> Vec<Offence> {
    if Path::new(path)
        .file_name()
        .is_none_or(|name| name != "Cargo.toml")
    {
        return Vec::new();
    }
    let mut offences = Vec::new();
    if !text.contains("\nlicense.workspace = true\n") {
        offences.push((1, "no `license.workspace = true`".to_owned()));
    }
    if !text.contains("\ndescription = \"") || text.contains("\ndescription = \"\"") {
        offences.push((1, "no description".to_owned()));
    }
    // A C interface cannot be had without unsafe code: that crate's lints are its own.
    let own = path == UNSAFE && text.contains("\n[lints.rust]\nunsafe_code = \"allow\"\n");
    if !own && !text.contains("\n[lints]\nworkspace = true\n") {
        offences.push((1, "no `[lints] workspace = true`".to_owned()));
    }
    let mut section = "";
    for (number, line) in numbered(text) {
        if line.starts_with('[') {
            section = line;
            if line.contains("dependencies.") {
                offences.push((number, format!("one line a dependency, not {line}")));
            }
        }
        // The root's own table is where versions are chosen.
        let chosen = section.ends_with("dependencies]") && section != "[workspace.dependencies]";
        if chosen && line.contains(" = ") && !line.contains("workspace = true") {
            offences.push((number, format!("a version of its own: {line}")));
        }
    }
    offences
}

#[test]
fn no_artefact_is_tracked() {
    enforce(
        artefact_offences,
        &[
            ("ledger.db", ""),
            ("provisioner/ca/device-root.pem", ""),
            ("station.key", ""),
            ("tests/run.log", ""),
            ("tests/vectors/v1/site.log", ""),
        ],
        &[
            ("tests/vectors/v1/leaf.pem", ""),
            ("crates/hsm/src/key.rs", ""),
        ],
        "git rm --cached it and add it to .gitignore; a certificate to test with lives in \
         tests/vectors",
    );
}

fn artefact_offences(path: &str, _: &str) -> Vec<Offence> {
    let vector = path.starts_with("tests/vectors/")
        && [".pem", ".der", ".crt", ".csr", ".key"]
            .iter()
            .any(|ending| path.ends_with(ending));
    let ending = ARTEFACTS
        .split_whitespace()
        .find(|ending| path.ends_with(*ending) && !vector);
    ending
        .map(|ending| (1, format!("a {ending} file")))
        .into_iter()
        .collect()
}

#[test]
fn the_lockfile_and_the_scripts_are_tracked() {
    let missing = |staged: &str| {
        let want = [
            ("100644", "Cargo.lock"),
            ("100755", "tests/run"),
            ("100755", ".ci/run"),
        ];
        want.iter()
            .filter(|(mode, path)| {
                !staged.lines().any(|line| {
                    line.starts_with(mode) && line.split('\t').next_back() == Some(*path)
                })
            })
            .map(|(mode, path)| format!("{path} is not tracked with mode {mode}"))
            .collect::<Vec<String>>()
    };
    assert_eq!(missing("").len(), 3);
    let plain = "100644 abc 0\tCargo.lock\n100644 abc 0\ttests/run\n100755 abc 0\t.ci/run\n";
    assert_eq!(
        missing(plain),
        ["tests/run is not tracked with mode 100755"]
    );

    judge(
        &missing(&git(&["ls-files", "--stage"])),
        "git add it (git update-index --chmod=+x for a script): a fresh clone must build the same",
    );
}
