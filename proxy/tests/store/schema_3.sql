-- The tables of the embedded store, version 3. Times are milliseconds since 1970 (UTC).
-- A message's `delivery` is the whole record the state machine owns; state, due_at, ended_at, verdict and
-- platform_id repeat parts of it as columns, written by the same statement, so that they can be searched.

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
    held            INTEGER NOT NULL DEFAULT 0,         -- 1 while it waits behind another of its conversation
    expires_at      INTEGER,
    ended_at        INTEGER,
    platform_id     TEXT,
    delivery        TEXT NOT NULL,                      -- JSON
    epoch           INTEGER NOT NULL DEFAULT 0,         -- rises with every claim
    lease_until     INTEGER                             -- NULL when nobody works on it
);
CREATE UNIQUE INDEX messages_platform_id ON messages (connection, platform_id) WHERE platform_id IS NOT NULL;
CREATE INDEX messages_submission ON messages (submission_id);
CREATE INDEX messages_payload ON messages (payload_id);
CREATE INDEX messages_state ON messages (state, position);
CREATE INDEX messages_accepted_at ON messages (accepted_at);
CREATE INDEX messages_ended ON messages (ended_at) WHERE ended_at IS NOT NULL;
-- What workers look for. A message that is held is not found here, however long its backlog.
CREATE INDEX messages_due ON messages (state, due_at) WHERE due_at IS NOT NULL AND held = 0;
CREATE INDEX messages_expiring ON messages (expires_at)
    WHERE expires_at IS NOT NULL AND state IN ('accepted', 'retry_wait');
CREATE INDEX messages_followed ON messages (connection, conversation_id) WHERE state = 'submitted';
CREATE INDEX messages_leased ON messages (lease_until) WHERE lease_until IS NOT NULL;
-- Whose turn it is in a conversation: what has begun, what is being worked on, what waits for its time, what is held.
CREATE INDEX messages_begun ON messages (connection, conversation_id, position)
    WHERE state IN ('retry_wait', 'sending', 'unknown');
CREATE INDEX messages_claimed ON messages (connection, conversation_id)
    WHERE lease_until IS NOT NULL AND state IN ('accepted', 'retry_wait');
CREATE INDEX messages_ready ON messages (connection, conversation_id, due_at)
    WHERE state = 'accepted' AND held = 0;
CREATE INDEX messages_held ON messages (connection, conversation_id, position)
    WHERE held = 1 AND state IN ('accepted', 'retry_wait');

-- Messages by state, counted as they change, so that nobody counts a million rows to say it.
CREATE TABLE message_counts (
    state    TEXT PRIMARY KEY,
    messages INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO message_counts (state, messages) VALUES ('accepted', 0), ('sending', 0), ('submitted', 0),
    ('delivered', 0), ('read', 0), ('retry_wait', 0), ('unknown', 0), ('parked', 0), ('rejected', 0),
    ('failed', 0), ('undelivered', 0), ('expired', 0), ('cancelled', 0);
CREATE TRIGGER messages_counted AFTER INSERT ON messages BEGIN
    UPDATE message_counts SET messages = messages + 1 WHERE state = new.state;
END;
CREATE TRIGGER messages_recounted AFTER UPDATE OF state ON messages WHEN old.state <> new.state BEGIN
    UPDATE message_counts SET messages = messages - 1 WHERE state = old.state;
    UPDATE message_counts SET messages = messages + 1 WHERE state = new.state;
END;
CREATE TRIGGER messages_uncounted AFTER DELETE ON messages BEGIN
    UPDATE message_counts SET messages = messages - 1 WHERE state = old.state;
END;

-- Messages that were removed some time after their end. Their submissions stay, so that a repeated key still gets
-- its first answer and is never sent again.
CREATE TABLE removed_messages (
    id            TEXT PRIMARY KEY,
    submission_id TEXT NOT NULL,
    position      INTEGER NOT NULL,
    removed_at    INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX removed_messages_submission ON removed_messages (submission_id);

-- Attempts that a look made needless: what would have been a second message, with what was seen.
CREATE TABLE duplicates_prevented (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    connection TEXT NOT NULL,
    message_id TEXT NOT NULL,
    at         INTEGER NOT NULL,
    evidence   TEXT NOT NULL                            -- JSON
);
CREATE INDEX duplicates_prevented_message ON duplicates_prevented (message_id);

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
