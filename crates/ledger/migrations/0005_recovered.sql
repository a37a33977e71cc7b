-- Derived: the times at which the log went on without entries that were lost with a disk, and what
-- nothing is issued for since. Both are short.

CREATE TABLE recoveries (
    seq        INTEGER PRIMARY KEY,
    kept       INTEGER NOT NULL,
    remembered INTEGER NOT NULL
) STRICT;

CREATE TABLE blocks (
    seq       INTEGER PRIMARY KEY,
    serial    TEXT NOT NULL,
    device_id TEXT
) STRICT;
CREATE INDEX blocks_serial ON blocks (serial);
CREATE INDEX blocks_device_id ON blocks (device_id);
