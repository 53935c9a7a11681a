-- +goose Up
-- On whose behalf bugle started the call itself; '' for a call that a phone has made.
ALTER TABLE calls ADD COLUMN authorizing_id TEXT NOT NULL DEFAULT '';
ALTER TABLE calls ADD COLUMN authorizing_type TEXT NOT NULL DEFAULT '';
ALTER TABLE calls ADD COLUMN presence_id TEXT NOT NULL DEFAULT '';
ALTER TABLE calls ADD COLUMN variables TEXT NOT NULL DEFAULT ''; -- custom application variables, a JSON object

-- +goose Down
ALTER TABLE calls DROP COLUMN variables;
ALTER TABLE calls DROP COLUMN presence_id;
ALTER TABLE calls DROP COLUMN authorizing_type;
ALTER TABLE calls DROP COLUMN authorizing_id;
