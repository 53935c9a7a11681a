package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bugle/internal/bugletest"
	"bugle/internal/store/pgtest"
)

var killRounds = flag.Int("kill-rounds", 2, "how often the server is killed, on each database; 200 have been seen to lose nothing")

// TestKill kills the server at random moments while three clients edit a company over the KAZOO API, a webhook and a socket of the
// RingCentral API listen, the receiver fails now and then after it has heard, and the socket's client loses its place. In the
// end each has been told of every change, of each contact in order, whatever came twice with the same uuid and bytes.
func TestKill(t *testing.T) {
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		killAgainAndAgain(t)
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		killAgainAndAgain(t, "--store", pgtest.URL(t), "--blob-dir", filepath.Join(t.TempDir(), "blobs"))
	})
}

// victim is the server that is killed, and what goes on around it.
type victim struct {
	t         *testing.T
	data      string
	arguments []string
	account   string
	rc        *bugletest.RingCentral
	editors   []*editor
	hook      *hearing
	listener  *listener
}

func killAgainAndAgain(t *testing.T, more ...string) {
	v := &victim{t: t, data: filepath.Join(t.TempDir(), "data"), arguments: append(more, generous...), hook: newHearing("webhook"),
		listener: &listener{hearing: newHearing("socket")}}
	p := v.start()
	o := v.found(p)
	old, err := o.settled()
	if err != nil {
		t.Fatal(err)
	}
	_, cursor, err := feed(o.ctx, o.editor.api, accountOf(old), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.rc.Hook(o.ctx, hookOf(t, v.hook, 40).URL); err != nil {
		t.Fatal(err)
	}
	socket, err := v.rc.Dial(o.ctx, "")
	if err == nil {
		err = socket.Subscribe(o.ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	v.listener.place = socket.Place
	socket.Close()
	rounds := *killRounds
	if testing.Short() {
		rounds = 2
	}
	acknowledged := 0
	for round := range rounds {
		if acknowledged += v.kill(p, round); len(v.listener.problems) > 0 {
			t.Fatalf("round %d: %q\n%s", round, v.listener.problems, p.Log())
		}
		p = v.start()
	}
	// What is left arrives at one that lives.
	ctx, cancel := context.WithCancel(t.Context())
	var listening sync.WaitGroup
	listening.Go(func() { v.listener.listen(ctx, v.rc.At("http://"+p.HTTP)) })
	defer listening.Wait()
	defer cancel()
	limited, stop := context.WithTimeout(ctx, 2*time.Minute)
	defer stop()
	o.ctx, o.rc, o.editor.api = limited, v.rc.At("http://"+p.HTTP), p.api(t).For(v.account)
	err = o.compare(old, cursor, time.Minute, v.hook, v.listener.hearing)
	for _, problem := range v.listener.problems {
		t.Error(problem)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, p.Log())
	}
	v.inOrder()
	t.Logf("%d edits were acknowledged and made %d events, told to a webhook with %d repetitions and to a socket with %d, which came back %d times, through %d kills",
		acknowledged, o.events, v.hook.repeated, v.listener.hearing.repeated, v.listener.resumed, rounds)
}

// start starts the server; what is left when it starts is due at once.
func (v *victim) start() *program {
	return serve(v.t, v.data, append([]string{hurried + "=500"}, chosen...), v.arguments...)
}

// found makes the company that is edited.
func (v *victim) found(p *program) *oracle {
	v.t.Helper()
	master := p.api(v.t)
	ctx := v.t.Context()
	o := &oracle{t: v.t, ctx: ctx, program: p}
	err := error(nil)
	if v.account, err = master.Create(ctx, "/accounts", object{"name": "Killed"}); err != nil {
		v.t.Fatal(err)
	}
	api := master.For(v.account)
	o.editor = &editor{api: api}
	if o.marker, err = api.Create(ctx, api.Account("users"), object{"first_name": "Marker"}); err != nil {
		v.t.Fatal(err)
	}
	v.rc = bugletest.NewRingCentral("http://"+p.HTTP, nil)
	if err := v.rc.NewSubscriber(ctx, api, o.marker); err != nil {
		v.t.Fatal(err)
	}
	o.rc = v.rc
	for i := range 3 {
		v.editors = append(v.editors, &editor{name: fmt.Sprintf("w%d-", i), api: api, pick: func(_ string, n int) int { return rand.IntN(n) }})
	}
	return o
}

// kill lets the server acknowledge some edits, kills it a moment later, and returns how many it acknowledged.
func (v *victim) kill(p *program, round int) int {
	v.t.Helper()
	base := "http://" + p.HTTP
	master := p.api(v.t)
	ctx, cancel := context.WithTimeout(v.t.Context(), time.Minute)
	defer cancel()
	var around sync.WaitGroup
	var acknowledged atomic.Int64
	around.Go(func() { v.listener.listen(ctx, v.rc.At(base)) })
	for i, e := range v.editors {
		e.api = master.For(v.account)
		around.Go(func() {
			for e.small(ctx, i) == nil {
				acknowledged.Add(1)
			}
		})
	}
	// Until some edits are acknowledged, in every other round until the webhook has been told as well.
	heard, enough := v.hook.count(), int64(3+rand.IntN(40))
	for acknowledged.Load() < enough || round%2 == 0 && v.hook.count() < heard+1+rand.IntN(5) {
		if ctx.Err() != nil || p.Ended() {
			v.t.Fatalf("round %d: %d edits, %d notifications\n%s", round, acknowledged.Load(), v.hook.count()-heard, p.Log())
		}
		time.Sleep(time.Millisecond)
	}
	time.Sleep(time.Duration(rand.IntN(20_000)) * time.Microsecond) // a random point of a commit or a delivery, not a synchronisation
	p.end(v.t, os.Kill)
	cancel()
	around.Wait()
	return int(acknowledged.Load())
}

// small does one of the edits that a company sees daily; an error says that the server is gone.
func (e *editor) small(ctx context.Context, own int) error {
	user := e.some(userKind, false)
	if user == nil || len(e.kept) < 6 {
		if err := e.create(ctx, []*kind{userKind, siteKind, callflowKind}[len(e.kept)%3]); err != nil || user == nil {
			return err
		}
	}
	switch flow := e.some(callflowKind, false); e.pick("edit", 10) {
	case 0:
		if len(e.kept) < 40 {
			return e.create(ctx, userKind)
		}
		return e.rename(ctx, user)
	case 1:
		return e.remove(ctx, user)
	case 2:
		return e.bringBack(ctx, e.some(nil, true))
	case 3:
		return e.alter(ctx, user, object{"site_id": e.site()})
	case 4:
		return e.rename(ctx, e.some(siteKind, false))
	case 5, 6:
		return e.alter(ctx, flow, object{"numbers": []string{fmt.Sprint(2000+100*own, e.pick("extension", 30)), fmt.Sprint("+1415555", 1000+100*own+e.pick("number", 30))},
			"flow": e.flow()})
	}
	return e.rename(ctx, user)
}

// inOrder makes sure that every first name that was acknowledged was told, of each user in order.
func (v *victim) inOrder() {
	v.t.Helper()
	for _, e := range v.editors {
		for user, names := range e.named {
			left := names
			for _, told := range v.hook.all() {
				if len(left) > 0 && strings.Contains(told.entry, `"firstName":"`+left[0]+`"`) {
					left = left[1:]
				}
			}
			if len(left) > 0 {
				v.t.Errorf("%s was called %s, which was not told, or not in order: %v", user, left[0], names)
			}
		}
		if n := len(e.refusals); n > e.edits/3 {
			v.t.Errorf("%d of %d edits were refused: %s", n, e.edits, slices.Compact(e.refusals)[0])
		}
	}
}

// listener is the client of a socket, which comes back wherever it was.
type listener struct {
	hearing  *hearing
	place    string
	resumed  int
	problems []string
}

// listen follows a server until it is gone or ctx ends.
func (l *listener) listen(ctx context.Context, rc *bugletest.RingCentral) {
	for ctx.Err() == nil {
		s, err := rc.Dial(ctx, l.place)
		var answered *bugletest.APIError
		if errors.As(err, &answered) {
			l.problems = append(l.problems, answered.Error())
			return
		}
		if err != nil { // the server is gone, or about to be
			select {
			case <-ctx.Done():
			case <-time.After(5 * time.Millisecond):
			}
			continue
		}
		if l.resumed++; s.Recovery != "Successful" {
			l.problems = append(l.problems, "a socket came back in vain: "+s.Recovery)
		}
		for ctx.Err() == nil {
			f, err := s.Next(ctx)
			if err != nil {
				break
			}
			if f.Type == "ServerNotification" {
				l.hearing.hear(f.Body)
				if rand.IntN(200) == 0 { // the client dies before it has kept its place
					break
				}
			}
			l.place = s.Place
		}
		s.Close()
	}
}
