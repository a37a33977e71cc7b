//! What a shift shows: a screen, or lines of words, or lines of JSON; and what it sounds like.

use std::time::Duration;

use serde_json::json;
use traveler::Serial;

use super::ShiftArgs;
use super::draw::{self, Picture, fill};
use super::events::{self, Events};
use super::floor::{Floor, Heard, Said, Sound, Tile};
use super::lookout::Outlook;
use super::noise::Noise;
use super::outlet::Outlet;
use super::slots::Sounds;
use super::wall::Wall;
use super::words::{Language, Words};
use crate::cli::say;
use crate::home::Home;
use crate::lease::Standing;
use crate::report::Report;

/// Frames in which the screen is drawn once.
pub(super) struct Show {
    station: String,
    /// The station's folder, as a person names it.
    data: String,
    order: String,
    words: Words,
    wall: Option<Wall>,
    /// Whether words go to standard error, line by line.
    plain: Option<Outlet>,
    events: Events,
    noise: Noise,
    /// What was said of server and lease.
    outlook: Outlook,
    /// What was shown before, without the seconds.
    before: Vec<Tile>,
    drawn: Option<Duration>,
}

/// Two pictures are at least so far apart.
const FRAME: Duration = Duration::from_millis(90);

/// What a person does with a server that is there, when a shift has left something.
fn next_steps(held: &Standing) -> Vec<&'static str> {
    let steps = [
        (held.to_upload > 0 || !held.on_hold.is_empty(), "sync"), // it names what is on hold, and why
        (held.left + held.expired > 0, "lease --return"),
    ];
    let steps = steps.into_iter().filter(|(needed, _)| *needed);
    steps.map(|(_, step)| step).collect()
}

impl Show {
    pub(super) fn open(
        args: &ShiftArgs,
        home: &Home,
        words: Words,
        sounds: Sounds,
        json: bool,
    ) -> std::io::Result<Show> {
        let events = Events::open(json, args.events.as_deref())?;
        let wall = if args.plain || json {
            None
        } else {
            Wall::open()
        };
        Ok(Show {
            station: home.station().to_string(),
            data: home.dir().display().to_string(),
            order: args.order.to_string(),
            words,
            plain: (wall.is_none() && !json).then(|| Outlet::new(|line| say(&line))),
            wall,
            events,
            noise: Noise::new(sounds),
            outlook: Outlook::default(),
            before: Vec::new(),
            drawn: None,
        })
    }

    /// A line of words, where there is no screen.
    fn say(&mut self, line: String) {
        if let Some(plain) = &mut self.plain {
            plain.send(line, |count| format!("... {count}"));
        }
    }

    pub(super) fn begin(&mut self, now: Duration, slots: usize) {
        let facts = json!({ "station": self.station, "order": self.order, "slots": slots });
        self.events.tell(now, "shift", &facts);
    }

    /// How it stands with server and lease.
    pub(super) fn outlook(&mut self, now: Duration, outlook: &Outlook) {
        if self.outlook == *outlook {
            return;
        }
        let before = std::mem::replace(&mut self.outlook, outlook.clone());
        let was_away = before.away;
        let held = &outlook.held;
        let facts = json!({
            "away": outlook.away, "left": held.left, "expires": held.expires,
            "to_upload": held.to_upload, "on_hold": held.on_hold,
        });
        self.events.tell(now, "lease", &facts);
        if outlook.away || was_away {
            let said = match outlook.away {
                true => outlook.left(),
                false => outlook.said("LEASE_LEFT"),
            };
            self.say(fill(&self.words, &said));
        }
        for serial in &held.on_hold {
            if !before.held.on_hold.contains(serial) {
                self.say(fill(&self.words, &Said::about("ON_HOLD", serial, 0)));
            }
        }
    }

    pub(super) fn end(&mut self, now: Duration, code: u8, left: usize, held: &Standing) {
        let mut facts = json!({ "code": code, "open": left });
        // What no unit got is given back, or it expires.
        let holds = held.left + held.expired + held.to_upload + held.on_hold.len() > 0;
        let for_people = self.wall.is_some() || self.plain.is_some();
        if holds {
            facts["lease_left"] = json!(held.left);
            facts["to_upload"] = json!(held.to_upload);
            facts["on_hold"] = json!(held.on_hold);
        }
        self.events.tell(now, "end", &facts);
        self.events.end();
        if let Some(plain) = &mut self.plain {
            plain.end(events::LAST);
        }
        self.wall = None;
        if holds && for_people {
            for serial in &held.on_hold {
                say(&fill(&self.words, &Said::about("ON_HOLD", serial, 0)));
            }
            let held = held.clone();
            let outlook = Outlook {
                held,
                ..Outlook::default()
            };
            say(&fill(&self.words, &outlook.said("LEASE_LEFT")));
            for command in next_steps(&outlook.held) {
                let command = format!("station-cli {command} --data {}", self.data);
                say(&fill(&self.words, &Said::text("NEXT_STEP", command, 0)));
            }
        }
    }

    pub(super) fn scan(
        &mut self,
        now: Duration,
        kind: &str,
        serial: Option<&Serial>,
        heard: &Heard,
    ) {
        self.events
            .tell(now, "scan", &events::scan(kind, serial, heard));
        if self.plain.is_some() {
            let serial = serial.map(ToString::to_string).unwrap_or_default();
            let text = self
                .words
                .fill(heard.says, &serial, heard.slot.unwrap_or_default());
            self.say(format!("> {text}"));
        }
    }

    pub(super) fn result(&mut self, now: Duration, slot: u32, report: &Report) {
        self.events
            .tell(now, "result", &events::result(slot, report));
        // The report's own words are English, and say more.
        let line = match self.words.language {
            Language::En => format!("{slot}  {report}"),
            Language::ZhCn => {
                let serial = report.serial.as_str();
                let key = report.reason.unwrap_or("PASS");
                format!("{slot}  {serial}  {}", self.words.fill(key, serial, slot))
            }
        };
        self.say(line);
    }

    /// The scanner was lost, or is back.
    pub(super) fn scanner(&mut self, now: Duration, here: bool) {
        self.events.tell(now, "scanner", &json!({ "here": here }));
    }

    /// Something broke off in this program.
    pub(super) fn broke(&mut self, now: Duration, place: &str) {
        self.events.tell(now, "broke", &json!({ "place": place }));
        self.say(format!("broke off at {place}"));
    }

    pub(super) fn noise(&mut self, sound: Sound) {
        let rings = self.noise.make(sound);
        if let Some(wall) = &self.wall {
            wall.ring(rings);
        }
    }

    /// Shows what has changed.
    pub(super) fn show(&mut self, now: Duration, floor: &Floor) {
        if let (Some(wall), rings @ 1..) = (&self.wall, self.noise.missed()) {
            wall.ring(rings);
        }
        let tiles = floor.tiles(now);
        self.changes(now, &tiles);
        let due = self.drawn.is_none_or(|drawn| now >= drawn + FRAME);
        let Some(wall) = self.wall.as_mut().filter(|_| due) else {
            return;
        };
        self.drawn = Some(now);
        let banner = floor.banner();
        let picture = Picture {
            station: &self.station,
            banner: &banner,
            tiles: &tiles,
            frame: usize::try_from(now.as_millis() / 200).unwrap_or_default(),
        };
        let (width, height) = wall.size();
        wall.show(draw::lines(&picture, &self.words, width, height));
    }

    fn changes(&mut self, now: Duration, tiles: &[Tile]) {
        let still = |tile: &Tile| Tile {
            seconds: 0,
            ..tile.clone()
        };
        let fresh: Vec<Tile> = tiles.iter().map(still).collect();
        for (at, tile) in fresh.iter().enumerate() {
            if self.before.get(at) == Some(tile) {
                continue;
            }
            self.events.tell(now, "tile", &events::tile(tile));
            if self.plain.is_some() {
                let says = tile.says.as_ref().map(|said| fill(&self.words, said));
                let word = self.words.tile(tile.word);
                let stage = tile
                    .stage
                    .map_or("", |stage| self.words.stage(draw::key(stage)));
                let says = says.unwrap_or_else(|| stage.to_owned());
                self.say(format!("{}  {word}  {}  {says}", tile.slot, tile.serial));
            }
        }
        self.before = fresh;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_say_what_is_to_be_done() {
        let held = |left, expired, to_upload| Standing {
            left,
            expired,
            to_upload,
            ..Standing::default()
        };
        assert_eq!(next_steps(&held(0, 0, 0)), [""; 0]);
        assert_eq!(next_steps(&held(2, 0, 1)), ["sync", "lease --return"]);
        assert_eq!(next_steps(&held(0, 1, 0)), ["lease --return"]);
        for language in [Language::En, Language::ZhCn] {
            let command = "station-cli sync --data bench-1";
            let said = Said::text("NEXT_STEP", command.to_owned(), 0);
            assert!(fill(&Words::of(language), &said).ends_with(command));
        }
    }
}
