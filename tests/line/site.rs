//! One site: its folders, its server process, its administrator and its stations.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::binaries::{Done, WITHIN, binaries, end_of, run, text_of, until};

/// Without a label: an attempt is sealed once the unit is proven.
pub(crate) const PLAIN: &str = "sku = \"PLUG-1\"\nname = \"Plug\"\nmodel = \"PLUG1\"\n";
/// With a label that has to be scanned.
pub(crate) const LABELLED: &str =
    "sku = \"CAM-2\"\nname = \"Camera\"\nmodel = \"CAM2\"\nrevisions = [\"B\"]\nlabel = true\n";

/// A site in a temporary folder, which goes when it does.
pub(crate) struct Site {
    folder: tempfile::TempDir,
    port: u16,
    server: Option<Server>,
    starts: u32,
}

/// A server process; it never outlives its test.
pub(crate) struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Site {
    /// Makes a site. Nobody serves it yet.
    pub(crate) fn init() -> Site {
        let folder = tempfile::tempdir().unwrap();
        for name in ["logs", "units", "labels", "stations"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let site = Site {
            folder,
            port: free_port(),
            server: None,
            starts: 0,
        };
        site.provisioner(&["init"]).ok();
        site
    }

    /// Makes a site and serves it.
    pub(crate) fn start() -> Site {
        let mut site = Site::init();
        site.serve();
        site
    }

    /// Starts the server, on the same port every time.
    pub(crate) fn serve(&mut self) {
        assert!(self.server.is_none(), "one is running");
        self.starts += 1;
        let log = self.path(&format!("logs/server-{}.txt", self.starts));
        let child = Command::new(&binaries().provisioner)
            .args(["serve", "--allow-simulated-hsm", "--listen"])
            .arg(format!("127.0.0.1:{}", self.port))
            .arg("--data")
            .arg(self.data())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut server = Server(child);
        let listens = || {
            if text_of(&log).contains("listening") {
                return Some(true);
            }
            server.0.try_wait().unwrap().map(|_| false)
        };
        let up = until(WITHIN, listens);
        assert_eq!(up, Some(true), "no server: {}", text_of(&log));
        self.server = Some(server);
    }

    /// Stops the server in good order.
    pub(crate) fn stop(&mut self) {
        let mut server = self.server.take().expect("a server is running");
        kill_process(Pid::from_child(&server.0), Signal::TERM).unwrap();
        assert_eq!(end_of(&mut server.0), Some(0));
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.server = None;
    }

    /// What only the site's own folder holds: the server's data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.path("provisioner")
    }

    /// A path below the site's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where the server is, or would be.
    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Runs `provisioner` on the data directory; facts come as JSON.
    #[track_caller]
    pub(crate) fn provisioner(&self, arguments: &[&str]) -> Done {
        provisioner_on(&self.data(), arguments)
    }

    /// Applies a product.
    pub(crate) fn apply(&self, definition: &str) -> Done {
        let file = self.path("product.toml");
        std::fs::write(&file, definition).unwrap();
        self.provisioner(&["product", "apply", &text(&file)])
    }

    /// Gives permission to build; returns the order's name.
    pub(crate) fn order(&self, product: &str, quantity: u32, allowance: u32) -> String {
        let (quantity, allowance) = (quantity.to_string(), allowance.to_string());
        let create = [
            ["order", "create"],
            ["--product", product],
            ["--quantity", &quantity],
            ["--allowance", &allowance],
        ];
        let created = self.provisioner(create.as_flattened()).ok().json();
        created["order"].as_str().unwrap().to_owned()
    }

    /// A token to enrol with.
    pub(crate) fn token(&self, station: &str) -> String {
        let made = self.provisioner(&["station", "token", station]).ok().json();
        made["token"].as_str().unwrap().to_owned()
    }

    /// Enrols a station; returns its folder.
    pub(crate) fn station(&self, name: &str) -> PathBuf {
        let folder = self.path("stations").join(name);
        enroll(&self.url(), &self.token(name), &folder).ok();
        folder
    }

    /// How an order stands, as the log says; no server is asked.
    #[track_caller]
    pub(crate) fn count(&self, order: &str) -> Count {
        Count::of(&self.provisioner(&["audit", "order", order]).ok().json())
    }
}

/// Runs `provisioner` on any data directory; facts come as JSON.
#[track_caller]
pub(crate) fn provisioner_on(data: &Path, arguments: &[&str]) -> Done {
    let data = text(data);
    let common = ["--data", &data, "--format", "json"];
    run(&binaries().provisioner, &[arguments, &common[..]].concat())
}

/// Runs `station-cli enroll`.
pub(crate) fn enroll(url: &str, token: &str, folder: &Path) -> Done {
    let folder = text(folder);
    let arguments = [
        ["--server", url],
        ["--token", token],
        ["--data", &folder],
        ["--format", "json"],
    ];
    run(
        &binaries().station_cli,
        &[&["enroll"], arguments.as_flattened()].concat(),
    )
}

/// The arithmetic of an order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Count {
    pub(crate) quantity: u64,
    pub(crate) sealed: u64,
    pub(crate) scrapped: u64,
    pub(crate) open: u64,
    pub(crate) not_started: u64,
    pub(crate) voided: u64,
}

impl Count {
    /// Reads it, and holds it against the one rule that always holds.
    #[track_caller]
    pub(crate) fn of(order: &Value) -> Count {
        let number = |name: &str| order[name].as_u64().unwrap_or_else(|| panic!("{order}"));
        let count = Count {
            quantity: number("quantity"),
            sealed: number("sealed"),
            scrapped: number("scrapped"),
            open: number("open"),
            not_started: number("not_started"),
            voided: number("voided"),
        };
        let sum = count.sealed + count.scrapped + count.open + count.not_started;
        assert_eq!(count.quantity, sum, "{order}");
        count
    }
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// A port that nobody listens on, and that the system gives to nobody by itself: in the range it
/// takes ports from, a station that calls a dead server could be connected to itself.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Two test processes that run at once begin far from each other.
    let start = std::process::id().wrapping_mul(7_919);
    let next = || start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % 22_000;
    (0..22_000)
        .map(|_| u16::try_from(10_000 + next()).unwrap())
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("one of many ports is free")
}
