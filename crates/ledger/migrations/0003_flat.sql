-- The tables of units are appended to by the entry that first names each row, so that their cost
-- does not grow with history. What is found by serial, silicon, key or fingerprint is found through
-- the key index in the folder beside this file (src/index.rs), which follows from these tables.

CREATE TABLE flat_units (
    first_seq          INTEGER PRIMARY KEY,
    serial             TEXT NOT NULL,
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
) STRICT;
INSERT INTO flat_units
    SELECT first_seq, serial, device_id, order_id, station, attempt, state, issued_seq, last_seq,
        bundle_sha256, certificate_sha256, public_key_sha256, since_ms
    FROM units JOIN (SELECT serial, min(seq) AS first_seq FROM steps GROUP BY serial) USING (serial)
    ORDER BY first_seq;

CREATE TABLE flat_device_ids (
    first_seq INTEGER PRIMARY KEY,
    device_id TEXT NOT NULL,
    serial    TEXT NOT NULL,
    released  INTEGER NOT NULL CHECK (released IN (0, 1)),
    seq       INTEGER NOT NULL
) STRICT;
-- Only the entries remember on which attempt a piece of silicon was met first.
INSERT INTO flat_device_ids
    SELECT first_seq, device_id, serial, released, device_ids.seq
    FROM device_ids JOIN (
        SELECT CAST(bytes AS TEXT) ->> '$.device_id' AS device_id, min(entries.seq) AS first_seq
        FROM entries JOIN steps ON steps.seq = entries.seq WHERE steps.state = 'issued' GROUP BY 1
    ) USING (device_id)
    ORDER BY first_seq;

CREATE TABLE flat_public_keys (
    seq               INTEGER PRIMARY KEY,
    public_key_sha256 BLOB NOT NULL,
    device_id         TEXT NOT NULL
) STRICT;
INSERT INTO flat_public_keys SELECT seq, public_key_sha256, device_id FROM public_keys ORDER BY seq;

CREATE TABLE flat_issues (
    seq         INTEGER PRIMARY KEY,
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 16),
    serial      TEXT NOT NULL,
    attempt     INTEGER NOT NULL
) STRICT;
INSERT INTO flat_issues SELECT seq, fingerprint, serial, attempt FROM issues ORDER BY seq;

-- `before` is the unit's step before this one: its traveler is read from the newest one backwards.
CREATE TABLE flat_steps (
    seq    INTEGER PRIMARY KEY,
    serial TEXT NOT NULL,
    state  TEXT NOT NULL,
    before INTEGER
) STRICT;
INSERT INTO flat_steps
    SELECT seq, serial, state, lag(seq) OVER (PARTITION BY serial ORDER BY seq)
    FROM steps ORDER BY seq;

DROP TABLE units;
DROP TABLE device_ids;
DROP TABLE public_keys;
DROP TABLE issues;
DROP TABLE steps;
ALTER TABLE flat_units RENAME TO units;
ALTER TABLE flat_device_ids RENAME TO device_ids;
ALTER TABLE flat_public_keys RENAME TO public_keys;
ALTER TABLE flat_issues RENAME TO issues;
ALTER TABLE flat_steps RENAME TO steps;

-- Holds only what is under way, so it stays small.
CREATE INDEX units_open ON units (station, issued_seq) WHERE state IN ('issued', 'loaded');
