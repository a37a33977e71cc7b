//! Rows of the ledger as the interface shows them.

use api::v1;
use ledger::{ProductRow, StationRow, StopRow};

pub(crate) fn product_record(row: ProductRow) -> v1::ProductRecord {
    v1::ProductRecord {
        product: row.product.to_string(),
        product_sha256: row.product_sha256.0.to_vec(),
        definition: row.definition,
    }
}

pub(crate) fn line_record(row: StopRow) -> v1::LineRecord {
    v1::LineRecord {
        stopped: true,
        stopped_seq: row.seq,
        clause: row.clause,
        detector: row.detector,
        evidence: row.evidence,
        order: row.order.to_string(),
        since: row.since.to_string(),
    }
}

pub(crate) fn station_record((row, open): (StationRow, u32)) -> v1::StationRecord {
    v1::StationRecord {
        station: row.station.to_string(),
        state: row.state.as_str().to_owned(),
        certificate_sha256: row
            .certificate_sha256
            .map(|d| d.0.to_vec())
            .unwrap_or_default(),
        open,
    }
}
