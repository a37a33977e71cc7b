-- Derived: the keys that sign the log and certify units, each with the entry that brought it.

CREATE TABLE signing_keys (
    seq                INTEGER NOT NULL,
    key                TEXT NOT NULL CHECK (key IN ('log', 'issuing')),
    public             TEXT NOT NULL,
    proof              TEXT NOT NULL,
    certificate_sha256 BLOB,
    PRIMARY KEY (seq, key)
) STRICT;
INSERT INTO signing_keys SELECT 0, 'log', vkey, '', NULL FROM log;
-- The first issuing key is in the ceremony's record. A first entry that is no JSON has none.
INSERT INTO signing_keys
    SELECT 0, 'issuing', ceremony.value ->> '$.public_key', '', NULL
    FROM entries, json_each(
        CASE WHEN json_valid(CAST(bytes AS TEXT)) THEN CAST(bytes AS TEXT) ELSE '{}' END,
        '$.ceremony.keys'
    ) AS ceremony
    WHERE entries.seq = 0 AND ceremony.value ->> '$.key' = 'device-issuing'
        AND ceremony.value ->> '$.public_key' IS NOT NULL;
