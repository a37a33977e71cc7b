//! `line-sim`: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    line_sim::cli::main(std::env::args_os())
}
