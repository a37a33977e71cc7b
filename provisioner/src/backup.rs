//! A copy of the log for the day the disk dies, and what to do with it then.
//!
//! Only the log is copied. The keys are in the HSM and have their own ways; certificates, `vkey`
//! and `provisioner.toml` do not change and are copied once. A log that was put back from a copy
//! has forgotten what came after it: stations and witnesses that remember more refuse it for good
//! and nothing is issued by them. `recover` makes it whole again from a newer export.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::cli::{Format, print};
use crate::figures::hex;
use crate::site::{self, Site};

/// `provisioner backup`
pub(crate) fn run(site: &Site, out: &Path, format: Format) -> Result<()> {
    let key = site.vkey().with_context(|| {
        let data = site.data().display();
        format!("{data} is no data directory: name it with --data")
    })?;
    if out.exists() {
        bail!("{} exists already: choose another name", out.display());
    }
    let folder = out.parent().filter(|it| !it.as_os_str().is_empty());
    if let Some(folder) = folder
        && !folder.is_dir()
    {
        bail!("there is no folder {}: make it first", folder.display());
    }
    let made = ledger::backup(&site.ledger(), &key, out)?;
    let [checkpoint, vkey] = ["checkpoint", "vkey"].map(|kind| beside(out, kind));
    site::replace_durably(&checkpoint, made.checkpoint.as_bytes(), false)?;
    site::replace_durably(&vkey, format!("{key}\n").as_bytes(), false)?;
    let fact = json!({
        "out": out.display().to_string(),
        "entries": made.entries,
        "checkpoint_size": made.size,
        "root": hex(&made.root),
        "checkpoint": checkpoint.display().to_string(),
        "vkey": vkey.display().to_string(),
    });
    print(format, &fact, || {
        format!(
            "{} entries in {}, {} of them under the checkpoint {}\n\
             keep it away from the server, and the HSM's keys with their own backup\n",
            made.entries,
            out.display(),
            made.size,
            checkpoint.display(),
        )
    })
}

/// `FILE.KIND`
fn beside(out: &Path, kind: &str) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".");
    name.push(kind);
    name.into()
}
