//! The three entries that nearly every line of a log is, byte for byte as they are written: issued,
//! loaded and sealed, with their fields in their order.
//!
//! What is read here is what the general way would have read. Whatever is not exactly what this
//! software writes (a space, an escape, a field too many, a year before 1970) is left to it, so that
//! nothing is accepted or refused here that is not there.

use crate::{
    Attempt, DeviceId, Digest, Entry, Event, Fingerprint, GateRecord, Issued, KeyId, LabelProof,
    Mac, OperatorId, OrderId, Serial, Sku, Slot, StationName, Step, Timestamp,
};

/// Room for the longest of the three, less slot and detectors.
const ROOM: usize = 1_024;

/// What is written so far.
struct Page(Vec<u8>);

impl Page {
    fn word(&mut self, word: &str) {
        self.0.extend_from_slice(word.as_bytes());
    }

    /// A text between quotes; none when it would need an escape.
    fn text(&mut self, text: &str) -> Option<()> {
        let plain = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
        self.word("\"");
        self.word(text);
        self.word("\"");
        text.bytes().all(plain).then_some(())
    }

    fn number(&mut self, number: impl Into<u64>) {
        let (mut left, mut digits, mut at) = (number.into(), [0; 20], 20);
        loop {
            at -= 1;
            digits[at] = b'0' + (left % 10) as u8;
            left /= 10;
            if left == 0 {
                break;
            }
        }
        self.0.extend_from_slice(&digits[at..]);
    }

    fn bytes<const N: usize>(&mut self, name: &str, bytes: &[u8; N]) {
        self.word(name);
        for byte in bytes {
            self.0.extend_from_slice(&crate::bytes::pair(*byte));
        }
        self.word("\"");
    }

    fn flag(&mut self, flag: bool) {
        self.word(if flag { "true" } else { "false" });
    }

    fn step(&mut self, step: &Step) -> Option<()> {
        self.word(",\"serial\":");
        self.text(step.serial.as_str())?;
        self.word(",\"device_id\":");
        self.text(step.device_id.as_str())?;
        self.word(",\"order\":");
        self.text(step.order.as_str())?;
        self.word(",\"station\":");
        self.text(step.station.as_str())?;
        self.word(",\"attempt\":");
        self.number(step.attempt.0);
        if let Some(operator) = &step.operator {
            self.word(",\"operator\":");
            self.text(operator.as_str())?;
        }
        Some(())
    }

    fn issued(&mut self, issued: &Issued) -> Option<()> {
        self.step(&issued.step)?;
        if let Some(slot) = &issued.slot {
            self.word(",\"slot\":");
            self.text(slot.as_str())?;
        }
        for (nth, mac) in issued.macs.iter().enumerate() {
            self.word(if nth == 0 { ",\"macs\":[" } else { "," });
            self.text(&mac.to_string())?;
        }
        self.word(if issued.macs.is_empty() { "" } else { "]" });
        self.word(",\"product\":");
        self.text(issued.product.as_str())?;
        self.bytes(",\"product_sha256\":\"", &issued.product_sha256.0);
        self.bytes(",\"policy_sha256\":\"", &issued.policy_sha256.0);
        self.bytes(",\"fingerprint\":\"", &issued.fingerprint.0);
        self.bytes(",\"fingerprint_key\":\"", &issued.fingerprint_key.0);
        self.bytes(",\"certificate_sha256\":\"", &issued.certificate_sha256.0);
        self.bytes(",\"public_key_sha256\":\"", &issued.public_key_sha256.0);
        self.bytes(",\"bundle_sha256\":\"", &issued.bundle_sha256.0);
        self.word(",\"key_made_on_unit\":");
        self.flag(issued.key_made_on_unit);
        self.word(",\"gate\":{\"detectors\":");
        self.text(&issued.gate.detectors)?;
        self.word(",\"redraws\":");
        self.number(issued.gate.redraws);
        self.word(",\"collisions\":");
        self.number(issued.gate.collisions);
        self.word("}");
        Some(())
    }
}

/// The bytes of an entry, when it is one of the three and no text of it needs an escape.
pub(crate) fn write(entry: &Entry) -> Option<Vec<u8>> {
    let mut page = Page(Vec::with_capacity(ROOM));
    page.word("{\"seq\":");
    page.number(entry.seq);
    page.word(",\"time\":");
    page.text(&entry.time.to_string())?;
    page.word(if entry.simulated_hsm {
        ",\"simulated_hsm\":true"
    } else {
        ""
    });
    match &entry.event {
        Event::Issued(issued) => {
            page.word(",\"kind\":\"issued\"");
            page.issued(issued)?;
        }
        Event::Loaded {
            step,
            bundle_sha256,
            receipt_signed,
            profile_sha256,
        } => {
            page.word(",\"kind\":\"loaded\"");
            page.step(step)?;
            page.bytes(",\"bundle_sha256\":\"", &bundle_sha256.0);
            page.word(",\"receipt_signed\":");
            page.flag(*receipt_signed);
            if let Some(profile) = profile_sha256 {
                page.bytes(",\"profile_sha256\":\"", &profile.0);
            }
        }
        Event::Sealed {
            step,
            label,
            reprint,
        } => {
            page.word(",\"kind\":\"sealed\"");
            page.step(step)?;
            page.word(match label {
                LabelProof::NoLabel => ",\"label\":\"no_label\"",
                LabelProof::Scanned => ",\"label\":\"scanned\"",
            });
            if *reprint > 0 {
                page.word(",\"reprint\":");
                page.number(*reprint);
            }
        }
        _ => return None,
    }
    page.word("}");
    Some(page.0)
}

/// What is left to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    /// Exactly these bytes.
    fn word(&mut self, word: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(word.as_bytes())?;
        Some(())
    }

    /// Whether these bytes come next, which are passed then.
    fn has(&mut self, word: &str) -> bool {
        self.word(word).is_some()
    }

    /// A number as it is written: no sign, no zero in front, at most 18 digits.
    fn number(&mut self) -> Option<u64> {
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit());
        let digits = digits.count();
        let (number, rest) = self.0.split_at(digits);
        if !(1..=18).contains(&digits) || (digits > 1 && number[0] == b'0') {
            return None;
        }
        self.0 = rest;
        let more = |value: u64, digit: &u8| value * 10 + u64::from(digit - b'0');
        Some(number.iter().fold(0, more))
    }

    fn small(&mut self) -> Option<u32> {
        u32::try_from(self.number()?).ok()
    }

    fn flag(&mut self) -> Option<bool> {
        if self.has("true") {
            return Some(true);
        }
        self.word("false").map(|()| false)
    }

    /// A text of printable ASCII without quotes and escapes, to its closing quote.
    fn text(&mut self) -> Option<&'a str> {
        let plain = |byte: &&u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
        let length = self.0.iter().take_while(plain).count();
        let (text, rest) = self.0.split_at(length);
        self.0 = rest.strip_prefix(b"\"")?;
        std::str::from_utf8(text).ok()
    }

    /// Bytes in hexadecimal, to the closing quote.
    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        let (text, rest) = self.0.split_at_checked(N * 2)?;
        if !crate::bytes::unhex_bytes(text, &mut bytes) {
            return None;
        }
        self.0 = rest.strip_prefix(b"\"")?;
        Some(bytes)
    }

    /// What every step of an attempt has, from its serial on.
    fn step(&mut self) -> Option<Step> {
        let serial = Serial::parse(self.text()?).ok()?;
        self.word(",\"device_id\":\"")?;
        let device_id = DeviceId::parse(self.text()?).ok()?;
        self.word(",\"order\":\"")?;
        let order = OrderId::parse(self.text()?).ok()?;
        self.word(",\"station\":\"")?;
        let station = StationName::parse(self.text()?).ok()?;
        self.word(",\"attempt\":")?;
        let attempt = Attempt(self.small()?);
        let operator = match self.has(",\"operator\":\"") {
            true => Some(OperatorId::parse(self.text()?).ok()?),
            false => None,
        };
        Some(Step {
            serial,
            device_id,
            order,
            station,
            attempt,
            operator,
        })
    }

    fn issued(&mut self) -> Option<Issued> {
        let step = self.step()?;
        let slot = match self.has(",\"slot\":\"") {
            true => Some(Slot::parse(self.text()?).ok()?),
            false => None,
        };
        let macs = self.macs()?;
        self.word(",\"product\":\"")?;
        let product = Sku::parse(self.text()?).ok()?;
        self.word(",\"product_sha256\":\"")?;
        let product_sha256 = Digest(self.bytes()?);
        self.word(",\"policy_sha256\":\"")?;
        let policy_sha256 = Digest(self.bytes()?);
        self.word(",\"fingerprint\":\"")?;
        let fingerprint = Fingerprint(self.bytes()?);
        self.word(",\"fingerprint_key\":\"")?;
        let fingerprint_key = KeyId(self.bytes()?);
        self.word(",\"certificate_sha256\":\"")?;
        let certificate_sha256 = Digest(self.bytes()?);
        self.word(",\"public_key_sha256\":\"")?;
        let public_key_sha256 = Digest(self.bytes()?);
        self.word(",\"bundle_sha256\":\"")?;
        let bundle_sha256 = Digest(self.bytes()?);
        self.word(",\"key_made_on_unit\":")?;
        let key_made_on_unit = self.flag()?;
        self.word(",\"gate\":{\"detectors\":\"")?;
        let detectors = self.text()?.to_owned();
        self.word(",\"redraws\":")?;
        let redraws = self.small()?;
        self.word(",\"collisions\":")?;
        let collisions = self.small()?;
        self.word("}")?;
        Some(Issued {
            step,
            slot,
            macs,
            product,
            product_sha256,
            policy_sha256,
            fingerprint,
            fingerprint_key,
            certificate_sha256,
            public_key_sha256,
            bundle_sha256,
            key_made_on_unit,
            gate: GateRecord {
                detectors,
                redraws,
                collisions,
            },
        })
    }

    fn macs(&mut self) -> Option<Vec<Mac>> {
        let mut macs = Vec::new();
        if self.has(",\"macs\":[") {
            loop {
                self.word("\"")?;
                macs.push(Mac::parse(self.text()?).ok()?);
                if self.has("]") {
                    break;
                }
                self.word(",")?;
            }
        }
        Some(macs)
    }
}

/// The entry, when it is one of the three and written like this software writes it.
pub(crate) fn read(bytes: &[u8]) -> Option<Entry> {
    let mut rest = Rest(bytes);
    rest.word("{\"seq\":")?;
    let seq = rest.number()?;
    rest.word(",\"time\":\"")?;
    let time = Timestamp::plain(rest.text()?)?;
    let simulated_hsm = rest.has(",\"simulated_hsm\":true");
    rest.word(",\"kind\":\"")?;
    let event = if rest.has("issued\",\"serial\":\"") {
        Event::Issued(Box::new(rest.issued()?))
    } else if rest.has("loaded\",\"serial\":\"") {
        let step = rest.step()?;
        rest.word(",\"bundle_sha256\":\"")?;
        let bundle_sha256 = Digest(rest.bytes()?);
        rest.word(",\"receipt_signed\":")?;
        let receipt_signed = rest.flag()?;
        let profile_sha256 = match rest.has(",\"profile_sha256\":\"") {
            true => Some(Digest(rest.bytes()?)),
            false => None,
        };
        Event::Loaded {
            step,
            bundle_sha256,
            receipt_signed,
            profile_sha256,
        }
    } else {
        rest.word("sealed\",\"serial\":\"")?;
        let step = rest.step()?;
        rest.word(",\"label\":\"")?;
        let label = match rest.text()? {
            "no_label" => LabelProof::NoLabel,
            "scanned" => LabelProof::Scanned,
            _ => return None,
        };
        let reprint = match rest.has(",\"reprint\":") {
            true => rest.small().filter(|number| *number > 0)?,
            false => 0,
        };
        Event::Sealed {
            step,
            label,
            reprint,
        }
    };
    let whole = rest.0 == b"}";
    whole.then_some(Entry {
        seq,
        time,
        simulated_hsm,
        event,
    })
}
