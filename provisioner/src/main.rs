//! `provisioner`: see the library.

use std::process::ExitCode;

fn main() -> std::io::Result<ExitCode> {
    provisioner::keep_to_itself()?;
    Ok(provisioner::cli::main(std::env::args_os()))
}
