//! SoftHSM 2 as the token of a demo: its configuration and its tokens lie in the demo's folder.
//!
//! SoftHSM reads where its configuration is from the environment of the process that loads it. A
//! program cannot change its own environment safely once it has threads, so it starts itself again
//! with the one it needs. Neither the place nor anything in the configuration is a secret.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use hsm::{Pin, Pkcs11Token};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::cli::Format;

/// The variable that SoftHSM reads.
pub(crate) const CONFIGURATION: &str = "SOFTHSM2_CONF";

/// What the demo's token is called.
const LABEL: &str = "birthmark demo";

/// Where Debian's package puts the module, by architecture; its own link is the first.
const MODULES: [&str; 3] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
];

/// Starts this program again with `arguments` and the environment that a token in `folder` needs,
/// unless this process has it.
///
/// # Errors
/// When the system does not start it; where it does, this does not return.
pub(crate) fn enter<'a>(
    data: &Path,
    folder: &Path,
    arguments: impl Iterator<Item = &'a str>,
    format: Format,
) -> Result<()> {
    let configuration = configuration(folder);
    if std::env::var_os(CONFIGURATION).is_some_and(|is| Path::new(&is) == configuration) {
        return Ok(());
    }
    let format = match format {
        Format::Text => "text",
        Format::Json => "json",
    };
    let error = Command::new(std::env::current_exe()?)
        .args(arguments)
        .arg("--data")
        .arg(data)
        .args(["--format", format])
        .env(CONFIGURATION, configuration)
        .exec();
    Err(error).context("cannot start again for SoftHSM")
}

/// A new token in `folder`: where it is, as `provisioner init --hsm` takes it, and its PIN's file.
///
/// # Errors
/// When SoftHSM is not installed, or refuses.
pub(crate) fn found(folder: &Path) -> Result<(String, PathBuf)> {
    let modules = MODULES.into_iter().map(PathBuf::from);
    let Some(module) = modules.into_iter().find(|module| module.exists()) else {
        bail!("SoftHSM is not installed: apt-get install softhsm2");
    };
    let tokens = folder.join("tokens");
    std::fs::create_dir_all(&tokens)?;
    let text = format!("directories.tokendir = {}\n", tokens.display());
    std::fs::write(configuration(folder), text)?;

    // The officer's is forgotten: nobody administers a demo's token.
    let (officer, pin) = (digits()?, digits()?);
    let path = folder.join("pin");
    provisioner::site::write_new(&path, &pin, true)?;
    Pkcs11Token::initialize(&module, LABEL, &Pin::parse(&officer)?, &Pin::parse(&pin)?)?;
    Ok((
        format!("pkcs11:{}?token={LABEL}", module.display()),
        std::path::absolute(path)?,
    ))
}

/// Where the configuration of a token in `folder` is.
pub(crate) fn configuration(folder: &Path) -> PathBuf {
    folder.join("softhsm2.conf")
}

/// Sixteen digits: what every PIN pad takes.
fn digits() -> Result<Zeroizing<Vec<u8>>> {
    let mut digits = Zeroizing::new(vec![0; 16]);
    if SystemRandom::new().fill(&mut digits).is_err() {
        bail!("the system gives no randomness");
    }
    // 256 is no multiple of 10: a tenth of a bit each, which 16 digits can spare.
    digits.iter_mut().for_each(|it| *it = b'0' + *it % 10);
    Ok(digits)
}
