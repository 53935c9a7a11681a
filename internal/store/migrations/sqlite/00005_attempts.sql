-- +goose Up
-- Attempts of click-to-call: calls that somebody asked for over the API, made or refused.
CREATE TABLE attempts (
  id              TEXT    NOT NULL PRIMARY KEY,
  account_id      TEXT    NOT NULL,
  endpoint_id     TEXT    NOT NULL,
  created         INTEGER NOT NULL,
  contact         TEXT    NOT NULL,
  state           TEXT    NOT NULL,
  reason          TEXT    NOT NULL, -- of a refusal
  cause           TEXT    NOT NULL,
  call_id         TEXT    NOT NULL, -- of the first half; '': no call was made
  requester       TEXT    NOT NULL, -- who asked, a JSON object
  request         TEXT    NOT NULL, -- what it takes to place it, a JSON object
  idempotency_key TEXT    NOT NULL, -- '': none
  started         INTEGER NOT NULL, -- 0: not yet, as the next three
  answered        INTEGER NOT NULL,
  bridged         INTEGER NOT NULL,
  ended           INTEGER NOT NULL,
  due             INTEGER NOT NULL, -- 0: at once
  node            TEXT    NOT NULL, -- process that holds the call, '': none
  lease           INTEGER NOT NULL  -- until when node holds it without renewing
) STRICT;
CREATE INDEX attempts_by_endpoint ON attempts (account_id, endpoint_id, created, id);
CREATE INDEX attempts_by_created ON attempts (created);
CREATE UNIQUE INDEX attempts_by_key ON attempts (endpoint_id, idempotency_key) WHERE idempotency_key <> '';
CREATE INDEX attempts_due ON attempts (due) WHERE state = 'scheduled';
CREATE INDEX attempts_scheduled ON attempts (endpoint_id) WHERE state = 'scheduled';
CREATE INDEX attempts_held ON attempts (lease) WHERE node <> '';
-- When an endpoint last placed a call, for its throttle.
CREATE TABLE placements (
  endpoint_id TEXT    NOT NULL PRIMARY KEY,
  placed      INTEGER NOT NULL
) STRICT;
CREATE TABLE spent_tokens (
  id      TEXT    NOT NULL PRIMARY KEY,
  expires INTEGER NOT NULL
) STRICT;
CREATE INDEX spent_tokens_by_expiry ON spent_tokens (expires);
-- The records of the calls of attempts are found by their Call-ID; those of others need no place in it.
CREATE INDEX calls_of_attempts ON calls (account_id, sip_call_id) WHERE sip_call_id >= 'c2c-' AND sip_call_id < 'c2c.';

-- +goose Down
DROP INDEX calls_of_attempts;
DROP TABLE spent_tokens;
DROP TABLE placements;
DROP TABLE attempts;
