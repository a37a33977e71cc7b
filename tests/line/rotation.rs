//! The log's key is rotated between two units of an order: stations and witnesses that know the old
//! key follow, and whoever holds only the old key verifies all of it.

use std::path::Path;

use line_sim::unit::SimUnit;

use crate::binaries::{Done, binaries, run_with};
use crate::site::{PLAIN, Site, provisioner_on, text};
use crate::units::{port, silicon};

fn provision(site: &Site, order: &str, number: u32, station: &Path) -> Done {
    let flash = site.path(&format!("units/{number}.json"));
    let unit = SimUnit::spawn(silicon(number, "PLUG1", &flash)).unwrap();
    let (serial, port, station) = (format!("R-{number:03}"), port(&unit), text(station));
    let arguments = [
        ["--order", order],
        ["--serial", &serial],
        ["--port", &port],
        ["--data", &station],
        ["--wait", "1"],
        ["--format", "json"],
    ];
    let arguments = [&["provision"], arguments.as_flattened()].concat();
    run_with(&binaries().station_cli, &arguments, "")
}

fn rotate(key: &str) -> Vec<&str> {
    let ask = ["rotate", "--key", key, "--allow-simulated-hsm"];
    let why = ["--reason", "one year", "--operator", "officer 1"];
    [ask, why].concat()
}

#[test]
fn stations_and_witnesses_follow_a_new_log_key() {
    let mut site = Site::start();
    site.apply(PLAIN).ok();
    let (order, station) = (site.order("PLUG-1", 4, 20), site.station("bench-1"));
    provision(&site, &order, 1, &station).ok();
    let [old, home, out] = ["old-vkey", "witness", "export"].map(|name| text(&site.path(name)));
    std::fs::copy(site.data().join("vkey"), &old).unwrap();
    let nowhere = site.path("nowhere");
    let witness = |vkey: &[&str]| {
        let ask = ["audit", "witness", "--bundle", &out, "--home", &home];
        provisioner_on(&nowhere, &[&ask[..], vkey].concat())
    };
    let export = |site: &Site| {
        site.provisioner(&["audit", "export", "--out", &out]).ok();
    };
    export(&site);
    witness(&["--vkey", &old]).ok();
    let remembered = text(&site.path("remembered"));
    std::fs::copy(station.join("checkpoint"), &remembered).unwrap();

    site.provisioner(&rotate("log"))
        .refused(2, "stop the server first");
    site.stop();
    for key in ["log", "issuing"] {
        let told = site.provisioner(&rotate(key)).ok().json();
        assert_eq!(told["rotated"], key);
        assert_eq!(told["key"]["made"], true);
    }
    site.serve();

    // The station follows, and so does one that was enrolled only now.
    provision(&site, &order, 2, &station).ok();
    assert!(station.join("rotations.json").is_file());
    let later = site.station("bench-2");
    provision(&site, &order, 3, &later).ok();
    provision(&site, &order, 4, &station).ok();
    export(&site);
    let seen = witness(&["--vkey", &old]).ok().json();
    assert!(seen["seen_before"].as_u64().unwrap() > 0, "{seen}");
    witness(&[]).ok();
    let bundle = ["audit", "verify", "--bundle", &out];
    let newest = text(&site.data().join("vkey"));
    for vkey in [&old, &newest] {
        let held = ["--vkey", vkey, "--checkpoint", &remembered];
        let report = provisioner_on(&nowhere, &[&bundle[..], &held].concat());
        assert_eq!(report.ok().json()["verdict"], "clean");
        let since = ["--vkey", vkey, "--since", &remembered];
        provisioner_on(&nowhere, &[&bundle[..], &since].concat()).ok();
    }
    let data = ["audit", "verify", "--checkpoint", &remembered];
    site.provisioner(&data).ok();

    // A server whose log lost its rotation (an old backup) is refused, as is one that tells another.
    let told = station.join("rotations.json");
    let kept = std::fs::read_to_string(&told).unwrap();
    let another = "[\"another key\\n\\n\u{2014} x AAAAAAA=\\n\"]";
    std::fs::write(&told, another).unwrap();
    let refused = provision(&site, &order, 5, &station);
    assert_ne!(refused.code, Some(0), "{}", refused.err);
    std::fs::write(&told, kept).unwrap();
    assert_eq!(site.count(&order).sealed, 4);
}
