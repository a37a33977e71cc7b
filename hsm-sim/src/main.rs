//! `hsm-sim`: see [`hsm_sim::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    hsm_sim::cli::run(std::env::args_os())
}
