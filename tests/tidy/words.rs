//! One word per thing: STYLE section 2 over Rust sources, proto and README.

use crate::tree::{Offence, enforce};

/// The banned word, and the one to use.
const BANNED: &[(&str, &str)] = &[
    ("device", "unit"),
    ("devices", "units"),
    ("board", "unit"),
    ("boards", "units"),
    ("unseal", "unwrap"),
    ("unsealed", "unwrapped"),
    ("unsealing", "unwrapping"),
];

/// Phrases in which a banned word is the right one, in prose or as an identifier: the silicon's
/// own id, the certificates and HSM keys of units as their customers know them, IEEE 802.1AR's
/// name, the file of DESIGN section 6, and the words of USB, the kernel and electronics.
const PHRASES: &str = "\
device id
device ids
device in use
device root
device issuing
device certificate
device certificates
device key
device keys
device identity
device profile
device profiles
usb device
usb devices
block device
circuit board";

/// Names in which a banned word is the right one: where, and what to overlook in code there.
const NAMES: &[(&str, &str)] = &[
    // Names made by others: ring, serialport, nusb.
    ("", "seal_in_place"),
    ("", "SealingKey"),
    ("station-cli/src/port.rs", "NoDevice"),
    ("station-cli/src/usb.rs", "DeviceInfo"),
    ("station-cli/src/usb.rs", "list_devices"),
    ("station-cli/src/usb.rs", "device_address"),
    ("station-cli/src/usb/socket.rs", "/sys/bus/usb/devices"),
    ("station-cli/src/usb/socket.rs", "Device"),
    ("station-cli/src/usb/socket.rs", "DeviceInfo"),
    ("station-cli/src/usb/socket.rs", "device_address"),
    ("station-cli/src/ports.rs", "watch_devices"),
    ("crates/label/src/paper.rs", "device_gray"),
    // The kernel's, and ModemManager's.
    ("station-cli/src/doctor/", "/devices"),
    ("station-cli/src/printer/node.rs", "is_char_device"),
    ("tests/line/printer.rs", "ID_MM_DEVICE_IGNORE"),
    // A boot loader's variable, and QEMU's options.
    ("crates/line-sim/", "board_name"),
    ("crates/line-sim/tests/outside.rs", "-device"),
    // PKCS #11's.
    ("crates/hsm/src/pkcs11/", "R::Device"),
    ("hsm-sim/pkcs11/", "_DEVICE"),
    ("hsm-sim/pkcs11/", "ulDeviceError"),
    // The certificate of one unit, beside `device_root` and `device_issuing`.
    ("crates/identity/", " device,"),
    ("crates/identity/", " device("),
    ("provisioner/", " device("),
    ("provisioner/", ".device("),
    ("provisioner/", "identity::device("),
    // Device ids: their table and the rules over it.
    ("crates/ledger/", "device("),
    ("crates/ledger/", "Device("),
    ("crates/ledger/", "DeviceRow"),
    ("crates/ledger/", "OtherDevice"),
    ("crates/ledger/", "free_device"),
    ("crates/ledger/", "same_device"),
    ("crates/ledger/", "device_row"),
    ("crates/ledger/", "devices"),
    ("crates/ledger/", "units_device"),
    ("crates/wire/tests/", "DEVICE"),
    ("provisioner/src/status.rs", "OtherDevice"),
];

/// "seal" closes an attempt; before one of these words it would mean to encrypt.
const ENCRYPTED: &str = "bundle bundles box ciphertext envelope envelopes key keys password \
    passwords payload plaintext recipient recipients salt secret secrets ticket tickets under";

#[test]
fn one_word_per_thing() {
    let a = |text: &'static str| ("crates/x/src/a.rs", text);
    enforce(
        word_offences,
        &[
            a("/// Asks the device for its id."),
            a("let deviceCount = 3;"),
            a("struct BoardState;"),
            a("const BOARDS: u8 = 2;"),
            a("// seal the bundle"),
            a("fn seal_bundle() {}"),
            a("struct SealedEnvelope;"),
            a("// sealed under the site key"),
            a("fn unseal() {}"),
            a("fn same_device() {}"),
            ("proto/x/v1/x.proto", "// The board's name.\n"),
            ("README.md", "Plug the device in."),
        ],
        &[
            a("/// The device id, a `DeviceId`; `device_id` in the log, \"device-ids\"."),
            a("// the silicon's own device\n    /// id"),
            a("Key::DeviceRoot, // a keyboard-wedge scanner, onboarding"),
            a("// Scan the label, then seal. Password and key stay with the sealed unit."),
            a("key.seal_in_place_append_tag(nonce, aad, &mut bundle)"),
            ("crates/ledger/src/a.rs", "same_device(unit, step)?"),
        ],
        "use the word of STYLE section 2 (unit; wrap and unwrap); a name that others made goes \
         into the tables of tests/tidy/words.rs",
    );
}

fn word_offences(path: &str, text: &str) -> Vec<Offence> {
    if !path.ends_with(".rs") && !path.ends_with(".proto") && !path.ends_with("README.md") {
        return Vec::new();
    }
    let words = words(&overlook(path, text));
    let fillers = [
        "a", "an", "each", "every", "for", "its", "one", "the", "this", "to",
    ];
    let mut offences = Vec::new();
    for (at, (line, word)) in words.iter().enumerate() {
        if let Some((_, better)) = BANNED.iter().find(|(banned, _)| banned == word)
            && !PHRASES.lines().any(|phrase| stands_in(&words, at, phrase))
        {
            offences.push((*line, format!("\"{word}\": say {better}")));
        }
        let object = words[at + 1..]
            .iter()
            .find(|(_, next)| !fillers.contains(&next.as_str()));
        if ["seal", "seals", "sealed", "sealing"].contains(&word.as_str())
            && let Some((_, object)) = object
            && ENCRYPTED.split_whitespace().any(|word| word == object)
        {
            offences.push((*line, format!("\"{word} {object}\": say wrap")));
        }
    }
    offences
}

/// The text without the names that others made, on lines of code.
fn overlook(path: &str, text: &str) -> String {
    let names = NAMES.iter().filter(|(place, _)| path.starts_with(place));
    let names: Vec<&str> = names.map(|(_, name)| *name).collect();
    let mut left = String::new();
    for line in text.split_inclusive('\n') {
        let mut line = line.to_owned();
        if !line.trim_start().starts_with("//") {
            for name in &names {
                line = line.replace(name, ".");
            }
        }
        left.push_str(&line);
    }
    left
}

/// Whether the word at `at` is part of `phrase` there.
fn stands_in(words: &[(usize, String)], at: usize, phrase: &str) -> bool {
    let phrase: Vec<&str> = phrase.split(' ').collect();
    (0..phrase.len()).any(|back| {
        at >= back
            && words.len() >= at - back + phrase.len()
            && phrase
                .iter()
                .zip(&words[at - back..])
                .all(|(want, (_, word))| want == word)
    })
}

/// The text as lower-case words with their lines: `DeviceId`, `device_id` and "device id", also
/// over a line's end, are the same two. Punctuation between words is a word of its own, ".".
pub(crate) fn words(text: &str) -> Vec<(usize, String)> {
    let mut words: Vec<(usize, String)> = Vec::new();
    let mut fresh = true; // the next letter begins a word
    let mut line = 1;
    let characters: Vec<char> = text.chars().collect();
    for (at, &c) in characters.iter().enumerate() {
        line += usize::from(c == '\n');
        if !c.is_ascii_alphanumeric() {
            fresh = true;
            if !c.is_whitespace() && !matches!(c, '_' | '-' | '/' | '!' | '`') {
                words.push((line, ".".to_owned()));
            }
            continue;
        }
        // A capital begins a word after a small letter, or before one: `HSMKey`.
        let before = at.checked_sub(1).map(|before| characters[before]);
        let next = characters.get(at + 1);
        let hump = c.is_ascii_uppercase()
            && (before.is_some_and(|before| !before.is_ascii_uppercase())
                || next.is_some_and(char::is_ascii_lowercase));
        if fresh || hump {
            words.push((line, String::new()));
        }
        fresh = false;
        if let Some((_, word)) = words.last_mut() {
            word.push(c.to_ascii_lowercase());
        }
    }
    words
}
