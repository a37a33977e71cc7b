//! A template: where on a label what stands, as a TOML file. A product names one of ours or brings its
//! own.

use serde::Deserialize;

/// The label of 50 by 30 mm that products without a template of their own have.
const STANDARD: &str = include_str!("../templates/standard.toml");

/// The label of 80 by 40 mm for products that open a network of their own.
const WIFI: &str = include_str!("../templates/wifi.toml");

/// The text of one of our own templates: `standard` or `wifi`.
#[must_use]
pub fn built_in(name: &str) -> Option<&'static str> {
    match name {
        "standard" => Some(STANDARD),
        "wifi" => Some(WIFI),
        _ => None,
    }
}

/// Longest side of a label, in millimetres.
const SIDE_MAX: f32 = 300.0;

/// Most items on a label.
const ITEMS_MAX: usize = 32;

/// Dots a millimetre of the printers there are: 152, 203, 300 and 600 dpi.
const DENSITIES: [u32; 4] = [6, 8, 12, 24];

/// The lowest letters, and the lowest bars, in millimetres.
pub(crate) const LETTERS_LEAST: f32 = 1.5;
const BARS_LEAST: f32 = 3.0;

/// Widths of a bar and sides of a square, in millimetres. A square of one dot of a printer of
/// 203 dpi is often lost; a bar of one dot is as high as its code, and holds.
const BAR: std::ops::RangeInclusive<f32> = 0.125..=1.25;
const SQUARE: std::ops::RangeInclusive<f32> = SQUARE_LEAST..=1.25;
pub(crate) const SQUARE_LEAST: f32 = 0.25;

/// Longest text of an item, in bytes.
const TEXT_MAX: usize = 128;

/// What may stand in a text between braces, where no secret may.
const PLACES: [&str; 7] = [
    "name", "product", "serial", "attempt", "reprint", "slot", "ssid",
];

/// Where on a label what stands.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    name: String,
    width: f32,
    height: f32,
    #[serde(default = "usual_density")]
    dots_per_mm: u32,
    #[serde(rename = "item")]
    items: Vec<Item>,
}

fn usual_density() -> u32 {
    8
}

/// One thing on a label. Lengths are millimetres, places those of its upper left corner.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Item {
    /// Text for people; `{serial}` and the like stand for what the unit has.
    Text {
        at: [f32; 2],
        height: f32,
        value: String,
    },
    /// The password in groups of four; in smaller print when it brings its own hyphens.
    Password {
        at: [f32; 2],
        height: f32,
        /// From one line to the next.
        step: f32,
        small_height: f32,
        small_step: f32,
    },
    /// The serial as Code 128.
    Code128 {
        at: [f32; 2],
        /// Width of the narrowest bar.
        module: f32,
        height: f32,
    },
    /// A QR code, error level M.
    Qr {
        at: [f32; 2],
        /// Side of one square.
        module: f32,
        content: QrContent,
    },
    /// A DataMatrix, ECC 200.
    DataMatrix {
        at: [f32; 2],
        /// Side of one square.
        module: f32,
        content: MatrixContent,
    },
}

/// What a QR code says.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum QrContent {
    /// `BM1:SERIAL:PASSWORD`, which the station scans back.
    Scan,
    /// `WIFI:T:WPA;S:SSID;P:PASSWORD;;`, which phones join by.
    Wifi,
}

/// What a DataMatrix says.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MatrixContent {
    /// GS1 element strings (01) GTIN (21) serial (GS1 General Specifications, section 3).
    Gs1,
    /// The serial alone.
    Serial,
}

/// A template that cannot be used; says what to do.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// It is no TOML, or not of this shape.
    #[error("the label template cannot be read: {0}")]
    Toml(String),
    /// The label's own size or density.
    #[error(
        "label template {0}: a label is at most {SIDE_MAX} mm wide and high, more than 0, and has \
         6, 8, 12 or 24 dots a millimetre"
    )]
    Size(String),
    /// Too few or too many items.
    #[error("label template {0}: it has {1} items; 1 to {ITEMS_MAX} fit")]
    Items(String, usize),
    /// An item outside of the label, or of a size that no printer or no eye can hold.
    #[error(
        "label template {0}: item {1} stands outside of the label or has no fit size: letters from \
         1.5 mm, lines no closer than their letters, bars from 0.125 mm wide and 3 mm high, squares \
         0.25 to 1.25 mm, texts of at most {TEXT_MAX} bytes"
    )]
    Place(String, usize),
    /// A text with a brace that stands for nothing.
    #[error(
        "label template {name}: item {item}: {{{place}}} stands for nothing; there are name, \
         product, serial, attempt, reprint, slot and ssid, and the password has an item of its own"
    )]
    Unknown {
        /// The template.
        name: String,
        /// Which item, from 1.
        item: usize,
        /// What stands between the braces.
        place: String,
    },
    /// Without it nobody can prove that the label is the unit's.
    #[error(
        "label template {0}: it has no QR code with content = \"scan\", which the station scans back"
    )]
    NoScan(String),
    /// Without it the user of the unit has no password to read.
    #[error("label template {0}: it has no password for people to read")]
    NoPassword(String),
    /// Without it two labels of one unit cannot be told apart.
    #[error("label template {0}: no text shows {{serial}} and {{attempt}}{{reprint}}")]
    NoMark(String),
}

impl Template {
    /// The label that products without a template of their own have.
    ///
    /// # Errors
    /// None: a test reads it.
    pub fn standard() -> Result<Template, TemplateError> {
        Template::parse(STANDARD)
    }

    /// Reads a template and checks it.
    ///
    /// # Errors
    /// Every variant of [`TemplateError`].
    pub fn parse(text: &str) -> Result<Template, TemplateError> {
        let template: Template =
            toml::from_str(text).map_err(|error| TemplateError::Toml(error.to_string()))?;
        let name = || template.name.clone();
        let side = |side: f32| side > 0.0 && side <= SIDE_MAX;
        if !side(template.width)
            || !side(template.height)
            || !DENSITIES.contains(&template.dots_per_mm)
        {
            return Err(TemplateError::Size(name()));
        }
        let count = template.items.len();
        if count == 0 || count > ITEMS_MAX {
            return Err(TemplateError::Items(name(), count));
        }
        for (number, item) in (1..).zip(&template.items) {
            if !template.holds(item) {
                return Err(TemplateError::Place(name(), number));
            }
            if let Item::Text { value, .. } = item
                && let Err(place) = pieces(value)
            {
                return Err(TemplateError::Unknown {
                    name: name(),
                    item: number,
                    place,
                });
            }
        }
        template.shows_what_it_must()?;
        Ok(template)
    }

    fn shows_what_it_must(&self) -> Result<(), TemplateError> {
        let any = |is: fn(&Item) -> bool| self.items.iter().any(is);
        let scan = any(|it| matches!(it, Item::Qr { content, .. } if *content == QrContent::Scan));
        if !scan {
            return Err(TemplateError::NoScan(self.name.clone()));
        }
        if !any(|it| matches!(it, Item::Password { .. })) {
            return Err(TemplateError::NoPassword(self.name.clone()));
        }
        let shown: Vec<&str> = self
            .items
            .iter()
            .filter_map(|item| match item {
                Item::Text { value, .. } => pieces(value).ok(),
                _ => None,
            })
            .flatten()
            .filter_map(|piece| match piece {
                Piece::Place(place) => Some(place),
                Piece::Text(_) => None,
            })
            .collect();
        match ["serial", "attempt", "reprint"]
            .iter()
            .all(|it| shown.contains(it))
        {
            true => Ok(()),
            false => Err(TemplateError::NoMark(self.name.clone())),
        }
    }

    fn holds(&self, item: &Item) -> bool {
        let letters = |height: f32| height >= LETTERS_LEAST && height <= self.height;
        let (at, sized) = match item {
            Item::Text { at, height, value } => (at, letters(*height) && value.len() <= TEXT_MAX),
            Item::Password {
                at,
                height,
                step,
                small_height,
                small_step,
            } => {
                let lines = step >= height && small_step >= small_height;
                (at, lines && letters(*height) && letters(*small_height))
            }
            Item::Code128 { at, module, height } => {
                let bars = BAR.contains(module) && *height >= BARS_LEAST;
                (at, bars && *height <= self.height)
            }
            Item::Qr { at, module, .. } | Item::DataMatrix { at, module, .. } => {
                (at, SQUARE.contains(module))
            }
        };
        let inside = |at: f32, side: f32| at >= 0.0 && at < side;
        sized && inside(at[0], self.width) && inside(at[1], self.height)
    }

    /// Whether phones read the password off a code, and people type it into them: then no hyphen may
    /// stand in it that it does not have.
    pub(crate) fn joins_phones(&self) -> bool {
        let wifi =
            |it: &Item| matches!(it, Item::Qr { content, .. } if *content == QrContent::Wifi);
        self.items.iter().any(wifi)
    }

    pub(crate) fn items(&self) -> &[Item] {
        &self.items
    }

    /// Width and height in millimetres.
    pub(crate) fn size(&self) -> [f32; 2] {
        [self.width, self.height]
    }

    /// Dots a millimetre of the printer it was made for.
    #[must_use]
    pub fn dots_per_mm(&self) -> u32 {
        self.dots_per_mm
    }
}

/// A stretch of a text: as it is, or what the unit has.
pub(crate) enum Piece<'a> {
    Text(&'a str),
    Place(&'a str),
}

/// Cuts a text at its braces; the error is what stands between two and means nothing.
pub(crate) fn pieces(value: &str) -> Result<Vec<Piece<'_>>, String> {
    let (first, rest) = value.split_once('{').unwrap_or((value, ""));
    let mut pieces = vec![Piece::Text(first)];
    if first.len() == value.len() {
        return Ok(pieces);
    }
    for part in rest.split('{') {
        let (place, text) = part.split_once('}').ok_or_else(|| part.to_owned())?;
        if !PLACES.contains(&place) {
            return Err(place.to_owned());
        }
        pieces.extend([Piece::Place(place), Piece::Text(text)]);
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(from: &str, to: &str, expected: &str) {
        assert!(STANDARD.contains(from), "{from}");
        let error = Template::parse(&STANDARD.replacen(from, to, 1)).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }

    #[test]
    fn ours_are_good() {
        for name in ["standard", "wifi"] {
            Template::parse(built_in(name).unwrap()).unwrap();
        }
        assert_eq!(built_in("none"), None);
    }

    #[test]
    fn a_template_that_cannot_serve_is_refused_with_what_to_do() {
        check("width = 50.0", "width = 0.0", "more than 0");
        check("width = 50.0", "width = nan", "more than 0");
        check("height = 30.0", "height = 4000.0", "at most 300 mm");
        check("dots_per_mm = 8", "dots_per_mm = 9", "6, 8, 12 or 24 dots");
        check(
            "at = [36.5, 16.75]",
            "at = [50.0, 16.0]",
            "item 6 stands outside",
        );
        check(
            "at = [36.5, 16.75]",
            "at = [-1.0, 16.0]",
            "item 6 stands outside",
        );
        check("module = 0.375", "module = 0.0", "item 6");
        check("module = 0.375", "module = 0.1", "item 6");
        check("height = 2.75", "height = 0.01", "item 1");
        check("step = 4.5", "step = 0.01", "item 5");
        check("height = 5.5", "height = 0.01", "item 3");
        check("{name}", "{password}", "{password} stands for nothing");
        check("{name}", "{nam", "{nam} stands for nothing");
        check("{serial}", "{serial{attempt}", "stands for nothing");
        check("\"scan\"", "\"wifi\"", "which the station scans back");
        check("\"scan\"", "\"url\"", "cannot be read");
        check("{reprint}", "", "no text shows");
        check("kind = \"text\"", "kind = \"picture\"", "cannot be read");
        check("name = ", "colour = \"red\"\nname = ", "cannot be read");
        let head = STANDARD.split("[[item]]").next().unwrap();
        let none = Template::parse(&format!("{head}\nitem = []")).unwrap_err();
        assert!(none.to_string().contains("0 items"), "{none}");
        let password = STANDARD.find("kind = \"password\"").unwrap();
        let (before, after) = STANDARD.split_at(STANDARD[..password].rfind("[[item]]").unwrap());
        let after = &after[after[8..].find("[[item]]").unwrap() + 8..];
        let without = Template::parse(&format!("{before}{after}")).unwrap_err();
        assert!(without.to_string().contains("no password"), "{without}");
    }
}
