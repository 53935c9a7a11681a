-- +goose Up
CREATE TABLE messages (
  id            TEXT    NOT NULL PRIMARY KEY,
  account_id    TEXT    NOT NULL,
  box_id        TEXT    NOT NULL,
  folder        TEXT    NOT NULL,
  arrived       INTEGER NOT NULL,
  changed       INTEGER NOT NULL,
  call_id       TEXT    NOT NULL,
  from_name     TEXT    NOT NULL,
  from_number   TEXT    NOT NULL,
  from_uri      TEXT    NOT NULL,
  to_uri        TEXT    NOT NULL,
  blob          TEXT    NOT NULL, -- '': no audio yet
  content_type  TEXT    NOT NULL,
  size          INTEGER NOT NULL,
  length        INTEGER NOT NULL, -- microseconds
  transcription TEXT    NOT NULL  -- a JSON object, '': none
) STRICT;
CREATE INDEX messages_by_box ON messages (account_id, box_id, arrived, id);
CREATE INDEX messages_by_blob ON messages (account_id, blob);
CREATE INDEX messages_by_folder ON messages (folder, changed);
