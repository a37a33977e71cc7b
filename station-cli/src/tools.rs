//! Which programs this station runs for a device profile.
//!
//! A profile comes from the server with the order, and a tool runs as the station's own user: it could
//! read the station's key, and each password comes to its standard input. So whoever may write a
//! profile does not thereby run programs at every bench: the station's folder names what it may be.

use std::io;
use std::path::Path;

use serde::Deserialize;
use wire::profile::{Driver, ExecProfile, Script, Step};

use crate::durable;
use crate::exec::ToolError;
use crate::failure::Failure;
use crate::home::Home;
use crate::unit::Way;

/// The file in the station's folder.
const FILE: &str = "tools.toml";

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tools {
    /// Programs by absolute path: a name would be whatever comes first in `PATH`.
    #[serde(default)]
    allow: Vec<String>,
}

/// Refuses a way on which a program would be run that this station does not allow, before any is.
///
/// # Errors
/// [`ToolError::NotAllowed`], and [`Failure::NoProfile`] when the list cannot be read.
pub(crate) fn allowed(home: &Home, way: Way) -> Result<Way, Failure> {
    if let Some(Driver::Exec(exec)) = way.as_ref().map(|profile| &profile.driver) {
        let tools =
            read(home.dir()).map_err(|error| Failure::NoProfile(format!("{FILE}: {error}")))?;
        check(exec, &tools).map_err(|error| Failure::Unit(error.into()))?;
    }
    Ok(way)
}

fn read(dir: &Path) -> io::Result<Tools> {
    let Some(text) = durable::read(&dir.join(FILE))? else {
        return Ok(Tools::default());
    };
    toml::from_str(&text).map_err(io::Error::other)
}

fn check(exec: &ExecProfile, tools: &Tools) -> Result<(), ToolError> {
    for step in Step::ALL {
        let Script::Run(lines) = exec.scripts.step(step) else {
            continue;
        };
        for program in lines.iter().filter_map(|line| line.run.first()) {
            let allowed = tools.allow.contains(&program.text);
            if !allowed || !Path::new(&program.text).is_absolute() {
                let program = program.text.clone();
                return Err(ToolError::NotAllowed { step, program });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use wire::profile::Profile;

    use super::*;

    fn way(program: &str) -> Way {
        let run = |rest: &str| format!("run = [{{ run = [\"{program}\"]{rest} }}]");
        let text = [
            "name = \"tool\"\nversion = 1\ndriver = \"exec\"\nparts = [\"password\"]".to_owned(),
            "states = { blank = \"0\", loaded = \"1\" }".to_owned(),
            "identify.".to_owned() + &run(", capture = { device_id = \"(1)\", model = \"(m)\" }"),
            "precheck.".to_owned() + &run(", capture = { marker = \"([01])\" }"),
            "write.".to_owned() + &run(", stdin = [\"{password}\"]"),
            "persist.none = \"writing it persists it\"".to_owned(),
            "verify.".to_owned() + &run(", read_back = { password = \"(p)\" }"),
            "reset.".to_owned() + &run(""),
            "verify_again.like = \"verify\"".to_owned(),
            "lock.none = \"these units have no lock at all\"".to_owned(),
        ];
        let profile = Profile::parse(&text.join("\n"));
        Some(Arc::new(profile.unwrap_or_else(|error| panic!("{error}"))))
    }

    #[test]
    fn a_station_runs_what_its_folder_names_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let vkey = tlog::vkey("line.example/log", &[7; 32]).unwrap();
        let text = format!("server = \"https://a\"\nstation = \"bench-1\"\nvkey = \"{vkey}\"\n");
        std::fs::write(folder.path().join("station.toml"), text).unwrap();
        let home = Home::open(folder.path()).unwrap();
        let check = |program: &str, expected: Option<&str>| {
            let refused = allowed(&home, way(program)).err();
            let reason = refused.map(|failure| failure.advice().reason);
            assert_eq!(reason, expected, "{program}");
        };
        check("/usr/bin/esptool", Some("TOOL_MISSING"));
        let list = |text: &str| std::fs::write(folder.path().join(FILE), text).unwrap();
        list("allow = [\"/usr/bin/esptool\", \"esptool\"]\n");
        check("/usr/bin/esptool", None);
        check("esptool", Some("TOOL_MISSING")); // whatever PATH says it is
        check("/usr/bin/esptool2", Some("TOOL_MISSING"));
        list("alow = []\n");
        check("/usr/bin/esptool", Some("NO_PROFILE"));
        assert!(allowed(&home, None).is_ok());
    }
}
