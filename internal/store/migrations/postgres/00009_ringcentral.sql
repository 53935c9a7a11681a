-- +goose Up
-- The tables of SQLite's 00009_ringcentral.sql.

-- Who is logged in, and by which app. stamp: what the session hangs on; it ends when that of the user is another.
CREATE TABLE oauth_sessions (
  id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  account_id TEXT COLLATE "C" NOT NULL,
  user_id    TEXT COLLATE "C" NOT NULL, -- '': the account itself
  app_id     TEXT COLLATE "C" NOT NULL, -- '': no app
  stamp      TEXT COLLATE "C" NOT NULL,
  created    BIGINT NOT NULL,
  expires    BIGINT NOT NULL, -- of the last refresh token
  ended      BIGINT NOT NULL -- 0: not yet
);
CREATE INDEX oauth_sessions_by_expiry ON oauth_sessions (expires);

-- What clients hold, by its SHA-256. used: when it was, of what is good for once; 0: not yet.
CREATE TABLE oauth_tokens (
  hash       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  kind       TEXT COLLATE "C" NOT NULL, -- "access", "refresh", "code", "socket"
  session_id TEXT COLLATE "C" NOT NULL, -- '': of a code that was not used
  expires    BIGINT NOT NULL,
  used       BIGINT NOT NULL,
  detail     TEXT COLLATE "C" NOT NULL -- a JSON object
);
CREATE INDEX oauth_tokens_by_expiry ON oauth_tokens (expires);
CREATE INDEX oauth_tokens_by_session ON oauth_tokens (session_id);

-- Who is told of the changes of a company directory. cursor: the last event that was told, or that is in a stored delivery.
CREATE TABLE subscriptions (
  id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  account_id TEXT COLLATE "C" NOT NULL,
  user_id    TEXT COLLATE "C" NOT NULL,
  app_id     TEXT COLLATE "C" NOT NULL,
  transport  TEXT COLLATE "C" NOT NULL,
  expires    BIGINT NOT NULL,
  cursor     BIGINT NOT NULL,
  follows    BIGINT NOT NULL, -- 1: it wants events of the directory
  remind     BIGINT NOT NULL, -- when its owner is told that it expires; 0: never
  body       TEXT COLLATE "C" NOT NULL -- a JSON object
);
CREATE INDEX subscriptions_by_owner ON subscriptions (account_id, user_id, app_id);
CREATE INDEX subscriptions_by_cursor ON subscriptions (account_id, cursor);
CREATE INDEX subscriptions_by_reminder ON subscriptions (remind);
CREATE INDEX subscriptions_by_expiry ON subscriptions (expires);

-- +goose Down
DROP TABLE subscriptions;
DROP TABLE oauth_tokens;
DROP TABLE oauth_sessions;
