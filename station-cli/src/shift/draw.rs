//! The screen as lines: tiles as the slots stand on the bench, a line of who and what, a line of
//! what was said last. Widths are counted in cells, so that Chinese and English stand alike.

use console::{Alignment, Style, measure_text_width, pad_str, truncate_str};

use super::card::Tone;
use super::floor::{Banner, Said, Tile};
use super::glyph;
use super::words::{Language, Words};
use crate::seams::Stage;

/// Everything that is drawn.
pub(super) struct Picture<'a> {
    pub(super) station: &'a str,
    pub(super) banner: &'a Banner,
    pub(super) tiles: &'a [Tile],
    /// Counts frames: what moves moves with it.
    pub(super) frame: usize,
}

/// The narrowest tile that says anything.
const NARROW: usize = 18;
/// Frames for which notices that have no room beside each other are shown before it is the next ones'
/// turn: 3 s.
const TURN: usize = 15;
/// Lines of who, what and what was said.
const LINES: usize = 2;

/// How tiles are laid out: columns, and the size of one in cells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Layout {
    columns: usize,
    wide: usize,
    high: usize,
}

/// As few columns as let each tile have five rows; when that cannot be, as many as fit.
fn layout(width: usize, height: usize, tiles: usize) -> Layout {
    let room = height.saturating_sub(LINES).max(1);
    let widest = (width / NARROW).clamp(1, tiles.max(1));
    let high = |columns: usize| room / tiles.max(1).div_ceil(columns);
    let columns = (1..=widest)
        .find(|columns| high(*columns) >= 5 && width / columns <= 64)
        .or_else(|| (1..=widest).find(|columns| high(*columns) >= 5))
        .unwrap_or(widest);
    Layout {
        columns,
        wide: width / columns,
        high: high(columns).clamp(1, 12),
    }
}

/// All lines, each of at most `width` cells; never more than `height` of them.
pub(super) fn lines(
    picture: &Picture<'_>,
    words: &Words,
    width: usize,
    height: usize,
) -> Vec<String> {
    let layout = layout(width, height, picture.tiles.len());
    let mut lines = vec![
        head(picture, words, width),
        said(picture.banner, words, width),
    ];
    for row in picture.tiles.chunks(layout.columns) {
        let drawn = row
            .iter()
            .map(|tile| draw(tile, words, layout, picture.frame));
        let drawn: Vec<Vec<String>> = drawn.collect();
        for line in 0..layout.high {
            lines.push(drawn.iter().map(|tile| tile[line].as_str()).collect());
        }
    }
    lines.truncate(height);
    if words.language == Language::ZhCn {
        let narrow = |line: &mut String| *line = line.chars().map(glyph::narrow).collect();
        lines.iter_mut().for_each(narrow);
    }
    lines
}

fn head(picture: &Picture<'_>, words: &Words, width: usize) -> String {
    let banner = picture.banner;
    let who = banner
        .operator
        .clone()
        .unwrap_or_else(|| words.say("NOBODY"));
    let what = format!(
        " {}  {} {}  {who}",
        picture.station,
        words.say("ORDER"),
        banner.order
    );
    let plain = Style::new().for_stderr().bold();
    let notices = banner.notices.iter().map(|(tone, said)| {
        let notice = format!(" {} {} ", glyph::small(*tone), fill(words, said));
        (*tone, truncate_str(&notice, width, "").into_owned())
    });
    let notices: Vec<(Tone, String)> = notices.collect();
    let beside = width.saturating_sub(measure_text_width(&what) + 1);
    let pages = pages(&notices, beside);
    let page = match pages.len() {
        0 => &[][..],
        count => pages[picture.frame / TURN % count],
    };
    let used: usize = page.iter().map(|(_, text)| measure_text_width(text)).sum();
    let mut line = plain.apply_to(fit(&what, width - used)).to_string();
    for (tone, notice) in page {
        line.push_str(&paint(*tone).bold().apply_to(notice).to_string());
    }
    line
}

/// Notices that are shown side by side: as many as fit `beside` who and what, and always one.
fn pages(notices: &[(Tone, String)], beside: usize) -> Vec<&[(Tone, String)]> {
    let mut pages = Vec::new();
    let (mut from, mut used) = (0, 0);
    for (at, (_, text)) in notices.iter().enumerate() {
        let wide = measure_text_width(text);
        if at > from && used + wide > beside {
            pages.push(&notices[from..at]);
            (from, used) = (at, 0);
        }
        used += wide;
    }
    if from < notices.len() {
        pages.push(&notices[from..]);
    }
    pages
}

fn said(banner: &Banner, words: &Words, width: usize) -> String {
    let text = format!(" > {}", fill(words, &banner.said));
    Style::new()
        .for_stderr()
        .cyan()
        .bold()
        .apply_to(fit(&text, width))
        .to_string()
}

/// A message in words. A stop's reason is a message of its own.
pub(super) fn fill(words: &Words, said: &Said) -> String {
    if said.key == "STOPPED" && !said.serial.is_empty() {
        return format!("{} - {}", words.say(said.key), words.say(&said.serial));
    }
    let text = words.fill(said.key, &said.serial, said.slot);
    let text = text.replace("{time}", &said.time);
    match said.key {
        // These are about a unit; which one is not part of the sentence.
        "WITHDRAWN" | "SCRAPPED" => format!("{} {text}", said.serial),
        _ => text,
    }
}

fn draw(tile: &Tile, words: &Words, layout: Layout, frame: usize) -> Vec<String> {
    let wide = layout.wide.saturating_sub(1).max(1); // a gap to the next
    let style = paint(tile.tone);
    let word = words.tile(tile.word);
    let note = note(tile, words);
    let mut body = match layout.high {
        0 | 1 => return vec![pad(&one_line(tile, word, wide, &style), layout.wide)],
        2 => Vec::new(),
        high => middle(tile, word, wide, high - 2),
    };
    if layout.high == 2 {
        let last = style.apply_to(fit(&format!(" {note}"), wide)).to_string();
        return [one_line(tile, word, wide, &style), last]
            .map(|line| pad(&line, layout.wide))
            .into();
    }
    body.push(match tile.tone {
        Tone::Running => stripes(&note, wide, frame),
        _ => format!(" {note}"),
    });
    let mut lines = vec![header(tile, wide)];
    lines.extend(
        body.iter()
            .map(|line| style.apply_to(fit(line, wide)).to_string()),
    );
    lines.iter().map(|line| pad(line, layout.wide)).collect()
}

/// Slot, serial and the number to look up; on no colour, so that tiles stand apart.
fn header(tile: &Tile, wide: usize) -> String {
    let number = format!("{} {}", glyph::small(tile.tone), number(tile));
    let left = fit(
        &format!(" {:<2} {}", tile.slot, tile.serial),
        wide.saturating_sub(measure_text_width(&number)),
    );
    Style::new()
        .for_stderr()
        .bold()
        .apply_to(format!("{left}{number}"))
        .to_string()
}

fn number(tile: &Tile) -> String {
    match tile.number {
        0 => String::new(),
        number => format!("E-{number} "),
    }
}

/// Shape and word in the space between header and note.
fn middle(tile: &Tile, word: &str, wide: usize, high: usize) -> Vec<String> {
    let inner = wide.saturating_sub(2);
    let mut lines = Vec::new();
    if tile.tone == Tone::Empty {
        lines.push(format!(" {} {word}", glyph::small(tile.tone)));
    } else if let Some(rows) = glyph::big(tile.tone, word, inner, high) {
        lines.extend(rows.iter().map(|row| format!(" {row}")));
        if !glyph::has_letters(word, inner) {
            // Beside the shape, half way up.
            let row = lines.len() / 2;
            lines[row] = format!("{}   {word}", lines[row]);
        }
    } else {
        lines.push(format!(" {} {word}", glyph::small(tile.tone)));
    }
    let above = high.saturating_sub(lines.len()) / 2;
    lines.splice(0..0, vec![String::new(); above]);
    lines.resize(high, String::new());
    lines
}

fn one_line(tile: &Tile, word: &str, wide: usize, style: &Style) -> String {
    let shape = glyph::small(tile.tone);
    let line = format!(
        " {:<2} {shape} {word} {} {}",
        tile.slot,
        number(tile),
        tile.serial
    );
    style.apply_to(fit(&line, wide)).to_string()
}

/// What to do, or what is being done.
fn note(tile: &Tile, words: &Words) -> String {
    let says = tile.says.as_ref().map(|said| fill(words, said));
    match (tile.tone, tile.stage) {
        (Tone::Running, stage) => {
            let stage = stage.map_or("", |stage| words.stage(key(stage)));
            let says = says.map(|says| format!("{says}: ")).unwrap_or_default();
            format!("{says}{stage} {} s", tile.seconds)
        }
        _ => says.unwrap_or_default(),
    }
}

/// A note with stripes that move behind it.
fn stripes(note: &str, wide: usize, frame: usize) -> String {
    let used = measure_text_width(note) + 2;
    let stripe = |at: usize| {
        if (at + 6 - frame % 6) % 6 < 3 {
            '\u{2588}'
        } else {
            ' '
        }
    };
    let rest: String = (used..wide).map(stripe).collect();
    format!(" {note} {rest}")
}

/// The word of a stage in messages and events.
pub(super) fn key(stage: Stage) -> &'static str {
    match stage {
        Stage::Server => "server",
        Stage::Reconnect => "reconnect",
        Stage::Greet => "greet",
        Stage::Issue => "issue",
        Stage::Load => "load",
        Stage::Reset => "reset",
        Stage::Prove => "prove",
        Stage::Confirm => "confirm",
        Stage::Lock => "lock",
        Stage::Printer => "printer",
        Stage::Label => "label",
        Stage::Seal => "seal",
    }
}

fn paint(tone: Tone) -> Style {
    let style = Style::new().for_stderr();
    match tone {
        Tone::Empty => style.dim(),
        Tone::Ready | Tone::Running => style.blue().bright(),
        Tone::Pass => style.black().on_green(),
        Tone::Fail | Tone::Stop => style.white().bold().on_red(),
        Tone::Action => style.black().on_yellow(),
        Tone::Offline => style.white().bold().on_blue(),
        Tone::Locked => style.white().bold().on_black().on_bright(),
    }
}

/// Exactly so many cells.
fn fit(text: &str, wide: usize) -> String {
    pad_str(text, wide, Alignment::Left, Some("")).into_owned()
}

fn pad(text: &str, wide: usize) -> String {
    pad_str(text, wide, Alignment::Left, None).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tile(slot: u32, tone: Tone, word: &'static str) -> Tile {
        Tile {
            slot,
            tone,
            word,
            says: Some(Said {
                key: "PUT_IN",
                serial: "...00014".to_owned(),
                slot,
                time: String::new(),
            }),
            number: if tone == Tone::Fail { 105 } else { 0 },
            serial: format!("CAM2-{slot:05}"),
            stage: Some(Stage::Load),
            seconds: 3,
        }
    }

    fn draw_all(language: Language, width: usize, height: usize, slots: u32) -> Vec<String> {
        const TONES: [(Tone, &str); 9] = [
            (Tone::Pass, "PASS"),
            (Tone::Fail, "FAIL"),
            (Tone::Running, "RUNNING"),
            (Tone::Action, "RECONNECT"),
            (Tone::Ready, "READY"),
            (Tone::Empty, "EMPTY"),
            (Tone::Locked, "LOCKED"),
            (Tone::Offline, "OFFLINE"),
            (Tone::Stop, "STOP"),
        ];
        let of = |slot: u32| TONES[slot as usize % TONES.len()];
        let tiles: Vec<Tile> = (1..=slots)
            .map(|slot| tile(slot, of(slot - 1).0, of(slot - 1).1))
            .collect();
        let said = Said {
            key: "SCAN_SERIAL",
            serial: String::new(),
            slot: 0,
            time: String::new(),
        };
        let banner = Banner {
            order: "WO-0001".to_owned(),
            operator: None,
            said: said.clone(),
            notices: vec![(
                Tone::Offline,
                Said {
                    key: "OFFLINE",
                    ..said
                },
            )],
        };
        let picture = Picture {
            station: "bench-1",
            banner: &banner,
            tiles: &tiles,
            frame: 1,
        };
        lines(&picture, &Words::of(language), width, height)
    }

    #[test]
    fn every_screen_is_filled_and_none_overflows() {
        for language in [Language::En, Language::ZhCn] {
            for (width, height) in [(80, 24), (79, 23), (120, 40), (200, 60), (40, 12), (20, 5)] {
                for slots in [1, 3, 8, 16, 32] {
                    let lines = draw_all(language, width, height, slots);
                    assert!(
                        lines.len() <= height,
                        "{width}x{height} {slots}: {}",
                        lines.len()
                    );
                    for line in &lines {
                        let wide = measure_text_width(line);
                        assert!(wide <= width, "{width}x{height} {slots}: {wide} {line}");
                    }
                }
            }
        }
    }

    /// A unit that nobody puts back must not hide how many are left, nor until when.
    #[test]
    fn what_everybody_has_to_know_is_seen_side_by_side_or_in_turn() {
        let said = |key, serial: &str, slot| Said {
            time: "02:00".to_owned(),
            ..Said::text(key, serial.to_owned(), slot)
        };
        let banner = Banner {
            order: "WO-0001".to_owned(),
            operator: Some("B-7".to_owned()),
            said: said("SCAN_SERIAL", "", 0),
            notices: vec![
                (Tone::Action, said("PUT_BACK_IN", "...00004", 1)),
                (Tone::Offline, said("OFFLINE_UNTIL", "3", 37)),
                (Tone::Fail, said("ON_HOLD", "...00047", 0)),
            ],
        };
        for (language, all) in [
            (
                Language::En,
                [
                    "PUT BACK ...00004 IN SLOT 1",
                    "OFFLINE 37 LEFT UNTIL 02:00, 3 TO UPLOAD",
                    "HOLD ...00047: CALL LEAD",
                ],
            ),
            (
                Language::ZhCn,
                [
                    "\u{628a} ...00004 \u{653e}\u{56de}\u{5de5}\u{4f4d} 1",
                    "\u{5269}37 \u{81f3}02:00",
                    "\u{6263}\u{7559}...00047",
                ],
            ),
        ] {
            let words = Words::of(language);
            let shown = |width, frame| -> Vec<usize> {
                let picture = Picture {
                    station: "bench-1",
                    banner: &banner,
                    tiles: &[],
                    frame,
                };
                let line = head(&picture, &words, width);
                assert_eq!(measure_text_width(&line), width, "{line}");
                (0..3).filter(|nth| line.contains(all[*nth])).collect()
            };
            let all_shown: Vec<usize> = (0..TURN * 3).flat_map(|frame| shown(80, frame)).collect();
            for nth in 0..3 {
                let frames = all_shown.iter().filter(|shown| **shown == nth).count();
                assert!(frames >= TURN, "{language:?} {nth}: {frames}");
            }
            assert_eq!(shown(160, 1), [0, 1, 2], "there is room");
        }
    }

    #[test]
    fn eight_slots_fit_eighty_by_twenty_four_with_big_letters() {
        assert_eq!(
            layout(80, 24, 8),
            Layout {
                columns: 2,
                wide: 40,
                high: 5
            }
        );
        let text = draw_all(Language::En, 80, 24, 8).join("\n");
        assert!(text.contains("\u{2588}"), "{text}");
        for serial in (1..=8).map(|slot| format!("CAM2-{slot:05}")) {
            assert!(text.contains(&serial), "{text}");
        }
        assert!(text.contains("E-105"), "{text}");
        let chinese = draw_all(Language::ZhCn, 80, 24, 8).join("\n");
        assert!(chinese.contains("\u{5408}\u{683c}"), "{chinese}");
    }

    /// A terminal for Chinese may draw these two cells wide, and no tile would stand where it belongs.
    #[test]
    fn nothing_of_doubtful_width_is_drawn_in_chinese() {
        let text = draw_all(Language::ZhCn, 120, 40, 16).join("\n");
        let doubtful = |c: char| matches!(c, '\u{2580}'..='\u{258f}' | '\u{25a0}'..='\u{25ff}' | '\u{b7}' | '\u{2026}');
        assert!(!text.contains(doubtful), "{text}");
        assert!(text.contains("\u{28ff}"), "{text}");
    }

    #[test]
    fn running_moves_and_a_fail_does_not() {
        let words = Words::of(Language::En);
        let layout = layout(80, 24, 8);
        let at = |tone, word, frame| draw(&tile(1, tone, word), &words, layout, frame);
        assert_ne!(
            at(Tone::Running, "RUNNING", 1),
            at(Tone::Running, "RUNNING", 2)
        );
        assert_eq!(at(Tone::Fail, "FAIL", 1), at(Tone::Fail, "FAIL", 2));
    }
}
