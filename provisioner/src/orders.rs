//! What an administrator changes: products, orders, stations. Each change is one entry.

use compliance::{Product, ProductError};
use credential::PolicyError;
use ledger::{AppendError, OrderRow, ProductRow, Refused, StationRow, StationState};
use ring::rand::SecureRandom;
use thiserror::Error;
use traveler::{Event, OrderId, ParseIdError, Sku, StationName, Timestamp};
use zeroize::Zeroizing;

use crate::auth::{Caller, sha256};
use crate::close::CloseError;
use crate::draw::policy_of;
use crate::figures::Counted;
use crate::labels::{self, LabelError};
use crate::line::Line;
use crate::spoken::{self, SpokenError};

/// Most units of one order: what one line builds in years, and an order must be countable.
pub(crate) const QUANTITY_MAX: u32 = 10_000_000;

/// Longest product definition, in bytes: it is kept whole in its entry.
pub(crate) const DEFINITION_MAX: usize = 16_384;

/// How many passwords a policy must have for each unit of an order.
const SPACE_SHARE: f64 = 8.0;

/// How long a station's token may wait to be used, in seconds.
const TOKEN_VALID_S: std::ops::RangeInclusive<u32> = 60..=7 * 24 * 3600;
const TOKEN_DEFAULT_S: u32 = 24 * 3600;

/// Random bytes in a token: 128 bits cannot be guessed.
const TOKEN_BYTES: usize = 16;

/// Hexadecimal digits of the root's digest in a token: 128 bits, so that no other root fits.
const ROOT_DIGITS: usize = 32;

/// Why nothing was changed.
#[derive(Debug, Error)]
pub(crate) enum OrderError {
    /// A name does not have its form.
    #[error(transparent)]
    Id(#[from] ParseIdError),
    /// The product definition is not usable.
    #[error("the product definition is not usable: {0}")]
    Product(#[from] ProductError),
    /// The product's password policy is refused.
    #[error("the product's password policy is refused: {0}")]
    Policy(#[from] PolicyError),
    /// Some unit of the product could not have its label.
    #[error("the product's label is refused: {0}")]
    Label(#[from] LabelError),
    /// Some unit of the product could not be spoken to.
    #[error("the product's device profile is refused: {0}")]
    Spoken(#[from] SpokenError),
    /// A number is outside its bounds.
    #[error("{what} is {got}, it may be {least} to {most}")]
    Bounds {
        /// Which number.
        what: &'static str,
        /// What it was.
        got: u64,
        /// The least it may be.
        least: u64,
        /// The most it may be.
        most: u64,
    },
    /// A resumption needs a reason.
    #[error("say in 1 to {most} bytes of one line what was done about it")]
    Reason {
        /// The most bytes it may have.
        most: usize,
    },
    /// No such product was applied.
    #[error("there is no product {0}: apply its definition first")]
    UnknownProduct(Sku),
    /// There is no such order.
    #[error("there is no order {0}: `provisioner order list` names them")]
    UnknownOrder(OrderId),
    /// There is no such station.
    #[error("there is no station {0}: `provisioner station list` names them")]
    UnknownStation(StationName),
    /// The system has no randomness.
    #[error("the system gave no randomness")]
    Randomness,
    /// The ledger's rules refuse, or it cannot be written.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// Attempts of a revoked station could not all be withdrawn.
    #[error("the station is revoked; some of its attempts are still open, revoke it again")]
    StillOpen(#[source] Box<CloseError>),
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
}

/// A station and what it has under way.
pub(crate) struct BenchRow {
    pub(crate) row: StationRow,
    /// Attempts at units.
    pub(crate) open: u32,
    /// Credentials for units it has not met.
    pub(crate) leased: u32,
}

/// A station that was revoked, and what was voided with it.
pub(crate) struct Revoked {
    pub(crate) bench: BenchRow,
    pub(crate) attempts: u32,
    pub(crate) leases: u32,
}

impl Line {
    /// Puts a product definition into force; the same one again changes nothing.
    ///
    /// # Errors
    /// [`OrderError`] when it is not usable or its policy is too weak.
    pub(crate) fn apply_product(
        &self,
        caller: &Caller,
        text: &str,
    ) -> Result<ProductRow, OrderError> {
        bounded(
            "the definition's length",
            text.len() as u64,
            1,
            DEFINITION_MAX as u64,
        )?;
        let product = Product::parse(text)?;
        let policy = policy_of(&product)?;
        labels::judge(&product, &policy)?;
        spoken::judge(&product, &policy)?;
        let (sku, product_sha256) = (product.sku.clone(), sha256(text.as_bytes()));
        let applied = self.read(|ledger| ledger.product(&sku))?;
        if applied.is_none_or(|row| row.product_sha256 != product_sha256) {
            let definition = text.to_owned();
            let by = caller.name();
            let product = sku.clone();
            self.append(vec![Event::ProductApplied {
                product,
                product_sha256,
                definition,
                by,
            }])?;
        }
        self.read(|ledger| ledger.product(&sku))?
            .ok_or_else(|| OrderError::UnknownProduct(sku.clone()))
    }

    /// Gives permission to build `quantity` units.
    ///
    /// # Errors
    /// [`OrderError`] when the product is unknown or a number is out of bounds.
    pub(crate) fn create_order(
        &self,
        caller: &Caller,
        name: Option<OrderId>,
        product: &Sku,
        quantity: u32,
        allowance: Option<u32>,
    ) -> Result<Counted, OrderError> {
        bounded("quantity", quantity.into(), 1, QUANTITY_MAX.into())?;
        let allowance = allowance.unwrap_or_else(|| default_allowance(quantity));
        bounded("allowance", allowance.into(), 0, QUANTITY_MAX.into())?;
        let applied = self.read(|ledger| ledger.product(product))?;
        let applied = applied.ok_or_else(|| OrderError::UnknownProduct(product.clone()))?;
        self.room_for(&applied, quantity)?;
        let mut number = self.read(|ledger| ledger.orders())?.len();
        loop {
            number += 1;
            let order = match &name {
                Some(name) => name.clone(),
                None => OrderId::parse(&format!("WO-{number:04}"))?,
            };
            let event = Event::OrderCreated {
                order: order.clone(),
                product: product.clone(),
                product_sha256: applied.product_sha256,
                quantity,
                allowance,
                by: caller.name(),
            };
            match self.append(vec![event]) {
                Ok(_) => return self.order_row(&order),
                // Two administrators at once, or a name somebody chose: take the next number.
                Err(AppendError::Refused(Refused::OrderExists(_))) if name.is_none() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Passwords are unique over all history, so an order may not use a policy up.
    fn room_for(&self, applied: &ProductRow, quantity: u32) -> Result<(), OrderError> {
        let product = Product::parse(&applied.definition)?;
        let space = policy_of(&product)?.net_bits().exp2();
        let most = (space / SPACE_SHARE).min(QUANTITY_MAX.into());
        bounded("quantity", quantity.into(), 1, most as u64)
    }

    /// Ends an order; the ledger refuses while units are under way.
    ///
    /// # Errors
    /// [`OrderError`].
    pub(crate) fn close_order(
        &self,
        caller: &Caller,
        order: &OrderId,
    ) -> Result<Counted, OrderError> {
        let by = caller.name();
        self.append(vec![Event::OrderClosed {
            order: order.clone(),
            by,
        }])?;
        self.order_row(order)
    }

    /// One order and its arithmetic.
    ///
    /// # Errors
    /// [`OrderError::UnknownOrder`].
    pub(crate) fn order_row(&self, order: &OrderId) -> Result<Counted, OrderError> {
        let row = self.read(|ledger| ledger.order(order))?;
        let row = row.ok_or_else(|| OrderError::UnknownOrder(order.clone()))?;
        Ok((row, self.read(|ledger| ledger.lease_count(order))?))
    }

    /// Every order and its arithmetic, by name.
    ///
    /// # Errors
    /// [`OrderError::Ledger`].
    pub(crate) fn orders(&self) -> Result<Vec<Counted>, OrderError> {
        let rows = self.read(|ledger| ledger.orders())?;
        let counted = |row: OrderRow| {
            let leases = self.read(|ledger| ledger.lease_count(&row.order))?;
            Ok((row, leases))
        };
        rows.into_iter().map(counted).collect()
    }

    /// Makes a one-time token for a station. Only its digest is kept.
    ///
    /// The token names the site's root by digest, so that the station can tell this server from
    /// another before it trusts anything: `BM1-NAME-SECRET-ROOT`.
    ///
    /// # Errors
    /// [`OrderError`].
    pub(crate) fn invite_station(
        &self,
        caller: &Caller,
        station: &StationName,
        valid_s: u32,
    ) -> Result<Zeroizing<String>, OrderError> {
        let valid_s = if valid_s == 0 {
            TOKEN_DEFAULT_S
        } else {
            valid_s
        };
        let (least, most) = (*TOKEN_VALID_S.start(), *TOKEN_VALID_S.end());
        bounded(
            "the token's validity in seconds",
            valid_s.into(),
            least.into(),
            most.into(),
        )?;
        let mut secret = Zeroizing::new([0; TOKEN_BYTES]);
        ring::rand::SystemRandom::new()
            .fill(secret.as_mut_slice())
            .map_err(|_| OrderError::Randomness)?;
        let root = &sha256(self.authority.site_root()).to_string()[..ROOT_DIGITS];
        let secret = base32(secret.as_slice());
        let token = Zeroizing::new(format!("BM1-{station}-{}-{root}", secret.as_str()));
        let expires = self.now().unix_ms() + i64::from(valid_s) * 1000;
        self.append(vec![Event::StationInvited {
            station: station.clone(),
            token_sha256: sha256(token.as_bytes()),
            expires: Timestamp::from_unix_ms(expires),
            by: caller.name(),
        }])?;
        Ok(token)
    }

    /// Ends a station: it is refused from its next call on, and what it had under way, or held for
    /// units that it had not met, is voided. Says how many of each.
    ///
    /// The revocation is durable before the voids, so no issue of that station can slip between;
    /// a crash in the middle leaves attempts open that a second revoke withdraws.
    ///
    /// # Errors
    /// [`OrderError`].
    pub(crate) fn revoke_station(
        &self,
        caller: &Caller,
        station: &StationName,
    ) -> Result<Revoked, OrderError> {
        let before = self.read(|ledger| ledger.station(station))?;
        let before = before.ok_or_else(|| OrderError::UnknownStation(station.clone()))?;
        if before.state != StationState::Revoked {
            let (station, by) = (station.clone(), caller.name());
            self.append(vec![Event::StationRevoked { station, by }])?;
        }
        let still_open = |error| OrderError::StillOpen(Box::new(error));
        let attempts = self.void_open_of(station).map_err(still_open)?;
        let leases = self.void_leases_of(station).map_err(still_open)?;
        let after = self.stations()?.into_iter();
        let mut after = after.filter(|bench| bench.row.station == *station);
        let bench = after.next();
        let bench = bench.ok_or_else(|| OrderError::UnknownStation(station.clone()))?;
        Ok(Revoked {
            bench,
            attempts,
            leases,
        })
    }

    /// All stations, each with what it has under way.
    ///
    /// # Errors
    /// [`OrderError::Ledger`].
    pub(crate) fn stations(&self) -> Result<Vec<BenchRow>, OrderError> {
        let rows = self.read(|ledger| ledger.stations())?;
        let count = |row: StationRow| {
            let open = self.read(|ledger| ledger.open_units(&row.station))?.len();
            let leased = self.read(|ledger| ledger.leases_held(&row.station))?.len();
            let [open, leased] = [open, leased].map(|n| u32::try_from(n).unwrap_or(u32::MAX));
            Ok(BenchRow { row, open, leased })
        };
        rows.into_iter().map(count).collect()
    }
}

/// Voids and reworks an order may replace: 3 %, at least 20 (DESIGN.md, section 2).
pub(crate) fn default_allowance(quantity: u32) -> u32 {
    let three_percent = u64::from(quantity).saturating_mul(3).div_ceil(100);
    u32::try_from(three_percent).unwrap_or(u32::MAX).max(20)
}

fn bounded(what: &'static str, got: u64, least: u64, most: u64) -> Result<(), OrderError> {
    if (least..=most).contains(&got) {
        Ok(())
    } else {
        Err(OrderError::Bounds {
            what,
            got,
            least,
            most,
        })
    }
}

/// Crockford base 32, 5 bits a symbol, most significant first; the last symbol is padded low.
fn base32(bytes: &[u8]) -> Zeroizing<String> {
    const SYMBOLS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 8 / 5 + 1));
    let (mut pending, mut bits) = (0_u32, 0);
    for &byte in bytes {
        pending = (pending << 8) | u32::from(byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(SYMBOLS[(pending >> bits & 31) as usize]));
        }
    }
    if bits > 0 {
        text.push(char::from(SYMBOLS[(pending << (5 - bits) & 31) as usize]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_32_is_crockfords() {
        assert_eq!(base32(&[0xff; 5]).as_str(), "ZZZZZZZZ");
        assert_eq!(base32(&[0x00, 0x44, 0x32, 0x14, 0xc7]).as_str(), "01234567");
        assert_eq!(base32(&[0x80]).as_str(), "G0");
        assert_eq!(base32(&[7; 16]).len(), 26);
    }

    #[test]
    fn the_allowance_is_three_percent_and_at_least_twenty() {
        for (quantity, allowance) in [(1, 20), (666, 20), (667, 21), (1000, 30), (1001, 31)] {
            assert_eq!(default_allowance(quantity), allowance, "{quantity}");
        }
    }
}
