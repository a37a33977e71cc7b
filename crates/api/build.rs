//! Compiles `proto/provisioning/v1` with protox, so that no `protoc` is needed on the machine.

use std::error::Error;
use std::path::PathBuf;

use prost::Message;

/// Messages that hold a secret get no `Debug`, so that nobody can log one by accident.
const SECRET: [&str; 3] = ["EnrolRequest", "IssueResponse", "InviteStationResponse"];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from("../../proto");
    let file = root.join("provisioning/v1/provisioning.proto");
    println!("cargo::rerun-if-changed={}", file.display());

    let descriptors = protox::compile([&file], [&root])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("provisioning_v1.bin"), descriptors.encode_to_vec())?;

    let mut config = tonic_prost_build::Config::new();
    config.skip_debug(SECRET.map(|name| format!(".birthmark.provisioning.v1.{name}")));
    tonic_prost_build::configure().compile_fds_with_config(descriptors, config)?;
    Ok(())
}
