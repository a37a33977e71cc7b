//! The project's binaries, and one run of one of them.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::process::Pid;
use serde_json::Value;

/// No command of these tests takes longer, on the slowest machine.
pub(crate) const WITHIN: Duration = Duration::from_secs(60);

/// Between two looks at something that says nothing when it changes.
const TICK: Duration = Duration::from_millis(2);

/// Where the binaries are.
pub(crate) struct Binaries {
    pub(crate) provisioner: PathBuf,
    pub(crate) station_cli: PathBuf,
    pub(crate) hsm_sim: PathBuf,
    pub(crate) line_sim: PathBuf,
}

/// Builds them once, as this test itself was built, and says where they are.
pub(crate) fn binaries() -> &'static Binaries {
    static BUILT: OnceLock<Binaries> = OnceLock::new();
    BUILT.get_or_init(build)
}

fn build() -> Binaries {
    // .../TARGET/PROFILE/deps/line-HASH
    let test = std::env::current_exe().unwrap();
    let folder = test.ancestors().nth(2).unwrap();
    let profile = match folder.file_name().unwrap().to_str().unwrap() {
        "debug" => "dev",
        other => other,
    };
    let mut cargo = Command::new(env!("CARGO"));
    // What cargo says to a test of its package; build scripts would see other values than usual
    // and all would be built anew, here and again at the next build.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(name);
        }
    }
    let built = cargo
        .args(["build", "--locked", "--bins", "--lib", "--profile", profile])
        .args(["-p", "provisioner", "-p", "station-cli"])
        .args(["-p", "hsm-sim", "-p", "hsm-sim-pkcs11", "-p", "line-sim"])
        .args(["--message-format", "json-render-diagnostics"])
        .arg("--target-dir")
        .arg(folder.parent().unwrap())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo runs");
    assert!(built.status.success(), "the binaries do not build");
    let messages = String::from_utf8(built.stdout).unwrap();
    let messages = messages.lines().map(serde_json::from_str::<Value>);
    let messages: Vec<Value> = messages.collect::<Result<_, _>>().unwrap();
    let find = |name: &str| {
        let made = messages
            .iter()
            .find(|message| message["target"]["name"] == name && message["executable"].is_string());
        let made = made.unwrap_or_else(|| panic!("cargo built no {name}"));
        PathBuf::from(made["executable"].as_str().unwrap())
    };
    Binaries {
        provisioner: find("provisioner"),
        station_cli: find("station-cli"),
        hsm_sim: find("hsm-sim"),
        line_sim: find("line-sim"),
    }
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Done {
    /// Its exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Done {
    /// It must have ended well.
    #[track_caller]
    pub(crate) fn ok(self) -> Done {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }

    /// It must have ended like this, and told a person this.
    #[track_caller]
    pub(crate) fn refused(self, code: i32, says: &str) -> Done {
        assert_eq!(self.code, Some(code), "{self:#?}");
        assert!(self.err.contains(says), "no `{says}` in {self:#?}");
        self
    }

    /// The one JSON object or list it printed.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

/// Runs a command to its end.
#[track_caller]
pub(crate) fn run(program: &Path, arguments: &[&str]) -> Done {
    run_with(program, arguments, "")
}

/// Runs a command to its end, with this on its standard input.
#[track_caller]
pub(crate) fn run_with(program: &Path, arguments: &[&str], input: &str) -> Done {
    run_for(program, arguments, input, WITHIN)
}

/// Runs a command that may take longer than others.
#[track_caller]
pub(crate) fn run_within(program: &Path, arguments: &[&str], within: Duration) -> Done {
    run_for(program, arguments, "", within)
}

#[track_caller]
fn run_for(program: &Path, arguments: &[&str], input: &str, within: Duration) -> Done {
    let outputs = tempfile::tempdir().unwrap();
    let [out, err] = ["out", "err"].map(|name| outputs.path().join(name));
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(File::create(&out).unwrap())
        .stderr(File::create(&err).unwrap())
        .spawn()
        .unwrap();
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes()); // it may not want any
    let code = end_within(&mut child, within);
    let [out, err] = [out, err].map(|path| text_of(&path));
    Done { code, out, err }
}

/// Waits for a process to end by itself; gives its exit code.
#[track_caller]
pub(crate) fn end_of(child: &mut Child) -> Option<i32> {
    end_within(child, WITHIN)
}

#[track_caller]
fn end_within(child: &mut Child, within: Duration) -> Option<i32> {
    let ended = until(within, || child.try_wait().unwrap());
    let Some(status) = ended else {
        let _ = child.kill();
        panic!("a process did not end within {within:?}");
    };
    status.code()
}

/// Looks until there is something to see, or for no longer than `within`.
pub(crate) fn until<T>(within: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + within;
    loop {
        if let Some(seen) = look() {
            return Some(seen);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::park_timeout(TICK);
    }
}

/// The processes that a process has started from its first thread, and not waited for.
pub(crate) fn children_of(process: &Child) -> Vec<Pid> {
    let path = format!("/proc/{0}/task/{0}/children", process.id()); // proc(5)
    let numbers = std::fs::read_to_string(path).unwrap();
    let pids = numbers.split_whitespace().map(|one| one.parse().unwrap());
    pids.map(|one| Pid::from_raw(one).unwrap()).collect()
}

/// Whether a process ends, some time after what it ran for. Dead is enough, where nobody collects what
/// is left of it (state Z of proc(5)).
pub(crate) fn ends(process: Pid) -> bool {
    let stat = format!("/proc/{}/stat", process.as_raw_nonzero());
    let runs = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z"));
    until(WITHIN, || (!runs()).then_some(())).is_some()
}

/// What a file holds, as far as it is text.
pub(crate) fn text_of(path: &Path) -> String {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|mut file| file.read_to_end(&mut bytes));
    read.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    String::from_utf8_lossy(&bytes).into_owned()
}
