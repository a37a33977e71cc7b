//! Weak schemes, from the descriptions of those who published them or as anybody would write them.
//! Constants are drawn for each list, so a detector that knows one by heart gains nothing.

mod arithmetic;
mod counter;
mod digest;
mod generator;
mod small;
mod verbatim;

pub(crate) use small::{ADJECTIVES, NOUNS};

use super::draw::Rng;
use super::units::Unit;

/// What makes each unit's password, in the order of manufacture. May write the unit's identifiers
/// where the scheme decides them.
pub(crate) type Rule = Box<dyn FnMut(&mut Unit) -> String>;

pub(crate) struct Scheme {
    pub(crate) id: &'static str,
    /// The class it belongs to, then others that describe it as well.
    pub(crate) classes: &'static str,
    /// Where it is described.
    pub(crate) source: &'static str,
    /// Whether any test of the output alone can see it; others are printed and not counted.
    pub(crate) seeable: bool,
    pub(crate) draw: fn(&mut Rng) -> Rule,
}

impl Scheme {
    /// The letter of its class.
    pub(crate) fn class(&self) -> char {
        self.classes.chars().next().unwrap_or('?')
    }
}

const fn scheme(
    id: &'static str,
    classes: &'static str,
    source: &'static str,
    draw: fn(&mut Rng) -> Rule,
) -> Scheme {
    Scheme {
        id,
        classes,
        source,
        seeable: true,
        draw,
    }
}

fn rule(make: impl FnMut(&mut Unit) -> String + 'static) -> Rule {
    Box::new(make)
}

/// Every scheme, class by class.
pub(crate) fn schemes() -> impl Iterator<Item = &'static Scheme> {
    [
        verbatim::SCHEMES,
        arithmetic::SCHEMES,
        digest::SCHEMES,
        counter::SCHEMES,
        small::SCHEMES,
        generator::SCHEMES,
    ]
    .into_iter()
    .flatten()
}

#[test]
fn the_classes_are_covered() {
    let of = |class| schemes().filter(|scheme| scheme.class() == class).count();
    for (class, least) in [
        ('A', 15),
        ('B', 14),
        ('C', 14),
        ('D', 9),
        ('E', 10),
        ('F', 12),
    ] {
        assert!(
            of(class) >= least,
            "class {class}: {} of {least}",
            of(class)
        );
    }
    let ids: std::collections::BTreeSet<_> = schemes().map(|scheme| scheme.id).collect();
    assert_eq!(ids.len(), schemes().count(), "an id names one scheme");
}
