-- +goose Up
-- The tables of SQLite's 00005_attempts.sql.
CREATE TABLE attempts (
  id              TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  account_id      TEXT COLLATE "C" NOT NULL,
  endpoint_id     TEXT COLLATE "C" NOT NULL,
  created         BIGINT NOT NULL,
  contact         TEXT COLLATE "C" NOT NULL,
  state           TEXT COLLATE "C" NOT NULL,
  reason          TEXT COLLATE "C" NOT NULL, -- of a refusal
  cause           TEXT COLLATE "C" NOT NULL,
  call_id         TEXT COLLATE "C" NOT NULL, -- of the first half; '': no call was made
  requester       TEXT COLLATE "C" NOT NULL, -- who asked, a JSON object
  request         TEXT COLLATE "C" NOT NULL, -- what it takes to place it, a JSON object
  idempotency_key TEXT COLLATE "C" NOT NULL, -- '': none
  started         BIGINT NOT NULL, -- 0: not yet, as the next three
  answered        BIGINT NOT NULL,
  bridged         BIGINT NOT NULL,
  ended           BIGINT NOT NULL,
  due             BIGINT NOT NULL, -- 0: at once
  node            TEXT COLLATE "C" NOT NULL, -- process that holds the call, '': none
  lease           BIGINT NOT NULL  -- until when node holds it without renewing
);
CREATE INDEX attempts_by_endpoint ON attempts (account_id, endpoint_id, created, id);
CREATE INDEX attempts_by_created ON attempts (created);
CREATE UNIQUE INDEX attempts_by_key ON attempts (endpoint_id, idempotency_key) WHERE idempotency_key <> '';
CREATE INDEX attempts_due ON attempts (due) WHERE state = 'scheduled';
CREATE INDEX attempts_scheduled ON attempts (endpoint_id) WHERE state = 'scheduled';
CREATE INDEX attempts_held ON attempts (lease) WHERE node <> '';
-- When an endpoint last placed a call, for its throttle.
CREATE TABLE placements (
  endpoint_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  placed      BIGINT NOT NULL
);
CREATE TABLE spent_tokens (
  id      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  expires BIGINT NOT NULL
);
CREATE INDEX spent_tokens_by_expiry ON spent_tokens (expires);
-- The records of the calls of attempts are found by their Call-ID; those of others need no place in it.
CREATE INDEX calls_of_attempts ON calls (account_id, sip_call_id) WHERE sip_call_id >= 'c2c-' AND sip_call_id < 'c2c.';

-- +goose Down
DROP INDEX calls_of_attempts;
DROP TABLE spent_tokens;
DROP TABLE placements;
DROP TABLE attempts;
