package store

import (
	"database/sql"
	"errors"
	"slices"

	"bugle"
)

// The rows of one document: its own, its keys, its index entries.

// holder returns the document of an id, whatever its account, type and state.
func (tx *Tx) holder(id string) (d Document, exists bool, err error) {
	if tx.got != nil && tx.got.ID == id {
		return *tx.got, true, nil
	}
	d, err = scanDocument(tx.t.row(tx.ctx, `SELECT `+documentColumns+` FROM documents d WHERE d.id = ?`+tx.t.locking(), id))
	if errors.Is(err, sql.ErrNoRows) {
		return Document{}, false, nil
	}
	return d, err == nil, err
}

// putRow writes d's own row over that of old, which exists or not.
func (tx *Tx) putRow(d, old *Document, exists bool) error {
	var private any // NULL stays NULL, and text stays text: a []byte would become a BLOB
	if d.Private != nil {
		private = string(d.Private)
	}
	values := []any{d.Rev, d.Modified.UnixMicro(), encodeLinks(d.Keys, d.Index), string(d.Body), private}
	if exists && d.Deleted == old.Deleted && string(d.SortKey) == string(old.SortKey) && d.Created.Equal(old.Created) {
		// The usual edit stays where it is in the lists: their indexes need not be written.
		return tx.update(`UPDATE documents SET rev = ?, modified = ?, links = ?, body = ?, private = ? WHERE id = ? AND rev = ?`,
			append(values, d.ID, old.Rev))
	}
	deleted := 0
	if d.Deleted {
		deleted = 1
	}
	values = append(values, d.Created.UnixMicro(), deleted, notNil(d.SortKey), d.ID)
	if exists {
		return tx.update(`UPDATE documents SET rev = ?, modified = ?, links = ?, body = ?, private = ?, created = ?, `+
			`deleted = ?, sort_key = ? WHERE id = ? AND rev = ?`, append(values, old.Rev))
	}
	// Another transaction may have created it meanwhile.
	return tx.update(`INSERT INTO documents (rev, modified, links, body, private, created, deleted, sort_key, id, `+
		`account_id, type) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
		append(values, d.AccountID, d.Type))
}

// update writes exactly one row.
func (tx *Tx) update(query string, values []any) error {
	n, err := tx.t.exec(tx.ctx, query, values...)
	if err != nil {
		return err
	}
	return tx.first(n)
}

// moveKeys makes d hold its Keys instead of those held. The primary key of document_keys judges, not a look before.
func (tx *Tx) moveKeys(d *Document, held []Key) error {
	drop, add := differ(held, d.Keys)
	slices.SortFunc(drop, Key.compare) // two that want the same keys meet at the first of them
	slices.SortFunc(add, Key.compare)
	for _, k := range drop {
		if _, err := tx.t.exec(tx.ctx, `DELETE FROM document_keys WHERE space = ? AND scope = ? AND value = ?`,
			k.Space, k.Scope, k.Value); err != nil {
			return err
		}
	}
	for _, k := range add {
		n, err := tx.t.exec(tx.ctx, `INSERT INTO document_keys (space, scope, value, document_id) VALUES (?, ?, ?, ?) `+
			`ON CONFLICT (space, scope, value) DO NOTHING`, k.Space, k.Scope, k.Value, d.ID)
		if err != nil {
			return err
		}
		if n == 1 {
			continue
		}
		taken := &bugle.Error{Op: "store.Put", Kind: bugle.KindUnique, Field: k.Space,
			Message: k.Space + " " + k.Value + " is taken"}
		if err := tx.t.row(tx.ctx, `SELECT document_id FROM document_keys WHERE space = ? AND scope = ? AND value = ?`,
			k.Space, k.Scope, k.Value).Scan(&taken.Holder); err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		return taken
	}
	return nil
}

// moveIndex makes d be found by its Index instead of those under which old was indexed.
func (tx *Tx) moveIndex(d, old *Document, indexed []Index) error {
	drop, add := differ(indexed, d.Index)
	if string(old.SortKey) != string(d.SortKey) { // every entry has its place by the sort key
		drop = indexed
		_, add = differ(nil, d.Index) // without repetition
	}
	for _, x := range drop {
		if _, err := tx.t.exec(tx.ctx, `DELETE FROM document_index WHERE account_id = ? AND type = ? AND name = ? `+
			`AND value = ? AND sort_key = ? AND document_id = ?`, d.AccountID, d.Type, x.Name, x.Value,
			notNil(old.SortKey), d.ID); err != nil {
			return err
		}
	}
	for _, x := range add {
		if _, err := tx.t.exec(tx.ctx, `INSERT INTO document_index (account_id, type, name, value, sort_key, document_id) `+
			`VALUES (?, ?, ?, ?, ?, ?)`, d.AccountID, d.Type, x.Name, x.Value, notNil(d.SortKey), d.ID); err != nil {
			return err
		}
	}
	return nil
}

func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
