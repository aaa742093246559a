-- From version 2 to 3: a message that waits behind another is not looked for, messages are counted as they change,
-- what ended long ago can be removed, and duplicates that were prevented are recorded.

ALTER TABLE messages ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN ended_at INTEGER;
UPDATE messages SET ended_at = CAST(round((julianday(json_extract(delivery, '$.ended_at')) - 2440587.5) * 86400000) AS INTEGER)
    WHERE json_extract(delivery, '$.ended_at') IS NOT NULL;
DROP INDEX messages_due;
DROP INDEX messages_holding;
CREATE INDEX messages_payload ON messages (payload_id);
CREATE INDEX messages_ended ON messages (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX messages_due ON messages (state, due_at) WHERE due_at IS NOT NULL AND held = 0;
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

UPDATE message_counts SET messages = (SELECT count(*) FROM messages m WHERE m.state = message_counts.state);

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
