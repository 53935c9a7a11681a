package store

import (
	"context"
	"database/sql"
)

// maxNamed is how many ids one query asks for.
const maxNamed = 128

// Named returns the living documents of an account that have one of the ids, whatever their types, in any order. Ids that
// name nothing are left out.
func (s *Store) Named(ctx context.Context, accountID string, ids []string) (docs []Document, err error) {
	r := s.readable()
	err = inParts(ids, func(marks string, args []any) error {
		return each(ctx, r, `SELECT `+documentColumns+` FROM documents d WHERE d.account_id = ? AND d.deleted = 0 AND d.id IN `+marks,
			append([]any{accountID}, args...), func(rows *sql.Rows) error {
				d, err := scanDocument(rows)
				docs = append(docs, d)
				return err
			})
	})
	return docs, s.fail("store.Named", err)
}
