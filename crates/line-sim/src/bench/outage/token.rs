//! A token that can be made to fail: a simulator in a process of its own, or SoftHSM's files.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

use crate::guard::Guard;
use crate::load::process::Keys;
use crate::load::program;
use crate::softhsm;

/// Where the simulator's module finds its socket.
const SOCKET: &str = "BIRTHMARK_HSM_SIM_SOCKET";

/// A token that is away for a moment, and one that is away for longer than the server waits.
const AWAY: Duration = Duration::from_millis(400);
const LONG_AWAY: Duration = Duration::from_secs(4);

/// A simulator that does not answer by then never will.
const UP_WITHIN: Duration = Duration::from_secs(20);

/// Which token.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// The simulator by its socket.
    Sim,
    /// The simulator by its PKCS#11 module.
    SimPkcs11,
    /// SoftHSM.
    Softhsm,
}

/// How it fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fault {
    Kill,
    Pause,
    LongPause,
    Reset,
    Pulled,
}

impl Fault {
    pub(super) const ALL: [Fault; 5] = [
        Fault::Kill,
        Fault::Pause,
        Fault::LongPause,
        Fault::Reset,
        Fault::Pulled,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Fault::Kill => "kill",
            Fault::Pause => "pause",
            Fault::LongPause => "long-pause",
            Fault::Reset => "reset",
            Fault::Pulled => "pulled",
        }
    }
}

/// The token of one run; its process never outlives this.
pub(super) struct Token {
    folder: PathBuf,
    keys: Keys,
    place: Place,
}

enum Place {
    Simulator(Guard, Child),
    Softhsm,
}

impl Drop for Token {
    fn drop(&mut self) {
        if let Place::Simulator(_, child) = &mut self.place {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Token {
    /// A new one in `folder`.
    pub(super) async fn start(kind: Kind, folder: &Path, module: Option<&Path>) -> Result<Token> {
        std::fs::create_dir_all(folder)?;
        let folder = std::path::absolute(folder)?;
        let argument = |name: &str, value: OsString| [OsString::from(name), value];
        if kind == Kind::Softhsm {
            // Initialised in a process that finds its configuration: this one does not.
            let made = Command::new(std::env::current_exe()?)
                .args(["bench", "softhsm-token"])
                .arg(&folder)
                .env(softhsm::CONFIGURATION, softhsm::configuration(&folder))
                .output()?;
            if !made.status.success() {
                bail!("{}", String::from_utf8_lossy(&made.stderr).trim());
            }
            let place = String::from_utf8(made.stdout)?.trim().to_owned();
            let mut keys = Keys::default();
            keys.arguments.extend(argument("--hsm", place.into()));
            keys.arguments
                .extend(argument("--pin-file", folder.join("pin").into()));
            let configuration = softhsm::configuration(&folder);
            keys.environment
                .push((softhsm::CONFIGURATION.into(), configuration.into()));
            let place = Place::Softhsm;
            return Ok(Token {
                folder,
                keys,
                place,
            });
        }
        let socket = folder.join("socket");
        let mut keys = Keys::default();
        let place = match kind {
            Kind::Sim => format!("sim:{}", socket.display()),
            _ => {
                let module = program("libhsm_sim_pkcs11.so", module)?;
                keys.environment
                    .push((SOCKET.into(), socket.clone().into()));
                let module = std::path::absolute(module)?;
                format!("pkcs11:{}?token=hsm-sim", module.display())
            }
        };
        let (guard, child) = serve(&folder)?;
        let token = Token {
            keys,
            place: Place::Simulator(guard, child),
            folder,
        };
        token.answers().await?;
        let mut token = token;
        let pin = token.folder.join("store.pin");
        token.keys.arguments.extend(argument("--hsm", place.into()));
        token
            .keys
            .arguments
            .extend(argument("--pin-file", pin.into()));
        Ok(token)
    }

    /// What a server has to be told to find its keys there.
    pub(super) fn keys(&self) -> Keys {
        self.keys.clone()
    }

    /// The fault of a round: all kinds in turn, every eighth pause a long one.
    pub(super) fn fault(&self, round: u32) -> Fault {
        match (&self.place, round % 3) {
            (Place::Softhsm, _) => Fault::Pulled,
            (_, 0) => Fault::Kill,
            (_, 1) if round / 3 % 8 == 7 => Fault::LongPause,
            (_, 1) => Fault::Pause,
            _ => Fault::Reset,
        }
    }

    /// Makes it fail, and returns when it is there again.
    pub(super) async fn fail(&mut self, fault: Fault) -> Result<()> {
        match fault {
            Fault::Kill => {
                if let Place::Simulator(guard, child) = &mut self.place {
                    child.kill()?;
                    child.wait()?;
                    sleep(AWAY).await;
                    (*guard, *child) = serve(&self.folder)?;
                }
                self.answers().await
            }
            Fault::Pause | Fault::LongPause => {
                self.signal(Signal::STOP)?;
                sleep(if fault == Fault::Pause {
                    AWAY
                } else {
                    LONG_AWAY
                })
                .await;
                self.signal(Signal::CONT)
            }
            Fault::Reset => self.ask(&["fault", "reset"]).map(drop),
            Fault::Pulled => {
                let [here, away] = ["tokens", "away"].map(|name| self.folder.join(name));
                std::fs::rename(&here, &away)?;
                sleep(AWAY).await;
                Ok(std::fs::rename(&away, &here)?)
            }
        }
    }

    /// Ends it in good order.
    pub(super) fn stop(&mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        if let Place::Simulator(_, child) = &mut self.place {
            child.wait()?;
        }
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        if let Place::Simulator(_, child) = &self.place {
            kill_process(Pid::from_child(child), signal)?;
        }
        Ok(())
    }

    fn ask(&self, verb: &[&str]) -> Result<bool> {
        let asked = Command::new(program("hsm-sim", None)?)
            .args(verb)
            .arg("--socket")
            .arg(self.folder.join("socket"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .context("cannot run hsm-sim")?;
        Ok(asked.success())
    }

    async fn answers(&self) -> Result<()> {
        let begun = Instant::now();
        while !self.ask(&["status"])? {
            if begun.elapsed() > UP_WITHIN {
                bail!("the simulator does not answer");
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }
}

fn serve(folder: &Path) -> Result<(Guard, Child)> {
    let (socket, store) = (folder.join("socket"), folder.join("store"));
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(folder.join("hsm-sim.txt"))?;
    let mut serve = Command::new(program("hsm-sim", None)?);
    serve
        .args(["serve", "--socket"])
        .arg(socket)
        .arg("--store")
        .arg(store)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    Guard::start(&mut serve).context("cannot run hsm-sim")
}
