-- The log: what is hashed, the hashes, and what was signed. Only ever appended to.

CREATE TABLE entries (
    seq   INTEGER PRIMARY KEY,
    bytes BLOB NOT NULL
) STRICT;

-- Position as in tlog::stored_index.
CREATE TABLE hashes (
    position INTEGER PRIMARY KEY,
    hash     BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

CREATE TABLE checkpoints (
    size INTEGER PRIMARY KEY,
    note TEXT NOT NULL
) STRICT;

-- Derived: every row below follows from the entries. `seq` is the entry that changed it last.

CREATE TABLE log (
    seq                INTEGER PRIMARY KEY CHECK (seq = 0),
    origin             TEXT NOT NULL,
    vkey               TEXT NOT NULL,
    fingerprint_key    BLOB NOT NULL,
    device_root_sha256 BLOB NOT NULL,
    site_root_sha256   BLOB NOT NULL
) STRICT;

CREATE TABLE products (
    seq            INTEGER PRIMARY KEY,
    product        TEXT NOT NULL,
    product_sha256 BLOB NOT NULL,
    definition     TEXT NOT NULL
) STRICT;
CREATE INDEX products_newest ON products (product, seq);
CREATE INDEX products_digest ON products (product_sha256);

CREATE TABLE orders (
    order_id       TEXT NOT NULL PRIMARY KEY,
    product        TEXT NOT NULL,
    product_sha256 BLOB NOT NULL,
    quantity       INTEGER NOT NULL,
    allowance      INTEGER NOT NULL,
    closed         INTEGER NOT NULL CHECK (closed IN (0, 1)),
    sealed         INTEGER NOT NULL,
    scrapped       INTEGER NOT NULL,
    open           INTEGER NOT NULL,
    not_started    INTEGER NOT NULL,
    voided         INTEGER NOT NULL,
    reworked       INTEGER NOT NULL,
    seq            INTEGER NOT NULL,
    CHECK (quantity = sealed + scrapped + open + not_started)
) STRICT, WITHOUT ROWID;

CREATE TABLE stations (
    station            TEXT NOT NULL PRIMARY KEY,
    state              TEXT NOT NULL,
    certificate_sha256 BLOB,
    token_sha256       BLOB NOT NULL,
    seq                INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tokens (
    token_sha256 BLOB NOT NULL PRIMARY KEY,
    station      TEXT NOT NULL,
    expires_ms   INTEGER NOT NULL,
    used         INTEGER NOT NULL CHECK (used IN (0, 1)),
    seq          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE units (
    serial             TEXT NOT NULL PRIMARY KEY,
    device_id          TEXT NOT NULL,
    order_id           TEXT NOT NULL,
    station            TEXT NOT NULL,
    attempt            INTEGER NOT NULL,
    state              TEXT NOT NULL,
    issued_seq         INTEGER NOT NULL,
    last_seq           INTEGER NOT NULL,
    bundle_sha256      BLOB NOT NULL,
    certificate_sha256 BLOB NOT NULL,
    public_key_sha256  BLOB NOT NULL,
    since_ms           INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- The second belt under Refused::DeviceInUse: one piece of silicon, one living serial.
CREATE UNIQUE INDEX units_device ON units (device_id)
    WHERE state IN ('issued', 'loaded', 'sealed', 'rework');
CREATE INDEX units_open ON units (station, issued_seq) WHERE state IN ('issued', 'loaded');

CREATE TABLE device_ids (
    device_id TEXT NOT NULL PRIMARY KEY,
    serial    TEXT NOT NULL,
    released  INTEGER NOT NULL CHECK (released IN (0, 1)),
    seq       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE public_keys (
    public_key_sha256 BLOB NOT NULL PRIMARY KEY,
    device_id         TEXT NOT NULL,
    seq               INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The duplicate index over all history, all orders, all products.
CREATE TABLE issues (
    fingerprint BLOB NOT NULL PRIMARY KEY CHECK (length(fingerprint) = 16),
    serial      TEXT NOT NULL,
    attempt     INTEGER NOT NULL,
    seq         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE steps (
    serial TEXT NOT NULL,
    seq    INTEGER NOT NULL,
    state  TEXT NOT NULL,
    PRIMARY KEY (serial, seq)
) STRICT, WITHOUT ROWID;
