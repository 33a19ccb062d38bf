-- Version 2: experiments, uploaded pipelines and their versions, and what a server remembers of a run.

CREATE TABLE experiments (
  experiment_id TEXT PRIMARY KEY,
  display_name TEXT NOT NULL UNIQUE,
  description TEXT NOT NULL DEFAULT '',
  created REAL NOT NULL,
  archived INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE catalogue (
  pipeline_id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  display_name TEXT NOT NULL,
  description TEXT NOT NULL DEFAULT '',
  created REAL NOT NULL,
  tags_json TEXT NOT NULL DEFAULT '{}'
);

CREATE TABLE versions (
  version_id TEXT PRIMARY KEY,
  pipeline_id TEXT NOT NULL REFERENCES catalogue (pipeline_id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  display_name TEXT NOT NULL,
  description TEXT NOT NULL DEFAULT '',
  created REAL NOT NULL,
  pipeline_digest TEXT NOT NULL REFERENCES pipelines (digest),
  code_source_url TEXT NOT NULL DEFAULT '',
  tags_json TEXT NOT NULL DEFAULT '{}',
  UNIQUE (pipeline_id, name)
);

ALTER TABLE runs ADD COLUMN description TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN experiment_id TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN version_id TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN recurring_id TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN scheduled REAL NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN archived INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN run_key TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX runs_by_key ON runs (run_key) WHERE run_key <> '';
CREATE INDEX runs_by_state ON runs (state, number);
CREATE INDEX runs_by_experiment ON runs (experiment_id, number);
CREATE INDEX runs_by_recurring ON runs (recurring_id, number) WHERE recurring_id <> '';
CREATE INDEX tasks_by_state ON tasks (state);
