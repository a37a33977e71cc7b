//! How orders are written for scripts and for people, wherever they were read.

use api::v1::OrderRecord;
use ledger::OrderRow;
use serde_json::{Value, json};

/// An order as the interface carries it.
pub(crate) fn order_record(row: OrderRow) -> OrderRecord {
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
        leased: 0,
        returned: 0,
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
        "allowance": row.allowance,
    })
}

/// An order for people: the count adds up on one line.
pub(crate) fn order_line(row: &OrderRecord) -> String {
    format!(
        "{:<12} {:<12} {:<6} ordered {} = sealed {} + scrapped {} + open {} + not started {}; \
         voided {}, reworked {}, allowance {}\n",
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
        row.allowance
    )
}

fn state(row: &OrderRecord) -> &'static str {
    if row.closed { "closed" } else { "open" }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
