-- +goose Up
ALTER TABLE changes ADD COLUMN actor TEXT COLLATE "C"; -- who asked for it, JSON; NULL when nobody did
CREATE INDEX changes_of_document ON changes (document_id, position);

-- +goose Down
DROP INDEX changes_of_document;
ALTER TABLE changes DROP COLUMN actor;
