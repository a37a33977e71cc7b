//! `line-sim`: see the library.

use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, setrlimit};

fn main() -> std::io::Result<ExitCode> {
    // No core file of it, nor of what it starts, with the passwords of its units. That others look into
    // it is not forbidden: `station-cli doctor` says which process holds a port.
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none)?;
    Ok(line_sim::cli::main(std::env::args_os()))
}
