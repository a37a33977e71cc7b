//! From a bare kernel to a machine that a program can run on, and back.

use std::ffi::CString;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use rustix::mount::{MountFlags, mount};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, recv, sendto, socket};
use rustix::system::{RebootCommand, init_module, reboot};

/// Where the modules lie, in the order in which they are to be loaded, one name a line.
const MODULES: &str = "/modules";

/// Host controllers with a gadget controller each: one a socket of this machine.
const SOCKETS: &str = "num=3";

/// Mounts what programs expect, loads the modules, and gives the machine its own address.
pub(crate) fn up() -> Result<()> {
    for (what, kind, place) in [
        ("dev", "devtmpfs", "/dev"),
        ("pts", "devpts", "/dev/pts"),
        ("proc", "proc", "/proc"),
        ("sys", "sysfs", "/sys"),
        ("tmp", "tmpfs", "/tmp"),
    ] {
        place_for(what, kind, place)?;
    }
    let order = std::fs::read_to_string(Path::new(MODULES).join("order"))?;
    for name in order.lines() {
        let image = std::fs::read(Path::new(MODULES).join(name))?;
        let parameters = match name.starts_with("dummy_hcd") {
            true => SOCKETS,
            false => "",
        };
        init_module(&image, &CString::new(parameters)?)
            .with_context(|| format!("module {name}"))?;
    }
    place_for("config", "configfs", "/sys/kernel/config")?;
    loopback().context("the loopback interface")
}

/// Mounts a file system of the kernel's.
pub(crate) fn place_for(what: &str, kind: &str, place: &str) -> Result<()> {
    std::fs::create_dir_all(place)?;
    mount(what, place, kind, MountFlags::empty(), None).with_context(|| format!("mount {place}"))
}

/// Sets the first interface up: RTM_NEWLINK of rtnetlink(7), in the machine's own byte order.
fn loopback() -> Result<()> {
    const RTM_NEWLINK: u16 = 16;
    const REQUEST_AND_ACK: u16 = 1 | 4;
    const LOOPBACK: i32 = 1;
    const UP: u32 = 1;
    let mut request = Vec::new();
    request.extend(32u32.to_ne_bytes()); // nlmsghdr: length, type, flags, number, sender
    request.extend(RTM_NEWLINK.to_ne_bytes());
    request.extend(REQUEST_AND_ACK.to_ne_bytes());
    request.extend(1u32.to_ne_bytes());
    request.extend(0u32.to_ne_bytes());
    request.extend(0u32.to_ne_bytes()); // ifinfomsg: family, type, index, flags, which of them
    request.extend(LOOPBACK.to_ne_bytes());
    request.extend(UP.to_ne_bytes());
    request.extend(UP.to_ne_bytes());
    // Protocol 0 of netlink is rtnetlink.
    let socket = socket(AddressFamily::NETLINK, SocketType::RAW, None)?;
    let kernel = SocketAddrNetlink::new(0, 0);
    sendto(&socket, &request, SendFlags::empty(), &kernel)?;
    let mut answer = [0; 64];
    let (length, _) = recv(&socket, &mut answer, RecvFlags::empty())?;
    ensure!(length >= 20 && answer[16..20] == [0; 4], "refused");
    Ok(())
}

/// Seconds since the kernel began; nothing before there is a /proc.
pub(crate) fn uptime() -> String {
    let text = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    text.split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// Ends the machine.
pub(crate) fn down() {
    let _ = reboot(RebootCommand::Restart); // it returns only where it is not allowed
}
