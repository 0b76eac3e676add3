-- +goose Up
-- What energy costs and what carbon it stands for, over time. kind is price (value: unit per MWh) or carbon (value: gram of CO2
-- equivalent per kWh). zone '' is everywhere; a zone named like a cluster is that cluster's own. constant holds where no interval does.
-- version grows with every change.
CREATE TABLE tariffs (
    kind TEXT NOT NULL,
    zone TEXT NOT NULL,
    unit TEXT NOT NULL,
    constant REAL,
    version INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (kind, zone)
);

-- One value from from_at (inclusive) to to_at (exclusive); the intervals of a tariff do not overlap.
CREATE TABLE tariff_intervals (
    kind TEXT NOT NULL,
    zone TEXT NOT NULL,
    from_at INTEGER NOT NULL,
    to_at INTEGER NOT NULL,
    value REAL NOT NULL,
    PRIMARY KEY (kind, zone, from_at),
    FOREIGN KEY (kind, zone) REFERENCES tariffs (kind, zone) ON DELETE CASCADE
);

-- Of the whole job; NULL where there is no energy or no tariff. cost_unit is the currency.
ALTER TABLE reports ADD COLUMN cost REAL;
ALTER TABLE reports ADD COLUMN cost_unit TEXT;
ALTER TABLE reports ADD COLUMN carbon_g REAL;

-- +goose Down
ALTER TABLE reports DROP COLUMN carbon_g;
ALTER TABLE reports DROP COLUMN cost_unit;
ALTER TABLE reports DROP COLUMN cost;
DROP TABLE tariff_intervals;
DROP TABLE tariffs;
