package event

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"

	"bugle"
	"bugle/internal/contact"
	"bugle/internal/store"
)

// Kinds of numeric ids. What else gets one (an app, ...) names a kind of its own.
const (
	KindAccount = "account"
	KindContact = "contact" // also the extension that the contact is
	KindSite    = "site"
)

// Contacts reads company directories and the log of their changes: everything that a RingCentral API, a subscription or an
// export needs of them. It holds nothing but the store, reads what is committed, and is safe for concurrent use. Edges do not
// import this package: they declare the methods that they need as an interface, in the types of package contact, and are
// given one of these.
type Contacts struct {
	store *store.Store
	ready atomic.Bool
}

// NewContacts returns a reader of the store's directories, which a Projector of any process keeps.
func NewContacts(s *store.Store) *Contacts { return &Contacts{store: s} }

// prepared fails with KindUnavailable until the directories were loaded for the first time.
func (r *Contacts) prepared(ctx context.Context) error {
	if r.ready.Load() {
		return nil
	}
	err := r.store.DirectoryReady(ctx)
	r.ready.Store(err == nil)
	return err
}

// List returns a page of an account's contacts, ordered by name. An account that is not known has none. Errors: KindInvalid
// for a malformed After, KindUnavailable.
func (r *Contacts) List(ctx context.Context, q contact.Query) (contact.Page, error) {
	var page contact.Page
	if err := r.prepared(ctx); err != nil {
		return page, err
	}
	// Before the rows: events after the cursor may be in the list already, and say the same again; none is missing.
	var err error
	if page.Cursor, _, page.Revision, err = r.store.DirectoryState(ctx, q.AccountID); err != nil {
		return page, err
	}
	if q.Limit <= 0 || q.Limit > contact.MaxPage {
		q.Limit = contact.MaxPage
	}
	query := store.ContactQuery{AccountID: q.AccountID, After: q.After, Skip: max(q.Skip, 0), Limit: q.Limit}
	for _, t := range q.Types {
		query.Types = append(query.Types, string(t))
	}
	if q.SiteID != "" {
		site, found, err := r.site(ctx, q.AccountID, q.SiteID)
		if err != nil || !found {
			return page, err
		}
		query.SiteID = &site
	}
	if q.Search != "" {
		err := r.search(ctx, q, query, &page)
		return page, err
	}
	rows, next, err := r.store.ListContacts(ctx, query)
	if err != nil {
		return page, err
	}
	page.Next = next
	if page.Contacts, err = decode(rows); err != nil {
		return page, err
	}
	if q.After == nil && q.Skip <= 0 && next == nil {
		page.Total = len(rows)
		return page, nil
	}
	page.Total, err = r.store.CountContacts(ctx, query)
	return page, err
}

// search walks what the database finds likely and keeps what matches.
func (r *Contacts) search(ctx context.Context, q contact.Query, query store.ContactQuery, page *contact.Page) error {
	if text := contact.Fold(q.Search); text != "" {
		query.Search = append(query.Search, text)
	}
	if number := contact.Digits(q.Search); number != "" {
		query.Search = append(query.Search, number)
	}
	if len(query.Search) == 0 { // marks and nothing under them
		return nil
	}
	// The total counts from the beginning, whatever the page.
	after := q.After
	query.After, query.Skip, query.Limit = nil, 0, contact.MaxPage
	behind := 0
	for {
		rows, next, err := r.store.ListContacts(ctx, query)
		if err != nil {
			return err
		}
		list, err := decode(rows)
		if err != nil {
			return err
		}
		for i := range list {
			if !list[i].Matches(q.Search, q.Fields) {
				continue
			}
			page.Total++
			if after != nil {
				beyond, err := (&store.Document{SortKey: rows[i].SortKey, ID: rows[i].ID}).Beyond(after, false)
				if err != nil {
					return err
				}
				if !beyond {
					continue
				}
			}
			switch behind++; {
			case behind <= q.Skip:
			case len(page.Contacts) < q.Limit:
				page.Contacts = append(page.Contacts, list[i])
				last := store.Document{SortKey: rows[i].SortKey, ID: rows[i].ID}
				page.Next = last.Place()
			}
		}
		if next == nil {
			break
		}
		query.After = next
	}
	if behind <= max(q.Skip, 0)+q.Limit { // this page has the last of them
		page.Next = nil
	}
	return nil
}

func decode(rows []store.ContactRow) ([]contact.Contact, error) {
	list := make([]contact.Contact, len(rows))
	for i := range rows {
		var err error
		if list[i], err = contact.Decode(rows[i].Body); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// site is the document id of a site that is named by it, by its numeric id or as the main one, which is "".
func (r *Contacts) site(ctx context.Context, accountID, id string) (site string, found bool, err error) {
	if id == contact.MainSite {
		return "", true, nil
	}
	if bugle.ValidID(id) {
		return id, true, nil
	}
	owner, site, err := r.Document(ctx, KindSite, id)
	if bugle.KindOf(err) == bugle.KindNotFound {
		return "", false, nil
	}
	return site, err == nil && owner == accountID, err
}

// Get returns a contact by its document's id or its numeric id; KindNotFound when the account has none of it.
func (r *Contacts) Get(ctx context.Context, accountID, id string) (contact.Contact, error) {
	if err := r.prepared(ctx); err != nil {
		return contact.Contact{}, err
	}
	row, err := r.store.GetContact(ctx, accountID, id)
	if err != nil {
		return contact.Contact{}, err
	}
	return contact.Decode(row.Body)
}

// State returns the cursor of the account's last event (0 for none yet) and the revision of its list.
func (r *Contacts) State(ctx context.Context, accountID string) (cursor, revision int64, err error) {
	if err := r.prepared(ctx); err != nil {
		return 0, 0, err
	}
	cursor, _, revision, err = r.store.DirectoryState(ctx, accountID)
	return cursor, revision, err
}

// Events returns up to limit events (0: 100) of an account after a cursor, in order; none when there are none yet. An event
// that appears later never has a cursor before one that was returned. contact.ErrGone (KindNotFound) says that retention has
// removed some of them, or that no event of that cursor was ever told: whoever asks must read the list again.
func (r *Contacts) Events(ctx context.Context, accountID string, after int64, limit int) ([]contact.Event, error) {
	if err := r.prepared(ctx); err != nil {
		return nil, err
	}
	if limit <= 0 {
		limit = 100
	}
	rows, err := r.store.DirectoryEvents(ctx, accountID, after, limit)
	if errors.Is(err, store.ErrSwept) {
		return nil, &bugle.Error{Op: "event.Events", Kind: bugle.KindNotFound, Message: contact.ErrGone.Error(), Err: contact.ErrGone}
	}
	if err != nil {
		return nil, err
	}
	events := make([]contact.Event, len(rows))
	for i := range rows {
		row, e := &rows[i], &events[i]
		*e = contact.Event{AccountID: accountID, Cursor: row.Sequence, Position: row.Position, At: row.At, Kind: contact.Kind(row.Kind),
			Changed: row.Changed}
		if e.Contact, err = contact.Decode(row.Body); err != nil {
			return nil, err
		}
		if len(row.Previous) > 0 && e.Kind == contact.Update {
			previous, err := contact.Decode(row.Previous)
			if err != nil {
				return nil, err
			}
			e.Previous = &previous
		}
	}
	return events, nil
}

// Subscribe returns a channel that receives after events were written by any process, and sometimes when there are none: it
// says that asking Events is worth while. Nudges melt into one, and one may be missing, so a reader also asks now and then
// (every second) by itself. stop ends the subscription.
func (r *Contacts) Subscribe() (nudge <-chan struct{}, stop func()) {
	return r.store.SubscribeDirectories()
}

// Numeric returns the numeric id of a document of a kind, which is given one when it has none, and keeps it for ever.
func (r *Contacts) Numeric(ctx context.Context, accountID, kind, documentID string) (string, error) {
	n, err := r.store.NumericID(ctx, accountID, kind, documentID)
	return strconv.FormatInt(n, 10), err
}

// Document returns the account and the document of a numeric id, whether the document still exists or not; KindNotFound when
// the number was never given. An account is its own document.
func (r *Contacts) Document(ctx context.Context, kind, numericID string) (accountID, documentID string, err error) {
	n, err := strconv.ParseInt(numericID, 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != numericID {
		return "", "", &bugle.Error{Op: "event.Document", Kind: bugle.KindNotFound, Message: "no such " + kind}
	}
	return r.store.DocumentOf(ctx, kind, n)
}
