-- Version 6: a deleted run is hidden; its rows stay, because other runs may have taken its outputs from the cache.

ALTER TABLE runs ADD COLUMN deleted REAL NOT NULL DEFAULT 0;
