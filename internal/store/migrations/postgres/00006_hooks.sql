-- +goose Up
-- The tables of SQLite's 00006_hooks.sql.
CREATE TABLE hook_deliveries (
  id          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  position    BIGINT NOT NULL, -- the order of an endpoint's deliveries
  queued      BIGINT NOT NULL, -- position, or a later number of the same counter when it was sent again
  endpoint_id TEXT COLLATE "C" NOT NULL,
  account_id  TEXT COLLATE "C" NOT NULL,
  event       TEXT COLLATE "C" NOT NULL,
  order_keys  TEXT COLLATE "C" NOT NULL, -- a JSON array of strings
  method      TEXT COLLATE "C" NOT NULL,
  url         TEXT COLLATE "C" NOT NULL,
  header      TEXT COLLATE "C" NOT NULL, -- a JSON array of pairs
  body        BYTEA NOT NULL,
  state       BIGINT NOT NULL, -- 0 waiting, 1 delivered, 2 dead, 3 dropped
  created     BIGINT NOT NULL,
  began       BIGINT NOT NULL, -- first attempt of this round, 0: none yet
  due         BIGINT NOT NULL,
  finished    BIGINT NOT NULL, -- 0: not yet
  attempts    BIGINT NOT NULL,
  tries       BIGINT NOT NULL, -- attempts of this round
  status      BIGINT NOT NULL, -- of the last answer, 0: none
  reason      TEXT COLLATE "C" NOT NULL  -- of the last failure
);
CREATE INDEX hook_deliveries_queued ON hook_deliveries (queued, position);
CREATE INDEX hook_deliveries_state ON hook_deliveries (state, endpoint_id, position);
CREATE INDEX hook_deliveries_endpoint ON hook_deliveries (endpoint_id, position);
CREATE INDEX hook_deliveries_account ON hook_deliveries (account_id, position);
CREATE INDEX hook_deliveries_finished ON hook_deliveries (finished, id);

CREATE TABLE hook_attempts (
  delivery_id TEXT COLLATE "C" NOT NULL,
  number      BIGINT NOT NULL,
  endpoint_id TEXT COLLATE "C" NOT NULL,
  account_id  TEXT COLLATE "C" NOT NULL,
  at          BIGINT NOT NULL,
  took        BIGINT NOT NULL, -- microseconds
  success     BIGINT NOT NULL,
  status      BIGINT NOT NULL,
  error       TEXT COLLATE "C" NOT NULL,
  answer      BYTEA NOT NULL, -- its first bytes
  retry_at    BIGINT NOT NULL, -- 0: no further attempt
  PRIMARY KEY (delivery_id, number)
);
CREATE INDEX hook_attempts_account ON hook_attempts (account_id, at, delivery_id, number);
CREATE INDEX hook_attempts_endpoint ON hook_attempts (endpoint_id, at, delivery_id, number);

CREATE TABLE hook_endpoints (
  id            TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  account_id    TEXT COLLATE "C" NOT NULL,
  kind          TEXT COLLATE "C" NOT NULL,
  node          TEXT COLLATE "C" NOT NULL, -- who delivers, '': nobody
  epoch         BIGINT NOT NULL, -- grows with each change of node
  touched       BIGINT NOT NULL, -- a number of the counter of deliveries
  paused        BIGINT NOT NULL,
  failing       BIGINT NOT NULL, -- since when every attempt failed, 0: the last one succeeded
  blacklisted   BIGINT NOT NULL, -- since when, 0: it is not
  reason        TEXT COLLATE "C" NOT NULL
);
CREATE INDEX hook_endpoints_node ON hook_endpoints (node, id);
CREATE INDEX hook_endpoints_touched ON hook_endpoints (touched);

CREATE TABLE hook_nodes (
  node TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  beat BIGINT NOT NULL -- grows as long as the node lives
);

CREATE TABLE readers (
  name     TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  position BIGINT NOT NULL
);

-- +goose Down
DROP TABLE readers;
DROP TABLE hook_nodes;
DROP TABLE hook_endpoints;
DROP TABLE hook_attempts;
DROP TABLE hook_deliveries;
