-- Version 9: from when an attempt has held what it asked for; until then it queued in a cluster, which costs nothing.

ALTER TABLE attempts ADD COLUMN began REAL NOT NULL DEFAULT 0;
UPDATE attempts SET began = started;
