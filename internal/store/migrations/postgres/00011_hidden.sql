-- +goose Up
ALTER TABLE changes ADD COLUMN hidden TEXT COLLATE "C"; -- what of a document's private part an edit changed, JSON; NULL when nothing

-- +goose Down
ALTER TABLE changes DROP COLUMN hidden;
