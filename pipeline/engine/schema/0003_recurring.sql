-- Version 3: recurring runs, and notifications with their outbox.

CREATE TABLE recurring_runs (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  recurring_id TEXT NOT NULL UNIQUE,
  spec_json TEXT NOT NULL,
  mode TEXT NOT NULL,
  created REAL NOT NULL,
  updated REAL NOT NULL,
  anchor REAL NOT NULL,
  since REAL NOT NULL,
  last_due REAL NOT NULL,
  last_index INTEGER NOT NULL DEFAULT 0,
  problem TEXT NOT NULL DEFAULT ''
);

CREATE TABLE notifications (
  notification_id TEXT PRIMARY KEY,
  url TEXT NOT NULL,
  moment TEXT NOT NULL,
  secret TEXT NOT NULL DEFAULT '',
  created REAL NOT NULL
);

-- What must still be told. `next_try` 0: nothing more will be tried.
CREATE TABLE outbox (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  event_id TEXT NOT NULL,
  notification_id TEXT NOT NULL REFERENCES notifications (notification_id) ON DELETE CASCADE,
  run_id TEXT NOT NULL,
  body_json TEXT NOT NULL,
  created REAL NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  next_try REAL NOT NULL,
  delivered REAL NOT NULL DEFAULT 0,
  problem TEXT NOT NULL DEFAULT '',
  UNIQUE (event_id, notification_id)
);
CREATE INDEX outbox_by_next_try ON outbox (next_try) WHERE next_try > 0;

-- How far the journal has been read for ends of runs. What ended before this table was made is told to nobody.
CREATE TABLE outbox_cursor (sequence INTEGER NOT NULL);
INSERT INTO outbox_cursor SELECT COALESCE(MAX(sequence), 0) FROM journal;
