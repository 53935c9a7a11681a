-- +goose Up
CREATE TABLE documents (
  id         TEXT    NOT NULL PRIMARY KEY,
  account_id TEXT    NOT NULL,
  type       TEXT    NOT NULL,
  rev        TEXT    NOT NULL,
  created    INTEGER NOT NULL, -- microseconds since 1970, like every time below
  modified   INTEGER NOT NULL,
  deleted    INTEGER NOT NULL,
  sort_key   BLOB    NOT NULL,
  links      BLOB    NOT NULL, -- keys and indexes, packed
  body       TEXT    NOT NULL,
  private    TEXT
) STRICT;
CREATE INDEX documents_by_account ON documents (account_id, type, deleted, sort_key, id);
CREATE INDEX documents_by_type ON documents (type, deleted, sort_key, id);

CREATE TABLE document_keys (
  space       TEXT NOT NULL,
  scope       TEXT NOT NULL,
  value       TEXT NOT NULL,
  document_id TEXT NOT NULL,
  PRIMARY KEY (space, scope, value)
) STRICT, WITHOUT ROWID;

CREATE TABLE document_index (
  account_id  TEXT NOT NULL,
  type        TEXT NOT NULL,
  name        TEXT NOT NULL,
  value       TEXT NOT NULL,
  sort_key    BLOB NOT NULL,
  document_id TEXT NOT NULL,
  PRIMARY KEY (account_id, type, name, value, sort_key, document_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX document_index_all ON document_index (type, name, value, sort_key, document_id);

CREATE TABLE changes (
  position    INTEGER NOT NULL PRIMARY KEY,
  account_id  TEXT    NOT NULL,
  sequence    INTEGER NOT NULL,
  kind        TEXT    NOT NULL,
  type        TEXT    NOT NULL,
  document_id TEXT    NOT NULL,
  rev         TEXT    NOT NULL,
  at          INTEGER NOT NULL,
  before      TEXT,
  after       TEXT,
  before_dead INTEGER NOT NULL,
  links       BLOB    NOT NULL, -- what the document was found by, before and after
  UNIQUE (account_id, sequence)
) STRICT;

-- "position": the last position of the log; "swept": the last one that retention removed; "account/<id>": the last
-- sequence of an account.
CREATE TABLE counters (
  name TEXT    NOT NULL PRIMARY KEY,
  n    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE settings (
  name  TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE bindings (
  device_id  TEXT    NOT NULL,
  contact    TEXT    NOT NULL,
  account_id TEXT    NOT NULL,
  owner_id   TEXT    NOT NULL,
  username   TEXT    NOT NULL,
  realm      TEXT    NOT NULL,
  instance   TEXT    NOT NULL,
  q          INTEGER NOT NULL,
  path       TEXT    NOT NULL, -- a JSON array of strings
  transport  TEXT    NOT NULL,
  source     TEXT    NOT NULL,
  local      TEXT    NOT NULL,
  call_id    TEXT    NOT NULL,
  cseq       INTEGER NOT NULL,
  user_agent TEXT    NOT NULL,
  created    INTEGER NOT NULL,
  refreshed  INTEGER NOT NULL,
  expires    INTEGER NOT NULL,
  PRIMARY KEY (device_id, contact)
) STRICT, WITHOUT ROWID;

CREATE TABLE calls (
  id          TEXT    NOT NULL PRIMARY KEY,
  account_id  TEXT    NOT NULL,
  sip_call_id TEXT    NOT NULL,
  direction   TEXT    NOT NULL,
  from_name   TEXT    NOT NULL,
  from_number TEXT    NOT NULL,
  dialed      TEXT    NOT NULL,
  to_id       TEXT    NOT NULL,
  device_id   TEXT    NOT NULL,
  callflow_id TEXT    NOT NULL,
  started     INTEGER NOT NULL,
  answered    INTEGER NOT NULL, -- 0: never
  ended       INTEGER NOT NULL,
  cause       TEXT    NOT NULL,
  trail       TEXT    NOT NULL
) STRICT;
CREATE INDEX calls_by_account ON calls (account_id, started, id);
