package store

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The rows of the projector of company directories. This room keeps them and does not know what they mean.

// FactsRow is what is known of one document, beside the ids that it names.
type FactsRow struct {
	AccountID  string
	DocumentID string
	Type       string
	Facts      []byte // a JSON object
	Refs       []string
}

// ContactRow is one contact.
type ContactRow struct {
	AccountID string
	ID        string // of the document
	NumericID int64
	Type      string
	SiteID    string
	SortKey   []byte
	Search    string // text that ContactQuery.Search looks into
	Body      []byte // a JSON object
}

// DirectoryEventRow is one change of one contact.
type DirectoryEventRow struct {
	AccountID string
	Sequence  int64 // set by AppendDirectoryEvents
	Position  int64 // of the Change
	At        time.Time
	Kind      string
	ContactID string
	Body      []byte // the contact afterwards, a JSON object
	Changed   []string
	Previous  []byte // the contact before, a JSON object; nil for none
}

// inParts calls each with ids in parts: the next power of two of them, the last one repeated, so that there are few different
// statements.
func inParts(ids []string, each func(marks string, args []any) error) error {
	for len(ids) > 0 {
		part := ids[:min(len(ids), maxNamed)]
		ids = ids[len(part):]
		size := 1
		for size < len(part) {
			size *= 2
		}
		args := make([]any, size)
		for i := range args {
			args[i] = part[min(i, len(part)-1)]
		}
		if err := each(`(?`+strings.Repeat(`, ?`, size-1)+`)`, args); err != nil {
			return err
		}
	}
	return nil
}

func (tx *Tx) each(query string, args []any, scan func(*sql.Rows) error) error {
	return each(tx.ctx, tx.t, query, args, scan)
}

func each(ctx context.Context, q querier, query string, args []any, scan func(*sql.Rows) error) error {
	rows, err := q.rows(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Facts returns what is known of the documents of an account that are asked for, by id.
func (tx *Tx) Facts(accountID string, ids []string) (map[string]FactsRow, error) {
	out := make(map[string]FactsRow, len(ids))
	err := inParts(ids, func(marks string, args []any) error {
		return tx.each(`SELECT document_id, type, facts FROM contact_facts WHERE account_id = ? AND document_id IN `+marks,
			append([]any{accountID}, args...), func(rows *sql.Rows) error {
				f := FactsRow{AccountID: accountID}
				err := rows.Scan(&f.DocumentID, &f.Type, &f.Facts)
				out[f.DocumentID] = f
				return err
			})
	})
	return out, tx.fail("store.Facts", err)
}

// Referrers returns what is known of the documents that name any of ids, by the id that they name.
func (tx *Tx) Referrers(accountID string, ids []string) (map[string][]FactsRow, error) {
	out := map[string][]FactsRow{}
	err := inParts(ids, func(marks string, args []any) error {
		return tx.each(`SELECT r.ref, f.document_id, f.type, f.facts FROM contact_refs r JOIN contact_facts f `+
			`ON f.account_id = r.account_id AND f.document_id = r.document_id WHERE r.account_id = ? AND r.ref IN `+marks+
			` ORDER BY r.ref, r.document_id`,
			append([]any{accountID}, args...), func(rows *sql.Rows) error {
				var ref string
				f := FactsRow{AccountID: accountID}
				err := rows.Scan(&ref, &f.DocumentID, &f.Type, &f.Facts)
				out[ref] = append(out[ref], f)
				return err
			})
	})
	return out, tx.fail("store.Referrers", err)
}

// ReferrerIDs returns up to limit ids of documents that name an id, in order, those behind after.
func (tx *Tx) ReferrerIDs(accountID, ref, after string, limit int) (ids []string, err error) {
	err = tx.each(`SELECT document_id FROM contact_refs WHERE account_id = ? AND ref = ? AND document_id > ? ORDER BY document_id `+
		`LIMIT ? + 0`, []any{accountID, ref, after, limit}, scanText(&ids))
	return ids, tx.fail("store.ReferrerIDs", err)
}

func scanText(into *[]string) func(*sql.Rows) error {
	return func(rows *sql.Rows) error {
		var text string
		err := rows.Scan(&text)
		*into = append(*into, text)
		return err
	}
}

// PutFacts writes what is known of documents and what they name, in place of what was known.
func (tx *Tx) PutFacts(list ...FactsRow) error {
	var rows, refs [][]any
	for i := range list {
		f := &list[i]
		rows = append(rows, []any{f.AccountID, f.DocumentID, f.Type, string(f.Facts)})
		for _, ref := range f.Refs {
			refs = append(refs, []any{f.AccountID, clean(ref), f.DocumentID})
		}
	}
	err := inBatches(tx.ctx, tx.t, `INSERT INTO contact_facts (account_id, document_id, type, facts) VALUES `,
		` ON CONFLICT (account_id, document_id) DO UPDATE SET type = excluded.type, facts = excluded.facts`, rows)
	if err == nil {
		err = inBatches(tx.ctx, tx.t, `INSERT INTO contact_refs (account_id, ref, document_id) VALUES `,
			` ON CONFLICT (account_id, ref, document_id) DO NOTHING`, refs)
	}
	return tx.fail("store.PutFacts", err)
}

// RemoveRefs forgets that a document names some ids.
func (tx *Tx) RemoveRefs(accountID, documentID string, refs []string) error {
	for _, ref := range refs {
		if _, err := tx.t.exec(tx.ctx, `DELETE FROM contact_refs WHERE account_id = ? AND ref = ? AND document_id = ?`, accountID,
			clean(ref), documentID); err != nil {
			return tx.fail("store.RemoveRefs", err)
		}
	}
	return nil
}

// RemoveFacts forgets a document; the ids that it names are removed beside it.
func (tx *Tx) RemoveFacts(accountID, documentID string) error {
	_, err := tx.t.exec(tx.ctx, `DELETE FROM contact_facts WHERE account_id = ? AND document_id = ?`, accountID, documentID)
	return tx.fail("store.RemoveFacts", err)
}

// ForgetFacts forgets all documents.
func (tx *Tx) ForgetFacts() error {
	_, err := tx.t.exec(tx.ctx, `DELETE FROM contact_refs`)
	if err == nil {
		_, err = tx.t.exec(tx.ctx, `DELETE FROM contact_facts`)
	}
	return tx.fail("store.ForgetFacts", err)
}

// FactsPage returns what is known of up to limit documents of all accounts, behind a place.
func (tx *Tx) FactsPage(afterAccount, afterID string, limit int) (list []FactsRow, err error) {
	err = tx.each(`SELECT account_id, document_id, type, facts FROM contact_facts WHERE (account_id, document_id) > (?, ?) `+
		`ORDER BY account_id, document_id LIMIT ? + 0`, []any{afterAccount, afterID, limit}, func(rows *sql.Rows) error {
		var f FactsRow
		err := rows.Scan(&f.AccountID, &f.DocumentID, &f.Type, &f.Facts)
		list = append(list, f)
		return err
	})
	return list, tx.fail("store.FactsPage", err)
}

// ContactIDs returns the account and id of up to limit contacts of all accounts, behind a place.
func (tx *Tx) ContactIDs(afterAccount, afterID string, limit int) (list [][2]string, err error) {
	err = tx.each(`SELECT account_id, id FROM contacts WHERE (account_id, id) > (?, ?) ORDER BY account_id, id LIMIT ? + 0`,
		[]any{afterAccount, afterID, limit}, func(rows *sql.Rows) error {
			var at [2]string
			err := rows.Scan(&at[0], &at[1])
			list = append(list, at)
			return err
		})
	return list, tx.fail("store.ContactIDs", err)
}

const contactColumns = `account_id, id, numeric_id, type, site_id, sort_key, search, body`

func scanContact(row scanner) (c ContactRow, err error) {
	err = row.Scan(&c.AccountID, &c.ID, &c.NumericID, &c.Type, &c.SiteID, &c.SortKey, &c.Search, &c.Body)
	return c, err
}

// Contacts returns the contacts of an account that are asked for, by id.
func (tx *Tx) Contacts(accountID string, ids []string) (map[string]ContactRow, error) {
	out := make(map[string]ContactRow, len(ids))
	err := inParts(ids, func(marks string, args []any) error {
		return tx.each(`SELECT `+contactColumns+` FROM contacts WHERE account_id = ? AND id IN `+marks, append([]any{accountID}, args...),
			func(rows *sql.Rows) error {
				c, err := scanContact(rows)
				out[c.ID] = c
				return err
			})
	})
	return out, tx.fail("store.Contacts", err)
}

// PutContacts writes contacts over those of the same ids.
func (tx *Tx) PutContacts(list ...ContactRow) error {
	rows := make([][]any, len(list))
	for i := range list {
		c := &list[i]
		rows[i] = []any{c.AccountID, c.ID, c.NumericID, c.Type, c.SiteID, notNil(c.SortKey), clean(c.Search), string(c.Body)}
	}
	err := inBatches(tx.ctx, tx.t, `INSERT INTO contacts (`+contactColumns+`) VALUES `, ` ON CONFLICT (account_id, id) DO UPDATE SET `+
		`numeric_id = excluded.numeric_id, type = excluded.type, site_id = excluded.site_id, sort_key = excluded.sort_key, `+
		`search = excluded.search, body = excluded.body`, rows)
	return tx.fail("store.PutContacts", err)
}

// RemoveContact removes a contact; removing none is no error.
func (tx *Tx) RemoveContact(accountID, id string) error {
	_, err := tx.t.exec(tx.ctx, `DELETE FROM contacts WHERE account_id = ? AND id = ?`, accountID, id)
	return tx.fail("store.RemoveContact", err)
}

// AppendDirectoryEvents numbers events of one account and writes them; none are no error. altered says that contacts of the
// account were written in this transaction, which makes a new revision of its list.
func (tx *Tx) AppendDirectoryEvents(accountID string, altered bool, events []DirectoryEventRow) error {
	if !altered && len(events) == 0 {
		return nil
	}
	var last int64
	err := tx.t.row(tx.ctx, `INSERT INTO contact_accounts (account_id, sequence, swept, revision) VALUES (?, ?, 0, 1) `+
		`ON CONFLICT (account_id) DO UPDATE SET sequence = contact_accounts.sequence + excluded.sequence, `+
		`revision = contact_accounts.revision + 1 RETURNING sequence`, accountID, len(events)).Scan(&last)
	if err != nil {
		return tx.fail("store.AppendDirectoryEvents", err)
	}
	rows := make([][]any, len(events))
	for i := range events {
		e := &events[i]
		e.AccountID, e.Sequence = accountID, last-int64(len(events)-1-i)
		rows[i] = []any{accountID, e.Sequence, e.Position, micro(e.At), e.Kind, e.ContactID, string(e.Body), strings.Join(e.Changed, ","),
			string(e.Previous)}
	}
	tx.told = true
	return tx.fail("store.AppendDirectoryEvents", inBatches(tx.ctx, tx.t, `INSERT INTO directory_events (account_id, sequence, position, at, `+
		`kind, contact_id, body, changed, previous) VALUES `, ``, rows))
}

// smallestNumericID keeps ids apart from numbers that people count by; the largest is the largest that JavaScript keeps
// exactly.
const smallestNumericID, largestNumericID = 1_000_000_000, 1<<53 - 1

// NumericIDs returns the numeric ids of documents in the part that kind names ("account", "contact", "site", ...), by document
// id: those that they have, else new ones, which they keep for ever.
func (tx *Tx) NumericIDs(accountID, kind string, documentIDs []string) (map[string]int64, error) {
	out := make(map[string]int64, len(documentIDs))
	read := func(ids []string) error {
		return inParts(ids, func(marks string, args []any) error {
			return tx.each(`SELECT document_id, id FROM numeric_ids WHERE account_id = ? AND kind = ? AND document_id IN `+marks,
				append([]any{accountID, kind}, args...), func(rows *sql.Rows) error {
					var document string
					var id int64
					err := rows.Scan(&document, &id)
					out[document] = id
					return err
				})
		})
	}
	err := read(documentIDs)
	for attempt := 0; err == nil && len(out) < len(documentIDs) && attempt < writeAttempts; attempt++ {
		var missing []string
		var rows [][]any
		for _, id := range documentIDs {
			if _, known := out[id]; !known && !slices.Contains(missing, id) {
				missing = append(missing, id)
				// At random: whoever sees one learns nothing of how many there are, and no two transactions wait for a counter.
				rows = append(rows, []any{smallestNumericID + rand.Int64N(largestNumericID-smallestNumericID+1), kind, accountID, id})
			}
		}
		if len(missing) == 0 { // an id was asked for twice
			break
		}
		slices.SortFunc(rows, func(x, y []any) int { return strings.Compare(x[3].(string), y[3].(string)) })
		// Another transaction may give the same documents ids, or have given away a number: what is there counts.
		if err = inBatches(tx.ctx, tx.t, `INSERT INTO numeric_ids (id, kind, account_id, document_id) VALUES `, ` ON CONFLICT DO NOTHING`,
			rows); err == nil {
			err = read(missing)
		}
	}
	return out, tx.fail("store.NumericIDs", err)
}

// DocumentOf returns the document that has a numeric id of a kind; KindNotFound when none has.
func (s *Store) DocumentOf(ctx context.Context, kind string, numericID int64) (accountID, documentID string, err error) {
	err = s.readable().row(ctx, `SELECT account_id, document_id FROM numeric_ids WHERE id = ? AND kind = ?`, numericID, kind).Scan(&accountID,
		&documentID)
	if errors.Is(err, sql.ErrNoRows) {
		err = notFound("store.DocumentOf", kind)
	}
	return accountID, documentID, s.fail("store.DocumentOf", err)
}

// NumericID returns the numeric id of a document, and gives it one when it has none.
func (s *Store) NumericID(ctx context.Context, accountID, kind, documentID string) (id int64, err error) {
	err = s.readable().row(ctx, `SELECT id FROM numeric_ids WHERE account_id = ? AND kind = ? AND document_id = ?`, accountID, kind,
		documentID).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		err = s.Write(ctx, func(tx *Tx) error {
			ids, err := tx.NumericIDs(accountID, kind, []string{documentID})
			id = ids[documentID]
			return err
		})
	}
	return id, s.fail("store.NumericID", err)
}

// ContactQuery selects contacts of one account.
type ContactQuery struct {
	AccountID string
	Types     []string
	SiteID    *string  // "" is the main site
	Search    []string // any of these is part of Search; none: all
	After     []byte   // what the page before returned as next
	Skip      int
	Limit     int // of the page, 1 and more
}

func (q *ContactQuery) where() (string, []any) {
	query, args := ` FROM contacts c WHERE c.account_id = ?`, []any{q.AccountID}
	if len(q.Types) > 0 {
		query += ` AND c.type IN ` + tuples(1, len(q.Types))
		for _, t := range q.Types {
			args = append(args, t)
		}
	}
	if q.SiteID != nil {
		query, args = query+` AND c.site_id = ?`, append(args, *q.SiteID)
	}
	if len(q.Search) > 0 {
		query += ` AND (c.search LIKE ? ESCAPE '!'` + strings.Repeat(` OR c.search LIKE ? ESCAPE '!'`, len(q.Search)-1) + `)`
		for _, text := range q.Search {
			args = append(args, "%"+strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(text)+"%")
		}
	}
	return query, args
}

// ListContacts returns a page of contacts in their order, and where the next begins.
func (s *Store) ListContacts(ctx context.Context, q ContactQuery) (list []ContactRow, next []byte, err error) {
	if !texts(append(append([]string{q.AccountID}, q.Types...), q.Search...)...) || q.SiteID != nil && !text(*q.SiteID) {
		return nil, nil, nil
	}
	query, args := q.where()
	if q.After != nil {
		key, id, err := decodeCursor(q.After)
		if err != nil {
			return nil, nil, err
		}
		query, args = query+` AND (c.sort_key, c.id) > (?, ?)`, append(args, key, id)
	}
	err = each(ctx, s.readable(), `SELECT `+contactColumns+query+` ORDER BY c.sort_key, c.id LIMIT ? + 0 OFFSET ? + 0`,
		append(args, q.Limit+1, q.Skip), func(rows *sql.Rows) error {
			c, err := scanContact(rows)
			list = append(list, c)
			return err
		})
	if err == nil && len(list) > q.Limit {
		list = list[:q.Limit]
		last := &list[q.Limit-1]
		next = encodeCursor(last.SortKey, last.ID)
	}
	return list, next, s.fail("store.ListContacts", err)
}

// CountContacts returns how many contacts a query finds in all its pages.
func (s *Store) CountContacts(ctx context.Context, q ContactQuery) (n int, err error) {
	query, args := q.where()
	err = s.readable().row(ctx, `SELECT count(*)`+query, args...).Scan(&n)
	return n, s.fail("store.CountContacts", err)
}

// GetContact returns a contact by the document's id or, when that is a number, by its numeric one; else KindNotFound.
func (s *Store) GetContact(ctx context.Context, accountID, id string) (ContactRow, error) {
	if !texts(accountID, id) {
		return ContactRow{}, notFound("store.GetContact", "contact")
	}
	query, arg := `SELECT `+contactColumns+` FROM contacts WHERE account_id = ? AND id = ?`, any(id)
	if n, err := strconv.ParseInt(id, 10, 64); err == nil && len(id) <= 16 {
		query, arg = `SELECT `+contactColumns+` FROM contacts WHERE account_id = ? AND numeric_id = ?`, n
	}
	c, err := scanContact(s.readable().row(ctx, query, accountID, arg))
	if errors.Is(err, sql.ErrNoRows) {
		err = notFound("store.GetContact", "contact")
	}
	return c, s.fail("store.GetContact", err)
}

// DirectoryState is where an account's events and list are: the last event, the last one that retention removed, and a number
// that grows when any contact is written.
func (s *Store) DirectoryState(ctx context.Context, accountID string) (last, swept, revision int64, err error) {
	if !text(accountID) {
		return 0, 0, 0, nil
	}
	err = s.readable().row(ctx, `SELECT sequence, swept, revision FROM contact_accounts WHERE account_id = ?`, accountID).Scan(&last, &swept,
		&revision)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return last, swept, revision, s.fail("store.DirectoryState", err)
}

// DirectoryEvents returns up to limit events of an account after one, in order. ErrSwept (KindNotFound) says that retention
// removed some of them, or that there never was one of that number.
func (s *Store) DirectoryEvents(ctx context.Context, accountID string, after int64, limit int) (list []DirectoryEventRow, err error) {
	if !text(accountID) {
		return nil, nil
	}
	last, _, _, err := s.DirectoryState(ctx, accountID)
	if err != nil {
		return nil, err
	}
	if after < 0 || after > last {
		return nil, sweptError("store.DirectoryEvents")
	}
	err = each(ctx, s.readable(), `SELECT account_id, sequence, position, at, kind, contact_id, body, changed, previous FROM directory_events `+
		`WHERE account_id = ? AND sequence > ? ORDER BY sequence LIMIT ? + 0`, []any{accountID, after, limit}, func(rows *sql.Rows) error {
		var e DirectoryEventRow
		var at int64
		var changed string
		err := rows.Scan(&e.AccountID, &e.Sequence, &e.Position, &at, &e.Kind, &e.ContactID, &e.Body, &changed, &e.Previous)
		if e.At = timeOf(at); changed != "" {
			e.Changed = strings.Split(changed, ",")
		}
		list = append(list, e)
		return err
	})
	if err != nil {
		return nil, s.fail("store.DirectoryEvents", err)
	}
	if len(list) == 0 && last > after || len(list) > 0 && list[0].Sequence != after+1 {
		return nil, sweptError("store.DirectoryEvents")
	}
	return list, nil
}
