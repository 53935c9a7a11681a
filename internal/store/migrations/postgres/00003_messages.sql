-- +goose Up
-- The table of SQLite's 00003_messages.sql.
CREATE TABLE messages (
  id            TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  account_id    TEXT COLLATE "C" NOT NULL,
  box_id        TEXT COLLATE "C" NOT NULL,
  folder        TEXT COLLATE "C" NOT NULL,
  arrived       BIGINT NOT NULL,
  changed       BIGINT NOT NULL,
  call_id       TEXT COLLATE "C" NOT NULL,
  from_name     TEXT COLLATE "C" NOT NULL,
  from_number   TEXT COLLATE "C" NOT NULL,
  from_uri      TEXT COLLATE "C" NOT NULL,
  to_uri        TEXT COLLATE "C" NOT NULL,
  blob          TEXT COLLATE "C" NOT NULL, -- '': no audio yet
  content_type  TEXT COLLATE "C" NOT NULL,
  size          BIGINT NOT NULL,
  length        BIGINT NOT NULL, -- microseconds
  transcription TEXT COLLATE "C" NOT NULL  -- a JSON object, '': none
);
CREATE INDEX messages_by_box ON messages (account_id, box_id, arrived, id);
CREATE INDEX messages_by_blob ON messages (account_id, blob);
CREATE INDEX messages_by_folder ON messages (folder, changed);
