-- Version 7: what lists of runs are filtered and sorted by, in one narrow index: a run's row is wide (its parameters).

ALTER TABLE runs ADD COLUMN recipe TEXT GENERATED ALWAYS AS (json_extract(labels_json, '$.recipe')) VIRTUAL;
CREATE INDEX runs_listed ON runs (archived, deleted, number, state, name, pipeline, recipe, experiment_id, run_id, started, ended);
CREATE INDEX runs_by_recipe ON runs (recipe);
CREATE INDEX runs_by_pipeline ON runs (pipeline, number);
-- How long a task takes is asked for whenever the time left is shown.
CREATE INDEX tasks_executed ON tasks (name, ended, started, label) WHERE kind = 'task' AND state = 'SUCCEEDED' AND NOT cached;
