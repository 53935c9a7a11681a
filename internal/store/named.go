package store

import (
	"context"
	"strings"
)

// maxNamed is how many ids one query asks for.
const maxNamed = 128

// Named returns the living documents of an account that have one of the ids, whatever their types, in any order. Ids that
// name nothing are left out.
func (s *Store) Named(ctx context.Context, accountID string, ids []string) ([]Document, error) {
	var docs []Document
	for len(ids) > 0 {
		n := min(len(ids), maxNamed)
		part, err := namedPart(ctx, s.readable(), accountID, ids[:n])
		if err != nil {
			return nil, s.fail("store.Named", err)
		}
		docs, ids = append(docs, part...), ids[n:]
	}
	return docs, nil
}

// namedPart asks for the next power of two of ids, the last one repeated, so that there are few different statements.
func namedPart(ctx context.Context, r querier, accountID string, ids []string) ([]Document, error) {
	size := 1
	for size < len(ids) {
		size *= 2
	}
	args := make([]any, 0, size+1)
	args = append(args, accountID)
	for i := range size {
		args = append(args, ids[min(i, len(ids)-1)])
	}
	rows, err := r.rows(ctx, `SELECT `+documentColumns+` FROM documents d WHERE d.account_id = ? AND d.deleted = 0 AND d.id IN (?`+
		strings.Repeat(`, ?`, size-1)+`)`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var docs []Document
	for rows.Next() {
		d, err := scanDocument(rows)
		if err != nil {
			return nil, err
		}
		docs = append(docs, d)
	}
	return docs, rows.Err()
}
