-- Derived: the labels that were printed again, of units that were not sealed yet.

CREATE TABLE reprints (
    seq     INTEGER PRIMARY KEY,
    serial  TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    reprint INTEGER NOT NULL
) STRICT;
CREATE INDEX reprints_serial ON reprints (serial);
