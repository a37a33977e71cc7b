//! The first and only process of a virtual machine whose USB host meets its own USB gadgets.
//!
//! The kernel's `dummy_hcd` joins a host controller to a gadget controller, so everything between the
//! station and the unit is what runs in a factory, down to descriptors, packets and a port that is
//! pulled: only copper is missing. A simulated unit plays behind a FunctionFS gadget (vendor class,
//! bulk) or a CDC-ACM one; station, server and token are the real libraries. `tests/usb.rs` boots
//! this and reads what it says on the serial console.
//!
//! Deliberately absent: udevd, so that what is plugged in is found without it, a shell, a disk.

mod boot;
mod cable;
mod functionfs;
mod gadget;
mod line;
mod story;
mod transport;

use std::process::ExitCode;
use std::time::Duration;

/// After this the machine is given up, whatever it does: much more than it takes where an emulator
/// shares two cores.
const AT_MOST: Duration = Duration::from_secs(150);

fn main() -> ExitCode {
    if std::process::id() != 1 {
        say("usb-guest is the init of a virtual machine: cargo test -p gadget runs it");
        return ExitCode::from(2);
    }
    // A panic in any thread ends the machine, as does a story that does not end.
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        default(panic);
        end("failed: a panic");
    }));
    std::thread::spawn(|| {
        std::thread::sleep(AT_MOST);
        end("failed: it takes too long");
    });
    let verdict = match run() {
        Ok(()) => "passed".to_owned(),
        Err(error) => format!("failed: {error:#}"),
    };
    end(&verdict);
    ExitCode::FAILURE // a kernel that does not restart
}

fn run() -> anyhow::Result<()> {
    boot::up()?;
    say("kernel and modules");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(story::tell())?;
    Ok(())
}

/// The last line; then the machine restarts, which its emulator takes for its end.
fn end(verdict: &str) {
    say(&format!("verdict: {verdict}"));
    boot::down();
}

/// One line to whoever runs the machine, with the kernel's clock in front of it in seconds; nothing else
/// on the console begins like it.
#[allow(clippy::print_stdout, reason = "the console is what there is")]
pub(crate) fn say(words: &str) {
    println!("usb-guest: {:>6} {words}", boot::uptime());
}
