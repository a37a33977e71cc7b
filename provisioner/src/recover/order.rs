//! An order that was created after the copy, given again: `ID:PRODUCT:QUANTITY[:ALLOWANCE]`.

use std::str::FromStr;

use anyhow::{Context, Result, anyhow};
use traveler::{OrderId, Sku};

use crate::orders::default_allowance;

/// One order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct OrderAgain {
    pub(super) order: OrderId,
    pub(super) product: Sku,
    pub(super) quantity: u32,
    pub(super) allowance: u32,
}

impl FromStr for OrderAgain {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<OrderAgain> {
        let form = || anyhow!("expected ID:PRODUCT:QUANTITY or ID:PRODUCT:QUANTITY:ALLOWANCE");
        let parts: Vec<&str> = text.split(':').collect();
        let (order, product, quantity, allowance) = match parts[..] {
            [order, product, quantity] => (order, product, quantity, None),
            [order, product, quantity, allowance] => (order, product, quantity, Some(allowance)),
            _ => return Err(form()),
        };
        let quantity: u32 = quantity.parse().with_context(|| form().to_string())?;
        Ok(OrderAgain {
            order: OrderId::parse(order)?,
            product: Sku::parse(product)?,
            quantity,
            allowance: match allowance {
                Some(text) => text.parse().with_context(|| form().to_string())?,
                None => default_allowance(quantity),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_given_again_whole() {
        let again: OrderAgain = "WO-7:CAM-2:1000".parse().unwrap();
        assert_eq!((again.quantity, again.allowance), (1_000, 30));
        let again: OrderAgain = "WO-7:CAM-2:10:3".parse().unwrap();
        assert_eq!((again.order.as_str(), again.allowance), ("WO-7", 3));
        for bad in [
            "",
            "WO-7",
            "WO-7:CAM-2",
            "WO-7:CAM-2:x",
            "wo:CAM-2:1",
            "WO-7:CAM-2:1:2:3",
        ] {
            assert!(bad.parse::<OrderAgain>().is_err(), "{bad}");
        }
    }
}
