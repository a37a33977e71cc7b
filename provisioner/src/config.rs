//! `provisioner.toml`: what `serve` needs to know. Flags win over the file.
//!
//! Paths in the file are relative to the data directory, so that the directory can be moved.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use hsm::Wrapping;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::pin::PinSource;

/// Why a configuration cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file is not there or cannot be read.
    #[error("cannot read {}: is this a data directory? `provisioner init --data DIR` makes one", .path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is not the TOML it should be; the text names line and column.
    #[error("{} is not usable: {text}", .path.display())]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Line, column and what was expected.
        text: String,
    },
    /// A number outside its bounds.
    #[error("{} is not usable: {name} is {got}, it may be {least} to {most}", .path.display())]
    Bounds {
        /// Which file.
        path: PathBuf,
        /// Which number.
        name: &'static str,
        /// What it was.
        got: u32,
        /// The least it may be.
        least: u32,
        /// The most it may be.
        most: u32,
    },
    /// An HSM that this version does not know.
    #[error("hsm `{0}` is not known: write soft:FILE, sim:SOCKET or pkcs11:MODULE?token=LABEL")]
    Hsm(String),
    /// Nobody says where the token's PIN is.
    #[error("the token's PIN is nowhere: give --pin-file FILE, --pin-fd N or --pin-prompt")]
    NoPin,
}

/// Everything `serve` can be told.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to listen; port 0 lets the system choose.
    #[serde(default = "Config::default_listen")]
    pub listen: SocketAddr,
    /// Where the keys are: `soft:FILE`, `sim:SOCKET` or `pkcs11:MODULE?token=LABEL`.
    pub hsm: String,
    /// File with the token's PIN; absent where `serve` is given it each time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin_file: Option<PathBuf>,
    /// Where the PIN comes from this time, when it is said on the command line.
    #[serde(skip)]
    pub pin: Option<PinSource>,
    /// Whether a software token may stand in for an HSM.
    #[serde(default)]
    pub allow_simulated_hsm: bool,
    /// How long a station's certificate is valid, in hours, 1 to 87,600.
    #[serde(default = "Config::default_station_certificate_hours")]
    pub station_certificate_hours: u32,
    /// What is logged to stderr, in the syntax of `tracing_subscriber::EnvFilter`.
    #[serde(default = "Config::default_log")]
    pub log: String,
}

impl Config {
    /// The file's name in a data directory.
    pub const FILE: &str = "provisioner.toml";

    /// Ten years, the longest a station's certificate may be valid.
    const MOST_HOURS: u32 = 87_600;

    /// A site as `init` makes it.
    #[must_use]
    pub fn new(hsm: &str, pin_file: Option<&Path>) -> Config {
        Config {
            listen: Config::default_listen(),
            hsm: hsm.to_owned(),
            pin_file: pin_file.map(Path::to_owned),
            pin: None,
            allow_simulated_hsm: false,
            station_certificate_hours: Config::default_station_certificate_hours(),
            log: Config::default_log(),
        }
    }

    /// Reads the file of a data directory.
    ///
    /// # Errors
    /// [`ConfigError`] when it is absent or not usable, with line and column.
    pub fn read(data: &Path) -> Result<Config, ConfigError> {
        let path = data.join(Config::FILE);
        let text = std::fs::read_to_string(&path).map_err(|source| ConfigError::Read {
            path: path.clone(),
            source,
        })?;
        let config: Config = toml::from_str(&text).map_err(|error| ConfigError::Parse {
            path: path.clone(),
            text: error.to_string().trim_end().to_owned(),
        })?;
        let (hours, most) = (config.station_certificate_hours, Config::MOST_HOURS);
        if !(1..=most).contains(&hours) {
            let name = "station_certificate_hours";
            return Err(ConfigError::Bounds {
                path,
                name,
                got: hours,
                least: 1,
                most,
            });
        }
        Ok(config)
    }

    /// Where the PIN comes from: what was said this time, or the file of `data`'s configuration.
    ///
    /// # Errors
    /// [`ConfigError::NoPin`] when neither says.
    pub fn pin_source(&self, data: &Path) -> Result<PinSource, ConfigError> {
        let file = self.pin_file.as_ref().map(|path| data.join(path));
        self.pin
            .clone()
            .or(file.map(PinSource::File))
            .ok_or(ConfigError::NoPin)
    }

    fn default_listen() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 7443))
    }

    fn default_station_certificate_hours() -> u32 {
        90 * 24
    }

    fn default_log() -> String {
        "info".to_owned()
    }
}

/// Where the keys are, parsed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HsmPlace {
    /// The software token in this process, its keys in an encrypted file.
    Soft(PathBuf),
    /// The software token in a process of its own, behind a Unix socket.
    Sim(PathBuf),
    /// A token behind the PKCS#11 module of its maker.
    Pkcs11 {
        /// The module, a shared library.
        module: PathBuf,
        /// The token's label.
        token: String,
        /// How many sessions at once, 1 to [`HsmPlace::SESSIONS_MAX`].
        sessions: usize,
        /// How tickets are wrapped; `None` for the best that the token has.
        wrapping: Option<Wrapping>,
    },
}

impl fmt::Display for HsmPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HsmPlace::Soft(path) => write!(f, "soft:{}", path.display()),
            HsmPlace::Sim(path) => write!(f, "sim:{}", path.display()),
            HsmPlace::Pkcs11 {
                module,
                token,
                sessions,
                wrapping,
            } => {
                write!(f, "pkcs11:{}?token={token}", module.display())?;
                if *sessions != HsmPlace::SESSIONS {
                    write!(f, "&sessions={sessions}")?;
                }
                match wrapping {
                    None => {}
                    Some(Wrapping::Gcm) => f.write_str("&wrap=gcm")?,
                    Some(Wrapping::CbcHmac) => f.write_str("&wrap=cbc-hmac")?,
                }
                Ok(())
            }
        }
    }
}

impl HsmPlace {
    /// Sessions at once when nothing else is said: as many calls may use the token.
    pub const SESSIONS: usize = 16;

    /// The most sessions at once.
    pub const SESSIONS_MAX: usize = 256;

    /// Parses `soft:FILE`, `sim:SOCKET` or `pkcs11:MODULE?token=LABEL`, the last perhaps with
    /// `&sessions=N` and `&wrap=gcm` or `&wrap=cbc-hmac`; relative paths are below `data`.
    ///
    /// # Errors
    /// [`ConfigError::Hsm`] for anything else.
    pub fn parse(text: &str, data: &Path) -> Result<HsmPlace, ConfigError> {
        let unknown = || ConfigError::Hsm(text.to_owned());
        match text.split_once(':') {
            Some(("soft", path)) if !path.is_empty() => Ok(HsmPlace::Soft(data.join(path))),
            Some(("sim", path)) if !path.is_empty() => Ok(HsmPlace::Sim(data.join(path))),
            Some(("pkcs11", rest)) => HsmPlace::parse_pkcs11(rest, data).ok_or_else(unknown),
            _ => Err(unknown()),
        }
    }

    fn parse_pkcs11(text: &str, data: &Path) -> Option<HsmPlace> {
        let (module, query) = text.split_once('?')?;
        let (mut token, mut sessions, mut wrapping) = (None, HsmPlace::SESSIONS, None);
        for pair in query.split('&') {
            match pair.split_once('=')? {
                ("token", label) if !label.is_empty() => token = Some(label.to_owned()),
                ("sessions", number) => sessions = number.parse().ok()?,
                ("wrap", "gcm") => wrapping = Some(Wrapping::Gcm),
                ("wrap", "cbc-hmac") => wrapping = Some(Wrapping::CbcHmac),
                _ => return None,
            }
        }
        let good = !module.is_empty() && (1..=HsmPlace::SESSIONS_MAX).contains(&sessions);
        good.then_some(HsmPlace::Pkcs11 {
            module: data.join(module),
            token: token?,
            sessions,
            wrapping,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(Config::FILE), text).unwrap();
        let error = Config::read(dir.path()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn an_unusable_file_is_named_with_its_line() {
        check("hsm = \"soft:x\"\npin_file = 7\n", "line 2");
        check(
            "hsm = \"soft:x\"\npin_file = \"p\"\nlisten = \"here\"\n",
            "line 3",
        );
        check(
            "hsm = \"soft:x\"\npin_file = \"p\"\nlissten = \"x\"\n",
            "lissten",
        );
    }

    #[test]
    fn a_missing_file_says_what_makes_one() {
        let error = Config::read(Path::new("/nonexistent"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("provisioner init"), "{error}");
    }

    #[test]
    fn a_written_config_is_read_back() {
        let config = Config::new("soft:hsm/soft.store", Some(Path::new("hsm/pin")));
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<Config>(&text).unwrap().hsm, config.hsm);
    }

    #[test]
    fn places_are_below_the_data_directory() {
        let data = Path::new("/d");
        assert_eq!(
            HsmPlace::parse("soft:a", data).unwrap(),
            HsmPlace::Soft("/d/a".into())
        );
        assert_eq!(
            HsmPlace::parse("sim:/run/s", data).unwrap(),
            HsmPlace::Sim("/run/s".into())
        );
        assert_eq!(
            HsmPlace::parse("pkcs11:/m.so?token=line 1&sessions=4", data).unwrap(),
            HsmPlace::Pkcs11 {
                module: "/m.so".into(),
                token: "line 1".into(),
                sessions: 4,
                wrapping: None
            }
        );
        for text in [
            "soft:/a",
            "sim:/s",
            "pkcs11:/m.so?token=a",
            "pkcs11:/m?token=a&sessions=2",
            "pkcs11:/m?token=a&wrap=cbc-hmac",
        ] {
            assert_eq!(HsmPlace::parse(text, data).unwrap().to_string(), text);
        }
        for text in [
            "yubi",
            "soft:",
            "pkcs11:/m.so",
            "pkcs11:/m.so?token=",
            "pkcs11:?token=a",
            "pkcs11:/m.so?token=a&sessions=0",
            "pkcs11:/m.so?token=a&wrap=ecb",
            "pkcs11:/m.so?token=a&pin-value=1234",
        ] {
            assert!(HsmPlace::parse(text, data).is_err(), "{text}");
        }
    }
}
