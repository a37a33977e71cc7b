//! `station-cli greet` at a unit's console: by its profile, and not a byte of a frame.

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write};
    use std::process::{Command, Stdio};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use serialport::{SerialPort, TTYPort};

    /// What a modem answers to a line.
    fn answer(line: &str) -> &'static str {
        match line {
            "AT" | "AT+FACT=2" | "AT+FACT=3" => "OK",
            "AT+CGSN" => "867962041234567\r\n\r\nOK",
            "AT+CGMM" => "+CGMM: \"CAM2\"\r\n\r\nOK",
            "AT+CGMR" => "+CGMR: \"1.4\"\r\n\r\nOK",
            "AT+FACT=0" => "+FACT: 0,blank\r\n\r\nOK",
            _ => "ERROR",
        }
    }

    /// Plays a modem that echoes, until it is told to end; gives all that was typed at it.
    fn modem(mut port: TTYPort, ended: &AtomicBool) -> Vec<u8> {
        port.set_timeout(Duration::from_millis(20)).unwrap();
        let (mut typed, mut line, mut bytes) = (Vec::new(), Vec::new(), [0; 64]);
        while !ended.load(Ordering::SeqCst) {
            let length = match port.read(&mut bytes) {
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::TimedOut => continue,
                // Nobody has opened the other end yet, or it is closed again.
                Err(_) => {
                    std::thread::sleep(Duration::from_millis(5));
                    continue;
                }
            };
            for &byte in &bytes[..length] {
                typed.push(byte);
                port.write_all(&[byte]).unwrap();
                match byte {
                    b'\r' => {
                        let text = String::from_utf8_lossy(&line).into_owned();
                        let said = format!("\r\n{}\r\n", answer(&text));
                        port.write_all(said.as_bytes()).unwrap();
                        line.clear();
                    }
                    8 => drop(line.pop()),
                    byte => line.push(byte),
                }
            }
        }
        typed
    }

    #[test]
    fn a_console_is_greeted_by_its_profile_and_not_by_frames() {
        let (master, mut slave) = TTYPort::pair().unwrap();
        let path = slave.name().unwrap();
        slave.set_exclusive(false).unwrap();
        drop(slave); // the station opens it for itself alone
        let ended = Arc::new(AtomicBool::new(false));
        let unit = std::thread::spawn({
            let ended = Arc::clone(&ended);
            move || modem(master, &ended)
        });
        let greeted = Command::new(env!("CARGO_BIN_EXE_station-cli"))
            .args([
                "greet",
                "--profile",
                "at-modem",
                "--format",
                "json",
                "--port",
            ])
            .arg(&path)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        ended.store(true, Ordering::SeqCst);
        let typed = unit.join().unwrap();
        let said = String::from_utf8_lossy(&greeted.stderr).into_owned();
        assert_eq!(greeted.status.code(), Some(0), "{said}");
        let facts: serde_json::Value = serde_json::from_slice(&greeted.stdout).unwrap();
        assert_eq!(facts["device_id"], "0867962041234567");
        assert_eq!(
            (&facts["model"], &facts["state"]),
            (&"CAM2".into(), &"blank".into())
        );
        let text = |byte: &u8| byte.is_ascii_graphic() || matches!(byte, b'\r' | 8);
        assert!(typed.iter().all(text), "{}", typed.escape_ascii());
    }

    #[test]
    fn a_profile_that_is_none_is_said_before_anything_is_typed() {
        let greeted = Command::new(env!("CARGO_BIN_EXE_station-cli"))
            .args(["greet", "--profile", "at-moden", "--port", "/dev/null"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&greeted.stderr).into_owned();
        assert_eq!(greeted.status.code(), Some(2), "{said}");
        assert!(
            said.contains("at-moden is no file, and no profile that comes with"),
            "{said}"
        );
    }
}
