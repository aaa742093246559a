-- From version 3 to 4: what a new message writes is less. It has fewer indexes, they hold less, nothing is counted when
-- it is accepted, and its submission is one row under its key.

DROP TRIGGER messages_counted;
DROP TRIGGER messages_recounted;
DROP TRIGGER messages_uncounted;
DROP INDEX messages_platform_id;
DROP INDEX messages_submission;
DROP INDEX messages_payload;
DROP INDEX messages_state;
DROP INDEX messages_accepted_at;
DROP INDEX messages_ended;
DROP INDEX messages_due;
DROP INDEX messages_expiring;
DROP INDEX messages_followed;
DROP INDEX messages_leased;
DROP INDEX messages_begun;
DROP INDEX messages_claimed;
DROP INDEX messages_ready;
DROP INDEX messages_held;
ALTER TABLE messages RENAME TO old_messages;
ALTER TABLE submissions RENAME TO old_submissions;
ALTER TABLE events RENAME TO old_events;
DROP INDEX events_message;

CREATE TABLE submissions (
    owner       TEXT NOT NULL,
    key         TEXT NOT NULL,
    id          TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    accepted_at INTEGER NOT NULL,
    PRIMARY KEY (owner, key)
) WITHOUT ROWID;

INSERT INTO submissions (owner, key, id, fingerprint, accepted_at)
    SELECT owner, key, id, fingerprint, accepted_at FROM old_submissions ORDER BY owner, key;

CREATE TABLE messages (
    position        INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order of acceptance
    id              TEXT NOT NULL UNIQUE,
    submission_id   TEXT NOT NULL,
    key             TEXT NOT NULL,                      -- the submission's
    connection      TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    channel         TEXT NOT NULL,
    sender          TEXT NOT NULL,
    recipients      TEXT NOT NULL,                      -- JSON list
    preview         TEXT NOT NULL,
    payload_id      INTEGER NOT NULL,                   -- shared by the messages of one submission at most
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
INSERT INTO messages (position, id, submission_id, key, connection, conversation_id, channel, sender, recipients, preview,
    payload_id, accepted_at, version, state, verdict, due_at, held, expires_at, ended_at, platform_id, delivery, epoch,
    lease_until)
    SELECT m.position, m.id, m.submission_id, s.key, m.connection, m.conversation_id, m.channel, m.sender, m.recipients,
    m.preview, m.payload_id, m.accepted_at, m.version, m.state, m.verdict, m.due_at, m.held, m.expires_at, m.ended_at,
    m.platform_id, m.delivery, m.epoch, m.lease_until
    FROM old_messages m JOIN old_submissions s ON s.id = m.submission_id ORDER BY m.position;

CREATE TABLE events (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    message INTEGER NOT NULL,                           -- its position
    body    TEXT NOT NULL                               -- JSON
);
INSERT INTO events (seq, message, body)
    SELECT e.seq, m.position, e.body FROM old_events e JOIN messages m ON m.id = e.message_id ORDER BY e.seq;
CREATE INDEX events_message ON events (message);

ALTER TABLE removed_messages ADD COLUMN key TEXT NOT NULL DEFAULT '';
UPDATE removed_messages SET key = coalesce((SELECT key FROM old_submissions s WHERE s.id = submission_id), '');

-- Positions are never used twice, also when the last ones were removed.
DELETE FROM sqlite_sequence WHERE name IN ('messages', 'events');
INSERT INTO sqlite_sequence (name, seq)
    SELECT substr(name, 5), seq FROM sqlite_sequence WHERE name IN ('old_messages', 'old_events');
DROP TABLE old_messages;
DROP TABLE old_submissions;
DROP TABLE old_events;

CREATE UNIQUE INDEX messages_platform_id ON messages (connection, platform_id) WHERE platform_id IS NOT NULL;
CREATE INDEX messages_submission ON messages (submission_id);
CREATE INDEX messages_state ON messages (state);
CREATE INDEX messages_ended ON messages (ended_at) WHERE ended_at IS NOT NULL;
-- What workers look for. A message that is held is not found here, however long its backlog; nor is one of a
-- connection through which nothing goes.
CREATE INDEX messages_due ON messages (state, connection, due_at) WHERE due_at IS NOT NULL AND held = 0;
CREATE INDEX messages_expiring ON messages (expires_at)
    WHERE expires_at IS NOT NULL AND state IN ('accepted', 'retry_wait');
CREATE INDEX messages_followed ON messages (connection, conversation_id)
    WHERE state = 'submitted' OR state = 'undelivered';
CREATE INDEX messages_leased ON messages (lease_until) WHERE lease_until IS NOT NULL;
-- Whose turn it is in a conversation: what has begun, what is being worked on, what waits for its time, what is held.
CREATE INDEX messages_begun ON messages (connection, conversation_id)
    WHERE state = 'retry_wait' OR state = 'sending' OR state = 'unknown';
CREATE INDEX messages_claimed ON messages (connection, conversation_id)
    WHERE lease_until IS NOT NULL AND state IN ('accepted', 'retry_wait');
CREATE INDEX messages_ready ON messages (connection, conversation_id, due_at)
    WHERE state = 'accepted' AND held = 0;
CREATE INDEX messages_held ON messages (connection, conversation_id)
    WHERE held = 1 AND state IN ('accepted', 'retry_wait');


UPDATE message_counts SET messages = messages -
    coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'messages'), 0) WHERE state = 'accepted';
CREATE TRIGGER messages_recounted AFTER UPDATE OF state ON messages WHEN old.state <> new.state BEGIN
    UPDATE message_counts SET messages = messages - 1 WHERE state = old.state;
    UPDATE message_counts SET messages = messages + 1 WHERE state = new.state;
END;
CREATE TRIGGER messages_uncounted AFTER DELETE ON messages BEGIN
    UPDATE message_counts SET messages = messages - 1 WHERE state = old.state;
END;
