-- Derived: the times at which the generator was found unfit. At most one has not been resumed.

CREATE TABLE stops (
    seq         INTEGER PRIMARY KEY,
    order_id    TEXT NOT NULL,
    clause      TEXT NOT NULL,
    detector    TEXT NOT NULL,
    evidence    TEXT NOT NULL,
    since_ms    INTEGER NOT NULL,
    resumed_seq INTEGER
) STRICT;
-- The second belt under Refused::LineStopped: every row of the index has the same key.
CREATE UNIQUE INDEX stops_open ON stops (resumed_seq IS NULL) WHERE resumed_seq IS NULL;
