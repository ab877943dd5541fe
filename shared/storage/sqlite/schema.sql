-- The layout of the embedded store; README.md of package storage tells which
-- query each key serves. Times are microseconds since 1970.
PRAGMA journal_mode = WAL;
BEGIN;

CREATE TABLE entity (
    tab   TEXT NOT NULL,
    part  TEXT NOT NULL,
    row   TEXT NOT NULL,
    etag  TEXT NOT NULL,
    props TEXT NOT NULL,            -- {"name": "<type letter>:<value>"}
    PRIMARY KEY (tab, part, row)
);

CREATE TABLE message (
    id       INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice
    queue    TEXT    NOT NULL,
    visible  INTEGER NOT NULL,
    inserted INTEGER NOT NULL,
    dequeued INTEGER NOT NULL DEFAULT 0,
    receipt  TEXT    NOT NULL DEFAULT '',
    body     BLOB    NOT NULL
);
CREATE INDEX message_visible ON message (queue, visible);

CREATE TABLE blob (
    id        INTEGER PRIMARY KEY,
    container TEXT    NOT NULL,
    key       TEXT    NOT NULL,
    etag      TEXT    NOT NULL,
    size      INTEGER NOT NULL,
    modified  INTEGER NOT NULL,
    meta      TEXT    NOT NULL,     -- {} or {"name": "value"}
    UNIQUE (container, key)
);

-- Every file under files/ is named by a row of exactly one of the next three:
-- extent (a piece of a blob), part (staged), dead (to be unlinked). A file
-- named by none is an orphan.
CREATE TABLE extent (
    blob   INTEGER NOT NULL,
    start  INTEGER NOT NULL,        -- offset of its first byte in the blob
    size   INTEGER NOT NULL,
    file   TEXT    NOT NULL,
    sums   BLOB,                    -- CRC-32C of each 256 KiB; NULL: of a store that had none
    PRIMARY KEY (blob, start)
) WITHOUT ROWID;
CREATE INDEX extent_file ON extent (file);

CREATE TABLE part (
    container TEXT    NOT NULL,
    key       TEXT    NOT NULL,
    id        BLOB    NOT NULL,
    size      INTEGER NOT NULL,
    file      TEXT    NOT NULL,
    staged    INTEGER NOT NULL,
    sums      BLOB,                 -- as in extent, where the row moves
    PRIMARY KEY (container, key, id)
) WITHOUT ROWID;
CREATE INDEX part_file ON part (file);
CREATE INDEX part_staged ON part (staged);

CREATE TABLE dead (
    file  TEXT    NOT NULL PRIMARY KEY,
    since INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX dead_since ON dead (since);

PRAGMA user_version = 1;
COMMIT;
