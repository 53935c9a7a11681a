package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"bugle/internal/bugletest"
)

// editor edits a company over the KAZOO API at random.
type editor struct {
	api   *bugletest.API
	pick  func(what string, n int) int // less than n
	name  string                       // of what it names, so that editors tell theirs apart
	kinds []*kind                      // that make contacts
	kept  []*document                  // what it has made, deleted or not

	edits    int
	refusals []string            // what the API did not take
	named    map[string][]string // the first names that were acknowledged, by user, in order
}

// document is one that an editor has made.
type document struct {
	kind    *kind
	id      string
	deleted bool
}

// kind is what an editor makes. bears are contacts, or become some by a callflow that leads to them.
type kind struct {
	name, path string
	bears      bool
	body       func(e *editor, name string) object
	leads      func(id string) object // the callflow's node that leads to it; nil for none
}

var (
	userKind = &kind{name: "user", path: "users", bears: true, leads: func(id string) object { return node("user", object{"id": id}, nil) },
		body: func(_ *editor, name string) object { return object{"first_name": name, "last_name": "Oracle"} }}
	siteKind     = &kind{name: "site", path: "sites", body: func(_ *editor, name string) object { return object{"name": name} }}
	callflowKind = &kind{name: "callflow", path: "callflows", body: func(e *editor, name string) object {
		return object{"name": name, "numbers": e.numbers(), "flow": e.flow()}
	}}
	groupKind = &kind{name: "group", path: "groups", bears: true, leads: func(id string) object {
		return node("ring_group", object{"endpoints": []object{{"id": id, "endpoint_type": "group"}}}, nil)
	}, body: func(_ *editor, name string) object { return object{"name": name, "endpoints": object{}} }}
	menuKind = &kind{name: "menu", path: "menus", bears: true, leads: func(id string) object { return node("menu", object{"id": id}, nil) },
		body: func(_ *editor, name string) object { return object{"name": name} }}
	mailboxKind = &kind{name: "mailbox", path: "vmboxes", bears: true, leads: func(id string) object { return node("voicemail", object{"id": id}, nil) },
		body: func(e *editor, name string) object {
			return object{"name": name, "mailbox": fmt.Sprint(7000 + e.edits)}
		}}
	// slotKind is a parking slot: the callflow is the contact.
	slotKind = &kind{name: "parking slot", path: "callflows", bears: true, body: func(e *editor, name string) object {
		return object{"name": name, "numbers": e.numbers(), "flow": node("park", object{"slot": fmt.Sprint(e.pick("slot", 3))}, nil)}
	}}
)

// bearing are the kinds that make contacts.
var bearing = []*kind{userKind, groupKind, menuKind, mailboxKind, slotKind}

// path is where a document is.
func (e *editor) path(d *document) string { return e.api.Account(d.kind.path, d.id) }

// numbers are some of a few extensions and telephone numbers, so that several documents want the same.
func (e *editor) numbers() []string {
	list := []string{fmt.Sprint(1000 + e.pick("extension", 8))}
	if e.pick("direct", 2) == 0 {
		list = append(list, fmt.Sprint("+1415555010", e.pick("direct number", 8)))
	}
	if e.pick("without", 6) == 0 {
		return list[1:]
	}
	return list
}

func (e *editor) flow() object {
	var to []*document
	for _, d := range e.kept {
		if d.kind.leads != nil {
			to = append(to, d)
		}
	}
	if len(to) == 0 {
		return node("response", object{}, nil)
	}
	d := to[e.pick("whom", len(to))]
	return d.kind.leads(d.id)
}

// some is one of the editor's documents of a kind, nil for any, that was deleted or was not; nil when there is none.
func (e *editor) some(k *kind, deleted bool) *document {
	var list []*document
	for _, d := range e.kept {
		if (k == nil || d.kind == k) && d.deleted == deleted {
			list = append(list, d)
		}
	}
	if len(list) == 0 {
		return nil
	}
	return list[e.pick("which", len(list))]
}

// took notes what the API refused; any other error ends an editor.
func (e *editor) took(err error) (bool, error) {
	var refused *bugletest.APIError
	if errors.As(err, &refused) && refused.Status < 500 {
		e.refusals = append(e.refusals, refused.Error())
		return false, nil
	}
	return err == nil, err
}

func (e *editor) create(ctx context.Context, k *kind) error {
	name := e.next()
	id, err := e.api.Create(ctx, e.api.Account(k.path), k.body(e, name))
	if ok, err := e.took(err); !ok {
		return err
	}
	e.kept = append(e.kept, &document{kind: k, id: id})
	e.acknowledged(k, id, name)
	return nil
}

// next is a name that nothing has had.
func (e *editor) next() string {
	e.edits++
	return fmt.Sprint(e.name, e.edits)
}

func (e *editor) acknowledged(k *kind, id, name string) {
	if k != userKind {
		return
	}
	if e.named == nil {
		e.named = map[string][]string{}
	}
	e.named[id] = append(e.named[id], name)
}

func (e *editor) rename(ctx context.Context, d *document) error {
	if d == nil {
		return nil
	}
	name, field := e.next(), "name"
	if d.kind == userKind {
		field = "first_name"
	}
	ok, err := e.took(e.api.Patch(ctx, e.path(d), object{field: name}))
	if ok {
		e.acknowledged(d.kind, d.id, name)
	}
	return err
}

func (e *editor) alter(ctx context.Context, d *document, more object) error {
	if d == nil {
		return nil
	}
	e.edits++
	_, err := e.took(e.api.Patch(ctx, e.path(d), more))
	return err
}

func (e *editor) remove(ctx context.Context, d *document) error {
	if d == nil {
		return nil
	}
	e.edits++
	ok, err := e.took(e.api.Delete(ctx, e.path(d)))
	d.deleted = d.deleted || ok
	return err
}

// bringBack makes a document that was deleted anew, under its id.
func (e *editor) bringBack(ctx context.Context, d *document) error {
	if d == nil {
		return nil
	}
	name := e.next()
	body := d.kind.body(e, name)
	body["id"] = d.id
	ok, err := e.took(e.api.Do(ctx, "PUT", e.api.Account(d.kind.path), body, nil))
	if ok {
		d.deleted = false
		e.acknowledged(d.kind, d.id, name)
	}
	return err
}

// site is one of the sites, one that was deleted, or none.
func (e *editor) site() any {
	if d := e.some(siteKind, e.pick("of a deleted site", 5) == 0); d != nil && e.pick("no site", 4) > 0 {
		return d.id
	}
	return nil
}

// edit does one thing.
func (e *editor) edit(ctx context.Context) error {
	user := e.some(userKind, false)
	switch e.pick("edit", 16) {
	case 0, 1:
		return e.create(ctx, e.kinds[e.pick("kind", len(e.kinds))])
	case 2:
		return e.create(ctx, siteKind)
	case 3, 4:
		return e.create(ctx, callflowKind)
	case 5:
		return e.rename(ctx, e.some(nil, false))
	case 6:
		return e.rename(ctx, e.some(siteKind, false))
	case 7:
		return e.remove(ctx, e.some(nil, false))
	case 8, 9:
		return e.bringBack(ctx, e.some(nil, true))
	case 10:
		return e.alter(ctx, e.some(callflowKind, false), object{"numbers": e.numbers()})
	case 11:
		return e.alter(ctx, e.some(callflowKind, false), object{"flow": e.flow()})
	case 12:
		return e.alter(ctx, user, object{"site_id": e.site()})
	}
	if user == nil {
		return e.create(ctx, userKind)
	}
	return e.alter(ctx, user, e.field())
}

// field is something of a user, of which some alters nothing that the directory shows.
func (e *editor) field() object {
	number := func() string { return fmt.Sprint("+1415555020", e.pick("number", 4)) }
	switch e.pick("field", 10) {
	case 0:
		return object{"department": []any{"Sales", "Ops", nil}[e.pick("department", 3)]}
	case 1:
		return object{"email": []any{"a@example.com", "b@example.com", nil}[e.pick("email", 3)]}
	case 2:
		return object{"call_forward": object{"enabled": e.pick("on", 2) == 0, "number": number()}}
	case 3:
		return object{"mobile_number": number()}
	case 4:
		return object{"contact_numbers": []string{number(), number()}[:e.pick("how many", 3)]}
	case 5:
		return object{"enabled": e.pick("enabled", 2) == 0}
	case 6:
		return object{"contact_list": object{"exclude": e.pick("hidden", 2) == 0}}
	case 7:
		return object{"last_name": []string{"Oracle", "Ünal", ""}[e.pick("last name", 3)]}
	case 8:
		return object{"profile": object{"title": fmt.Sprint("T", e.pick("title", 3))}} // which no event tells
	}
	return object{"timezone": []string{"Europe/Berlin", "UTC"}[e.pick("timezone", 2)]} // nor this
}

// understands makes a contact of each kind, sees it in the directory, and takes it away.
func understands(ctx context.Context, api *bugletest.API) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for i, k := range bearing {
		e := &editor{api: api, name: fmt.Sprint("try", i), pick: func(what string, _ int) int {
			if what == "without" { // an extension
				return 1
			}
			return 0
		}}
		name := fmt.Sprint(`"`, e.name, 1, `"`)
		if err := e.create(ctx, k); err != nil {
			return err
		}
		if k.leads != nil && len(e.kept) > 0 { // which is a callflow to it
			if err := e.create(ctx, callflowKind); err != nil {
				return err
			}
		}
		if len(e.refusals) > 0 {
			return fmt.Errorf("a %s: %s", k.name, strings.Join(e.refusals, "; "))
		}
		if err := appears(ctx, api, name); err != nil {
			return fmt.Errorf("a %s: %w", k.name, err)
		}
		for _, d := range slices.Backward(e.kept) {
			if err := e.remove(ctx, d); err != nil {
				return err
			}
		}
	}
	return nil
}

// appears waits for a contact that has something in it.
func appears(ctx context.Context, api *bugletest.API, what string) error {
	for {
		list, err := api.List(ctx, api.Account("directory", "contacts"))
		if err != nil {
			return fmt.Errorf("no contact with %s: %w", what, err)
		}
		if slices.ContainsFunc(list, func(row json.RawMessage) bool { return bytes.Contains(row, []byte(what)) }) {
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
}
