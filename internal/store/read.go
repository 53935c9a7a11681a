package store

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"bugle"
)

const documentColumns = `d.account_id, d.type, d.id, d.rev, d.created, d.modified, d.deleted, d.sort_key, d.links, ` +
	`d.body, d.private`

// Get returns a living document, else KindNotFound.
func (s *Store) Get(ctx context.Context, accountID, typ, id string) (Document, error) {
	d, err := get(ctx, s.readable(), accountID, typ, id, false)
	return d, s.fail("store.Get", err)
}

// Find is Get of a document whose account is not known.
func (s *Store) Find(ctx context.Context, typ, id string) (Document, error) {
	if !texts(typ, id) {
		return Document{}, notFound("store.Find", typ)
	}
	d, err := scanDocument(s.readable().row(ctx, `SELECT `+documentColumns+` FROM documents d WHERE d.id = ? AND d.type = ? AND d.deleted = 0`, id, typ))
	if errors.Is(err, sql.ErrNoRows) {
		return Document{}, notFound("store.Find", typ)
	}
	return d, s.fail("store.Find", err)
}

// GetAny returns a document even when it is soft-deleted.
func (s *Store) GetAny(ctx context.Context, accountID, typ, id string) (Document, error) {
	d, err := get(ctx, s.readable(), accountID, typ, id, true)
	return d, s.fail("store.GetAny", err)
}

// GetByKey returns the document that holds a unique key, else KindNotFound.
func (s *Store) GetByKey(ctx context.Context, key Key) (Document, error) {
	d, err := getByKey(ctx, s.readable(), key)
	return d, s.fail("store.GetByKey", err)
}

// List returns one page of documents and where the next begins: nil after the last one. Pages neither repeat nor skip a
// document that is there, in the same place, from the first page to the last. A malformed After is KindInvalid.
func (s *Store) List(ctx context.Context, q Query) (docs []Document, next []byte, err error) {
	docs, next, err = list(ctx, s.readable(), q)
	return docs, next, s.fail("store.List", err)
}

// Count returns how many documents q selects; After, Limit and Descending do not matter.
func (s *Store) Count(ctx context.Context, q Query) (int, error) {
	n, err := count(ctx, s.readable(), q)
	return n, s.fail("store.Count", err)
}

// KeyBegins reports whether any document holds a key of a space and scope that begins with prefix and is longer.
func (s *Store) KeyBegins(ctx context.Context, space, scope, prefix string) (bool, error) {
	if !texts(space, scope, prefix) {
		return false, nil
	}
	// U+10FFFF sorts behind everything that may follow.
	var n int
	err := s.readable().row(ctx, `SELECT count(*) FROM (SELECT 1 FROM document_keys WHERE space = ? AND scope = ? `+
		`AND value > ? AND value < ? LIMIT 1) AS first`, space, scope, prefix, prefix+"\U0010FFFF").Scan(&n)
	return n > 0, s.fail("store.KeyBegins", err)
}

// readable is the read pool, or what fails when the database is gone from its place: SQLite would go on reading, and
// writing, a file that was removed.
func (s *Store) readable() querier {
	if err := s.engine.present(); err != nil {
		return absent{err}
	}
	return s.read
}

type absent struct{ err error }

func (a absent) locking() string                                         { return "" }
func (a absent) row(context.Context, string, ...any) scanner             { return failedRow(a) }
func (a absent) rows(context.Context, string, ...any) (*sql.Rows, error) { return nil, a.err }

func get(ctx context.Context, r querier, accountID, typ, id string, deleted bool) (Document, error) {
	if !texts(accountID, typ, id) {
		return Document{}, notFound("store.Get", "document")
	}
	var d Document
	query := `SELECT ` + documentColumns + ` FROM documents d WHERE d.id = ? AND d.account_id = ? AND d.type = ?` + r.locking()
	proven, err := under(ctx, r, allColumns, query, []any{id, accountID, typ}, func(found Document) { d = found })
	switch {
	case !proven:
		d, err = scanDocument(r.row(ctx, query, id, accountID, typ))
	case err == nil && d.ID == "":
		err = sql.ErrNoRows
	}
	if errors.Is(err, sql.ErrNoRows) || err == nil && d.Deleted && !deleted {
		return Document{}, notFound("store.Get", typ)
	}
	return d, err
}

func getByKey(ctx context.Context, r querier, key Key) (Document, error) {
	if !texts(key.Space, key.Scope, key.Value) {
		return Document{}, notFound("store.GetByKey", "document")
	}
	d, err := scanDocument(r.row(ctx, `SELECT `+documentColumns+` FROM document_keys k JOIN documents d ON d.id = k.document_id`+
		` WHERE k.space = ? AND k.scope = ? AND k.value = ?`+r.locking(), key.Space, key.Scope, key.Value))
	if errors.Is(err, sql.ErrNoRows) {
		return Document{}, notFound("store.GetByKey", key.Space)
	}
	return d, err
}

func scanDocument(row scanner) (Document, error) {
	var d Document
	var created, modified, deleted int64
	var links []byte
	if err := row.Scan(&d.AccountID, &d.Type, &d.ID, &d.Rev, &created, &modified, &deleted, &d.SortKey, &links,
		(*[]byte)(&d.Body), (*[]byte)(&d.Private)); err != nil {
		return Document{}, err
	}
	d.Created, d.Modified, d.Deleted = fromMicro(created), fromMicro(modified), deleted != 0
	var err error
	d.Keys, d.Index, err = decodeLinks(links)
	return d, err
}

// columns are what a query reads of documents, and what the rows of its premises have in their place.
type columns struct {
	names, premises string
	scan            func(scanner) (Document, error)
}

var (
	allColumns   = columns{documentColumns, premiseQuery, scanDocument}
	plainColumns = columns{`d.id, d.rev, d.created, d.modified, d.sort_key, d.body`, plainPremises, scanPlain}
)

// scanPlain reads what a plain list has of a document beside what the list is of.
func scanPlain(row scanner) (Document, error) {
	var d Document
	var created, modified int64
	err := row.Scan(&d.ID, &d.Rev, &created, &modified, &d.SortKey, (*[]byte)(&d.Body))
	d.Created, d.Modified = fromMicro(created), fromMicro(modified)
	return d, err
}

func fromMicro(us int64) time.Time { return time.UnixMicro(us).UTC() }

// from is the part of a list's SQL that says which documents.
func (q Query) from() (sql string, args []any, order string, err error) {
	var b strings.Builder
	if q.Index == nil {
		b.WriteString(` FROM documents d WHERE d.type = ? AND d.deleted = ?`)
		deleted := 0
		if q.Deleted {
			deleted = 1
		}
		args, order = append(args, q.Type, deleted), "d.sort_key, d.id"
		if q.AccountID != "" {
			b.WriteString(` AND d.account_id = ?`)
			args = append(args, q.AccountID)
		}
		args, err = q.narrow(&b, args)
		return b.String(), args, order, err
	}
	if q.Deleted {
		return "", nil, "", &bugle.Error{Op: "store.List", Kind: bugle.KindInvalid,
			Message: "deleted documents are in no index"}
	}
	b.WriteString(` FROM document_index x JOIN documents d ON d.id = x.document_id` +
		` WHERE x.type = ? AND x.name = ? AND x.value = ?`)
	args, order = append(args, q.Type, q.Index.Name, q.Index.Value), "x.sort_key, x.document_id"
	if q.AccountID != "" {
		b.WriteString(` AND x.account_id = ?`)
		args = append(args, q.AccountID)
	}
	args, err = q.narrow(&b, args)
	return b.String(), args, order, err
}

// narrow adds the conditions that no index answers.
func (q Query) narrow(b *strings.Builder, args []any) ([]any, error) {
	if len(q.Contains) > maxContains {
		return nil, &bugle.Error{Op: "store.List", Kind: bugle.KindInvalid, Message: "too many texts to look for"}
	}
	for _, text := range q.Contains {
		b.WriteString(` AND d.body LIKE ? ESCAPE '!'`)
		args = append(args, "%"+likeEscapes.Replace(text)+"%")
	}
	if t := q.Times; t != nil {
		b.WriteString(` AND d.created BETWEEN ? AND ? AND d.modified BETWEEN ? AND ?`)
		args = append(args, t.CreatedFrom.UnixMicro(), t.CreatedTo.UnixMicro(), t.ModifiedFrom.UnixMicro(), t.ModifiedTo.UnixMicro())
	}
	return args, nil
}

var likeEscapes = strings.NewReplacer("!", "!!", "%", "!%", "_", "!_")

// findable is false for what no document can have.
func (q Query) findable() bool {
	return texts(q.AccountID, q.Type) && texts(q.Contains...) && (q.Index == nil || texts(q.Index.Name, q.Index.Value))
}

func list(ctx context.Context, r querier, q Query) ([]Document, []byte, error) {
	from, args, order, err := q.from()
	if err != nil {
		return nil, nil, err
	}
	above, direction := " > ", ""
	if q.Descending {
		above, direction = " < ", " DESC"
	}
	if q.After != nil {
		sortKey, id, err := decodeCursor(q.After)
		if err != nil {
			return nil, nil, err
		}
		from += ` AND (` + order + `)` + above + `(?, ?)`
		args = append(args, sortKey, id)
	}
	if !q.findable() {
		return []Document{}, nil, nil
	}
	limit := q.limit()
	has := allColumns
	if q.Plain {
		has = plainColumns
	}
	query := `SELECT ` + has.names + from + ` ORDER BY ` + strings.ReplaceAll(order, ",", direction+",") + direction +
		` LIMIT ? + 0` + r.locking()
	args = append(args, limit+1)
	docs := make([]Document, 0, min(limit+1, 64))
	proven, err := under(ctx, r, has, query, args, func(d Document) { docs = append(docs, d) })
	if proven {
		inOrder(docs, q.Descending)
	} else {
		docs, err = scanDocuments(ctx, r, has, docs, query, args)
	}
	if err != nil {
		return nil, nil, err
	}
	if q.Plain {
		for i := range docs {
			docs[i].AccountID, docs[i].Type, docs[i].Deleted = q.AccountID, q.Type, q.Deleted
		}
	}
	if len(docs) <= limit {
		return docs, nil, nil
	}
	docs = docs[:limit]
	return docs, docs[limit-1].Place(), nil
}

func scanDocuments(ctx context.Context, r querier, has columns, docs []Document, query string, args []any) ([]Document, error) {
	rows, err := r.rows(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		d, err := has.scan(rows)
		if err != nil {
			return nil, err
		}
		docs = append(docs, d)
	}
	return docs, rows.Err()
}

func count(ctx context.Context, r querier, q Query) (n int, err error) {
	from, args, _, err := q.from()
	if err != nil {
		return 0, err
	}
	if !q.findable() {
		return 0, nil
	}
	err = r.row(ctx, `SELECT count(*)`+from, args...).Scan(&n)
	return n, err
}

// Place is the After of a page that begins behind d, in a list that d is in.
func (d *Document) Place() []byte { return encodeCursor(d.SortKey, d.ID) }

// A cursor is the place (sort key, id) after which the next page begins, in letters that may stand in a URL. Its form is
// versioned: a client may hold one over an upgrade.
const cursorVersion = 1

func encodeCursor(sortKey []byte, id string) []byte {
	b := append([]byte{cursorVersion}, binary.AppendUvarint(nil, uint64(len(sortKey)))...)
	b = append(append(b, sortKey...), id...)
	return base64.RawURLEncoding.AppendEncode(nil, b)
}

func decodeCursor(cursor []byte) (sortKey []byte, id string, err error) {
	bad := &bugle.Error{Op: "store.List", Kind: bugle.KindInvalid, Field: "start_key",
		Message: "not a key that a page before this one gave"}
	b, err := base64.RawURLEncoding.DecodeString(string(cursor))
	if err != nil || len(b) < 2 || b[0] != cursorVersion {
		return nil, "", bad
	}
	n, size := binary.Uvarint(b[1:])
	if size <= 0 || n > uint64(len(b)-1-size) {
		return nil, "", bad
	}
	b = b[1+size:]
	if id = string(b[n:]); !text(id) {
		return nil, "", bad
	}
	return b[:n:n], id, nil
}
