-- From version 1 to 2: a connection may have had several streams, and how much waits for the sink is counted.

ALTER TABLE streams ADD COLUMN acknowledged_chain TEXT NOT NULL
    DEFAULT '0000000000000000000000000000000000000000000000000000000000000000';
ALTER TABLE streams ADD COLUMN replaced INTEGER NOT NULL DEFAULT 0;
UPDATE streams SET acknowledged_chain = coalesce((SELECT b.chain FROM audit_batches b
    WHERE b.connection = streams.connection AND b.shipping = 'acknowledged'
    ORDER BY b.sequence DESC LIMIT 1), acknowledged_chain);

ALTER TABLE audit_batches RENAME TO audit_batches_1;
DROP INDEX audit_batches_waiting;
DROP INDEX audit_batches_sealed_at;
CREATE TABLE audit_batches (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    connection      TEXT NOT NULL,
    stream          TEXT NOT NULL,
    sequence        INTEGER NOT NULL,
    key_id          TEXT NOT NULL,
    sealed_at       INTEGER NOT NULL,
    count           INTEGER NOT NULL,
    body            BLOB NOT NULL,
    signature       TEXT NOT NULL,
    previous        TEXT NOT NULL,
    chain           TEXT NOT NULL,
    shipping        TEXT NOT NULL,
    attempts        INTEGER NOT NULL DEFAULT 0,
    next_at         INTEGER NOT NULL,
    acknowledged_at INTEGER,
    problem         TEXT,
    UNIQUE (stream, sequence)
);
INSERT INTO audit_batches (connection, stream, sequence, key_id, sealed_at, count, body, signature, previous,
    chain, shipping, attempts, next_at, acknowledged_at, problem)
    SELECT connection, stream, sequence, key_id, sealed_at, count, body, signature, previous, chain, shipping,
    attempts, next_at, acknowledged_at, problem FROM audit_batches_1 ORDER BY sealed_at, connection, sequence;
CREATE INDEX audit_batches_connection ON audit_batches (connection, id);
CREATE INDEX audit_batches_waiting ON audit_batches (connection, id)
    WHERE shipping IN ('waiting', 'stalled', 'stopped');
CREATE INDEX audit_batches_held ON audit_batches (acknowledged_at)
    WHERE shipping = 'acknowledged' AND length(body) > 0;
DROP TABLE audit_batches_1;

ALTER TABLE audit_entries ADD COLUMN batch INTEGER;
UPDATE audit_entries SET batch = (SELECT b.id FROM audit_batches b
    WHERE b.connection = audit_entries.connection AND b.sequence = audit_entries.sequence)
    WHERE sequence IS NOT NULL;
DROP INDEX audit_entries_unsealed;
ALTER TABLE audit_entries DROP COLUMN sequence;
CREATE INDEX audit_entries_unsealed ON audit_entries (connection, id) WHERE batch IS NULL;
CREATE INDEX audit_entries_batch ON audit_entries (batch) WHERE batch IS NOT NULL;

CREATE TABLE audit_waiting (
    connection TEXT PRIMARY KEY,
    entries    INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO audit_waiting (connection, entries)
    SELECT a.connection, count(*) FROM audit_entries a LEFT JOIN audit_batches b ON b.id = a.batch
    WHERE b.shipping IS NULL OR b.shipping <> 'acknowledged' GROUP BY a.connection;
