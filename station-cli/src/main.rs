//! `station-cli`: see the library.

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    station_cli::keep_to_itself()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let code = runtime.block_on(station_cli::run());
    runtime.shutdown_background(); // a read of standard input may never return
    Ok(ExitCode::from(code))
}
