-- +goose Up
-- The columns and indexes of SQLite's 00010_pause.sql.
ALTER TABLE hook_endpoints ADD COLUMN resumed BIGINT NOT NULL DEFAULT 0; -- when the last pause ended, 0: there was none
CREATE INDEX hook_deliveries_created ON hook_deliveries (account_id, created, position);
CREATE INDEX hook_endpoints_account ON hook_endpoints (account_id, id);

-- +goose Down
DROP INDEX hook_endpoints_account;
DROP INDEX hook_deliveries_created;
ALTER TABLE hook_endpoints DROP COLUMN resumed;
