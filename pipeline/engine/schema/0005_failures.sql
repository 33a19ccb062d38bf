-- Version 5: why an attempt failed, and from which attempt on failures count (a retry of the run starts to count anew).

ALTER TABLE attempts ADD COLUMN failure_json TEXT NOT NULL DEFAULT '{}';
ALTER TABLE tasks ADD COLUMN counted_from INTEGER NOT NULL DEFAULT 0;
