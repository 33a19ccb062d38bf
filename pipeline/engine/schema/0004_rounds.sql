-- Version 4: which folders of rounds are watched, what was seen in them, what landed and which runs that launched.

CREATE TABLE watched_sources (
  source_id TEXT PRIMARY KEY,
  address TEXT NOT NULL,
  recipe TEXT NOT NULL,
  pipeline TEXT NOT NULL,
  overrides_json TEXT NOT NULL DEFAULT '[]',
  options_json TEXT NOT NULL DEFAULT '{}',
  registered INTEGER NOT NULL DEFAULT 0,
  enabled INTEGER NOT NULL DEFAULT 1,
  created REAL NOT NULL,
  looked REAL NOT NULL DEFAULT 0,
  trouble TEXT NOT NULL DEFAULT ''
);

-- The present listing of a round: since when it has not changed, by the wall clock and by the machine's own.
CREATE TABLE round_sightings (
  source_id TEXT NOT NULL REFERENCES watched_sources (source_id),
  name TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  files INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  since REAL NOT NULL,
  boot TEXT NOT NULL,
  steady REAL NOT NULL,
  waiting TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (source_id, name)
);

-- Digests of files, so that only what is new or changed is read.
CREATE TABLE round_files (
  source_id TEXT NOT NULL,
  round TEXT NOT NULL,
  path TEXT NOT NULL,
  size INTEGER NOT NULL,
  stamp TEXT NOT NULL,
  digest TEXT NOT NULL,
  PRIMARY KEY (source_id, round, path)
) WITHOUT ROWID;

CREATE TABLE round_versions (
  source_id TEXT NOT NULL REFERENCES watched_sources (source_id),
  name TEXT NOT NULL,
  version INTEGER NOT NULL,
  digest TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  marker TEXT NOT NULL DEFAULT '',
  struct_json TEXT NOT NULL,
  state TEXT NOT NULL,
  reason TEXT NOT NULL DEFAULT '',
  checked TEXT NOT NULL,
  seen REAL NOT NULL,
  landed REAL NOT NULL DEFAULT 0,
  files INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  pictures INTEGER NOT NULL DEFAULT 0,
  new_pictures INTEGER NOT NULL DEFAULT 0,
  labelled INTEGER NOT NULL DEFAULT 0,
  rejected INTEGER NOT NULL DEFAULT 0,
  reasons_json TEXT NOT NULL DEFAULT '{}',
  run_key TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (source_id, name, version)
);

-- A launch is written down before the run is made, so that whoever dies in between is finished by the next one.
CREATE TABLE round_launches (
  run_key TEXT PRIMARY KEY,
  source_id TEXT NOT NULL REFERENCES watched_sources (source_id),
  name TEXT NOT NULL,
  rounds_json TEXT NOT NULL,
  run_id TEXT NOT NULL DEFAULT '',
  state TEXT NOT NULL,
  reason TEXT NOT NULL DEFAULT '',
  verdict_json TEXT NOT NULL DEFAULT '{}',
  intended REAL NOT NULL,
  created REAL NOT NULL DEFAULT 0,
  ended REAL NOT NULL DEFAULT 0
);
CREATE INDEX round_launches_by_source ON round_launches (source_id, intended);
