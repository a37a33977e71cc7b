//! Boots a virtual machine whose USB host meets its own gadgets, and believes what it says.
//!
//! Everything on it is made here: a kernel of Debian's (`tests/gadget/machine`), an archive with one
//! program, its libraries and a few modules. In software emulation, so that it runs where no machine
//! can be nested; no privilege, no network, no disk.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop there"
)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// More than the guest gives itself, and a boot.
const WITHIN: Duration = Duration::from_secs(240);

const EMULATOR: &str = "qemu-system-x86_64";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
#[allow(clippy::print_stdout, reason = "the figures of a run")]
fn units_on_a_real_usb_stack() {
    let brought = brought();
    let kernel = brought.join("kernel");
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("archive");
    fs::write(&archive, everything(&kernel, folder.path())).unwrap();

    let started = Instant::now();
    let mut machine = Machine::boot(emulator(&brought), &kernel.join("vmlinuz"), &archive);
    let mut verdict = None;
    let mut console = Vec::new();
    while let Some(line) = machine.line(started + WITHIN) {
        if let Some(said) = line.strip_prefix("usb-guest: ") {
            println!("{said}");
            if let Some((_, ended)) = said.split_once(" verdict: ") {
                verdict = Some(ended.to_owned());
            }
        }
        console.push(line);
    }
    assert_eq!(
        verdict.as_deref(),
        Some("passed"),
        "the console:\n{}",
        console[console.len().saturating_sub(60)..].join("\n")
    );
    println!("boot to end: {:.1} s", started.elapsed().as_secs_f32());
}

/// Where kernel and emulator lie; brought there when they do not.
fn brought() -> PathBuf {
    let script = root().join("tests/gadget/machine");
    let brought = Command::new(&script).output();
    let brought = brought.unwrap_or_else(|error| panic!("{}: {error}", script.display()));
    assert!(
        brought.status.success(),
        "this test needs a machine to boot: {}",
        String::from_utf8_lossy(&brought.stderr)
    );
    root().join("target/gadget")
}

/// The emulator: this machine's, unless it was brought here for the test.
fn emulator(brought: &Path) -> Command {
    let unpacked = brought.join("qemu/usr");
    if !unpacked.is_dir() {
        return Command::new(EMULATOR);
    }
    let mut command = Command::new(unpacked.join("bin").join(EMULATOR));
    let libraries = ["qemu/usr/lib", "qemu/lib"].map(|folder| {
        let folder = brought.join(folder).join("x86_64-linux-gnu");
        folder.display().to_string()
    });
    command.env("LD_LIBRARY_PATH", libraries.join(":"));
    for data in ["share/seabios", "share/qemu"] {
        command.arg("-L").arg(unpacked.join(data));
    }
    command
}

/// The archive that the kernel unpacks as its root.
fn everything(kernel: &Path, scratch: &Path) -> Vec<u8> {
    let program = scratch.join("init");
    let built = env!("CARGO_BIN_EXE_usb-guest");
    // Without its symbols it is a fifth of the size, and the kernel unpacks it in emulation.
    run(Command::new("strip").arg("-o").arg(&program).arg(built));
    let mut archive = Archive::default();
    archive.file("init", &program);
    for library in libraries(&program) {
        let name = library.to_str().unwrap().trim_start_matches('/');
        archive.file(name, &library);
    }
    archive.file("modules/order", &kernel.join("order"));
    for name in fs::read_to_string(kernel.join("order")).unwrap().lines() {
        archive.file(&format!("modules/{name}"), &kernel.join(name));
    }
    archive.end()
}

/// The files that the program is linked with when it starts, its loader included.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let listed = run(Command::new("ldd").arg(program));
    let words = listed
        .split_whitespace()
        .filter(|word| word.starts_with('/'));
    words.map(PathBuf::from).collect()
}

fn run(command: &mut Command) -> String {
    let output = command.output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// A cpio archive in the "newc" form, which is what the kernel reads
/// (https://docs.kernel.org/driver-api/early-userspace/buffer-format.html).
#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    folders: Vec<PathBuf>,
    entries: u32,
}

impl Archive {
    const FOLDER: u32 = 0o040_755;
    const PROGRAM: u32 = 0o100_755;

    fn file(&mut self, name: &str, path: &Path) {
        let parents: Vec<_> = Path::new(name).ancestors().skip(1).collect();
        for parent in parents.into_iter().rev() {
            let there =
                parent.as_os_str().is_empty() || self.folders.iter().any(|one| one == parent);
            if !there {
                self.folders.push(parent.to_owned());
                self.entry(parent.to_str().unwrap(), Archive::FOLDER, &[]);
            }
        }
        let content = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        self.entry(name, Archive::PROGRAM, &content);
    }

    fn entry(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.entries += 1;
        let [length, named] = [content.len(), name.len() + 1].map(|n| u32::try_from(n).unwrap());
        // Magic, inode, mode, owner, group, links, time, length, where it lies (two numbers each for it
        // and for what it stands for), length of the name, checksum.
        let fields = [self.entries, mode, 0, 0, 1, 0, length, 0, 0, 0, 0, named, 0];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08X}").bytes());
        }
        self.bytes.extend(name.bytes().chain([0]));
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn end(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }
}

/// A machine that runs; it does not outlive this.
struct Machine {
    emulator: Child,
    lines: Receiver<String>,
}

impl Machine {
    fn boot(mut emulator: Command, kernel: &Path, archive: &Path) -> Machine {
        // An init that restarts, or a kernel that gives up, ends the emulator.
        let parameters = "console=ttyS0 quiet loglevel=4 panic=-1 reboot=t random.trust_cpu=on \
                          nokaslr mitigations=off";
        let mut emulator = emulator
            .args([
                "-nodefaults",
                "-no-user-config",
                "-no-reboot",
                "-display",
                "none",
            ])
            .args([
                "-machine",
                "pc",
                "-accel",
                "tcg,thread=multi",
                "-cpu",
                "max",
                "-smp",
                "2",
            ])
            .args(["-m", "1024", "-serial", "stdio", "-append", parameters])
            .arg("-kernel")
            .arg(kernel)
            .arg("-initrd")
            .arg(archive)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("this test needs {EMULATOR}: apt-get install qemu-system-x86 ({error})")
            });
        let console = BufReader::new(emulator.stdout.take().unwrap());
        let (say, lines) = channel();
        std::thread::spawn(move || {
            for line in console.split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                if say.send(line).is_err() {
                    return;
                }
            }
        });
        Machine { emulator, lines }
    }

    /// The next line on its console; `None` when it has ended.
    fn line(&mut self, until: Instant) -> Option<String> {
        let left = until.saturating_duration_since(Instant::now());
        match self.lines.recv_timeout(left) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("the machine does not end"),
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.emulator.kill(); // it has ended by itself, or was given up
        let _ = self.emulator.wait();
    }
}
