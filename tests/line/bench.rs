//! A bench that most refusals and labels are tried at: one site, one station, one unit.

use std::path::PathBuf;

use line_sim::unit::SimUnit;

use crate::site::Site;
use crate::units::silicon;

/// One site with one station, an order of two, and a blank unit at a port.
pub(crate) struct Bench {
    pub(crate) site: Site,
    pub(crate) station: PathBuf,
    pub(crate) order: String,
    pub(crate) unit: SimUnit,
    pub(crate) flash: PathBuf,
}

impl Bench {
    /// For units of this product.
    pub(crate) fn of(product: &str, sku: &str, model: &str) -> Bench {
        let site = Site::start();
        site.apply(product).ok();
        let (order, station) = (site.order(sku, 2, 20), site.station("bench-1"));
        let flash = site.path("units/1.json");
        let unit = SimUnit::spawn(silicon(1, model, &flash)).unwrap();
        Bench {
            site,
            station,
            order,
            unit,
            flash,
        }
    }
}
