//! `hsm-sim`: see [`hsm_sim::cli`].

use std::process::ExitCode;

fn main() -> std::io::Result<ExitCode> {
    hsm_sim::keep_to_itself()?;
    Ok(hsm_sim::cli::run(std::env::args_os()))
}
