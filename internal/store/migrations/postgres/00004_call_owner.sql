-- +goose Up
ALTER TABLE calls ADD COLUMN owner_id TEXT COLLATE "C" NOT NULL DEFAULT ''; -- of the caller's device when the call began
ALTER TABLE calls ADD COLUMN other_leg_call_id TEXT COLLATE "C" NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE calls DROP COLUMN other_leg_call_id;
ALTER TABLE calls DROP COLUMN owner_id;
