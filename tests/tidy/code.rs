//! Rules about sources: size, codes, unsafe, things left for later, sleeps, paths of a machine.

use std::collections::BTreeSet;
use std::path::Path;

use crate::tree::{
    Offence, after, all_tests, enforce, in_folder, lines_with, name_part, numbered, tests_at,
};
use crate::words::words;

/// Lines of one source file before its tests, and with them.
const CODE_LINES: usize = 400;
const FILE_LINES: usize = 600;

/// Modules named for nothing in particular.
const VAGUE: &str = "common helper helpers manager misc util utils";

/// Where a gRPC code may stand.
const CODES: &[&str] = &[
    "provisioner/src/status.rs", // where each is chosen
    "provisioner/src/admin.rs",  // the admin's client reads a status
    "provisioner/tests/",        // so do the server's tests
    "station-cli/",              // and the station
    "crates/api/src/reason.rs",  // its test makes one to read a reason back
    "crates/api/src/in_use.rs",  // and so does its
    "crates/hsm/",               // the token's own protocol has a `Code` of its own
    "hsm-sim/",
];

const GRPC_CODES: &str = "Aborted AlreadyExists Cancelled DataLoss DeadlineExceeded \
    FailedPrecondition Internal InvalidArgument NotFound Ok OutOfRange PermissionDenied \
    ResourceExhausted Unauthenticated Unavailable Unimplemented Unknown";

/// The one place of unsafe code: what C calls.
const C_INTERFACE: &str = "hsm-sim/pkcs11/src/";

/// Files whose tests may sleep.
const SLEEPERS: &[&str] = &[
    "station-cli/src/drive.rs", // in tokio's paused time, which no test waits for
    "tests/gadget/src/",        // the inside of a machine where time is the emulator's
];

/// Roots that exist on one machine.
const MACHINE: &[&str] = &["/root/", "/home/", "/Users/"];

#[test]
fn files_fit() {
    let long = "let x = 1;\n".repeat(CODE_LINES + 1);
    let tests = format!(
        "#[cfg(test)]\nmod tests {{\n{}}}\n",
        "// t\n".repeat(FILE_LINES)
    );
    let tested = format!(
        "fn f() {{}}\n{}",
        tests.replacen("// t\n", "", FILE_LINES / 2)
    );
    enforce(
        file_offences,
        &[
            ("crates/x/src/a.rs", &long),
            ("crates/x/src/a.rs", &tests),
            ("crates/x/src/utils.rs", ""),
        ],
        &[
            ("crates/x/src/a.rs", &tested),
            ("crates/x/tests/a.rs", &long),
            ("crates/x/src/a.rs", &format!("// @generated\n{long}")),
        ],
        "split the file by what it says (400 lines before the tests, 600 with them) and name it \
         for that",
    );
}

fn file_offences(path: &str, text: &str) -> Vec<Offence> {
    let generated = text
        .lines()
        .next()
        .is_some_and(|line| line.contains("@generated"));
    if !path.ends_with(".rs") || !in_folder(path, "src") || generated {
        return Vec::new();
    }
    let mut offences = Vec::new();
    let stem = Path::new(path).file_stem().and_then(|stem| stem.to_str());
    if stem.is_some_and(|stem| VAGUE.split(' ').any(|vague| vague == stem)) {
        offences.push((1, "a name that says nothing".to_owned()));
    }
    if all_tests(path) {
        return offences;
    }
    let lines = text.lines().count();
    let code = text[..tests_at(text)].lines().count();
    if code > CODE_LINES {
        offences.push((code, format!("{code} lines before the tests")));
    }
    if lines > FILE_LINES {
        offences.push((lines, format!("{lines} lines in all")));
    }
    offences
}

#[test]
fn grpc_codes_live_in_one_file() {
    let a = "crates/x/src/a.rs";
    enforce(
        code_offences,
        &[
            (a, "return (Code::Unavailable, reason);"),
            (a, "use tonic::{Code, Status}; tonic::Code::Internal"),
            (a, "Err(Status::not_found(\"no\"))"),
            (
                "provisioner/src/services.rs",
                "Err(Status::internal(\"no\"))",
            ),
        ],
        &[
            ("provisioner/src/status.rs", "(Code::Unavailable, reason)"),
            (
                a,
                "ExitCode::from(2); ErrorCode::Unknown; v1::Code::WrongPin",
            ),
            (a, "/// Answers `Code::Unavailable`."),
            (
                a,
                "Status::from(error); Status::with_error_details(code, text, details)",
            ),
        ],
        "return an error of your module and choose its code in provisioner/src/status.rs",
    );
}

fn code_offences(path: &str, text: &str) -> Vec<Offence> {
    if CODES.iter().any(|place| path.starts_with(place)) {
        return Vec::new();
    }
    let makers: BTreeSet<String> = GRPC_CODES.split_whitespace().map(snake).collect();
    lines_with(path, text, |line| {
        let code = after(line, "Code::")
            .any(|name| GRPC_CODES.split_whitespace().any(|code| code == name));
        let maker = after(line, "Status::").any(|name| makers.contains(name));
        code || maker || line.contains("tonic::Code")
    })
}

/// `NotFound` as `not_found`.
fn snake(name: &str) -> String {
    let words: Vec<String> = words(name).into_iter().map(|(_, word)| word).collect();
    words.join("_")
}

#[test]
fn no_unsafe() {
    let a = |text: &'static str| ("crates/x/src/a.rs", text);
    enforce(
        unsafe_offences,
        &[
            a("let x = unsafe { *pointer };"),
            a("unsafe impl Send for X {}"),
            a("#[unsafe(no_mangle)]"),
            a("#![allow(unsafe_code)]"),
            ("hsm-sim/src/a.rs", "let x = unsafe { *pointer };"),
            ("hsm-sim/pkcs11/build.rs", "let x = unsafe { *pointer };"),
            (
                "Cargo.toml",
                "[workspace.lints.rust]\nunsafe_code = \"warn\"\n",
            ),
        ],
        &[
            a("#![forbid(unsafe_code)]"),
            a("// unsafe { } would be refused"),
            ("hsm-sim/pkcs11/src/a.rs", "let x = unsafe { *pointer };"),
            (
                "Cargo.toml",
                "[workspace.lints.rust]\nunsafe_code = \"forbid\"\n",
            ),
        ],
        "write it without unsafe; rustix, ring and rusqlite wrap what we need",
    );
}

fn unsafe_offences(path: &str, text: &str) -> Vec<Offence> {
    if path == "Cargo.toml" && !text.contains("\nunsafe_code = \"forbid\"\n") {
        return vec![(1, "the workspace does not forbid unsafe_code".to_owned())];
    }
    if path.starts_with(C_INTERFACE) {
        return Vec::new(); // clippy asks each block there for its reason
    }
    let forms = [
        "unsafe {",
        "unsafe fn",
        "unsafe impl",
        "unsafe trait",
        "unsafe extern",
        "unsafe(",
    ];
    let excuses = ["allow(unsafe", "expect(unsafe", "warn(unsafe"];
    lines_with(path, text, |line| {
        forms.iter().chain(&excuses).any(|form| line.contains(form))
    })
}

#[test]
fn nothing_left_for_later() {
    let a = |text: &'static str| ("crates/x/src/a.rs", text);
    enforce(
        later_offences,
        &[
            a("todo!()"),
            a("unimplemented!(\"never\")"),
            a("// TODO: more"),
            a("// FIXME"),
            ("tests/run", "# XXX"),
            a("#[ignore = \"slow\"]"),
            a("    #[ignore]"),
        ],
        &[
            a("check(\"K7QDM2XXXTR4\", \"repeats\");"),
            a("#[test]"),
            a("// TODO(#12): twice"),
        ],
        "do it, or file an issue and write TODO(#number); a test that cannot run is deleted",
    );
}

fn later_offences(path: &str, text: &str) -> Vec<Offence> {
    let marks = ["TODO", "FIXME", "XXX"];
    let stubs = ["todo!(", "unimplemented!(", "#[ignore"];
    let mut offences = Vec::new();
    for (line, content) in numbered(text) {
        let mark = marks.iter().find(|mark| {
            content.match_indices(*mark).any(|(at, _)| {
                let rest = &content[at + mark.len()..];
                !content[..at].ends_with(name_part)
                    && !rest.starts_with(name_part)
                    && !rest.starts_with("(#")
            })
        });
        let stub = stubs
            .iter()
            .find(|stub| path.ends_with(".rs") && content.contains(*stub));
        offences.extend(mark.or(stub).map(|what| (line, (*what).to_owned())));
    }
    offences
}

#[test]
fn tests_do_not_sleep() {
    let a = "crates/x/src/a.rs";
    let tests = "fn f() {}\n\n#[cfg(test)]\nmod tests {\n    fn t() { sleep(SECOND); }\n}\n";
    enforce(
        sleep_offences,
        &[
            (a, tests),
            ("crates/x/tests/a.rs", "std::thread::sleep(SECOND);"),
            (
                "tests/line/main.rs",
                "tokio::time::sleep_until(then).await;",
            ),
            ("crates/x/src/a/tests.rs", "sleep(SECOND);"),
        ],
        &[
            (a, "fn f() { std::thread::sleep(SECOND); }"),
            (a, "#[cfg(test)]\nmod tests {}\n"),
        ],
        "wait for the event itself (a channel, a join, a bounded poll of the state) or pass time \
         in as an argument",
    );
}

fn sleep_offences(path: &str, text: &str) -> Vec<Offence> {
    if SLEEPERS.iter().any(|place| path.starts_with(place)) {
        return Vec::new();
    }
    let from = if all_tests(path) { 0 } else { tests_at(text) };
    let before = text[..from].lines().count();
    lines_with(path, &text[from..], |line| {
        ["sleep(", "sleep_until(", "sleep_ms("]
            .iter()
            .any(|call| line.contains(call))
    })
    .into_iter()
    .map(|(line, what)| (before + line, what))
    .collect()
}

#[test]
fn no_path_of_one_machine() {
    enforce(
        machine_offences,
        &[
            ("a.toml", "data = \"/home/me/line\""),
            ("README.md", "cd /home/me/birthmark"),
            ("a.rs", "// seen in /root/.cargo"),
        ],
        &[
            (
                "README.md",
                "https://example.org/home/page, ca/root/x, $HOME/x",
            ),
            ("a.rs", "Path::new(\"/dev/pts/3\")"),
        ],
        "use a path relative to the repository, a temporary folder or an argument",
    );
}

fn machine_offences(_: &str, text: &str) -> Vec<Offence> {
    let inner = |c: char| name_part(c) || matches!(c, '.' | '-' | '}' | ')' | '/');
    let offends = |line: &str| {
        MACHINE.iter().any(|root| {
            line.match_indices(root)
                .any(|(at, _)| !line[..at].ends_with(inner))
        })
    };
    let found = numbered(text).filter(|(_, line)| offends(line));
    found
        .map(|(number, line)| (number, line.trim().to_owned()))
        .collect()
}
