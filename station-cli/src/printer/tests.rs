use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;

fn label<'a>(serial: &'a Serial, zpl: &'a str) -> Printout<'a> {
    Printout {
        serial,
        attempt: Attempt(1),
        reprint: 0,
        zpl,
    }
}

fn way(text: &str) -> Way {
    text.parse::<Printer>().unwrap().way
}

#[test]
fn a_printer_is_named_by_how_it_is_reached() {
    let tcp = |host: &str, port, mute| Way::Tcp {
        host: host.to_owned(),
        port,
        mute,
    };
    let usb = |mute| Way::Usb {
        path: "/dev/usb/lp0".into(),
        mute,
    };
    assert_eq!(way("tcp:10.0.0.9"), tcp("10.0.0.9", 9100, false));
    assert_eq!(way("tcp:zd421.line:6101"), tcp("zd421.line", 6101, false));
    assert_eq!(way("tcp:[::1]"), tcp("::1", 9100, false));
    assert_eq!(way("tcp:[fe80::1]:9101?mute"), tcp("fe80::1", 9101, true));
    assert_eq!(way("usb:/dev/usb/lp0"), usb(false));
    assert_eq!(way("usb:/dev/usb/lp0?mute"), usb(true));
    assert_eq!(way("dir:out"), Way::Folder(LabelFolder("out".into())));
    assert_eq!(way("file:a?mute"), Way::File("a?mute".into()));
    for bad in [
        "",
        "tcp",
        "tcp:",
        "tcp::9100",
        "tcp:h:0",
        "tcp:h:99999",
        "tcp:h:x",
        "tcp:[::1",
        "tcp:a b",
        "tcp:?mute",
        "http://h",
        "lpt:1",
        "usb:",
        "dir:\u{1b}[2K",
    ] {
        let error = bad.parse::<Printer>().unwrap_err().to_string();
        assert!(error.contains("expected tcp:HOST"), "{bad}");
        assert!(!error.contains('\u{1b}'));
    }
}

#[tokio::test]
async fn a_folder_takes_a_label_once_and_a_newer_attempt_s_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let mut printer = Printer::folder(folder.path().join("labels"));
    let serial = Serial::parse("A47").unwrap();
    let path = folder.path().join("labels/A47.zpl");
    let written = || fs::metadata(&path).unwrap().modified().unwrap();
    let mut begun = 0;
    let mut begin = || {
        begun += 1;
        Ok(())
    };
    printer
        .print(&label(&serial, "^XA1^XZ"), &mut begin)
        .await
        .unwrap();
    let first = written();
    printer
        .print(&label(&serial, "^XA1^XZ"), &mut begin)
        .await
        .unwrap();
    assert_eq!(written(), first);
    let taken = printer.print(&label(&serial, "^XA2^XZ"), &mut begin).await;
    assert_eq!(taken.unwrap(), Taken::Printed);
    assert_eq!(fs::read_to_string(&path).unwrap(), "^XA2^XZ");
    assert_eq!(begun, 3);
    assert!(printer.holds(&label(&serial, "^XA2^XZ")));
    assert!(!printer.holds(&label(&serial, "^XA1^XZ")));
    // A power cut in the next print leaves a part, which is a password too.
    fs::write(path.with_extension("zpl.new"), "^XA3").unwrap();
    let labels = printer.as_folder().unwrap();
    labels.take_back(&serial).unwrap();
    labels.take_back(&serial).unwrap();
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
    assert!(!printer.holds(&label(&serial, "^XA2^XZ")));
}

/// What is under /dev is no file, there or unplugged: none is made in its place.
#[test]
fn a_printer_that_is_unplugged_is_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("label.zpl");
    assert!(node::is_plain(&file));
    fs::write(&file, "").unwrap();
    assert!(node::is_plain(&file));
    assert!(
        !node::is_plain(&file.join("below")),
        "it cannot be looked at"
    );
    for name in ["/dev/usb/lp99", "/dev/null"] {
        assert!(!node::is_plain(name.as_ref()), "{name}");
    }
}

#[tokio::test]
async fn a_file_holds_the_newest_label_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("label.zpl");
    let mut printer: Printer = format!("file:{}", path.display()).parse().unwrap();
    let serial = Serial::parse("A47").unwrap();
    for zpl in ["^XA1^XZ", "^XA2^XZ"] {
        printer
            .print(&label(&serial, zpl), &mut || Ok(()))
            .await
            .unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), zpl);
        assert!(printer.holds(&label(&serial, zpl)));
    }
    assert!(!printer.holds(&label(&serial, "^XA1^XZ")));
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[tokio::test]
async fn nothing_is_sent_that_is_not_on_record_first() {
    let folder = tempfile::tempdir().unwrap();
    let serial = Serial::parse("A47").unwrap();
    let mut refuses = || Err(io::Error::other("the disk is full"));
    for kind in ["dir", "file"] {
        let path = folder.path().join(kind);
        let mut printer: Printer = format!("{kind}:{}", path.display()).parse().unwrap();
        let printed = printer.print(&label(&serial, "^XA^XZ"), &mut refuses).await;
        assert!(printed.is_err());
        assert!(!path.exists(), "{kind}");
    }
}

/// What cannot take a label is not called well.
#[tokio::test]
async fn a_printer_that_is_asked_says_what_is_in_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().display();
    fs::write(folder.path().join("file"), "").unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path().join("broken")).unwrap();
    let ask = async |name: String| name.parse::<Printer>().unwrap().ask().await;
    for good in [
        format!("dir:{dir}"),
        format!("dir:{dir}/a/b"),
        format!("file:{dir}/label.zpl"),
        "dir:below-here".to_owned(),
        "file:label.zpl".to_owned(),
        "file:/dev/null".to_owned(),
    ] {
        ask(good).await.unwrap();
    }
    for bad in [
        format!("dir:{dir}/file"),
        format!("dir:{dir}/file/below"),
        format!("dir:{dir}/broken"),
        format!("file:{dir}/file/below"),
        "file:/dev/usb/lp99".to_owned(),
    ] {
        assert!(ask(bad.clone()).await.is_err(), "{bad}");
    }
}

/// A printer of the environment is for whoever names none.
#[test]
fn a_folder_on_the_command_line_goes_before_a_printer() {
    use clap::Parser;
    #[derive(Parser)]
    struct Verb {
        #[command(flatten)]
        printer: PrinterArgs,
    }
    let open = |line: &str| {
        let verb = Verb::try_parse_from(line.split(' ')).unwrap();
        verb.printer.open("own".into()).way
    };
    let tcp = "v --printer tcp:10.0.0.9";
    assert_eq!(open(tcp), way("tcp:10.0.0.9"));
    assert_eq!(open(&format!("{tcp} --labels out")), way("dir:out"));
}

/// A pair of ptys stands for a printer on a cable: the far end is ours.
pub(super) mod cable {
    use std::fs::File;
    use std::io::{Read, Write};
    use std::path::PathBuf;

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

    pub(in super::super) fn pair() -> (File, PathBuf) {
        let far = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&far).unwrap();
        unlockpt(&far).unwrap();
        let name = ptsname(&far, Vec::new()).unwrap().into_string().unwrap();
        let mut modes = tcgetattr(&far).unwrap();
        modes.make_raw();
        tcsetattr(&far, OptionalActions::Now, &modes).unwrap();
        (File::from(far), PathBuf::from(name))
    }

    /// Reads until `what` has come, and answers.
    pub(super) fn answer(far: &mut File, what: &str, answer: &str) -> String {
        let mut heard = String::new();
        let mut byte = [0];
        while !heard.ends_with(what) {
            far.read_exact(&mut byte).unwrap();
            heard.push(char::from(byte[0]));
        }
        far.write_all(answer.as_bytes()).unwrap();
        heard
    }
}

const WELL: &str = "\x02030,0,0,0240,000,0,0,0,000,0,0,0\x03\r\n\
    \x02000,0,0,0,0,2,4,0,00000000,1,000\x03\r\n\x021234,0\x03\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_printer_on_a_cable_is_asked_before_and_after() {
    let (mut far, path) = cable::pair();
    let _near = fs::File::open(&path).unwrap(); // a pty whose near end closes is gone
    let end = std::thread::spawn(move || {
        cable::answer(&mut far, "~HS", WELL);
        let label = cable::answer(&mut far, "~HS", &WELL.replacen("0240,000", "0240,001", 1));
        cable::answer(&mut far, "~HS", WELL);
        (label, far) // what waits on a cable is gone with its far end
    });
    let mut printer: Printer = format!("usb:{}", path.display()).parse().unwrap();
    let serial = Serial::parse("A47").unwrap();
    let taken = printer
        .print(&label(&serial, "^XA1^XZ"), &mut || Ok(()))
        .await;
    assert_eq!(taken.unwrap(), Taken::Printed);
    assert_eq!(end.join().unwrap().0, "^XA1^XZ~HS");
}

/// An answer to a question that somebody gave up on lies on the cable: it is not taken for ours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_answer_on_the_cable_is_not_taken() {
    use std::io::Write;
    let (mut far, path) = cable::pair();
    let _near = fs::File::open(&path).unwrap();
    far.write_all(WELL.as_bytes()).unwrap();
    let end = std::thread::spawn(move || {
        cable::answer(&mut far, "~HS", &WELL.replacen("\x02030,0", "\x02030,1", 1));
        far
    });
    let mut printer: Printer = format!("usb:{}", path.display()).parse().unwrap();
    let serial = Serial::parse("A47").unwrap();
    let mut begun = false;
    let mut begin = || {
        begun = true;
        Ok(())
    };
    let printed = printer.print(&label(&serial, "^XA1^XZ"), &mut begin).await;
    let error = printed.unwrap_err().to_string();
    assert!(error.contains("out of paper"), "{error}");
    assert!(!begun);
    drop(end.join().unwrap());
}

/// A part of a label may be another station's that is still sending it: it has the time that a label
/// may take. What stays longer was cut, and is taken away; the printer says whether it is gone.
#[tokio::test(start_paused = true)]
async fn a_part_of_another_label_is_given_its_time() {
    let part = WELL.replacen(",000,0,0,0,000", ",000,0,0,1,000", 1);
    for (whole_after, cancels, prints) in [(12, 0, true), (20, 1, true), (99, 1, false)] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let begun = Instant::now();
        let part = part.clone();
        let far = tokio::spawn(async move {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let (mut line, _) = listener.accept().await.unwrap();
            let (mut heard, mut cancels, mut bytes) = (Vec::new(), 0, [0; 256]);
            while let Ok(count @ 1..) = line.read(&mut bytes).await {
                heard.extend_from_slice(&bytes[..count]);
                if heard.ends_with(b"~HS") {
                    cancels += usize::from(heard.starts_with(b"~JX"));
                    heard.clear();
                    let there = begun.elapsed() < Duration::from_secs(whole_after);
                    // It is gone when it is whole or was cancelled; one printer never lets it go.
                    let answer = if there && (cancels == 0 || whole_after == 99) {
                        &part
                    } else {
                        WELL
                    };
                    line.write_all(answer.as_bytes()).await.unwrap();
                }
            }
            cancels
        });
        let mut printer: Printer = format!("tcp:{at}").parse().unwrap();
        let serial = Serial::parse("A47").unwrap();
        let printed = printer
            .print(&label(&serial, "^XA1^XZ"), &mut || Ok(()))
            .await;
        assert_eq!(printed.is_ok(), prints, "{whole_after} s: {printed:?}");
        assert_eq!(far.await.unwrap(), cancels, "{whole_after} s");
    }
}

#[tokio::test]
async fn a_file_is_no_printer_on_a_cable() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut printer: Printer = format!("usb:{}", file.path().display()).parse().unwrap();
    let serial = Serial::parse("A47").unwrap();
    let printed = printer
        .print(&label(&serial, "^XA1^XZ"), &mut || Ok(()))
        .await;
    assert!(
        printed
            .unwrap_err()
            .to_string()
            .contains("no printer but a file")
    );
    assert_eq!(fs::metadata(file.path()).unwrap().len(), 0);
}
