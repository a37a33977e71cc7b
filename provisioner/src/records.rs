//! Rows of the ledger as the interface shows them.

use api::v1;
use compliance::Product;
use ledger::{Consistency, OrderRow, ProductRow, StopRow};

use crate::labels;
use crate::orders::{BenchRow, Revoked};

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

pub(crate) fn station_record(bench: BenchRow) -> v1::StationRecord {
    let BenchRow { row, open, leased } = bench;
    v1::StationRecord {
        station: row.station.to_string(),
        state: row.state.as_str().to_owned(),
        certificate_sha256: row
            .certificate_sha256
            .map(|d| d.0.to_vec())
            .unwrap_or_default(),
        open,
        leased,
        ..v1::StationRecord::default()
    }
}

pub(crate) fn revoked_record(revoked: Revoked) -> v1::StationRecord {
    v1::StationRecord {
        voided_attempts: revoked.attempts,
        voided_leases: revoked.leases,
        ..station_record(revoked.bench)
    }
}

/// What a station is told of an order, with the log that it holds against what it remembers.
pub(crate) fn order_reply(
    order: OrderRow,
    product: Product,
    log: Option<Consistency>,
    rotations: Vec<String>,
) -> v1::OpenOrderResponse {
    let label_spec = labels::spec(&product);
    let definition = product.text().to_owned();
    let (checkpoint, consistency) = log.map_or_else(Default::default, |log| {
        let proof: Vec<_> = log.proof.iter().map(|hash| hash.to_vec()).collect();
        (log.checkpoint, proof)
    });
    let profile = product
        .profile
        .map(|profile| (profile.text, profile.sha256.0.to_vec()));
    let (profile, profile_sha256) = profile.unwrap_or_default();
    v1::OpenOrderResponse {
        product: order.product.to_string(),
        product_sha256: order.product_sha256.0.to_vec(),
        model: product.model,
        revisions: product.revisions,
        label: product.label,
        not_started: order.not_started,
        checkpoint,
        consistency,
        rotations,
        label_spec,
        profile,
        profile_sha256,
        definition,
    }
}
