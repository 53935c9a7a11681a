-- +goose Up
-- The tables of SQLite's 00001_init.sql. COLLATE "C" sorts text by its bytes, as SQLite and this program do; a database's
-- own collation depends on its operating system and changes with it.
CREATE TABLE documents (
  id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  account_id TEXT COLLATE "C" NOT NULL,
  type       TEXT COLLATE "C" NOT NULL,
  rev        TEXT COLLATE "C" NOT NULL,
  created    BIGINT NOT NULL, -- microseconds since 1970, like every time below
  modified   BIGINT NOT NULL,
  deleted    BIGINT NOT NULL,
  sort_key   BYTEA  NOT NULL,
  links      BYTEA  NOT NULL, -- keys and indexes, packed
  body       TEXT COLLATE "C" NOT NULL,
  private    TEXT COLLATE "C"
);
CREATE INDEX documents_by_account ON documents (account_id, type, deleted, sort_key, id);
CREATE INDEX documents_by_type ON documents (type, deleted, sort_key, id);

CREATE TABLE document_keys (
  space       TEXT COLLATE "C" NOT NULL,
  scope       TEXT COLLATE "C" NOT NULL,
  value       TEXT COLLATE "C" NOT NULL,
  document_id TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (space, scope, value)
);

CREATE TABLE document_index (
  account_id  TEXT COLLATE "C" NOT NULL,
  type        TEXT COLLATE "C" NOT NULL,
  name        TEXT COLLATE "C" NOT NULL,
  value       TEXT COLLATE "C" NOT NULL,
  sort_key    BYTEA NOT NULL,
  document_id TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (account_id, type, name, value, sort_key, document_id)
);
CREATE INDEX document_index_all ON document_index (type, name, value, sort_key, document_id);

CREATE TABLE changes (
  position    BIGINT NOT NULL PRIMARY KEY,
  account_id  TEXT COLLATE "C" NOT NULL,
  sequence    BIGINT NOT NULL,
  kind        TEXT COLLATE "C" NOT NULL,
  type        TEXT COLLATE "C" NOT NULL,
  document_id TEXT COLLATE "C" NOT NULL,
  rev         TEXT COLLATE "C" NOT NULL,
  at          BIGINT NOT NULL,
  before      TEXT COLLATE "C",
  after       TEXT COLLATE "C",
  before_dead BIGINT NOT NULL,
  links       BYTEA  NOT NULL, -- what the document was found by, before and after
  UNIQUE (account_id, sequence)
);

-- "position": the last position of the log; "swept": the last one that retention removed; "account/<id>": the last
-- sequence of an account.
CREATE TABLE counters (
  name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  n    BIGINT NOT NULL
);
-- There from the start: whoever asks what became of a commit waits for it at this row.
INSERT INTO counters (name, n) VALUES ('position', 0);

CREATE TABLE settings (
  name  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  value TEXT COLLATE "C" NOT NULL
);

CREATE TABLE bindings (
  device_id  TEXT COLLATE "C" NOT NULL,
  contact    TEXT COLLATE "C" NOT NULL,
  account_id TEXT COLLATE "C" NOT NULL,
  owner_id   TEXT COLLATE "C" NOT NULL,
  username   TEXT COLLATE "C" NOT NULL,
  realm      TEXT COLLATE "C" NOT NULL,
  instance   TEXT COLLATE "C" NOT NULL,
  q          BIGINT NOT NULL,
  path       TEXT COLLATE "C" NOT NULL, -- a JSON array of strings
  transport  TEXT COLLATE "C" NOT NULL,
  source     TEXT COLLATE "C" NOT NULL,
  local      TEXT COLLATE "C" NOT NULL,
  call_id    TEXT COLLATE "C" NOT NULL,
  cseq       BIGINT NOT NULL,
  user_agent TEXT COLLATE "C" NOT NULL,
  created    BIGINT NOT NULL,
  refreshed  BIGINT NOT NULL,
  expires    BIGINT NOT NULL,
  PRIMARY KEY (device_id, contact)
);

CREATE TABLE calls (
  id          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  account_id  TEXT COLLATE "C" NOT NULL,
  sip_call_id TEXT COLLATE "C" NOT NULL,
  direction   TEXT COLLATE "C" NOT NULL,
  from_name   TEXT COLLATE "C" NOT NULL,
  from_number TEXT COLLATE "C" NOT NULL,
  dialed      TEXT COLLATE "C" NOT NULL,
  to_id       TEXT COLLATE "C" NOT NULL,
  device_id   TEXT COLLATE "C" NOT NULL,
  callflow_id TEXT COLLATE "C" NOT NULL,
  started     BIGINT NOT NULL,
  answered    BIGINT NOT NULL, -- 0: never
  ended       BIGINT NOT NULL,
  cause       TEXT COLLATE "C" NOT NULL,
  trail       TEXT COLLATE "C" NOT NULL
);
CREATE INDEX calls_by_account ON calls (account_id, started, id);
