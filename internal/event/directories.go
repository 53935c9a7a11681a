package event

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"bugle"
	"bugle/internal/directory"
	"bugle/internal/store"
)

// Directories keeps the people of every directory at hand for searches: loaded once, before the first call, and kept
// current by the change log, so that no caller waits for a database. It is safe for concurrent use.
type Directories struct {
	store   *store.Store
	log     *slog.Logger
	onPanic func(any)

	mu      sync.RWMutex
	indexes map[place]*directory.Index

	// Only Load and Apply, which do not run at once, touch what follows.
	languages map[string]string              // account id -> language
	options   map[place]directory.Options    // what the directory document says
	numbers   map[string]string              // callflow id -> the extension it is dialled by
	reached   map[string]map[membership]bool // callflow id -> who is reached through it
	members   map[member]map[string]string   // user or device -> directory id -> callflow id
	people    map[member]person              // what is known of a member
}

type place struct{ account, directory string }

type member struct{ account, kind, id string }

type membership struct {
	member
	directory string
}

// person is a member before a directory is chosen; one of the two is set.
type person struct {
	user   *bugle.User
	device *bugle.Device
}

// NewDirectories returns the keeper of the store's directories; Load fills it, and Apply, called by a Follower that
// begins where Load says, keeps it current. onPanic is told of a panic while an index is merged in the background; it may be
// nil.
func NewDirectories(s *store.Store, log *slog.Logger, onPanic func(any)) *Directories {
	return &Directories{store: s, log: log, onPanic: onPanic, indexes: map[place]*directory.Index{}, languages: map[string]string{},
		options: map[place]directory.Options{}, numbers: map[string]string{}, reached: map[string]map[membership]bool{},
		members: map[member]map[string]string{}, people: map[member]person{}}
}

// Snapshot returns a directory's people as they are now, false when there is no such directory in the account.
func (d *Directories) Snapshot(accountID, directoryID string) (*directory.Snapshot, bool) {
	d.mu.RLock()
	index, ok := d.indexes[place{accountID, directoryID}]
	d.mu.RUnlock()
	if !ok {
		return nil, false
	}
	return index.Snapshot(), true
}

// Load reads all directories and their members, and returns the position of the log at which a Follower goes on. It may
// be called again, to begin anew: searches find the old people until it is done.
func (d *Directories) Load(ctx context.Context) (position int64, err error) {
	fresh := NewDirectories(d.store, d.log, d.onPanic)
	if position, err = fresh.load(ctx); err != nil {
		return 0, err
	}
	d.languages, d.options, d.numbers, d.reached = fresh.languages, fresh.options, fresh.numbers, fresh.reached
	d.members, d.people = fresh.members, fresh.people
	d.mu.Lock()
	d.indexes = fresh.indexes
	d.mu.Unlock()
	return position, nil
}

func (d *Directories) load(ctx context.Context) (position int64, err error) {
	position, err = d.store.Position(ctx)
	if err != nil {
		return 0, err
	}
	// Accounts and callflows first: they say the language and the extensions that people are indexed with.
	for _, typ := range []string{"account", "callflow", "directory"} {
		if err := d.eachDocument(ctx, store.Query{Type: typ}, func(doc store.Document) {
			d.apply(bugle.Change{AccountID: doc.AccountID, Type: typ, ID: doc.ID, Kind: bugle.Created, After: doc.Body})
		}); err != nil {
			return 0, err
		}
	}
	lists := map[place][]directory.Person{}
	for _, typ := range []string{"user", "device"} {
		if err := d.eachDocument(ctx, store.Query{Type: typ}, func(doc store.Document) {
			for _, m := range d.enrol(doc.AccountID, typ, doc.ID, doc.Body) {
				if p, ok := d.entry(m); ok {
					at := place{m.account, m.directory}
					lists[at] = append(lists[at], p)
				}
			}
		}); err != nil {
			return 0, err
		}
	}
	for at, list := range lists {
		if index := d.index(at); index != nil {
			index.Load(list)
		}
	}
	return position, nil
}

func (d *Directories) eachDocument(ctx context.Context, q store.Query, each func(store.Document)) error {
	q.Limit = 1000
	for {
		docs, next, err := d.store.List(ctx, q)
		if err != nil {
			return fmt.Errorf("event.Load %s: %w", q.Type, err)
		}
		for _, doc := range docs {
			each(doc)
		}
		if next == nil {
			return nil
		}
		q.After = next
	}
}

// Apply takes a batch of changes in the order of the log.
func (d *Directories) Apply(_ context.Context, changes []bugle.Change) error {
	for _, change := range changes {
		d.apply(change)
	}
	return nil
}

func (d *Directories) apply(change bugle.Change) {
	switch change.Type {
	case "account":
		d.applyAccount(change)
	case "directory":
		d.applyDirectory(change)
	case "callflow":
		d.applyCallflow(change)
	case "user", "device":
		m := member{change.AccountID, change.Type, change.ID}
		before := d.members[m]
		now := d.enrol(change.AccountID, change.Type, change.ID, change.After)
		for id := range before {
			d.put(membership{m, id})
		}
		for _, ship := range now {
			if _, again := before[ship.directory]; !again {
				d.put(ship)
			}
		}
	}
}

func (d *Directories) applyAccount(change bugle.Change) {
	account, err := bugle.ParseAccount(change.ID, change.After)
	if change.After != nil && err != nil {
		d.unreadable(change, err)
		return
	}
	if d.languages[change.ID] == account.Language {
		return
	}
	d.languages[change.ID] = account.Language
	for at, options := range d.options {
		if at.account == change.ID {
			options.Language = account.Language
			d.options[at] = options
			if index := d.index(at); index != nil {
				index.Configure(options)
			}
		}
	}
}

func (d *Directories) applyDirectory(change bugle.Change) {
	at := place{change.AccountID, change.ID}
	if change.After == nil {
		delete(d.options, at)
		d.mu.Lock()
		delete(d.indexes, at)
		d.mu.Unlock()
		return
	}
	doc, err := bugle.ParseDirectory(change.ID, change.After)
	if err != nil {
		d.unreadable(change, err)
		return
	}
	options := directory.Options{SortBy: doc.SortBy, Language: d.languages[change.AccountID]}
	index := d.index(at)
	if index != nil {
		if d.options[at] != options {
			d.options[at] = options
			index.Configure(options)
		}
		return
	}
	d.options[at] = options
	index = directory.New(options)
	index.OnPanic = d.onPanic
	// People may have joined before the directory existed: interfaces save in any order.
	var list []directory.Person
	for m, directories := range d.members {
		if _, joined := directories[change.ID]; joined && m.account == change.AccountID {
			if p, ok := d.entry(membership{m, change.ID}); ok {
				list = append(list, p)
			}
		}
	}
	index.Load(list)
	d.mu.Lock()
	d.indexes[at] = index
	d.mu.Unlock()
}

func (d *Directories) applyCallflow(change bugle.Change) {
	number := ""
	if change.After != nil {
		flow, err := bugle.ParseCallflow(change.ID, change.After)
		if err != nil {
			d.unreadable(change, err)
			return
		}
		number = flow.Extension()
	}
	if d.numbers[change.ID] == number {
		return
	}
	if number == "" {
		delete(d.numbers, change.ID)
	} else {
		d.numbers[change.ID] = number
	}
	for ship := range d.reached[change.ID] {
		d.put(ship)
	}
}

// enrol remembers what a user or device document says and returns its memberships.
func (d *Directories) enrol(accountID, kind, id string, body []byte) []membership {
	m := member{accountID, kind, id}
	for directoryID, callflow := range d.members[m] {
		delete(d.reached[callflow], membership{m, directoryID})
		if len(d.reached[callflow]) == 0 {
			delete(d.reached, callflow)
		}
	}
	delete(d.members, m)
	delete(d.people, m)
	if body == nil {
		return nil
	}
	var p person
	var directories map[string]string
	if kind == "user" {
		u, err := bugle.ParseUser(id, body)
		if err != nil {
			d.unreadable(bugle.Change{AccountID: accountID, Type: kind, ID: id}, err)
			return nil
		}
		p.user, directories = &u, u.Directories
	} else {
		dev, err := bugle.ParseDevice(id, body)
		if err != nil {
			d.unreadable(bugle.Change{AccountID: accountID, Type: kind, ID: id}, err)
			return nil
		}
		p.device, directories = &dev, dev.Directories
	}
	if len(directories) == 0 {
		return nil
	}
	d.members[m], d.people[m] = directories, p
	ships := make([]membership, 0, len(directories))
	for directoryID, callflow := range directories {
		ship := membership{m, directoryID}
		if d.reached[callflow] == nil {
			d.reached[callflow] = map[membership]bool{}
		}
		d.reached[callflow][ship] = true
		ships = append(ships, ship)
	}
	return ships
}

// entry is a member's entry in one of its directories; false when it is not listed there.
func (d *Directories) entry(ship membership) (directory.Person, bool) {
	p := d.people[ship.member]
	number := d.numbers[d.members[ship.member][ship.directory]]
	switch {
	case p.user != nil:
		return directory.OfUser(*p.user, ship.directory, number)
	case p.device != nil:
		return directory.OfDevice(*p.device, ship.directory, number)
	}
	return directory.Person{}, false
}

// put brings one membership's entry to what is true now.
func (d *Directories) put(ship membership) {
	index := d.index(place{ship.account, ship.directory})
	if index == nil {
		return
	}
	if p, ok := d.entry(ship); ok {
		index.Put(p)
	} else {
		index.Remove(ship.id)
	}
}

func (d *Directories) index(at place) *directory.Index {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.indexes[at]
}

func (d *Directories) unreadable(change bugle.Change, err error) {
	d.log.Error("a document cannot be read and is left out of its directories", "account", change.AccountID,
		"type", change.Type, "id", change.ID, "error", err)
}
