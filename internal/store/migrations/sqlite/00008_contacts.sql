-- +goose Up
-- What the projector of company directories knows. It follows the change log: nothing here is written with a document.

-- How far the log was followed. state: "new" before the first load, "ready", "lost" when the log was swept meanwhile.
-- partial and step: the change at position partial was carried out for the contacts up to id step. holder and until: who
-- loads, and for how long nobody else does.
CREATE TABLE projections (
  name     TEXT    NOT NULL PRIMARY KEY,
  position INTEGER NOT NULL,
  partial  INTEGER NOT NULL,
  step     TEXT    NOT NULL,
  state    TEXT    NOT NULL,
  holder   TEXT    NOT NULL,
  until    INTEGER NOT NULL
) STRICT;
INSERT INTO projections (name, position, partial, step, state, holder, until) VALUES ('contacts', 0, 0, '', 'new', '', 0);

-- Ids as RingCentral's clients know them, never removed.
CREATE TABLE numeric_ids (
  id          INTEGER NOT NULL PRIMARY KEY,
  kind        TEXT    NOT NULL, -- "account", "contact", "site", ...
  account_id  TEXT    NOT NULL,
  document_id TEXT    NOT NULL,
  UNIQUE (account_id, kind, document_id)
) STRICT;

-- What contacts need to know of each document, as it was at the position.
CREATE TABLE contact_facts (
  account_id  TEXT    NOT NULL,
  document_id TEXT    NOT NULL,
  type        TEXT    NOT NULL,
  facts       TEXT    NOT NULL, -- a JSON object
  PRIMARY KEY (account_id, document_id)
) STRICT;
CREATE TABLE contact_refs (
  account_id  TEXT    NOT NULL,
  ref         TEXT    NOT NULL, -- the id that a document's facts name
  document_id TEXT    NOT NULL,
  PRIMARY KEY (account_id, ref, document_id)
) STRICT;

CREATE TABLE contacts (
  account_id TEXT    NOT NULL,
  id         TEXT    NOT NULL, -- of the document
  numeric_id INTEGER NOT NULL,
  type       TEXT    NOT NULL,
  site_id    TEXT    NOT NULL, -- '': the main site
  sort_key   BLOB    NOT NULL,
  search     TEXT    NOT NULL, -- folded
  body       TEXT    NOT NULL, -- a JSON object
  PRIMARY KEY (account_id, id)
) STRICT;
CREATE INDEX contacts_in_order ON contacts (account_id, sort_key, id);
CREATE INDEX contacts_by_type ON contacts (account_id, type, sort_key, id);
CREATE INDEX contacts_by_site ON contacts (account_id, site_id, sort_key, id);
CREATE UNIQUE INDEX contacts_by_number ON contacts (numeric_id);

CREATE TABLE directory_events (
  account_id TEXT    NOT NULL,
  sequence   INTEGER NOT NULL, -- 1, 2, 3, ... without a gap
  position   INTEGER NOT NULL, -- of the change in the log
  at         INTEGER NOT NULL, -- when it was made
  kind       TEXT    NOT NULL,
  contact_id TEXT    NOT NULL,
  body       TEXT    NOT NULL, -- the contact afterwards, a JSON object
  changed    TEXT    NOT NULL, -- names of fields, separated by commas
  previous   TEXT    NOT NULL, -- the contact before, '': none
  PRIMARY KEY (account_id, sequence)
) STRICT;
CREATE INDEX directory_events_by_time ON directory_events (at);

-- sequence: of the last event; swept: of the last one that retention removed; revision: counts what altered any contact.
CREATE TABLE contact_accounts (
  account_id TEXT    NOT NULL PRIMARY KEY,
  sequence   INTEGER NOT NULL,
  swept      INTEGER NOT NULL,
  revision   INTEGER NOT NULL
) STRICT;

-- +goose Down
DROP TABLE contact_accounts;
DROP TABLE directory_events;
DROP TABLE contacts;
DROP TABLE contact_refs;
DROP TABLE contact_facts;
DROP TABLE numeric_ids;
DROP TABLE projections;
