-- The tables of the embedded store, version 2. Times are milliseconds since 1970 (UTC).
-- A message's `delivery` is the whole record the state machine owns; state, due_at, verdict and platform_id
-- repeat parts of it as columns, written by the same statement, so that they can be searched.

CREATE TABLE payloads (
    id    INTEGER PRIMARY KEY,
    bytes BLOB NOT NULL
);

CREATE TABLE submissions (
    id          TEXT PRIMARY KEY,
    owner       TEXT NOT NULL,
    key         TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    accepted_at INTEGER NOT NULL,
    UNIQUE (owner, key)
) WITHOUT ROWID;

CREATE TABLE messages (
    position        INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order of acceptance
    id              TEXT NOT NULL UNIQUE,
    submission_id   TEXT NOT NULL REFERENCES submissions (id),
    connection      TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    channel         TEXT NOT NULL,
    sender          TEXT NOT NULL,
    recipients      TEXT NOT NULL,                      -- JSON list
    preview         TEXT NOT NULL,
    payload_id      INTEGER NOT NULL REFERENCES payloads (id),
    accepted_at     INTEGER NOT NULL,
    version         INTEGER NOT NULL,
    state           TEXT NOT NULL,
    verdict         TEXT NOT NULL,
    due_at          INTEGER,
    expires_at      INTEGER,
    platform_id     TEXT,
    delivery        TEXT NOT NULL,                      -- JSON
    epoch           INTEGER NOT NULL DEFAULT 0,         -- rises with every claim
    lease_until     INTEGER                             -- NULL when nobody works on it
);
CREATE UNIQUE INDEX messages_platform_id ON messages (connection, platform_id) WHERE platform_id IS NOT NULL;
CREATE INDEX messages_submission ON messages (submission_id);
CREATE INDEX messages_due ON messages (state, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX messages_expiring ON messages (expires_at)
    WHERE expires_at IS NOT NULL AND state IN ('accepted', 'retry_wait');
CREATE INDEX messages_holding ON messages (connection, conversation_id, position)
    WHERE state IN ('accepted', 'retry_wait', 'sending', 'unknown');
CREATE INDEX messages_followed ON messages (connection, conversation_id) WHERE state = 'submitted';
CREATE INDEX messages_leased ON messages (lease_until) WHERE lease_until IS NOT NULL;
CREATE INDEX messages_state ON messages (state, position);
CREATE INDEX messages_accepted_at ON messages (accepted_at);

CREATE TABLE events (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id TEXT NOT NULL,
    body       TEXT NOT NULL                            -- JSON
);
CREATE INDEX events_message ON events (message_id, seq);

CREATE TABLE conversations (
    connection TEXT NOT NULL,
    id         TEXT NOT NULL,
    read_at    INTEGER NOT NULL,
    used_at    INTEGER NOT NULL,
    body       TEXT NOT NULL,                           -- JSON
    PRIMARY KEY (connection, id)
) WITHOUT ROWID;

-- The stream in use of each connection.
CREATE TABLE streams (
    connection         TEXT PRIMARY KEY,
    stream             TEXT NOT NULL UNIQUE,
    last_sequence      INTEGER NOT NULL,
    last_chain         TEXT NOT NULL,
    acknowledged_chain TEXT NOT NULL,                   -- of the last batch the sink acknowledged
    replaced           INTEGER NOT NULL DEFAULT 0       -- streams that ended before this one
) WITHOUT ROWID;

CREATE TABLE audit_entries (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    connection TEXT NOT NULL,
    message_id TEXT NOT NULL,
    receiver   TEXT NOT NULL,
    ending     TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    body       BLOB NOT NULL,                           -- the entry's exact JSON
    batch      INTEGER,                                 -- the batch it is sealed in
    UNIQUE (message_id, receiver, ending)
);
CREATE INDEX audit_entries_unsealed ON audit_entries (connection, id) WHERE batch IS NULL;
CREATE INDEX audit_entries_batch ON audit_entries (batch) WHERE batch IS NOT NULL;

-- Entries the sink has not acknowledged, sealed or not: counted, because every submission asks.
CREATE TABLE audit_waiting (
    connection TEXT PRIMARY KEY,
    entries    INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE audit_batches (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order of sealing
    connection      TEXT NOT NULL,
    stream          TEXT NOT NULL,
    sequence        INTEGER NOT NULL,
    key_id          TEXT NOT NULL,
    sealed_at       INTEGER NOT NULL,
    count           INTEGER NOT NULL,
    body            BLOB NOT NULL,                      -- empty once it is forgotten
    signature       TEXT NOT NULL,
    previous        TEXT NOT NULL,
    chain           TEXT NOT NULL,
    shipping        TEXT NOT NULL,                      -- waiting, stalled, stopped, acknowledged, replaced
    attempts        INTEGER NOT NULL DEFAULT 0,
    next_at         INTEGER NOT NULL,
    acknowledged_at INTEGER,
    problem         TEXT,
    UNIQUE (stream, sequence)
);
CREATE INDEX audit_batches_connection ON audit_batches (connection, id);
CREATE INDEX audit_batches_waiting ON audit_batches (connection, id)
    WHERE shipping IN ('waiting', 'stalled', 'stopped');
CREATE INDEX audit_batches_held ON audit_batches (acknowledged_at)
    WHERE shipping = 'acknowledged' AND length(body) > 0;
