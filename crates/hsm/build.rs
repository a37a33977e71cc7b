//! Compiles `proto/hsm/v1` with protox, so that no `protoc` is needed on the machine.

use std::error::Error;
use std::path::PathBuf;

const PACKAGE: &str = ".birthmark.hsm.v1";

/// Messages that may hold a secret get no `Debug`, so that nobody can log one by accident.
const SECRET: [&str; 6] = ["Request", "Response", "Login", "Mac", "Wrap", "Unwrap"];

/// Of these, the ones whose fields are plain bytes and are wiped when they go.
const WIPED: [&str; 3] = ["Login", "Mac", "Wrap"];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from("../../proto");
    let file = root.join("hsm/v1/hsm.proto");
    println!("cargo::rerun-if-changed={}", file.display());

    let descriptors = protox::compile([&file], [&root])?;
    let mut config = prost_build::Config::new();
    config.btree_map([PACKAGE]);
    config.skip_debug(SECRET.map(|name| format!("{PACKAGE}.{name}")));
    for name in WIPED {
        config.type_attribute(
            format!("{PACKAGE}.{name}"),
            "#[derive(zeroize::ZeroizeOnDrop)]",
        );
    }
    config.compile_fds(descriptors)?;
    Ok(())
}
