//! A USB gadget of the kernel's, by configfs
//! (<https://docs.kernel.org/usb/gadget_configfs.html>): what it is, and one function.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};

use crate::cable::Cable;

const ROOT: &str = "/sys/kernel/config/usb_gadget";

/// Ids that nobody has: all gadgets here are of one kind, so that only their sockets tell them apart.
const VENDOR: &str = "0x1209";
const PRODUCT: &str = "0x0001";

/// One gadget with one function, not plugged in yet.
pub(crate) struct Gadget {
    folder: PathBuf,
    function: String,
}

impl Gadget {
    /// `function`: its kind in configfs, and the name of this one, as "ffs.unit-1".
    pub(crate) fn new(name: &str, function: &str) -> Result<Gadget> {
        let folder = Path::new(ROOT).join(name);
        let gadget = Gadget {
            folder: folder.clone(),
            function: function.to_owned(),
        };
        fs::create_dir(&folder)?;
        gadget.set("idVendor", VENDOR)?;
        gadget.set("idProduct", PRODUCT)?;
        fs::create_dir(folder.join("strings/0x409"))?;
        gadget.set("strings/0x409/serialnumber", "0001")?; // the same on all: a careless maker
        gadget.set("strings/0x409/manufacturer", "Example")?;
        gadget.set("strings/0x409/product", "Example unit")?;
        fs::create_dir(folder.join("functions").join(function))?;
        fs::create_dir(folder.join("configs/c.1"))?;
        Ok(gadget)
    }

    /// Gives it its function and its cable. A function that needs a driver has it by now.
    pub(crate) fn finish(&self) -> Result<Arc<Cable>> {
        let function = self.folder.join("functions").join(&self.function);
        let place = self.folder.join("configs/c.1").join(&self.function);
        symlink(function, place).context("the gadget's function")?;
        Ok(Cable::new(self.folder.join("UDC")))
    }

    fn set(&self, name: &str, value: &str) -> Result<()> {
        fs::write(self.folder.join(name), value).with_context(|| format!("{name} = {value}"))
    }
}
