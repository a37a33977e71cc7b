//! Consoles and tools that nobody here wrote: a boot loader in an emulated machine, a Linux login, a
//! flasher.
//!
//! The station's own engine and the shipped profiles speak to them. What is changed of a profile for
//! a test is named where it is changed.

#![allow(clippy::unwrap_used)] // the helpers of a test fail as the test does

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use line_sim::unit::Terminal;
use line_sim::{LabelReader, Town};
use rustix::process::{Pid, Signal, kill_process_group};
use station_cli::{
    Bench, Job, LabelFolder, Outcome, Patience, ReadBack, Report, SerialPort, Server, provision,
};
use traveler::{OrderId, Serial};

const U_BOOT: &str = "/usr/lib/u-boot/qemu_arm/u-boot.bin";

/// Bytes of the boot loader's environment on its disk: 64 blocks, 0x8000 and 0x40 to the boot loader.
const ENVIRONMENT: usize = 0x8000;

/// A process and all it started; none outlives its test.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
        let _ = self.0.wait();
    }
}

/// Provisions one unit under this profile, as often as an operator would be asked to.
async fn pass(profile: &str, port: &str, serial: &str) -> (Report, String) {
    let folder = tempfile::tempdir().unwrap();
    let town = Town::found(folder.path()).await.unwrap();
    let home = town.enrol("bench-1").await.unwrap();
    // What a profile brings to be run, this station allows.
    fs::write(home.dir().join("tools.toml"), "allow = [\"/bin/sh\"]\n").unwrap();
    let labels = folder.path().join("labels");
    fs::create_dir(&labels).unwrap();
    let product = "sku = \"CAM-2\"\nname = \"Camera\"\nmodel = \"CAM2\"\nlabel = true\n\
                   profile = \"real.toml\"\n";
    let definition = compliance::embed(product, |_| Ok(profile.to_owned())).unwrap();
    let order = town.order(&definition, "CAM-2", 5).await.unwrap();
    let job = Job {
        order: OrderId::parse(&order).unwrap(),
        serial: Serial::parse(serial).unwrap(),
        operator: None,
        patience: Patience::default(),
        reconnect: Duration::ZERO,
    };
    let mut bench = Bench {
        server: Server::of(&home).unwrap(),
        port: SerialPort::new(port.to_owned(), SerialPort::BAUD),
        scanner: LabelReader(labels.clone()),
        labels: LabelFolder(labels.clone()),
        progress: (),
    };
    let mut report = provision(&job, &home, &mut bench).await;
    for _ in 0..2 {
        if report.exit_code() == 10 {
            report = provision(&job, &home, &mut bench).await;
        }
    }
    let label = fs::read_to_string(labels.join(format!("{serial}.zpl"))).unwrap_or_default();
    town.stop().await.unwrap();
    (report, label)
}

/// The shipped profile, but for where this machine keeps an environment: the emulated flash of Debian
/// 12's QEMU takes no buffered write from U-Boot, so it lies on a disk, written and read with the
/// boot loader's own commands. Its own `unit_id` stands for serial#, which cannot be imported.
fn on_disk(shipped: &str) -> String {
    let read = "{ send = \"virtio scan\" },\n    { send = \"virtio read ${{loadaddr}} 0 40\" },\n    \
                { send = \"env import -c ${{loadaddr}} 8000\" },";
    let changed = shipped
        .replace("serial#", "unit_id")
        .replace(
            "[identify]\nrun = [",
            &format!("[identify]\nrun = [\n    {read}"),
        )
        .replace(
            "[verify]\nrun = [",
            &format!("[verify]\nrun = [\n    {read}"),
        )
        .replace(
            "run = [{ send = \"saveenv\", within_ms = 30000 }]",
            "run = [{ send = \"env export -c -s 8000 ${{loadaddr}}\" }, \
             { send = \"virtio write ${{loadaddr}} 0 40\" }]",
        );
    assert!(changed.contains("virtio write") && changed.matches("env import").count() == 2);
    changed
}

/// An environment as U-Boot stores it: CRC-32 of what follows, then `name=value` with a nul each.
fn environment(pairs: &[&str]) -> Vec<u8> {
    let mut data = vec![0; ENVIRONMENT - 4];
    let text = pairs.join("\0") + "\0\0";
    data[..text.len()].copy_from_slice(text.as_bytes());
    let crc = data.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                crc >> 1 ^ 0xedb8_8320
            } else {
                crc >> 1
            }
        })
    });
    [(!crc).to_le_bytes().to_vec(), data].concat()
}

fn emulate(disk: &Path) -> (Group, String) {
    let mut command = Command::new("qemu-system-arm");
    let drive = format!("if=none,id=d,format=raw,file={}", disk.display());
    command
        .args([
            "-M",
            "virt",
            "-cpu",
            "cortex-a15",
            "-m",
            "128",
            "-display",
            "none",
        ])
        .args([
            "-net", "none", "-monitor", "none", "-serial", "pty", "-bios", U_BOOT,
        ])
        .args(["-drive", &drive, "-device", "virtio-blk-device,drive=d"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut group = Group(
        command
            .spawn()
            .expect("apt-get install qemu-system-arm u-boot-qemu"),
    );
    let mut said = BufReader::new(group.0.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    // It says where it has put its serial line: "... redirected to /dev/pts/3 (label serial0)".
    let port = line
        .split_whitespace()
        .find(|word| word.starts_with("/dev/pts/"));
    let port = port.unwrap_or_else(|| panic!("{line}")).to_owned();
    (group, port)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_boot_loader_is_provisioned() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk.img");
    let mut bytes = environment(&["board_name=CAM2", "unit_id=00112233445566aa"]);
    bytes.resize(1 << 20, 0);
    fs::write(&disk, bytes).unwrap();
    let profile = on_disk(compliance::shipped_profile("u-boot").unwrap());

    let (machine, port) = emulate(&disk);
    let (report, label) = pass(&profile, &port, "UB-001").await;
    drop(machine);
    assert_eq!(report.outcome, Outcome::Sealed, "{report}");
    assert_eq!(report.read_back, Some(ReadBack::Station));
    assert_eq!(report.device_id.unwrap().as_str(), "00112233445566aa");
    // On the disk, as the boot loader wrote it, is what the label says.
    let disk = fs::read(&disk).unwrap();
    let text = String::from_utf8_lossy(&disk[..ENVIRONMENT]);
    let (_, rest) = text.split_once("factory_password=").unwrap();
    let (password, _) = rest.split_once('\0').unwrap();
    assert!(label.contains(&format!("BM1:UB-001:{password}")));
}

/// A copy of /etc as a factory image has it: root is open, and there is an owner who has no password.
fn factory_etc(folder: &Path) -> PathBuf {
    let etc = folder.join("etc");
    let copied = Command::new("cp")
        .args(["-a", "/etc"])
        .arg(&etc)
        .status()
        .unwrap();
    assert!(copied.success());
    fs::create_dir(etc.join("factory")).unwrap();
    for (name, text) in [
        ("factory/id", "00112233445566bb\n"),
        ("factory/model", "CAM2\n"),
        ("issue", "[    0.000000] booted: Linux version 6.1.0\n"),
        ("hostname", "unit\n"),
    ] {
        fs::write(etc.join(name), text).unwrap();
    }
    let opened = |name: &str, root: &str, owner: &str| {
        let text = fs::read_to_string(etc.join(name)).unwrap();
        let rest = text.lines().filter(|line| !line.starts_with("root:"));
        let rest: Vec<&str> = rest.collect();
        let mut file = File::create(etc.join(name)).unwrap();
        writeln!(file, "{root}\n{owner}\n{}", rest.join("\n")).unwrap();
    };
    opened(
        "passwd",
        "root:x:0:0:root:/:/bin/sh",
        "owner:x:4242:4242:owner:/:/bin/sh",
    );
    opened(
        "shadow",
        "root::19000:0:99999:7:::",
        "owner:*:19000:0:99999:7:::",
    );
    opened("group", "root:x:0:", "owner:x:4242:");
    etc
}

/// Debian's own agetty, login, PAM and chpasswd on a pty, in a mount namespace where /etc is a copy:
/// root is open, as on a factory image, and there is an owner. What is changed of the profile is the
/// reset: this machine must not reboot, so the login is killed and begins anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_login_is_provisioned() {
    // A mount namespace and a login need root's powers, which a container's root may not have.
    let mut may = Command::new("unshare");
    may.args(["-m", "-p", "-f", "mount", "--make-rprivate", "/"]);
    if !may.output().is_ok_and(|done| done.status.success()) {
        let _ = writeln!(
            std::io::stderr(),
            "no mount namespace here: a real login is not tested"
        );
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let etc = factory_etc(folder.path());
    let terminal = Terminal::open().unwrap();
    let slave = || Stdio::from(terminal.slave().unwrap());
    let script = "mount --make-rprivate / && mount --bind \"$0\" /etc && \
                  while :; do setsid -c agetty -L --noclear 115200 - vt100; done";
    let mut command = Command::new("unshare");
    command
        .args(["-m", "-p", "-f", "--kill-child", "sh", "-c", script])
        .arg(&etc)
        .stdin(slave())
        .stdout(slave())
        .stderr(slave());
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let login = Group(command.spawn().expect("apt-get install util-linux login"));
    let shipped = compliance::shipped_profile("linux-login").unwrap();
    let profile = shipped.replace("send = \"reboot\"", "send = \"kill -9 $PPID\"");
    assert!(!profile.contains("reboot") && shipped.contains("reboot"));

    let (report, label) = pass(&profile, terminal.port().to_str().unwrap(), "LX-001").await;
    drop(login);
    assert_eq!(report.outcome, Outcome::Sealed, "{report}");
    assert_eq!(report.read_back, Some(ReadBack::Station));
    assert!(label.contains("BM1:LX-001:"));
    let shadow = fs::read_to_string(etc.join("shadow")).unwrap();
    let owner = shadow
        .lines()
        .find(|line| line.starts_with("owner:"))
        .unwrap();
    assert!(owner.starts_with("owner:$y$"), "hashed as Debian does");
}

/// A flasher as vendors write them: verbs, exit codes, chatter. What it stores is in its folder.
const FLASHER: &str = r#"#!/bin/sh
# flash PORT FOLDER VERB
dir=$2
echo "flasher 1.0 on $1"
ps -o args= -p $$ >> "$dir/arguments"
env >> "$dir/environment"
case $3 in
id) echo "id: 00112233445566cc"; echo "model: CAM2"; echo "fw: 2.1" ;;
state) echo "state: $(cat "$dir/state" 2>/dev/null || echo blank)" ;;
write)
    [ "$(cat "$dir/state" 2>/dev/null)" = locked ] && exit 7
    read -r password; read -r serial
    printf 'password: %s\nserial: %s\n' "$password" "$serial" > "$dir/staged" ;;
persist) cp "$dir/staged" "$dir/flash"; echo loaded > "$dir/state" ;;
read) cat "$dir/flash"; echo "told $(cat "$dir/flash")" >&2 ;;
reset) [ -e "$dir/flips" ] && sed -i '1s/.$/~/' "$dir/flash"; true ;;
lock) echo locked > "$dir/state" ;;
hang) sleep 600 & echo $! > "$dir/child"; wait ;;
esac
"#;

fn flasher(folder: &Path, verify: &str) -> String {
    let tool = folder.join("flasher.sh");
    fs::write(&tool, FLASHER).unwrap();
    let line = |verb: &str, more: &str| {
        let (tool, folder) = (tool.display(), folder.display());
        format!(
            "{{ run = [\"/bin/sh\", \"{tool}\", \"{{port}}\", \"{folder}\", \"{verb}\"]{more} }}"
        )
    };
    let read = ", read_back = { password = '(?m)^password: (.*)$', serial = '(?m)^serial: (.*)$' }";
    format!(
        "name = \"flasher\"\nversion = 1\ndriver = \"exec\"\nparts = [\"password\", \"serial\"]\n\
         [states]\nblank = 'blank'\nloaded = 'loaded'\nlocked = 'locked'\n\
         [identify]\nrun = [{}]\n[precheck]\nrun = [{}]\n[write]\nrun = [{}]\n\
         [persist]\nrun = [{}]\n[verify]\nrun = [{}]\n[reset]\nrun = [{}]\n\
         [verify_again]\nlike = \"verify\"\n[lock]\nrun = [{}]\n",
        line(
            "id",
            ", capture = { device_id = 'id: (\\w+)', model = 'model: (\\w+)' }"
        ),
        line("state", ", capture = { marker = 'state: (\\w+)' }"),
        line(
            "write",
            ", stdin = [\"{password}\", \"{serial}\"], refused = [7]"
        ),
        line("persist", ""),
        line(verify, &format!("{read}, within_ms = 1500")),
        line("reset", ""),
        line("lock", ""),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vendors_flasher_is_run_and_never_shown_a_secret_in_its_arguments() {
    let folder = tempfile::tempdir().unwrap();
    let profile = flasher(folder.path(), "read");
    let (report, label) = pass(&profile, "/dev/null", "EX-001").await;
    assert_eq!(report.outcome, Outcome::Sealed, "{report}");
    assert_eq!(report.read_back, Some(ReadBack::Station));
    let flash = fs::read_to_string(folder.path().join("flash")).unwrap();
    let password = flash
        .lines()
        .next()
        .unwrap()
        .trim_start_matches("password: ");
    assert!(label.contains(&format!("BM1:EX-001:{password}")) && password.len() >= 8);
    for seen in ["arguments", "environment"] {
        let seen = fs::read_to_string(folder.path().join(seen)).unwrap();
        assert!(!seen.is_empty() && !seen.contains(password));
    }
    assert!(!report.to_json().contains(password) && !report.to_string().contains(password));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_flasher_wrote_and_a_reset_lost_is_no_pass() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("flips"), "").unwrap();
    let profile = flasher(folder.path(), "read");
    let (report, _) = pass(&profile, "/dev/null", "EX-002").await;
    assert_eq!(
        (report.reason, report.exit_code()),
        (Some("READ_BACK"), 20),
        "{report}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flasher_that_hangs_is_killed_with_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let profile = flasher(folder.path(), "hang");
    let (report, _) = pass(&profile, "/dev/null", "EX-003").await;
    assert_eq!(report.reason, Some("TOOL_FAILED"), "{report}");
    let child = fs::read_to_string(folder.path().join("child")).unwrap();
    let process = format!("/proc/{}/stat", child.trim());
    // Dead, or a zombie that waits for whoever adopted it.
    let gone = (0..2_000_000).any(|_| match fs::read_to_string(&process) {
        Ok(stat) => stat.contains(") Z "),
        Err(_) => true,
    });
    assert!(gone, "the flasher's child lives on");
}
