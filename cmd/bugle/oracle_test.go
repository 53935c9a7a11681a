package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"bugle"
	"bugle/internal/bugletest"
	"bugle/internal/store/pgtest"
)

var oracleCompanies = flag.Int("oracle-companies", 6, "companies whose events are compared with their listings, on each database; at most -rapid.checks")

// generous lifts the limits that tests are not about.
var generous = []string{"--ringcentral-rates", "light=1000000,medium=1000000,heavy=1000000,auth=1000000", "--api-anonymous-per-minute", "1000000",
	"--api-tokens", "1000000", "--api-tokens-per-second", "1000000", "--subscriptions-per-user", "1000", "--log-level", "error"}

// TestEventsRebuildTheListing: after edits at random over the KAZOO API, what a webhook, a socket and the feed of changes have
// told leads from the old listing of the directory to exactly the new one, and all three have told of each contact the same.
func TestEventsRebuildTheListing(t *testing.T) {
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		eventsRebuildTheListing(t)
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		eventsRebuildTheListing(t, "--store", pgtest.URL(t), "--blob-dir", filepath.Join(t.TempDir(), "blobs"))
	})
}

func eventsRebuildTheListing(t *testing.T, more ...string) {
	p := serve(t, filepath.Join(t.TempDir(), "data"), chosen, append(more, generous...)...)
	master := p.api(t)
	if err := understands(t.Context(), master); err != nil {
		t.Fatal(err)
	}
	var events, edits, refused, accounts int
	failed := false
	rapid.Check(t, func(rt *rapid.T) {
		if accounts >= *oracleCompanies && !failed { // a failure is made as small as rapid can
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		o := &oracle{t: t, ctx: ctx, program: p}
		pick := func(what string, n int) int { return rapid.IntRange(0, n-1).Draw(rt, what) }
		if err := o.check(master, pick, func(n int) int { return rapid.IntRange(n/2, n).Draw(rt, "edits") }); err != nil {
			failed = true
			rt.Fatal(err)
		}
		events, edits, refused, accounts = events+o.events, edits+o.editor.edits, refused+len(o.editor.refusals), accounts+1
	})
	var names []string
	for _, k := range bearing {
		names = append(names, k.name)
	}
	t.Logf("%d events of %d edits in %d companies; %d edits were refused; contacts were made of %s", events, edits, accounts, refused, strings.Join(names, ", "))
	if !t.Failed() && events < accounts {
		t.Error("next to nothing happened")
	}
}

// oracle is one company and who listens to it.
type oracle struct {
	t       *testing.T
	ctx     context.Context
	program *program
	editor  *editor
	rc      *bugletest.RingCentral
	marker  string // a user
	markers int
	events  int
}

func (o *oracle) check(master *bugletest.API, pick func(string, int) int, several func(int) int) error {
	ctx := o.ctx
	account, err := master.Create(ctx, "/accounts", object{"name": "Oracle " + bugle.NewID()})
	if err != nil {
		return err
	}
	o.editor = &editor{api: master.For(account), pick: pick, kinds: bearing, name: "n"}
	if o.marker, err = o.editor.api.Create(ctx, o.editor.api.Account("users"), object{"first_name": "Marker"}); err != nil {
		return err
	}
	o.rc = bugletest.NewRingCentral("http://"+o.program.HTTP, nil)
	if err := o.rc.NewSubscriber(ctx, o.editor.api, o.marker); err != nil {
		return err
	}
	for range several(15) {
		if err := o.editor.edit(ctx); err != nil {
			return err
		}
	}
	old, err := o.settled()
	if err != nil {
		return err
	}
	_, cursor, err := feed(ctx, o.editor.api, accountOf(old), "")
	if err != nil {
		return err
	}
	hooked, told := newHearing("webhook"), newHearing("socket")
	receiver := hookOf(o.t, hooked, 0)
	defer receiver.Close()
	if _, err := o.rc.Hook(ctx, receiver.URL); err != nil {
		return err
	}
	socket, err := o.rc.Dial(ctx, "")
	if err != nil {
		return err
	}
	var listening sync.WaitGroup
	defer listening.Wait()
	defer socket.Close()
	if err := socket.Subscribe(ctx); err != nil {
		return err
	}
	listening.Go(func() {
		for f, err := socket.Next(ctx); err == nil; f, err = socket.Next(ctx) {
			told.hear(f.Body)
		}
	})
	for range several(40) {
		if err := o.editor.edit(ctx); err != nil {
			return err
		}
	}
	return o.compare(old, cursor, 20*time.Second, hooked, told)
}

// settled returns the listing when all that was done before is in it: what is done last is.
func (o *oracle) settled() (map[string]string, error) {
	o.markers++
	name := fmt.Sprint("Marker ", o.markers)
	if err := o.editor.api.Patch(o.ctx, o.editor.api.Account("users", o.marker), object{"first_name": name}); err != nil {
		return nil, err
	}
	text, _ := json.Marshal(name)
	for {
		list, err := listing(o.ctx, o.rc)
		if err != nil {
			return nil, err
		}
		for _, entry := range list {
			if strings.Contains(entry, string(text)) {
				return list, nil
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// compare waits until each has told all, and judges it. within is how long one may say nothing new.
func (o *oracle) compare(old map[string]string, cursor string, within time.Duration, hearings ...*hearing) error {
	now, err := o.settled()
	if err != nil {
		return err
	}
	fed, _, err := feed(o.ctx, o.editor.api, accountOf(old), cursor)
	if err != nil {
		return err
	}
	o.events = len(fed)
	if err := leads(old, now, fed); err != nil {
		return fmt.Errorf("the feed: %w", err)
	}
	for _, h := range hearings {
		for have, since := 0, time.Now(); have < len(fed) && time.Since(since) < within; time.Sleep(5 * time.Millisecond) {
			if n := len(h.all()); n > have {
				have, since = n, time.Now()
			}
		}
		if err := h.agrees(old, now, fed); err != nil {
			return err
		}
	}
	return nil
}

func leads(old, now map[string]string, events []happening) error {
	got, err := replay(old, events)
	if err != nil {
		return err
	}
	return differs(got, now)
}

// agrees judges what was heard: it leads from the old listing to the new one, and tells of each contact what the feed does.
func (h *hearing) agrees(old, now map[string]string, fed []happening) error {
	heard := h.all()
	if len(h.faults) > 0 {
		return fmt.Errorf("the %s: %d faults: %s", h.name, len(h.faults), h.faults[0])
	}
	have, want := byContact(heard), byContact(fed)
	for id, events := range want {
		if !slices.Equal(have[id], events) {
			return fmt.Errorf("the %s has told of %s\n%v\nwant\n%v", h.name, id, have[id], events)
		}
	}
	if len(heard) != len(fed) {
		return fmt.Errorf("the %s has told %d events, there are %d", h.name, len(heard), len(fed))
	}
	if err := leads(old, now, heard); err != nil {
		return fmt.Errorf("the %s: %w", h.name, err)
	}
	return nil
}
