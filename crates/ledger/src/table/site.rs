//! The tables of the site: the log itself, products, orders, stations and their tokens.

use rusqlite::types::Value;
use traveler::{Digest, KeyId, OrderId, Sku, StationName};

use super::{Cells, Table, blob, int, number, text};
use crate::rows::{
    LogRow, OrderRow, ProductRow, SignerName, SigningKeyRow, StationRow, StationState, StopRow,
    TokenRow,
};

impl Table for LogRow {
    type Key = u64;
    const NAME: &'static str = "log";
    const SELECT: &'static str = "SELECT seq, origin, vkey, fingerprint_key, device_root_sha256, \
        site_root_sha256 FROM log";
    const PUT: &'static str = "INSERT INTO log (seq, origin, vkey, fingerprint_key, \
        device_root_sha256, site_root_sha256) VALUES (0, ?1, ?2, ?3, ?4, ?5)";

    fn read(cells: &mut Cells<'_>) -> rusqlite::Result<LogRow> {
        cells.zero()?;
        Ok(LogRow {
            origin: cells.cell()?,
            vkey: cells.cell()?,
            fingerprint_key: KeyId(cells.bytes()?),
            device_root_sha256: Digest(cells.bytes()?),
            site_root_sha256: Digest(cells.bytes()?),
        })
    }

    fn cells(&self) -> Vec<Value> {
        vec![
            text(&self.origin),
            text(&self.vkey),
            blob(&self.fingerprint_key.0),
            blob(&self.device_root_sha256.0),
            blob(&self.site_root_sha256.0),
        ]
    }

    fn key(&self) -> u64 {
        0
    }

    fn seq(&self) -> u64 {
        0
    }
}

impl Table for ProductRow {
    type Key = u64;
    const NAME: &'static str = "products";
    const SELECT: &'static str = "SELECT seq, product, product_sha256, definition FROM products";
    const PUT: &'static str = "INSERT INTO products (seq, product, product_sha256, definition) \
        VALUES (?1, ?2, ?3, ?4)";

    fn read(cells: &mut Cells<'_>) -> rusqlite::Result<ProductRow> {
        Ok(ProductRow {
            seq: cells.number()?,
            product: cells.text::<Sku>()?,
            product_sha256: Digest(cells.bytes()?),
            definition: cells.cell()?,
        })
    }

    fn cells(&self) -> Vec<Value> {
        vec![
            number(int(self.seq)),
            text(self.product.as_str()),
            blob(&self.product_sha256.0),
            text(&self.definition),
        ]
    }

    fn key(&self) -> u64 {
        self.seq
    }

    fn seq(&self) -> u64 {
        self.seq
    }
}

impl Table for OrderRow {
    type Key = OrderId;
    const NAME: &'static str = "orders";
    const SELECT: &'static str = "SELECT order_id, product, product_sha256, quantity, allowance, \
        closed, sealed, scrapped, open, not_started, voided, reworked, seq FROM orders";
    const PUT: &'static str = "INSERT INTO orders (order_id, product, product_sha256, quantity, \
        allowance, closed, sealed, scrapped, open, not_started, voided, reworked, seq) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) \
        ON CONFLICT (order_id) DO UPDATE SET closed = ?6, sealed = ?7, scrapped = ?8, open = ?9, \
        not_started = ?10, voided = ?11, reworked = ?12, seq = ?13";

    fn read(cells: &mut Cells<'_>) -> rusqlite::Result<OrderRow> {
        Ok(OrderRow {
            order: cells.text::<OrderId>()?,
            product: cells.text::<Sku>()?,
            product_sha256: Digest(cells.bytes()?),
            quantity: cells.number()?,
            allowance: cells.number()?,
            closed: cells.flag()?,
            sealed: cells.number()?,
            scrapped: cells.number()?,
            open: cells.number()?,
            not_started: cells.number()?,
            voided: cells.number()?,
            reworked: cells.number()?,
            seq: cells.number()?,
        })
    }

    fn cells(&self) -> Vec<Value> {
        vec![
            text(self.order.as_str()),
            text(self.product.as_str()),
            blob(&self.product_sha256.0),
            number(self.quantity),
            number(self.allowance),
            number(self.closed),
            number(self.sealed),
            number(self.scrapped),
            number(self.open),
            number(self.not_started),
            number(self.voided),
            number(self.reworked),
            number(int(self.seq)),
        ]
    }

    fn key(&self) -> OrderId {
        self.order.clone()
    }

    fn seq(&self) -> u64 {
        self.seq
    }
}

impl Table for StationRow {
    type Key = StationName;
    const NAME: &'static str = "stations";
    const SELECT: &'static str = "SELECT station, state, certificate_sha256, token_sha256, seq \
        FROM stations";
    const PUT: &'static str = "INSERT INTO stations (station, state, certificate_sha256, \
        token_sha256, seq) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (station) DO UPDATE SET \
        state = ?2, certificate_sha256 = ?3, token_sha256 = ?4, seq = ?5";

    fn read(cells: &mut Cells<'_>) -> rusqlite::Result<StationRow> {
        Ok(StationRow {
            station: cells.text::<StationName>()?,
            state: cells.word(StationState::parse)?,
            certificate_sha256: cells.cell::<Option<[u8; 32]>>()?.map(Digest),
            token_sha256: Digest(cells.bytes()?),
            seq: cells.number()?,
        })
    }

    fn cells(&self) -> Vec<Value> {
        vec![
            text(self.station.as_str()),
            text(self.state.as_str()),
            self.certificate_sha256
                .map_or(Value::Null, |digest| blob(&digest.0)),
            blob(&self.token_sha256.0),
            number(int(self.seq)),
        ]
    }

    fn key(&self) -> StationName {
        self.station.clone()
    }

    fn seq(&self) -> u64 {
        self.seq
    }
}

impl Table for TokenRow {
    type Key = Digest;
    const NAME: &'static str = "tokens";
    const SELECT: &'static str = "SELECT token_sha256, station, expires_ms, used, seq FROM tokens";
    const PUT: &'static str = "INSERT INTO tokens (token_sha256, station, expires_ms, used, seq) \
        VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (token_sha256) DO UPDATE SET used = ?4, seq = ?5";

    fn read(cells: &mut Cells<'_>) -> rusqlite::Result<TokenRow> {
        Ok(TokenRow {
            token_sha256: Digest(cells.bytes()?),
            station: cells.text::<StationName>()?,
            expires: cells.time()?,
            used: cells.flag()?,
            seq: cells.number()?,
        })
    }

    fn cells(&self) -> Vec<Value> {
        vec![
            blob(&self.token_sha256.0),
            text(self.station.as_str()),
            number(self.expires.unix_ms()),
            number(self.used),
            number(int(self.seq)),
        ]
    }

    fn key(&self) -> Digest {
        self.token_sha256
    }

    fn seq(&self) -> u64 {
        self.seq
    }
}

impl Table for StopRow {
    type Key = u64;
    const NAME: &'static str = "stops";
    const SELECT: &'static str = "SELECT seq, order_id, clause, detector, evidence, since_ms, \
        resumed_seq FROM stops";
    const PUT: &'static str = "INSERT INTO stops (seq, order_id, clause, detector, evidence, \
        since_ms, resumed_seq) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (seq) DO UPDATE \
        SET resumed_seq = ?7";

    fn read(cells: &mut Cells<'_>) -> rusqlite::Result<StopRow> {
        Ok(StopRow {
            seq: cells.number()?,
            order: cells.text::<OrderId>()?,
            clause: cells.cell()?,
            detector: cells.cell()?,
            evidence: cells.cell()?,
            since: cells.time()?,
            resumed_seq: cells.number_or_none()?,
        })
    }

    fn cells(&self) -> Vec<Value> {
        vec![
            number(int(self.seq)),
            text(self.order.as_str()),
            text(&self.clause),
            text(&self.detector),
            text(&self.evidence),
            number(self.since.unix_ms()),
            self.resumed_seq.map_or(Value::Null, |seq| number(int(seq))),
        ]
    }

    fn key(&self) -> u64 {
        self.seq
    }

    fn seq(&self) -> u64 {
        self.resumed_seq.unwrap_or(self.seq)
    }
}

impl Table for SigningKeyRow {
    type Key = String;
    const NAME: &'static str = "signing_keys";
    const SELECT: &'static str =
        "SELECT seq, key, public, proof, certificate_sha256 FROM signing_keys";
    const PUT: &'static str = "INSERT INTO signing_keys (seq, key, public, proof, \
        certificate_sha256) VALUES (?1, ?2, ?3, ?4, ?5)";

    fn read(cells: &mut Cells<'_>) -> rusqlite::Result<SigningKeyRow> {
        Ok(SigningKeyRow {
            seq: cells.number()?,
            key: cells.word(SignerName::parse)?,
            public: cells.cell()?,
            proof: cells.cell()?,
            certificate_sha256: cells.cell::<Option<[u8; 32]>>()?.map(Digest),
        })
    }

    fn cells(&self) -> Vec<Value> {
        vec![
            number(int(self.seq)),
            text(self.key.as_str()),
            text(&self.public),
            text(&self.proof),
            self.certificate_sha256
                .map_or(Value::Null, |digest| blob(&digest.0)),
        ]
    }

    fn key(&self) -> String {
        format!("{} from {}", self.key, self.seq)
    }

    fn seq(&self) -> u64 {
        self.seq
    }
}
