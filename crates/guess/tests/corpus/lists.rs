//! Lists made of a factory's units and a scheme's passwords, and what happens to lists on their
//! way: shuffled, sampled, columns lost or shifted, mixed with others.

use guess::list::{Column, List};

use super::draw::Rng;
use super::units::{Factory, Unit};
use super::weak::{Rule, Scheme, schemes};

/// What happened to a list.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Variant {
    /// Every unit, in the order of manufacture.
    Sequential,
    Shuffled,
    /// One unit of twenty, in order.
    Sparse,
    SerialOnly,
    PasswordOnly,
    /// Each password stands one row too low.
    Shifted,
    /// Nine of ten rows are weak.
    Mostly,
    /// One of ten rows is weak.
    Partly,
    /// One of ten rows has a password of another scheme.
    Blended,
}

impl Variant {
    pub(crate) const ALL: [Variant; 9] = [
        Variant::Sequential,
        Variant::Shuffled,
        Variant::Sparse,
        Variant::SerialOnly,
        Variant::PasswordOnly,
        Variant::Shifted,
        Variant::Mostly,
        Variant::Partly,
        Variant::Blended,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Variant::Sequential => "sequential",
            Variant::Shuffled => "shuffled",
            Variant::Sparse => "sparse",
            Variant::SerialOnly => "serial only",
            Variant::PasswordOnly => "passwords only",
            Variant::Shifted => "shifted",
            Variant::Mostly => "90 % weak",
            Variant::Partly => "10 % weak",
            Variant::Blended => "two schemes",
        }
    }
}

/// Units between two of a sparse sample.
const SPARSE: usize = 20;

/// A row before it is in a list, columns in the order of [`Column::ALL`].
pub(crate) type Row = [String; Column::ALL.len()];

const PASSWORD: usize = Column::Password as usize;

/// A list of `rows` units with passwords of this scheme.
pub(crate) fn weak(scheme: &Scheme, rows: usize, variant: Variant, seed: u64) -> List {
    let mut rng = Rng::new(&format!("{} {rows} {} {seed}", scheme.id, variant.name()));
    let line = rng.word().to_string();
    let factory = || Factory::new(Rng::new(&line));
    let rule = (scheme.draw)(&mut rng);
    let made = if variant == Variant::Sparse {
        rows * SPARSE
    } else {
        rows
    };
    let mut made = made_by(factory(), rule, made, |_| ());
    match variant {
        Variant::Sequential | Variant::SerialOnly | Variant::PasswordOnly => {}
        Variant::Shuffled => rng.shuffle(&mut made),
        Variant::Sparse => made = sample(made, rows, &mut rng),
        Variant::Shifted => {
            for row in (1..rows).rev() {
                let (above, below) = made.split_at_mut(row);
                std::mem::swap(&mut above[row - 1][PASSWORD], &mut below[0][PASSWORD]);
            }
        }
        Variant::Mostly => dilute(&mut made, rows / 10, &mut rng),
        Variant::Partly => dilute(&mut made, rows - rows / 10, &mut rng),
        Variant::Blended => {
            let other = rng.pick(&schemes().collect::<Vec<_>>());
            // The same units once more, off the same line.
            let others = made_by(factory(), (other.draw)(&mut rng), rows, |_| ());
            for at in rng.order(rows).into_iter().take(rows / 10) {
                made[at][PASSWORD].clone_from(&others[at][PASSWORD]);
            }
        }
    }
    let columns: &[Column] = match variant {
        Variant::SerialOnly => &[Column::Serial],
        Variant::PasswordOnly => &[],
        _ => &Column::ALL,
    };
    list(&made, columns)
}

/// The first units of a factory; `change` may write their identifiers before the rule reads them.
pub(crate) fn made_by(
    mut factory: Factory,
    mut rule: Rule,
    units: usize,
    mut change: impl FnMut(&mut Unit),
) -> Vec<Row> {
    (0..units)
        .map(|_| {
            let mut unit = factory.make();
            change(&mut unit);
            let password = rule(&mut unit);
            let [mac, uid, date] = factory.written(&unit);
            [unit.serial, mac, unit.model, unit.ssid, uid, date, password]
        })
        .collect()
}

pub(crate) fn list(rows: &[Row], columns: &[Column]) -> List {
    let mut list = List::new(columns);
    for row in rows {
        let named = Column::ALL.iter().filter(|column| list.has(**column));
        let cells: Vec<_> = named
            .map(|&column| (column, row[column as usize].as_bytes()))
            .collect();
        list.push(&cells);
    }
    list
}

fn sample(made: Vec<Row>, rows: usize, rng: &mut Rng) -> Vec<Row> {
    let mut taken = rng.order(made.len());
    taken.truncate(rows);
    taken.sort_unstable();
    taken.into_iter().map(|row| made[row].clone()).collect()
}

/// Gives some rows a random password of the list's own shape: another row's length and separators,
/// symbols of those seen anywhere.
fn dilute(made: &mut [Row], rows: usize, rng: &mut Rng) {
    let mut seen: Vec<char> = made
        .iter()
        .flat_map(|row| row[PASSWORD].chars())
        .filter(char::is_ascii_alphanumeric)
        .collect();
    seen.sort_unstable();
    seen.dedup();
    for at in rng.order(made.len()).into_iter().take(rows) {
        let symbol = |symbol: char| match symbol.is_ascii_alphanumeric() {
            true => rng.pick(&seen),
            false => symbol,
        };
        made[at][PASSWORD] = made[at][PASSWORD].clone().chars().map(symbol).collect();
    }
}

#[test]
fn lists_are_what_they_say() {
    for scheme in super::weak::schemes() {
        let same = |a: &List, b: &List| {
            (0..a.len()).all(|row| a.cell(Column::Password, row) == b.cell(Column::Password, row))
        };
        let first = weak(scheme, 20, Variant::Sequential, 1);
        assert!(
            same(&first, &weak(scheme, 20, Variant::Sequential, 1)),
            "{}",
            scheme.id
        );
        for variant in Variant::ALL {
            let list = weak(scheme, 20, variant, 1);
            assert_eq!(list.len(), 20, "{}", scheme.id);
            for row in 0..list.len() {
                let password = list.cell(Column::Password, row);
                assert!((4..=40).contains(&password.len()), "{}", scheme.id);
                assert!(password.iter().all(u8::is_ascii_graphic), "{}", scheme.id);
            }
            let columns = Column::ALL
                .iter()
                .filter(|column| list.has(**column))
                .count();
            let expected = match variant {
                Variant::SerialOnly => 2,
                Variant::PasswordOnly => 1,
                _ => 7,
            };
            assert_eq!(columns, expected);
        }
    }
}

#[test]
fn a_shifted_list_has_each_password_one_row_on() {
    let scheme = super::weak::schemes().find(|scheme| scheme.id == "mac-last-8");
    let list = weak(scheme.expect("it is in the table"), 30, Variant::Shifted, 3);
    for row in 1..30 {
        let above = list.cell(Column::Mac, row - 1).to_ascii_uppercase();
        let above: Vec<u8> = above
            .into_iter()
            .filter(u8::is_ascii_alphanumeric)
            .collect();
        assert_eq!(list.cell(Column::Password, row), &above[4..]);
    }
}
