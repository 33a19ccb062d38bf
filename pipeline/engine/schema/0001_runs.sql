-- The state of an engine, version 1. Times: seconds since 1970. JSON columns end in _json.

CREATE TABLE pipelines (digest TEXT PRIMARY KEY, text TEXT NOT NULL);

CREATE TABLE runs (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  run_id TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  pipeline TEXT NOT NULL,
  pipeline_digest TEXT NOT NULL REFERENCES pipelines (digest),
  state TEXT NOT NULL,
  reason TEXT NOT NULL DEFAULT '',
  created REAL NOT NULL,
  started REAL NOT NULL DEFAULT 0,
  ended REAL NOT NULL DEFAULT 0,
  parameters_json TEXT NOT NULL,
  labels_json TEXT NOT NULL,
  source TEXT NOT NULL DEFAULT '',
  reuse_json TEXT NOT NULL DEFAULT '{}',
  forced_json TEXT NOT NULL DEFAULT '[]',
  overrides_json TEXT NOT NULL DEFAULT '{}',
  cache INTEGER NOT NULL DEFAULT 1,
  executor TEXT NOT NULL DEFAULT '',
  stop_requested INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE tasks (
  run_id TEXT NOT NULL REFERENCES runs (run_id),
  key TEXT NOT NULL,
  position INTEGER NOT NULL DEFAULT 0,
  label TEXT NOT NULL,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  parent TEXT NOT NULL,
  component TEXT NOT NULL,
  state TEXT NOT NULL,
  reason TEXT NOT NULL DEFAULT '',
  cached INTEGER NOT NULL DEFAULT 0,
  origin_json TEXT NOT NULL DEFAULT 'null',
  attempts INTEGER NOT NULL DEFAULT 0,
  created REAL NOT NULL,
  started REAL NOT NULL DEFAULT 0,
  ended REAL NOT NULL DEFAULT 0,
  fingerprint TEXT NOT NULL DEFAULT '',
  parts_json TEXT NOT NULL DEFAULT '{}',
  explanation TEXT NOT NULL DEFAULT '',
  inputs_json TEXT NOT NULL DEFAULT '{}',
  outputs_json TEXT NOT NULL DEFAULT '{}',
  progress_json TEXT NOT NULL DEFAULT '{}',
  note TEXT NOT NULL DEFAULT '',
  retry_at REAL NOT NULL DEFAULT 0,
  PRIMARY KEY (run_id, key)
);
CREATE INDEX tasks_by_fingerprint ON tasks (fingerprint) WHERE fingerprint <> '';
CREATE INDEX tasks_by_name ON tasks (name);

CREATE TABLE attempts (
  run_id TEXT NOT NULL,
  key TEXT NOT NULL,
  number INTEGER NOT NULL,
  state TEXT NOT NULL,
  directory TEXT NOT NULL,
  handle TEXT NOT NULL DEFAULT '',
  exit_code INTEGER,
  started REAL NOT NULL,
  ended REAL NOT NULL DEFAULT 0,
  reason TEXT NOT NULL DEFAULT '',
  log_offset INTEGER NOT NULL DEFAULT 0,
  usage_json TEXT NOT NULL DEFAULT '{}',
  PRIMARY KEY (run_id, key, number),
  FOREIGN KEY (run_id, key) REFERENCES tasks (run_id, key)
);

CREATE TABLE metrics (
  number INTEGER PRIMARY KEY,
  run_id TEXT NOT NULL,
  key TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  time REAL NOT NULL,
  step REAL NOT NULL,
  values_json TEXT NOT NULL
);
CREATE INDEX metrics_by_task ON metrics (run_id, key);

CREATE TABLE journal (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  time REAL NOT NULL,
  run_id TEXT NOT NULL,
  key TEXT NOT NULL,
  kind TEXT NOT NULL,
  detail_json TEXT NOT NULL
);
CREATE INDEX journal_by_run ON journal (run_id, sequence);
CREATE TRIGGER journal_is_never_rewritten BEFORE UPDATE ON journal BEGIN SELECT RAISE(ABORT, 'the journal only grows'); END;
CREATE TRIGGER journal_is_never_shortened BEFORE DELETE ON journal BEGIN SELECT RAISE(ABORT, 'the journal only grows'); END;
