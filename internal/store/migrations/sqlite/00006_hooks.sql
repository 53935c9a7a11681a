-- +goose Up
-- Webhooks: what is to be delivered, each attempt at it, who delivers, and how far readers of the change log have come.
CREATE TABLE hook_deliveries (
  id          TEXT    NOT NULL PRIMARY KEY,
  position    INTEGER NOT NULL, -- the order of an endpoint's deliveries
  queued      INTEGER NOT NULL, -- position, or a later number of the same counter when it was sent again
  endpoint_id TEXT    NOT NULL,
  account_id  TEXT    NOT NULL,
  event       TEXT    NOT NULL,
  order_keys  TEXT    NOT NULL, -- a JSON array of strings
  method      TEXT    NOT NULL,
  url         TEXT    NOT NULL,
  header      TEXT    NOT NULL, -- a JSON array of pairs
  body        BLOB    NOT NULL,
  state       INTEGER NOT NULL, -- 0 waiting, 1 delivered, 2 dead, 3 dropped
  created     INTEGER NOT NULL,
  began       INTEGER NOT NULL, -- first attempt of this round, 0: none yet
  due         INTEGER NOT NULL,
  finished    INTEGER NOT NULL, -- 0: not yet
  attempts    INTEGER NOT NULL,
  tries       INTEGER NOT NULL, -- attempts of this round
  status      INTEGER NOT NULL, -- of the last answer, 0: none
  reason      TEXT    NOT NULL  -- of the last failure
) STRICT;
CREATE INDEX hook_deliveries_queued ON hook_deliveries (queued, position);
CREATE INDEX hook_deliveries_state ON hook_deliveries (state, endpoint_id, position);
CREATE INDEX hook_deliveries_endpoint ON hook_deliveries (endpoint_id, position);
CREATE INDEX hook_deliveries_account ON hook_deliveries (account_id, position);
CREATE INDEX hook_deliveries_finished ON hook_deliveries (finished, id);

CREATE TABLE hook_attempts (
  delivery_id TEXT    NOT NULL,
  number      INTEGER NOT NULL,
  endpoint_id TEXT    NOT NULL,
  account_id  TEXT    NOT NULL,
  at          INTEGER NOT NULL,
  took        INTEGER NOT NULL, -- microseconds
  success     INTEGER NOT NULL,
  status      INTEGER NOT NULL,
  error       TEXT    NOT NULL,
  answer      BLOB    NOT NULL, -- its first bytes
  retry_at    INTEGER NOT NULL, -- 0: no further attempt
  PRIMARY KEY (delivery_id, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX hook_attempts_account ON hook_attempts (account_id, at, delivery_id, number);
CREATE INDEX hook_attempts_endpoint ON hook_attempts (endpoint_id, at, delivery_id, number);

CREATE TABLE hook_endpoints (
  id            TEXT    NOT NULL PRIMARY KEY,
  account_id    TEXT    NOT NULL,
  kind          TEXT    NOT NULL,
  node          TEXT    NOT NULL, -- who delivers, '': nobody
  epoch         INTEGER NOT NULL, -- grows with each change of node
  touched       INTEGER NOT NULL, -- a number of the counter of deliveries
  paused        INTEGER NOT NULL,
  failing       INTEGER NOT NULL, -- since when every attempt failed, 0: the last one succeeded
  blacklisted   INTEGER NOT NULL, -- since when, 0: it is not
  reason        TEXT    NOT NULL
) STRICT;
CREATE INDEX hook_endpoints_node ON hook_endpoints (node, id);
CREATE INDEX hook_endpoints_touched ON hook_endpoints (touched);

CREATE TABLE hook_nodes (
  node TEXT    NOT NULL PRIMARY KEY,
  beat INTEGER NOT NULL -- grows as long as the node lives
) STRICT;

CREATE TABLE readers (
  name     TEXT    NOT NULL PRIMARY KEY,
  position INTEGER NOT NULL
) STRICT;

-- +goose Down
DROP TABLE readers;
DROP TABLE hook_nodes;
DROP TABLE hook_endpoints;
DROP TABLE hook_attempts;
DROP TABLE hook_deliveries;
