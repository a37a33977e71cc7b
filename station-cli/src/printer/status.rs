//! What a printer says of itself: `~HS`, Host Status Return.
//!
//! Three strings between STX and ETX CR LF (ZPL II Programming Guide, `~HS`):
//! ```text
//! aaa,b,c,dddd,eee,f,g,h,iii,j,k,l       b paper out, c pause, eee formats in the receive buffer,
//!                                        f buffer full, h a format has come in part
//! mmm,n,o,p,q,r,s,t,uuuuuuuu,v,www       o head up, p ribbon out, uuuuuuuu labels left of the batch
//! xxxx,y                                 a password, static memory
//! ```
//! The same guide says that some printers do not answer at all while paper or ribbon is out, the head
//! is up or too hot: no answer is an answer too.

use std::io;

use tokio::time::{Duration, Instant};

use super::link::Link;

const ASK: &[u8] = b"~HS";
const STX: u8 = 0x02;
const ETX: u8 = 0x03;
/// Three strings have under 100 bytes.
const LONGEST: usize = 512;

/// Why a printer would not print now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Trouble {
    HeadOpen,
    PaperOut,
    RibbonOut,
    Paused,
    /// Another label has come in part.
    Part,
    /// Its memory is full of labels.
    Full,
}

impl Trouble {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Trouble::HeadOpen => "the printer's head is open",
            Trouble::PaperOut => "the printer is out of paper",
            Trouble::RibbonOut => "the printer is out of ribbon",
            Trouble::Paused => "the printer is paused",
            Trouble::Part => "the printer holds a part of another label",
            Trouble::Full => "the printer's memory is full",
        }
    }
}

/// One answer.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Status {
    paper_out: bool,
    paused: bool,
    formats: u32,
    full: bool,
    part: bool,
    head_up: bool,
    ribbon_out: bool,
    left: u32,
}

impl Status {
    /// Asks, and waits for the three strings.
    pub(super) async fn ask(link: &mut Link, within: Duration) -> io::Result<Status> {
        link.drain().await;
        link.send(ASK, within).await?;
        let until = Instant::now() + within;
        let mut answer = Vec::with_capacity(LONGEST);
        let mut part = [0; 128];
        loop {
            let count = link.receive(&mut part, until).await.map_err(silent)?;
            answer.extend_from_slice(&part[..count]);
            if let Some(status) = Status::read(&answer)? {
                return Ok(status);
            }
            if answer.len() > LONGEST {
                return Err(io::Error::other("the printer's answer is none to ~HS"));
            }
        }
    }

    /// What has come so far; `None` while strings are missing.
    fn read(answer: &[u8]) -> io::Result<Option<Status>> {
        let whole = |string: &'_ [u8]| string.iter().position(|byte| *byte == ETX);
        let strings: Vec<&[u8]> = answer
            .split(|byte| *byte == STX)
            .skip(1)
            .filter_map(|string| whole(string).map(|end| &string[..end]))
            .collect();
        let [first, second, _] = strings[..] else {
            return Ok(None);
        };
        let unusable = || io::Error::other("the printer's answer is none to ~HS");
        let (first, second) = (fields(first, 12), fields(second, 11));
        let (Some(first), Some(second)) = (first, second) else {
            return Err(unusable());
        };
        let flag = |field: &str| field.trim() == "1";
        let number = |field: &str| field.trim().parse().map_err(|_| unusable());
        Ok(Some(Status {
            paper_out: flag(first[1]),
            paused: flag(first[2]),
            formats: number(first[4])?,
            full: flag(first[5]),
            part: flag(first[7]),
            head_up: flag(second[2]),
            ribbon_out: flag(second[3]),
            left: number(second[8])?,
        }))
    }

    /// Why it would not print now.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        [
            (self.head_up, Trouble::HeadOpen),
            (self.paper_out, Trouble::PaperOut),
            (self.ribbon_out, Trouble::RibbonOut),
            (self.paused, Trouble::Paused),
            (self.part, Trouble::Part),
            (self.full, Trouble::Full),
        ]
        .into_iter()
        .find_map(|(is, trouble)| is.then_some(trouble))
    }

    /// Labels that it has to print yet.
    pub(super) fn waiting(&self) -> u32 {
        self.formats.saturating_add(self.left)
    }
}

/// The fields of a string, when there are at least so many.
fn fields(string: &[u8], least: usize) -> Option<Vec<&str>> {
    let text = std::str::from_utf8(string).ok()?;
    let fields: Vec<&str> = text.split(',').collect();
    (fields.len() >= least).then_some(fields)
}

fn silent(error: io::Error) -> io::Error {
    let words = "no answer: is it on, has it paper, is its head closed?";
    match error.kind() {
        io::ErrorKind::TimedOut => io::Error::new(error.kind(), words),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: &[u8] = b"\x02030,0,0,1245,000,0,0,0,000,0,0,0\x03\r\n\
        \x02000,0,0,0,0,2,4,0,00000000,1,000\x03\r\n\x021234,0\x03\r\n";

    fn check(from: &str, to: &str, expected: Option<Trouble>, waiting: u32) {
        let text = std::str::from_utf8(WELL).unwrap();
        assert!(text.contains(from), "{from}");
        let answer = text.replacen(from, to, 1);
        let status = Status::read(answer.as_bytes()).unwrap().unwrap();
        assert_eq!((status.trouble(), status.waiting()), (expected, waiting));
    }

    #[test]
    fn an_answer_says_what_is_in_the_way() {
        check("030", "030", None, 0);
        check("030,0", "030,1", Some(Trouble::PaperOut), 0);
        check("030,0,0", "030,0,1", Some(Trouble::Paused), 0);
        check(",000,0,0,0,000", ",003,0,0,0,000", None, 3);
        check(",000,0,0,0,000", ",000,1,0,0,000", Some(Trouble::Full), 0);
        check(",000,0,0,0,000", ",000,0,0,1,000", Some(Trouble::Part), 0);
        check("\u{2}000,0,0", "\u{2}000,0,1", Some(Trouble::HeadOpen), 0);
        check(
            "\u{2}000,0,0,0",
            "\u{2}000,0,0,1",
            Some(Trouble::RibbonOut),
            0,
        );
        check("00000000", "00000002", None, 2);
    }

    #[test]
    fn every_beginning_of_an_answer_is_waited_on_and_other_text_is_none() {
        for end in 0..WELL.len() - 3 {
            assert_eq!(Status::read(&WELL[..end]).unwrap(), None, "{end}");
        }
        for text in [
            &b"\x02a\x03\x02b\x03\x02c\x03"[..],
            b"\x02,,,,,,,,,,,\x03\x02,,,,,,,,,,\x03\x02\x03",
        ] {
            assert!(Status::read(text).is_err());
        }
    }
}
