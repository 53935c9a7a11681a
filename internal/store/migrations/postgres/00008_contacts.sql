-- +goose Up
-- The tables of SQLite's 00008_contacts.sql.
-- What the projector of company directories knows. It follows the change log: nothing here is written with a document.

-- How far the log was followed. state: "new" before the first load, "ready", "lost" when the log was swept meanwhile.
-- partial and step: the change at position partial was carried out for the contacts up to id step. holder and until: who
-- loads, and for how long nobody else does.
CREATE TABLE projections (
  name     TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  position BIGINT NOT NULL,
  partial  BIGINT NOT NULL,
  step     TEXT COLLATE "C" NOT NULL,
  state    TEXT COLLATE "C" NOT NULL,
  holder   TEXT COLLATE "C" NOT NULL,
  until    BIGINT NOT NULL
);
INSERT INTO projections (name, position, partial, step, state, holder, until) VALUES ('contacts', 0, 0, '', 'new', '', 0);

-- Ids as RingCentral's clients know them, never removed.
CREATE TABLE numeric_ids (
  id          BIGINT NOT NULL PRIMARY KEY,
  kind        TEXT COLLATE "C" NOT NULL, -- "account", "contact", "site", ...
  account_id  TEXT COLLATE "C" NOT NULL,
  document_id TEXT COLLATE "C" NOT NULL,
  UNIQUE (account_id, kind, document_id)
);

-- What contacts need to know of each document, as it was at the position.
CREATE TABLE contact_facts (
  account_id  TEXT COLLATE "C" NOT NULL,
  document_id TEXT COLLATE "C" NOT NULL,
  type        TEXT COLLATE "C" NOT NULL,
  facts       TEXT COLLATE "C" NOT NULL, -- a JSON object
  PRIMARY KEY (account_id, document_id)
);
CREATE TABLE contact_refs (
  account_id  TEXT COLLATE "C" NOT NULL,
  ref         TEXT COLLATE "C" NOT NULL, -- the id that a document's facts name
  document_id TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (account_id, ref, document_id)
);

CREATE TABLE contacts (
  account_id TEXT COLLATE "C" NOT NULL,
  id         TEXT COLLATE "C" NOT NULL, -- of the document
  numeric_id BIGINT NOT NULL,
  type       TEXT COLLATE "C" NOT NULL,
  site_id    TEXT COLLATE "C" NOT NULL, -- '': the main site
  sort_key   BYTEA   NOT NULL,
  search     TEXT COLLATE "C" NOT NULL, -- folded
  body       TEXT COLLATE "C" NOT NULL, -- a JSON object
  PRIMARY KEY (account_id, id)
);
CREATE INDEX contacts_in_order ON contacts (account_id, sort_key, id);
CREATE INDEX contacts_by_type ON contacts (account_id, type, sort_key, id);
CREATE INDEX contacts_by_site ON contacts (account_id, site_id, sort_key, id);
CREATE UNIQUE INDEX contacts_by_number ON contacts (numeric_id);

CREATE TABLE directory_events (
  account_id TEXT COLLATE "C" NOT NULL,
  sequence   BIGINT NOT NULL, -- 1, 2, 3, ... without a gap
  position   BIGINT NOT NULL, -- of the change in the log
  at         BIGINT NOT NULL, -- when it was made
  kind       TEXT COLLATE "C" NOT NULL,
  contact_id TEXT COLLATE "C" NOT NULL,
  body       TEXT COLLATE "C" NOT NULL, -- the contact afterwards, a JSON object
  changed    TEXT COLLATE "C" NOT NULL, -- names of fields, separated by commas
  previous   TEXT COLLATE "C" NOT NULL, -- the contact before, '': none
  PRIMARY KEY (account_id, sequence)
);
CREATE INDEX directory_events_by_time ON directory_events (at);

-- sequence: of the last event; swept: of the last one that retention removed; revision: counts what altered any contact.
CREATE TABLE contact_accounts (
  account_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  sequence   BIGINT NOT NULL,
  swept      BIGINT NOT NULL,
  revision   BIGINT NOT NULL
);

-- +goose Down
DROP TABLE contact_accounts;
DROP TABLE directory_events;
DROP TABLE contacts;
DROP TABLE contact_refs;
DROP TABLE contact_facts;
DROP TABLE numeric_ids;
DROP TABLE projections;
