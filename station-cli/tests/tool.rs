//! A maker's tool under `station-cli profile test`, as a process: what is judged, and what is left
//! behind when the station is killed.

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::process::{Child, Command, Output, Stdio};
    use std::time::{Duration, Instant};

    /// A tool whose unit is a folder: the port. Like a flash, it keeps a password and counts boots.
    const TOOL: &str = r#"
        case "$1" in
            id) echo "id 00112233"; echo "model CAM2";;
            state) if [ -e "$2/psk" ]; then echo state 1; else echo state 0; fi
                echo boots $(($(cat "$2/boots" 2>/dev/null || echo 0)));;
            write) read -r psk; echo "$psk" > "$2/psk";;
            read) echo "psk $(cat "$2/psk")";;
            reset) [ -e "$2/stuck" ] || echo $(($(cat "$2/boots" 2>/dev/null || echo 0) + 1)) > "$2/boots";;
            hang) echo $$ > "$2/tool"; sleep 300 & echo $! > "$2/under"; sync; wait;;
        esac
    "#;

    struct Laboratory {
        folder: tempfile::TempDir,
    }

    impl Laboratory {
        fn with(identify: &str, reset: &str) -> Laboratory {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("tool.sh"), TOOL).unwrap();
            let tool = folder.path().join("tool.sh");
            let run = |verb: &str| format!("run = [\"sh\", {tool:?}, \"{verb}\", \"{{port}}\"]");
            let profile = format!(
                "name = \"folder\"\nversion = 1\ndriver = \"exec\"\nparts = [\"password\"]\n\
                 states = {{ blank = \"0\", loaded = \"1\" }}\n\
                 identify.run = [{{ {}, capture = {{ device_id = \"id (.*)\", model = \"model (.*)\" }} }}]\n\
                 precheck.run = [{{ {}, capture = {{ marker = \"state (.)\", boots = \"boots (.*)\" }} }}]\n\
                 write.run = [{{ {}, stdin = [\"{{password}}\"] }}]\n\
                 persist.none = \"writing it persists it\"\n\
                 verify.run = [{{ {}, read_back = {{ password = \"psk (.*)\" }} }}]\n\
                 reset.run = [{{ {} }}]\n\
                 verify_again.like = \"verify\"\n\
                 lock.none = \"a folder has no lock\"\n",
                run(identify),
                run("state"),
                run("write"),
                run("read"),
                run(reset),
            );
            fs::write(folder.path().join("profile.toml"), profile).unwrap();
            fs::create_dir(folder.path().join("unit")).unwrap();
            Laboratory { folder }
        }

        fn unit(&self) -> std::path::PathBuf {
            self.folder.path().join("unit")
        }

        fn test(&self, more: &[&str]) -> Child {
            Command::new(env!("CARGO_BIN_EXE_station-cli"))
                .args(["profile", "test"])
                .arg(self.folder.path().join("profile.toml"))
                .arg("--port")
                .arg(self.unit())
                .args(more)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        }

        fn tested(&self, more: &[&str]) -> Output {
            self.test(more).wait_with_output().unwrap()
        }
    }

    /// What a file says once it is there.
    fn number(path: &Path) -> u32 {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let text = fs::read_to_string(path).unwrap_or_default();
            match text.trim().parse() {
                Ok(number) => return number,
                Err(_) if Instant::now() < end => {
                    std::thread::park_timeout(Duration::from_millis(5))
                }
                Err(error) => panic!("{}: {error}", path.display()),
            }
        }
    }

    /// Whether a process runs; one that has ended and is not waited for yet does not.
    fn runs(process: u32) -> bool {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        let state = stat
            .rsplit(')')
            .next()
            .and_then(|rest| rest.trim().chars().next());
        state.is_some_and(|state| !"ZX".contains(state))
    }

    #[test]
    fn a_tool_does_not_outlive_a_station_that_was_killed() {
        let laboratory = Laboratory::with("hang", "reset");
        let mut station = laboratory.test(&[]);
        let tool = number(&laboratory.unit().join("tool"));
        let under = number(&laboratory.unit().join("under"));
        assert!(runs(tool) && runs(under));
        station.kill().unwrap(); // as a power button, or a kernel without memory, does
        station.wait().unwrap();
        let end = Instant::now() + Duration::from_secs(20);
        while runs(tool) || runs(under) {
            assert!(
                Instant::now() < end,
                "the tool writes on behind its station"
            );
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_tools_profile_is_tested_as_a_run_would_judge_it() {
        let laboratory = Laboratory::with("id", "reset");
        let asked = laboratory.tested(&[]);
        let said = String::from_utf8_lossy(&asked.stderr).into_owned();
        assert_eq!(asked.status.code(), Some(0), "{said}");
        assert!(said.contains("PASS folder goes through 2 steps"), "{said}");
        let written = laboratory.tested(&["--write", "--format", "json"]);
        let said = String::from_utf8_lossy(&written.stdout).into_owned();
        assert_eq!(written.status.code(), Some(0), "{said}");
        let held = fs::read_to_string(laboratory.unit().join("psk")).unwrap();
        assert!(!said.contains(held.trim()) && said.contains("\"read_back\":[\"password\"]"));

        // It holds one now: nothing is written over it unless that is said.
        let refused = laboratory.tested(&["--write"]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains("nothing was written"), "{said}");
        let holds = fs::read_to_string(laboratory.unit().join("psk")).unwrap();
        assert_eq!(holds, held);

        // The same tool, for a unit that only says that it resets.
        fs::write(laboratory.unit().join("stuck"), "").unwrap();
        let refused = laboratory.tested(&["--write", "--overwrite"]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains("did not reset (boot 1)"), "{said}");
    }

    #[test]
    fn a_tool_holds_no_conversation_to_record() {
        let laboratory = Laboratory::with("id", "reset");
        let record = laboratory.folder.path().join("said");
        let refused = laboratory.tested(&["--record", record.to_str().unwrap()]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(
            said.contains("no conversation to record") && !record.exists(),
            "{said}"
        );
    }
}
