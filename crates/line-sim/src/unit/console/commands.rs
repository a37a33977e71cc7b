//! What the four consoles answer.
//!
//! `None` is a unit that has reset: what it says then, its boot has said.

use super::{At, ConsoleUnit};

impl ConsoleUnit {
    pub(super) fn at_command(&mut self, line: &str) -> Option<String> {
        let names = [
            ("0", "state"),
            ("1", "password"),
            ("2", "serial"),
            ("3", "attempt"),
        ];
        let ok = |text: &str| Some(format!("{text}\r\n\r\nOK"));
        let error = Some("ERROR".to_owned());
        let named = |digit: &str| {
            names
                .iter()
                .find(|(n, _)| *n == digit)
                .map(|(_, name)| *name)
        };
        match line {
            "" => return Some(String::new()),
            "AT" => return Some("OK".to_owned()),
            // An IMEI has 15 decimal digits.
            "AT+CGSN" => return ok(&format!("{:015}", self.device_id % 1_000_000_000_000_000)),
            "AT+CGMM" => return ok(&format!("+CGMM: \"{}\"", self.model)),
            "AT+CGMR" => return ok("+CGMR: \"1.0\""),
            "AT+FSAVE" => {
                if !self.is_locked() {
                    self.memory.insert("state".into(), "loaded".into());
                    self.flash = self.memory.clone();
                }
                return Some("OK".to_owned());
            }
            "AT+FLOCK" => {
                self.store("state", "locked", true);
                return Some("OK".to_owned());
            }
            "AT+CFUN=1,1" => {
                self.put("\r\nOK\r\n");
                self.reset();
                return None;
            }
            _ => {}
        }
        let Some(rest) = line.strip_prefix("AT+FACT=") else {
            return error;
        };
        match rest.split_once(",\"") {
            None => match (named(rest), rest) {
                (Some("state"), _) => {
                    let state = self.read("state").unwrap_or_else(|| "blank".into());
                    ok(&format!("+FACT: 0,{state}"))
                }
                (Some(name), n) => {
                    let value = self.read(name).unwrap_or_default();
                    ok(&format!("+FACT: {n},\"{value}\""))
                }
                (None, _) => error,
            },
            Some((n, value)) => match (named(n), value.strip_suffix('"')) {
                (Some(name), Some(value)) if self.store(name, value, false) => {
                    Some("OK".to_owned())
                }
                _ => error,
            },
        }
    }

    pub(super) fn zephyr(&mut self, line: &str) -> Option<String> {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            [""] => Some(String::new()),
            ["hwinfo", "devid"] => Some(format!("Length: 8\r\nID: 0x{:016x}", self.device_id)),
            ["kernel", "version"] => Some("Zephyr version 3.7.0".to_owned()),
            ["kernel", "reboot", "cold"] => {
                self.reset();
                None
            }
            ["settings", "read", "string", "factory/model"] => Some(self.model.clone()),
            ["settings", "read", "string", name] => {
                let name = name.trim_start_matches("factory/");
                Some(self.read(name).unwrap_or_else(|| "-".to_owned()))
            }
            ["settings", "write", "string", name, value] => {
                let name = name.trim_start_matches("factory/");
                match self.store(name, value, true) {
                    true => Some(String::new()),
                    false => Some("Failed to write setting: -13".to_owned()),
                }
            }
            _ => Some(format!("{line}: command not found")),
        }
    }

    pub(super) fn uboot(&mut self, line: &str) -> Option<String> {
        // An empty line repeats the command before it, as the real one does.
        let line = match line {
            "" => std::mem::take(&mut self.repeats),
            line => line.to_owned(),
        };
        let line = line.as_str();
        self.repeats = line.to_owned();
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            [""] => Some(String::new()),
            ["printenv", "serial#"] => Some(format!("serial#={:016x}", self.device_id)),
            ["printenv", "board_name"] => Some(format!("board_name={}", self.model)),
            ["version"] => Some("U-Boot 2023.01 (Jan 09 2023)".to_owned()),
            ["printenv", name] => Some(match self.read(name.trim_start_matches("factory_")) {
                Some(value) => format!("{name}={value}"),
                None => format!("## Error: \"{name}\" not defined"),
            }),
            ["setenv", name, value] => {
                self.store(name.trim_start_matches("factory_"), value, false);
                Some(String::new())
            }
            ["setenv", name] => {
                self.memory.remove(name.trim_start_matches("factory_"));
                Some(String::new())
            }
            ["saveenv"] => {
                self.flash = self.memory.clone();
                Some("Saving Environment to Flash... OK".to_owned())
            }
            ["reset"] => {
                self.put("resetting ...\r\n");
                self.reset();
                None
            }
            _ => Some(format!("Unknown command '{line}' - try 'help'")),
        }
    }

    pub(super) fn linux(&mut self, line: &str) -> Option<String> {
        let none = Some(String::new());
        match (&self.at, line) {
            (At::Login, "") | (At::Root | At::Owner, "") => none,
            (At::Login, "root") => {
                self.at = At::Root;
                none
            }
            (At::Login, _) => {
                self.at = At::Password;
                none
            }
            (At::Password, given) => {
                let right = self.holds("password") == Some(given);
                self.at = match right || self.faults.takes_any_password {
                    true => At::Owner,
                    false => At::Login,
                };
                match self.at {
                    At::Owner => none,
                    _ => Some("\r\nLogin incorrect".to_owned()),
                }
            }
            (At::Reading, given) => {
                self.at = At::Root;
                match given.strip_prefix("owner:").map(str::to_owned) {
                    Some(password) => {
                        self.store("password", &password, true);
                        none
                    }
                    None => Some("chpasswd: line 1: unknown user".to_owned()),
                }
            }
            (At::Root | At::Owner, "exit") => {
                self.at = At::Login;
                none
            }
            (At::Root, _) => self.root(line),
            (At::Owner, _) => Some("sh: permission denied".to_owned()),
        }
    }

    fn root(&mut self, line: &str) -> Option<String> {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["cat", "/etc/factory/id"] => Some(format!("{:016x}", self.device_id)),
            ["cat", "/etc/factory/model"] => Some(self.model.clone()),
            ["uname", "-r"] => Some("6.1.0-sim".to_owned()),
            ["cat", "/etc/factory/state", ..] => {
                Some(self.read("state").unwrap_or_else(|| "blank".to_owned()))
            }
            ["cat", path] => {
                let name = path.trim_start_matches("/etc/factory/");
                let lost = format!("cat: can't open '{path}': No such file or directory");
                Some(self.read(name).unwrap_or(lost))
            }
            ["printf", ..] if line.ends_with("| chpasswd") => {
                self.at = At::Reading;
                Some(String::new())
            }
            ["echo", value, ">", path] => {
                let name = path.trim_start_matches("/etc/factory/").to_owned();
                self.store(&name, value, true);
                Some(String::new())
            }
            ["sync"] => Some(String::new()),
            ["reboot"] => {
                self.reset();
                None
            }
            _ => Some(format!("sh: {line}: not found")),
        }
    }
}
