package event

import (
	"bytes"
	"slices"
	"strconv"
	"time"

	"bugle/internal/contact"
	"bugle/internal/store"
)

// occasion is why contacts are composed anew.
type occasion struct {
	position int64
	at       time.Time
	silent   bool // nobody is told
}

const recomputeChunk = 128 // contacts whose facts are read together

// recompute composes the contacts of documents from what is known now, and writes those that are others than before with the
// events that tell so. An id may name no contact, and may come twice.
func (p *Projector) recompute(tx *store.Tx, accountID string, ids []string, why occasion) error {
	ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return id == "" })
	slices.Sort(ids)
	for part := range slices.Chunk(slices.Compact(ids), recomputeChunk) {
		if err := p.recomputePart(tx, accountID, part, why); err != nil {
			return err
		}
	}
	return nil
}

func (p *Projector) recomputePart(tx *store.Tx, accountID string, ids []string, why occasion) error {
	before, err := tx.Contacts(accountID, ids)
	if err != nil {
		return err
	}
	after, err := compose(tx, accountID, ids, before)
	if err != nil {
		return err
	}
	var rows []store.ContactRow
	var events []store.DirectoryEventRow
	altered := false
	for _, id := range ids {
		old, was := before[id]
		now, is := after[id]
		e := store.DirectoryEventRow{Position: why.position, At: why.at, ContactID: id}
		switch {
		case was && !is:
			e.Kind, e.Body, e.Previous, altered = string(contact.Delete), old.Body, old.Body, true
			if err := tx.RemoveContact(accountID, id); err != nil {
				return err
			}
		case is && !was:
			e.Kind, e.Body = string(contact.Create), now.Encode()
			rows = append(rows, p.row(&now, e.Body))
		case is:
			body := now.Encode()
			if bytes.Equal(body, old.Body) {
				continue
			}
			rows = append(rows, p.row(&now, body))
			then, err := contact.Decode(old.Body)
			if err != nil {
				return err
			}
			if e.Changed = contact.Changed(&then, &now); len(e.Changed) == 0 {
				continue
			}
			e.Kind, e.Body, e.Previous = string(contact.Update), body, old.Body
		default:
			continue
		}
		events = append(events, e)
	}
	if why.silent {
		events = nil
	}
	if err := tx.PutContacts(rows...); err != nil {
		return err
	}
	return tx.AppendDirectoryEvents(accountID, altered || len(rows) > 0, events)
}

func (p *Projector) row(c *contact.Contact, body []byte) store.ContactRow {
	number, _ := strconv.ParseInt(c.NumericID, 10, 64)
	return store.ContactRow{AccountID: c.AccountID, ID: c.ID, NumericID: number, Type: string(c.Type), SiteID: c.Site.ID,
		SortKey: p.sorter.Key(c), Search: c.SearchText(), Body: body}
}

// around is what is known beside the documents that contacts are composed of.
type around struct {
	own, flows, sites map[string]*contact.Facts // by id
	leading           map[string][]*contact.Facts
	reserved          map[string]bool
}

// compose makes the contacts of documents; those that have none are missing.
func compose(tx *store.Tx, accountID string, ids []string, before map[string]store.ContactRow) (map[string]contact.Contact, error) {
	a, err := know(tx, accountID, ids)
	if err != nil {
		return nil, err
	}
	out := map[string]contact.Contact{}
	var fresh, sites []string
	for _, id := range ids {
		own := a.own[id]
		if !own.Bears() {
			continue
		}
		from := contact.Around{AccountID: accountID, Site: a.sites[own.Site], Reserved: a.reserved}
		for _, flow := range a.leading[id] {
			from.Callflows = append(from.Callflows, *flow)
		}
		for _, callflow := range own.Callflows {
			if flow := a.flows[callflow]; flow != nil && flow.Type == "callflow" && flow.Target == "" && flow.Slot == "" {
				from.Callflows = append(from.Callflows, *flow)
			}
		}
		c, ok := contact.Compose(id, own, from)
		if !ok {
			continue
		}
		if row, known := before[id]; known {
			c.NumericID = strconv.FormatInt(row.NumericID, 10)
		} else {
			fresh = append(fresh, id)
		}
		if c.Site.ID != "" {
			sites = append(sites, c.Site.ID)
		}
		out[id] = c
	}
	return out, number(tx, accountID, out, fresh, sites)
}

// number fills in numeric ids: those of contacts that have none yet, of sites and of the account.
func number(tx *store.Tx, accountID string, contacts map[string]contact.Contact, fresh, sites []string) error {
	if len(contacts) == 0 {
		return nil
	}
	given, err := tx.NumericIDs(accountID, KindContact, fresh)
	if err != nil {
		return err
	}
	slices.Sort(sites)
	places, err := tx.NumericIDs(accountID, KindSite, slices.Compact(sites))
	if err != nil {
		return err
	}
	accounts, err := tx.NumericIDs(accountID, KindAccount, []string{accountID})
	if err != nil {
		return err
	}
	for id, c := range contacts {
		if n, ok := given[id]; ok {
			c.NumericID = strconv.FormatInt(n, 10)
		}
		if c.Site.ID != "" {
			c.Site.NumericID = strconv.FormatInt(places[c.Site.ID], 10)
		}
		c.AccountNumericID = strconv.FormatInt(accounts[accountID], 10)
		contacts[id] = c
	}
	return nil
}

// know reads what contacts of the documents are composed of.
func know(tx *store.Tx, accountID string, ids []string) (a around, err error) {
	a.leading, a.reserved = map[string][]*contact.Facts{}, map[string]bool{}
	if a.own, err = facts(tx, accountID, ids); err != nil {
		return a, err
	}
	var led, members, sites, boxes []string
	for id, own := range a.own {
		if own.Bears() && own.Type != "callflow" {
			led = append(led, id)
		}
		members = append(members, own.Callflows...)
		if own.Site != "" {
			sites = append(sites, own.Site)
		}
	}
	leaders, err := tx.Referrers(accountID, led)
	if err != nil {
		return a, err
	}
	ownerOf := map[string]string{}
	for id, rows := range leaders {
		for _, row := range rows {
			f, err := factsOf(row)
			if err != nil {
				return a, err
			}
			switch {
			case f.Type == "callflow" && f.Target == id:
				a.leading[id] = append(a.leading[id], f)
			case f.Type == "faxbox" && f.Owner == id:
				boxes, ownerOf[row.DocumentID] = append(boxes, row.DocumentID), id
			}
		}
	}
	lines, err := tx.Referrers(accountID, boxes)
	if err != nil {
		return a, err
	}
	for box, rows := range lines {
		for _, row := range rows {
			f, err := factsOf(row)
			if err != nil {
				return a, err
			}
			if f.Type == "callflow" && f.Target == box {
				f.Fax = true
				a.leading[ownerOf[box]] = append(a.leading[ownerOf[box]], f)
			}
		}
	}
	if a.flows, err = facts(tx, accountID, distinct(members)); err != nil {
		return a, err
	}
	if a.sites, err = facts(tx, accountID, distinct(sites)); err != nil {
		return a, err
	}
	for id, f := range a.sites {
		if f.Type != "site" {
			delete(a.sites, id)
		}
	}
	return a, a.reserve(tx, accountID)
}

// reserve notes which of the numbers are not in service yet.
func (a *around) reserve(tx *store.Tx, accountID string) error {
	var numbers []string
	for _, flows := range a.leading {
		for _, f := range flows {
			numbers = append(numbers, f.Direct...)
		}
	}
	for _, known := range [...]map[string]*contact.Facts{a.own, a.flows} {
		for _, f := range known {
			numbers = append(numbers, f.Direct...)
		}
	}
	found, err := facts(tx, accountID, distinct(numbers))
	for number, f := range found {
		a.reserved[number] = f.Reserved
	}
	return err
}

func facts(tx *store.Tx, accountID string, ids []string) (map[string]*contact.Facts, error) {
	rows, err := tx.Facts(accountID, ids)
	if err != nil {
		return nil, err
	}
	out := make(map[string]*contact.Facts, len(rows))
	for id, row := range rows {
		if out[id], err = factsOf(row); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func distinct(ids []string) []string {
	slices.Sort(ids)
	return slices.Compact(ids)
}
