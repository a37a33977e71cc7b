//! How orders are written for scripts and for people, wherever they were read.

use api::v1::OrderRecord;
use ledger::{LeaseCountRow, OrderRow};
use serde_json::{Value, json};

/// An order with what its leases add up to.
pub(crate) type Counted = (OrderRow, LeaseCountRow);

/// An order as the interface carries it.
pub(crate) fn order_record((row, leases): Counted) -> OrderRecord {
    OrderRecord {
        order: row.order.to_string(),
        product: row.product.to_string(),
        quantity: row.quantity,
        allowance: row.allowance,
        closed: row.closed,
        sealed: row.sealed,
        scrapped: row.scrapped,
        open: row.open,
        not_started: row.not_started,
        voided: row.voided,
        reworked: row.reworked,
        leased: leases.leased,
        returned: leases.returned,
    }
}

/// An order for scripts.
pub(crate) fn order_json(row: &OrderRecord) -> Value {
    json!({
        "order": row.order,
        "product": row.product,
        "state": state(row),
        "quantity": row.quantity,
        "sealed": row.sealed,
        "scrapped": row.scrapped,
        "open": row.open,
        "not_started": row.not_started,
        "voided": row.voided,
        "reworked": row.reworked,
        "leased": row.leased,
        "returned": row.returned,
        "allowance": row.allowance,
    })
}

/// An order for people: the count adds up on one line.
pub(crate) fn order_line(row: &OrderRecord) -> String {
    format!(
        "{:<12} {:<12} {:<6} ordered {} = sealed {} + scrapped {} + open {} + not started {}; \
         voided {}, reworked {}, allowance {}{}\n",
        row.order,
        row.product,
        state(row),
        row.quantity,
        row.sealed,
        row.scrapped,
        row.open,
        row.not_started,
        row.voided,
        row.reworked,
        row.allowance,
        leases(row)
    )
}

/// Said of an order only once it has had some.
fn leases(row: &OrderRecord) -> String {
    match (row.leased, row.returned) {
        (0, 0) => String::new(),
        (leased, returned) => format!("; leased {leased} of the open, returned unspent {returned}"),
    }
}

fn state(row: &OrderRecord) -> &'static str {
    if row.closed { "closed" } else { "open" }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
