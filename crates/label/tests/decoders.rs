//! What other people's tools read off our labels: zbar (QR, Code 128), libdmtx (DataMatrix), poppler
//! and qpdf (PDF). The secrets in here belong to no unit.

#![allow(clippy::unwrap_used, reason = "a test may stop anywhere")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use label::{Gtin, Label, Raster, Template, parse_scan};
use traveler::{Attempt, Serial, Sku, Slot};

const WIFI: &str = include_str!("../templates/wifi.toml");

fn drawn(
    template: &Template,
    dots_per_mm: u32,
    serial: &str,
    ssid: &str,
    password: &str,
) -> Raster {
    Label {
        serial: &Serial::parse(serial).unwrap(),
        product: &Sku::parse("KETTLE-1").unwrap(),
        name: "Kettle größer",
        attempt: Attempt(1),
        password: password.as_bytes(),
        slot: Some(&Slot::parse("slot-2").unwrap()),
        reprint: 1,
        ssid: Some(ssid),
        gtin: Some(&Gtin::parse("6291041500213").unwrap()),
    }
    .raster(template, dots_per_mm)
    .unwrap()
}

fn run(command: &mut Command) -> Output {
    let name = command.get_program().to_string_lossy().into_owned();
    command
        .output()
        .unwrap_or_else(|error| panic!("{name}: {error}; tests/run installs it"))
}

/// Each code that zbar sees, as `TYPE:data`.
fn zbar(picture: &Path) -> Vec<String> {
    let output = run(Command::new("zbarimg").arg("--quiet").arg(picture));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(ToOwned::to_owned).collect()
}

fn matrix(picture: &Path) -> String {
    // -G shows the mark of GS1 as this character; -N and -x bound the search, -m its time in ms.
    let options = ["-N", "1", "-x", "60%", "-m", "60000", "-G", "126"];
    let output = run(Command::new("dmtxread").args(options).arg(picture));
    String::from_utf8(output.stdout).unwrap()
}

fn written(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn every_code_is_read_by_other_decoders() {
    let template = Template::parse(WIFI).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let check = |dots_per_mm, serial: &str, ssid: &str, password: &str, network: &str| {
        let raster = drawn(&template, dots_per_mm, serial, ssid, password);
        let png = written(folder.path(), "label.png", &raster.to_png().unwrap());
        let codes = zbar(&png);
        assert!(codes.contains(&format!("CODE-128:{serial}")), "{codes:?}");
        assert!(codes.contains(&format!("QR-Code:{network}")), "{codes:?}");
        let scan = codes
            .iter()
            .find_map(|code| parse_scan(code.strip_prefix("QR-Code:")?));
        let scan = scan.unwrap();
        assert_eq!((scan.serial.as_str(), scan.reprint), (serial, 1));
        scan.password
            .expose(|clear| assert_eq!(clear, password.as_bytes()));
        assert_eq!(matrix(&png), format!("~010629104150021321{serial}"));
    };
    for dots_per_mm in [8, 12, 24] {
        let network = "WIFI:T:WPA;S:Kettle-0042;P:K7QDM2X9TR4W;;";
        check(
            dots_per_mm,
            "BM-000042",
            "Kettle-0042",
            "K7QDM2X9TR4W",
            network,
        );
    }
    // The longest password: smaller squares, and still read.
    let longest = "K7QD".repeat(16).split_off(1);
    let network = format!("WIFI:T:WPA;S:Kettle-0042;P:{longest};;");
    for dots_per_mm in [8, 12] {
        check(dots_per_mm, "BM-000042", "Kettle-0042", &longest, &network);
    }
    let network = r#"WIFI:T:WPA;S:a\;b\,c\:d\"e\\f;P:K7\:QD\;M2\\X9;;"#;
    check(8, "A47", r#"a;b,c:d"e\f"#, r"K7:QD;M2\X9", network);
}

#[test]
fn the_page_is_the_same_picture() {
    let template = Template::parse(WIFI).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let raster = drawn(&template, 12, "BM-000042", "Kettle-0042", "K7QDM2X9TR4W");
    let pdf = written(folder.path(), "label.pdf", &raster.to_pdf());
    let checked = run(Command::new("qpdf").arg("--check").arg(&pdf));
    assert!(checked.status.success(), "{checked:?}");
    let page = folder.path().join("page");
    // 12 dots a millimetre are 304.8 dpi.
    let poppler = ["-r", "304.8", "-png", "-singlefile"];
    let shown = run(Command::new("pdftoppm").args(poppler).arg(&pdf).arg(&page));
    assert!(shown.status.success(), "{shown:?}");
    let codes = zbar(&page.with_extension("png"));
    for code in [
        "CODE-128:BM-000042",
        "QR-Code:BM1:BM-000042:K7QDM2X9TR4W R1",
    ] {
        assert!(codes.iter().any(|it| it == code), "{codes:?}");
    }
}

/// The graphic of a printer without letters holds the same dots.
#[test]
fn the_graphic_is_the_same_picture() {
    let template = Template::standard().unwrap();
    let raster = drawn(&template, 8, "BM-000042", "Kettle", "K7QDM2X9TR4W");
    let zpl = raster.to_zpl();
    let (head, rest) = zpl.split_once("^GFA,").unwrap();
    assert!(head.starts_with("^XA^PW400^LL240^LH0,0"));
    let fields: Vec<&str> = rest.split("^FS").next().unwrap().split(',').collect();
    assert_eq!(fields[..3], ["12000", "12000", "50"]);
    let bits: Vec<u8> = (0..fields[3].len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&fields[3][at..at + 2], 16).unwrap())
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let portable = [b"P4 400 240\n".as_slice(), &bits].concat();
    let codes = zbar(&written(folder.path(), "graphic.pbm", &portable));
    assert!(
        codes
            .iter()
            .any(|it| it == "QR-Code:BM1:BM-000042:K7QDM2X9TR4W R1"),
        "{codes:?}"
    );
}

#[test]
fn a_label_that_cannot_be_drawn_says_why_and_shows_no_secret() {
    let check = |template: &str, serial: &str, ssid, gtin: Option<&Gtin>, expected: &str| {
        let template = Template::parse(template).unwrap();
        let label = Label {
            serial: &Serial::parse(serial).unwrap(),
            product: &Sku::parse("KETTLE-1").unwrap(),
            name: "Kettle",
            attempt: Attempt(1),
            password: b"K7QDM2X9TR4W",
            slot: None,
            reprint: 0,
            ssid,
            gtin,
        };
        let raster = label.raster(&template, 8).err().unwrap().to_string();
        assert!(raster.contains(expected), "{raster}");
        assert!(!raster.contains("K7QD"), "{raster}");
        let zpl = label.to_zpl(&template).err().unwrap().to_string();
        assert_eq!(zpl, raster);
    };
    let gtin = Gtin::parse("6291041500213").unwrap();
    check(WIFI, "A47", None, Some(&gtin), "no network name");
    check(WIFI, "A47", Some("K"), None, "no GTIN");
    check(
        WIFI,
        &"A".repeat(21),
        Some("K"),
        Some(&gtin),
        "GS1 allows 20",
    );
    let late = WIFI.replace("at = [38.0, 23.0]", "at = [78.0, 23.0]");
    check(
        &late,
        "A47",
        Some("K"),
        Some(&gtin),
        "the QR code of this unit does not fit",
    );
    let over = WIFI.replace("at = [68.0, 2.0]", "at = [2.0, 21.0]");
    check(
        &over,
        "A47",
        Some("K"),
        Some(&gtin),
        "of this unit does not fit its label",
    );
    let wide = WIFI.replace("at = [2.0, 21.0]", "at = [73.0, 35.0]");
    let expected = "the password of this unit does not fit";
    check(&wide, "A47", Some("K"), Some(&gtin), expected);
}
