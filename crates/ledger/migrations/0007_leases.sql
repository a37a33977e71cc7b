-- Derived: credentials that stations hold, or held, for units they had not met yet. `voided_seq` and
-- `spent_seq` are the entries that ended a lease; one that was spent late has both.

CREATE TABLE leases (
    seq                INTEGER PRIMARY KEY,
    serial             TEXT NOT NULL,
    attempt            INTEGER NOT NULL,
    order_id           TEXT NOT NULL,
    station            TEXT NOT NULL,
    expires_ms         INTEGER NOT NULL,
    bundle_sha256      BLOB NOT NULL,
    certificate_sha256 BLOB NOT NULL,
    public_key_sha256  BLOB NOT NULL,
    voided             TEXT,
    voided_seq         INTEGER,
    spent_seq          INTEGER,
    CHECK ((voided IS NULL) = (voided_seq IS NULL))
) STRICT;
CREATE INDEX leases_serial ON leases (serial);
-- The second belts: one key, one lease; one serial, one lease that is held.
CREATE UNIQUE INDEX leases_key ON leases (public_key_sha256);
CREATE UNIQUE INDEX leases_held ON leases (serial) WHERE voided IS NULL AND spent_seq IS NULL;
CREATE INDEX leases_station ON leases (station) WHERE voided IS NULL AND spent_seq IS NULL;

-- The count of an order's leases beside its places; none while it never had one.
CREATE TABLE lease_counts (
    order_id TEXT NOT NULL PRIMARY KEY,
    leased   INTEGER NOT NULL,
    returned INTEGER NOT NULL,
    seq      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
