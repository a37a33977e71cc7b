//! A unit with a console and nothing of ours in it: what a profile is written for.
//!
//! Four of them: an AT modem, a Zephyr shell, a boot loader, a Linux login. Bytes in, bytes out; no
//! clock, and randomness from a seed. What can be wrong with one is in [`Faults`]. It stores what it
//! is told in flash that survives a reset, and forgets the rest.

use std::collections::BTreeMap;

#[path = "console/commands.rs"] // the same wherever this file is part of
mod commands;

/// Which console.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Commands of V.250.
    At,
    /// `uart:~$`.
    Zephyr,
    /// `=>`.
    UBoot,
    /// `login:`.
    Linux,
}

/// What is wrong with a unit or the line to it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Bytes in a thousand that are lost, each way.
    pub lost_per_mille: u32,
    /// Answers in a hundred that a line of a log comes into.
    pub noise_per_cent: u32,
    /// More bytes than this at once overrun the receiver: every third one after is lost.
    pub overrun: Option<usize>,
    /// The stored password changes by one bit in each of so many resets.
    pub flips: u32,
    /// The stored password is gone after the next reset.
    pub forgets: bool,
    /// The boot log shows the password.
    pub boot_log_shows_password: bool,
    /// Says yes to whatever is written, and stores nothing.
    pub lies: bool,
    /// Does not reset, though it says so.
    pub fakes_reset: bool,
    /// Another unit answers after the next reset.
    pub swap: bool,
    /// Takes every password.
    pub takes_any_password: bool,
    /// After so many more bytes from the station it says nothing any more.
    pub dies_after: Option<usize>,
}

/// Where a Linux unit's console stands.
#[derive(Clone, Debug, Eq, PartialEq)]
enum At {
    Login,
    Password,
    Root,
    /// Waits for the line that goes to `chpasswd`.
    Reading,
    Owner,
}

/// A unit on its console.
pub struct ConsoleUnit {
    kind: Kind,
    /// What is wrong with it.
    pub faults: Faults,
    seed: u64,
    device_id: u64,
    /// What it says it is.
    pub model: String,
    /// Survives.
    flash: BTreeMap<String, String>,
    /// Does not.
    memory: BTreeMap<String, String>,
    /// How often it has started.
    pub boots: u32,
    line: Vec<u8>,
    /// What an empty line does once more, in a boot loader.
    repeats: String,
    at: At,
    said: Vec<u8>,
    /// Every line that it took for a command.
    pub carried_out: Vec<String>,
    /// All that ever came in, as the station sent it: to look for secrets where none belong.
    pub heard: Vec<u8>,
}

impl ConsoleUnit {
    /// A blank one that has booted. The same seed makes the same faults.
    #[must_use]
    pub fn new(kind: Kind, device_id: u64, seed: u64) -> ConsoleUnit {
        let mut unit = ConsoleUnit {
            kind,
            faults: Faults::default(),
            seed: seed | 1,
            device_id,
            model: "CAM2".to_owned(),
            flash: BTreeMap::new(),
            memory: BTreeMap::new(),
            boots: 0,
            line: Vec::new(),
            repeats: String::new(),
            at: At::Login,
            said: Vec::new(),
            heard: Vec::new(),
            carried_out: Vec::new(),
        };
        unit.boot();
        unit
    }

    /// All that its flash holds, by name.
    #[must_use]
    pub fn flash(&self) -> &BTreeMap<String, String> {
        &self.flash
    }

    /// Powers it up with what an earlier one of its life has stored.
    pub fn wake(&mut self, flash: BTreeMap<String, String>) {
        self.flash = flash;
        self.said.clear();
        self.boot();
    }

    /// What its flash holds under a name: `password`, `serial`, `attempt`, `state`.
    #[must_use]
    pub fn holds(&self, name: &str) -> Option<&str> {
        self.flash.get(name).map(String::as_str)
    }

    /// Whether it takes no other password any more.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.holds("state") == Some("locked")
    }

    /// Takes what the station sent.
    pub fn hear(&mut self, bytes: &[u8]) {
        self.heard.extend_from_slice(bytes);
        for (nth, &byte) in bytes.iter().enumerate() {
            if let Some(left) = &mut self.faults.dies_after {
                match left.checked_sub(1) {
                    Some(less) => *left = less,
                    None => return,
                }
            }
            let over = self
                .faults
                .overrun
                .is_some_and(|most| nth >= most && nth % 3 == 0);
            if over || self.lost() {
                continue;
            }
            self.byte(byte);
        }
    }

    /// What it has said since it was last asked, less what the line lost.
    pub fn say(&mut self) -> Vec<u8> {
        let said = std::mem::take(&mut self.said);
        said.into_iter().filter(|_| !self.lost()).collect()
    }

    fn chance(&mut self, of: u64) -> u64 {
        // xorshift64: no quality needed, only the same for the same seed.
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed % of
    }

    fn lost(&mut self) -> bool {
        let rate = self.faults.lost_per_mille;
        rate > 0 && self.chance(1_000) < rate.into()
    }

    fn put(&mut self, text: &str) {
        self.said.extend_from_slice(text.as_bytes());
    }

    fn prompt(&self) -> &'static str {
        match (self.kind, &self.at) {
            (Kind::At, _) => "",
            (_, At::Reading) => "owner? ",
            (Kind::Zephyr, _) => "\u{1b}[1;32muart:~$ \u{1b}[m",
            (Kind::UBoot, _) => "=> ",
            (Kind::Linux, At::Login) => "\r\nunit login: ",
            (Kind::Linux, At::Password) => "Password: ",
            (Kind::Linux, At::Root) => "unit:~# ",
            (Kind::Linux, At::Owner) => "unit:~$ ",
        }
    }

    fn byte(&mut self, byte: u8) {
        match byte {
            b'\r' | b'\n' => {
                self.put("\r\n");
                let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
                self.carried_out.push(line.trim().to_owned());
                self.command(line.trim());
            }
            // A modem knows no key that discards a line, only S5 of V.250.
            0x08 if self.kind == Kind::At => {
                if self.line.pop().is_some() {
                    self.put("\u{8} \u{8}");
                }
            }
            0x15 | 0x03 if self.kind != Kind::At => {
                self.line.clear();
                if byte == 0x03 {
                    let prompt = self.prompt();
                    self.put("\r\n");
                    self.put(prompt);
                }
            }
            byte => {
                self.line.push(byte);
                if self.at != At::Password {
                    self.said.push(byte);
                }
            }
        }
    }

    fn command(&mut self, line: &str) {
        let answer = match self.kind {
            Kind::At => self.at_command(line),
            Kind::Zephyr => self.zephyr(line),
            Kind::UBoot => self.uboot(line),
            Kind::Linux => self.linux(line),
        };
        let Some(answer) = answer else {
            return; // it has reset
        };
        let noisy = self.faults.noise_per_cent;
        if noisy > 0 && self.chance(100) < noisy.into() {
            let uptime = self.chance(900);
            self.put(&format!(
                "[{uptime:5}.123456] usb 1-1: new high-speed USB => uart:~$ # OK\r\n"
            ));
        }
        if !answer.is_empty() {
            self.put(&answer);
            self.put("\r\n");
        }
        let prompt = self.prompt();
        self.put(prompt);
    }

    fn boot(&mut self) {
        self.boots += 1;
        self.memory = self.flash.clone();
        self.line.clear();
        self.at = At::Login;
        let shown = match self.faults.boot_log_shows_password {
            true => self.holds("password").unwrap_or_default().to_owned(),
            false => "-".to_owned(),
        };
        let log = format!(
            "[    0.1{:05}] config: psk={shown}\r\n[    0.200000] ready =>\r\n",
            self.boots
        );
        let first = match self.kind {
            Kind::At => "\r\nRDY\r\n+CPIN: READY\r\n",
            Kind::Zephyr => "*** Booting Zephyr OS build v3.7.0 ***\r\n",
            Kind::UBoot => "\r\n\r\nU-Boot 2023.01 (Jan 09 2023)\r\nDRAM:  128 MiB\r\n",
            Kind::Linux => "[    0.000000] Linux version 6.1.0-sim (gcc)\r\n",
        };
        self.put(first);
        self.put(&log);
        if self.kind == Kind::UBoot {
            self.put("Hit any key to stop autoboot:  2 \u{8}\u{8}\u{8} 0 \r\n");
        }
        let prompt = self.prompt();
        self.put(prompt);
    }

    fn reset(&mut self) {
        if self.faults.fakes_reset {
            let boots = self.boots;
            let memory = self.memory.clone();
            self.boot();
            (self.boots, self.memory) = (boots, memory);
            return;
        }
        if self.faults.flips > 0 {
            self.faults.flips -= 1;
            if let Some(password) = self.flash.get_mut("password") {
                let last = password
                    .pop()
                    .map_or('A', |last| if last == 'A' { 'B' } else { 'A' });
                password.push(last);
            }
        }
        if std::mem::take(&mut self.faults.forgets) {
            self.flash.remove("password");
        }
        if std::mem::take(&mut self.faults.swap) {
            self.device_id ^= 0xff;
            self.flash.clear();
        }
        self.boot();
    }

    /// Stores under a name, at once or only in memory; false when it is locked.
    fn store(&mut self, name: &str, value: &str, at_once: bool) -> bool {
        if self.is_locked() {
            return false;
        }
        if !self.faults.lies {
            self.memory.insert(name.to_owned(), value.to_owned());
            if at_once {
                self.flash.insert(name.to_owned(), value.to_owned());
            }
        }
        true
    }

    fn read(&self, name: &str) -> Option<String> {
        self.memory.get(name).cloned()
    }
}
