-- Version 8: who made a reference, which runs have pictures, where data lies: asked by the console, found in indexes.
-- A text that SQLite does not take for JSON (Python writes NaN) has no such value; it must not stop the writing.

ALTER TABLE tasks ADD COLUMN made_report TEXT GENERATED ALWAYS AS (CASE WHEN json_valid(outputs_json) THEN json_extract(outputs_json, '$.parameters.report') END) VIRTUAL;
ALTER TABLE tasks ADD COLUMN made_manifest TEXT GENERATED ALWAYS AS (CASE WHEN json_valid(outputs_json) THEN json_extract(outputs_json, '$.parameters.manifest') END) VIRTUAL;
ALTER TABLE runs ADD COLUMN data_root TEXT GENERATED ALWAYS AS (CASE WHEN json_valid(parameters_json) THEN json_extract(parameters_json, '$.data_root') END) VIRTUAL;
CREATE INDEX tasks_by_report ON tasks (made_report, ended) WHERE made_report IS NOT NULL;
CREATE INDEX tasks_with_manifest ON tasks (created, run_id, made_manifest) WHERE made_manifest IS NOT NULL;
CREATE INDEX runs_by_data_root ON runs (data_root) WHERE data_root IS NOT NULL;
