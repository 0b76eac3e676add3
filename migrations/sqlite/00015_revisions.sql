-- +goose Up
-- By which revision of the analysis a report was made: after an upgrade those of older ones are made again, some at a time.
ALTER TABLE reports ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
CREATE INDEX reports_revision ON reports (revision);

-- +goose Down
DROP INDEX reports_revision;
ALTER TABLE reports DROP COLUMN revision;
