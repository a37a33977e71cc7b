//! `station-cli profile new`: a profile to begin from, and where it needs one, a tool.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, bail};
use wire::profile::{Profile, SHIPPED};

use crate::cli::say;

/// A profile whose units are written by a tool, which is beside it. In the list of those that a product
/// may name it is not: which tool a line has is the line's own.
const TOOL_EXAMPLE: (&str, &str, &str) = (
    "exec-example",
    include_str!("../../examples/exec-example.toml"),
    include_str!("../../examples/exec-example.sh"),
);
/// What stands in the example for the path of its tool.
const TOOL: &str = "\"TOOL\"";

/// Writes out a profile by its name; what is there is left alone.
pub(super) fn new(from: &str, out: Option<&Path>) -> anyhow::Result<u8> {
    if from == TOOL_EXAMPLE.0 {
        let Some(out) = out else {
            bail!("{from} is two files: say where to with --out");
        };
        return with_tool(out);
    }
    let Some(text) = Profile::shipped(from) else {
        let names = SHIPPED.iter().map(|(name, _)| *name);
        let names: Vec<&str> = names.chain([TOOL_EXAMPLE.0]).collect();
        bail!(
            "there is no profile `{from}`: choose one of {}",
            names.join(", ")
        );
    };
    match out {
        None => std::io::stdout().lock().write_all(text.as_bytes())?,
        Some(path) => {
            make(path, text, 0o666)?;
            say(&format!(
                "{}: change its name and its lines, then station-cli profile check it",
                path.display()
            ));
        }
    }
    Ok(0)
}

/// The example with the tool that it runs, beside it under the same name.
fn with_tool(out: &Path) -> anyhow::Result<u8> {
    let tool = std::path::absolute(out.with_extension("sh"))?;
    let path = tool.to_str().context("a path that is no text")?;
    // Braces are for values (`{port}`), and a path is none.
    let path = path.replace('{', "{{").replace('}', "}}");
    let quoted = toml::Value::String(path).to_string();
    make(out, &TOOL_EXAMPLE.1.replace(TOOL, &quoted), 0o666)?;
    make(&tool, TOOL_EXAMPLE.2, 0o777)?;
    say(&format!(
        "{} runs {}: change both, then station-cli profile check it; its unit is a folder",
        out.display(),
        tool.display()
    ));
    Ok(0)
}

fn make(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let file = std::fs::File::options()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path);
    let mut file = file.with_context(|| {
        format!(
            "{} cannot be made: choose another name with --out",
            path.display()
        )
    })?;
    Ok(file.write_all(text.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use wire::profile::Driver;

    use super::*;

    #[test]
    fn a_profile_to_begin_from_overwrites_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        assert_eq!(new("u-boot", Some(&path)).unwrap(), 0);
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            Profile::shipped("u-boot").unwrap()
        );
        assert!(new("u-boot", Some(&path)).is_err());
        let error = new("uboot", None).unwrap_err().to_string();
        assert!(error.contains("zephyr-shell, exec-example"), "{error}");
    }

    #[test]
    fn the_example_with_a_tool_names_the_one_that_lies_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("a {\"folder\"}");
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join("mine.toml");
        assert!(new(TOOL_EXAMPLE.0, None).is_err());
        assert_eq!(new(TOOL_EXAMPLE.0, Some(&path)).unwrap(), 0);
        let text = std::fs::read_to_string(&path).unwrap();
        let profile = Profile::parse(&text).unwrap();
        assert!(matches!(profile.driver, Driver::Exec(_)));
        assert!(profile.unlocked().is_none());
        assert!(folder.join("mine.sh").exists() && !text.contains(TOOL));
        assert!(new(TOOL_EXAMPLE.0, Some(&path)).is_err());
    }
}
