//! A profile from nothing on a laptop: units that have a console, or a tool of their maker's, and
//! nothing of ours in them.

use std::path::Path;

use crate::binaries::{Done, binaries, run};
use crate::scripts::Beside;
use crate::site::{Site, text};

/// A console as `line-sim unit` plays it.
fn console(name: &str, flash: &Path, out: &Path) -> Beside {
    let arguments = ["unit", "--format", "json", "--flash", &text(flash)];
    let console = ["--console", name];
    let arguments = [&arguments[..], &console].concat();
    Beside::start(&binaries().line_sim, &arguments, out.to_owned())
}

fn profile(arguments: &[&str]) -> Done {
    run(&binaries().station_cli, &[&["profile"], arguments].concat())
}

#[test]
fn each_shipped_console_profile_is_begun_and_tested_without_hardware() {
    // Side by side: most of it is a station that waits for the end of an answer.
    std::thread::scope(|scope| {
        for name in ["at-modem", "linux-login", "u-boot", "zephyr-shell"] {
            scope.spawn(|| begun_and_tested(name));
        }
    });
}

fn begun_and_tested(name: &str) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mine = text(&at("mine.toml"));
    profile(&["new", "--from", name, "--out", &mine]).ok();
    let begun = std::fs::read_to_string(&mine).unwrap();
    let edited = begun.replace(&format!("name = \"{name}\""), "name = \"mine\"");
    std::fs::write(&mine, edited).unwrap();

    let unit = console(name, &at("unit.json"), &at("out"));
    let port = unit.json()["port"].as_str().unwrap().to_owned();
    let tested = profile(&["test", &mine, "--port", &port, "--write"]).ok();
    assert!(tested.err.contains("PASS mine goes through"), "{tested:#?}");
    assert_eq!(unit.interrupt(), Some(0));

    // Its flash outlived its power: nothing is written over what it holds.
    let unit = console(name, &at("unit.json"), &at("again"));
    let port = unit.json()["port"].as_str().unwrap().to_owned();
    let again = profile(&["test", &mine, "--port", &port, "--write"]);
    again.refused(1, "nothing was written");
    assert_eq!(unit.interrupt(), Some(0));
}

#[test]
fn a_console_and_what_only_a_native_unit_has_are_not_asked_for_together() {
    let folder = tempfile::tempdir().unwrap();
    let flash = text(&folder.path().join("unit.json"));
    let unit = |more: &[&str]| {
        let unit = ["unit", "--flash", &flash, "--console", "u-boot"];
        run(&binaries().line_sim, &[&unit[..], more].concat())
    };
    unit(&["--no-key"]).refused(2, "cannot be used with");
    unit(&["--device-id", "5100000001"]).refused(2, "16 digits");
}

#[test]
fn the_example_of_a_makers_tool_is_tested_and_seals_a_unit() {
    let site = Site::start();
    let at = |name: &str| text(&site.path(name));
    profile(&["new", "--from", "exec-example", "--out", &at("mine.toml")]).ok();
    for unit in ["units/laboratory", "units/line"] {
        std::fs::create_dir(site.path(unit)).unwrap();
    }
    let test = |unit: &str, more: &[&str]| {
        let (file, port) = (at("mine.toml"), at(unit));
        profile(&[&["test", &file, "--port", &port], more].concat())
    };
    test("units/laboratory", &["--write"]).ok();
    test("units/nobody", &[]).refused(1, "finds no unit");

    let product = "sku = \"CAM-2\"\nname = \"Camera\"\nmodel = \"CAM2\"\nprofile = \"mine.toml\"\n";
    site.apply(product).ok();
    let order = site.order("CAM-2", 1, 1);
    let station = site.station("bench-1");
    let provision = || {
        let arguments = ["provision", "--order", &order, "--serial", "CAM2-00001"];
        let port = at("units/line");
        let place = ["--port", &port, "--data", &text(&station)];
        run(&binaries().station_cli, &[&arguments[..], &place].concat())
    };
    // Whoever may write a profile does not thereby run a program here.
    let refused = provision();
    assert_ne!(refused.code, Some(0), "{refused:#?}");
    assert!(!site.path("units/line/id").exists(), "it was run");
    let tools = format!("allow = [{:?}]\n", at("mine.sh"));
    std::fs::write(station.join("tools.toml"), tools).unwrap();
    provision().ok();
    let state = std::fs::read_to_string(site.path("units/line/state")).unwrap();
    assert_eq!(state.trim(), "locked");
    assert_eq!(site.count(&order).sealed, 1);
}
