//! `provisioner`: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    provisioner::cli::main(std::env::args_os())
}
