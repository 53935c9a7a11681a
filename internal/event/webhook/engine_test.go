package webhook_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bugle/internal/event/webhook"
	"bugle/internal/store"
)

func TestDeliversInOrderOfEachKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		defer h.close()
		h.start()
		// The first of contact a fails twice; those of a wait for it, those of b and of nobody do not.
		h.r.set(func(r webhook.Request, n int) webhook.Answer {
			if string(r.Body) == "1" && n < 4 {
				return status(500)
			}
			return status(200)
		})
		began := time.Now()
		h.one("e", "a")
		h.one("e", "b")
		h.one("e", "a", "b")
		h.one("e", "b")
		h.one("e")
		h.ended(5)
		var order []string
		for _, s := range h.r.log() {
			order = append(order, s.body)
		}
		text := strings.Join(order, "")
		if strings.LastIndex(text, "1") > strings.Index(text, "3") || strings.Index(text, "3") > strings.Index(text, "4") ||
			strings.Index(text, "2") > strings.LastIndex(text, "1") || strings.Index(text, "5") > strings.LastIndex(text, "1") {
			t.Error("order", text)
		}
		if took := time.Since(began); took < 800*time.Millisecond || took > 20*time.Second {
			t.Error("took", took)
		}
		for _, s := range h.r.log() {
			if s.id == "" || s.body != strings.TrimPrefix(s.id, "e-") {
				t.Errorf("%+v", s)
			}
		}
	})
}

// TestSchedule: a receiver that is away for three days is asked at the times that are promised, each a fifth around, with
// the same bytes and id, and then no more; what is dead can be sent again. Blacklisting is off, so that each attempt shows.
func TestSchedule(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		defer h.close()
		patient := webhook.RingCentral()
		patient.BlacklistAfter = 0
		h.opts.Kinds["ringcentral"] = webhook.Kind{Policy: patient, Owner: h.o}
		h.r.set(func(webhook.Request, int) webhook.Answer { return webhook.Answer{Reason: "the connection was refused"} })
		h.start()
		id := h.one("e", "a")
		h.ended(1, store.HookDead)
		want := []time.Duration{0, time.Second, 5 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute,
			15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour}
		for at := 10 * time.Hour; at <= 70*time.Hour; at += 6 * time.Hour {
			want = append(want, at)
		}
		got := h.r.log()
		// The pauses are a fifth around theirs, so that the last attempt may be the one at the end of the 72 hours.
		if len(got) != len(want) && (len(got) != len(want)-1 || got[len(got)-1].at.Sub(got[0].at).Round(time.Second) != 72*time.Hour) {
			t.Fatalf("%d attempts, want %d", len(got), len(want))
		}
		want = want[:len(got)]
		different := false
		for i := range got {
			if got[i].id != id || got[i].body != "1" {
				t.Errorf("attempt %d: %+v", i, got[i])
			}
			if i == 0 {
				continue
			}
			gap, should := got[i].at.Sub(got[i-1].at), want[i]-want[i-1]
			if end := got[i].at.Sub(got[0].at).Round(time.Second) == 72*time.Hour; gap < should*79/100 && !end || gap > should*121/100+100*time.Millisecond {
				t.Errorf("attempt %d came after %v, want %v", i+1, gap, should)
			}
			different = different || gap < should*99/100 || gap > should*101/100
		}
		if !different {
			t.Error("no jitter")
		}
		d := h.get(id)
		if d.Attempts != len(want) || d.Reason != "the connection was refused" {
			t.Errorf("%+v", d)
		}
		attempts, _, err := h.s.HookAttempts(t.Context(), store.HookQuery{AccountID: "acme", Delivery: id, Limit: 100})
		if err != nil || len(attempts) != len(want) || attempts[0].Error == "" || !attempts[0].RetryAt.IsZero() || attempts[1].RetryAt.IsZero() {
			t.Error(len(attempts), err)
		}
		h.r.set(nil)
		if n := h.resend(store.HookQuery{AccountID: "acme", Endpoint: "e", States: []store.HookState{store.HookDead}}, ""); n != 1 {
			t.Error(n)
		}
		h.ended(1)
		if d := h.get(id); d.Attempts != len(want)+1 || d.Tries != 1 {
			t.Errorf("%+v", d)
		}
		if n := h.resend(store.HookQuery{AccountID: "acme"}, id); n != 1 { // also what was delivered
			t.Error(n)
		}
		for len(h.r.log()) != len(want)+2 {
			time.Sleep(time.Millisecond)
		}
	})
}

// TestBlacklist: ten minutes of nothing but failure, then only probes, then all in order.
func TestBlacklist(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		defer h.close()
		h.r.set(func(r webhook.Request, _ int) webhook.Answer {
			if strings.HasSuffix(r.URL, "/well") {
				return status(204)
			}
			return status(503)
		})
		h.o.probe = errSick
		h.start()
		began := time.Now()
		for i := range 30 {
			h.one("sick", fmt.Sprint("contact", i%3))
			time.Sleep(time.Minute)
		}
		h.one("well", "contact1")
		h.ended(1)
		e, err := h.s.GetHookEndpoint(t.Context(), "acme", "sick")
		if err != nil || e.Blacklisted.IsZero() || e.Reason != "it answered 503 Service Unavailable" {
			t.Fatal(e, err)
		}
		// By the first attempt after ten minutes: of three contacts' first deliveries, those at 15 minutes, a fifth of ten around.
		if after := e.Blacklisted.Sub(began); after < 10*time.Minute || after > 17*time.Minute+time.Second {
			t.Error("blacklisted after", after)
		}
		before := len(h.r.bodies("https://receiver.test/sick"))
		// A restart does not forget it.
		h.stop()
		h.start()
		time.Sleep(46 * time.Minute)
		if n := len(h.r.bodies("https://receiver.test/sick")); n != before {
			t.Errorf("%d attempts at a blacklisted endpoint", n-before)
		}
		h.o.set(func() {
			if n := len(h.o.probes); n < 4 || n > 6 {
				t.Error(n, "probes")
			}
			h.o.probe = nil
		})
		h.r.set(nil)
		h.ended(31)
		if told := h.o.heard(); !slices.Equal(told, []webhook.Transition{webhook.Blacklisted, webhook.Recovered}) {
			t.Error(told)
		}
		// Every contact's changes in order.
		last := map[int]int{}
		for _, body := range h.r.bodies("https://receiver.test/sick")[before:] {
			n := 0
			_, _ = fmt.Sscan(body, &n)
			if n < last[n%3] {
				t.Error(n, "after", last[n%3])
			}
			last[n%3] = n
		}
	})
}

// TestBlacklistExpires: nothing waits longer than 72 hours.
func TestBlacklistExpires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		defer h.close()
		h.r.set(func(webhook.Request, int) webhook.Answer { return status(500) })
		h.o.probe = errSick
		h.start()
		began := time.Now()
		h.one("e", "a")
		time.Sleep(time.Hour)
		h.one("e", "a")
		h.ended(2, store.HookDead)
		if took := time.Since(began); took < 73*time.Hour || took > 74*time.Hour {
			t.Error("given up after", took)
		}
	})
}

// TestBlacklistOfMany: behind a receiver that is away for three days there waits more than is kept in memory. All that is too old is given
// up, and what is not is delivered once it is well.
func TestBlacklistOfMany(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		defer h.close()
		h.opts.Window = 4
		h.r.set(func(webhook.Request, int) webhook.Answer { return status(500) })
		h.o.probe = errSick
		const many = 600 // more than are read at once
		list := make([]store.HookDelivery, many)
		for i := range list {
			list[i] = delivery("ringcentral", "e", fmt.Sprint("old-", i), "x", "a")
		}
		h.enqueue(list...)
		h.start()
		time.Sleep(71 * time.Hour)
		h.one("e", "a")
		h.ended(many, store.HookDead)
		h.o.set(func() { h.o.probe = nil })
		h.r.set(nil)
		h.ended(1)
	})
}

// TestGoneIsBlacklisted: 410 says that nothing more is wanted: nothing is sent, all is kept, and who answers the handshake is sent it.
func TestGoneIsBlacklisted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		defer h.close()
		h.r.set(func(webhook.Request, int) webhook.Answer { return status(410) })
		h.o.probe = errSick
		h.start()
		h.one("e", "a")
		h.one("e", "b")
		time.Sleep(time.Hour)
		if n := len(h.r.log()); n > 2 { // what was on its way
			t.Error(n, "requests to a receiver that is gone")
		}
		e, err := h.s.GetHookEndpoint(t.Context(), "acme", "e")
		if err != nil || e.Blacklisted.IsZero() || e.Reason != "it answered 410 Gone" {
			t.Error(e, err)
		}
		h.r.set(nil)
		h.o.set(func() { h.o.probe = nil })
		h.ended(2)
		if told := h.o.heard(); !slices.Equal(told, []webhook.Transition{webhook.Blacklisted, webhook.Recovered}) {
			t.Error(told)
		}
	})
}

func TestStartSpreads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		defer h.close()
		h.r.set(func(webhook.Request, int) webhook.Answer { return status(500) })
		h.start()
		for i := range 50 {
			h.one(fmt.Sprint("e", i), "a")
		}
		time.Sleep(20 * time.Second)
		h.stop()
		before := len(h.r.log())
		h.r.set(nil)
		began := time.Now()
		h.start()
		h.ended(50)
		first, last := 10*time.Second, time.Duration(0)
		for _, s := range h.r.log()[before:] {
			first, last = min(first, s.at.Sub(began)), max(last, s.at.Sub(began))
		}
		if last > 10*time.Second || last < 7*time.Second || first > 3*time.Second {
			t.Errorf("from %v to %v", first, last)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		defer h.close()
		ask := "120"
		h.r.set(func(_ webhook.Request, n int) webhook.Answer {
			if n == 0 {
				return webhook.Answer{Status: 429, Header: http.Header{"Retry-After": {ask}}}
			}
			return status(200)
		})
		h.start()
		for i, c := range []struct {
			ask string
			min time.Duration
			max time.Duration
		}{{"120", 2 * time.Minute, 3 * time.Minute}, {"99999999", time.Hour, 61 * time.Minute}, {"soon", 0, 2 * time.Second},
			{time.Now().Add(5 * time.Hour).UTC().Format(http.TimeFormat), time.Hour, 61 * time.Minute}, {"-5", 0, 2 * time.Second}} {
			ask = c.ask
			began := time.Now()
			h.one(fmt.Sprint("e", i), "a")
			h.one(fmt.Sprint("e", i), "b") // the others of the endpoint are held too
			h.ended(2 * (i + 1))
			if took := time.Since(began); took < c.min || took > c.max {
				t.Errorf("%s: %v", c.ask, took)
			}
		}
	})
}

func TestPauseAndGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		defer h.close()
		h.start()
		h.one("e", "a")
		h.ended(1)
		pause := func(paused bool) {
			t.Helper()
			if err := h.s.Write(t.Context(), func(tx *store.Tx) error { return tx.PauseHook("acme", "e", "ringcentral", paused) }); err != nil {
				t.Fatal(err)
			}
		}
		pause(true)
		time.Sleep(time.Second)
		for range 5 {
			h.one("e", "a")
		}
		time.Sleep(100 * time.Hour)
		if n := len(h.r.log()); n != 1 {
			t.Error(n, "requests to a paused endpoint")
		}
		h.stop() // it stays paused
		h.start()
		time.Sleep(time.Hour)
		if n := len(h.r.log()); n != 1 {
			t.Error(n, "requests to a paused endpoint after a restart")
		}
		pause(false)
		h.ended(6)
		h.r.set(func(webhook.Request, int) webhook.Answer { return status(410) })
		h.enqueue(delivery("kazoo", "k", "k-1", "x"))
		h.ended(1, store.HookDead)
		h.r.set(func(webhook.Request, int) webhook.Answer { return status(500) })
		h.one("e", "a")
		time.Sleep(time.Millisecond * 500)
		if told := h.o.heard(); !slices.Equal(told, []webhook.Transition{webhook.GoneAway}) {
			t.Error(told)
		}
		h.one("e", "a")
		h.o.set(func() { h.o.err = webhook.ErrGone })
		h.ended(2, store.HookDropped)
		if _, err := h.s.GetHookEndpoint(t.Context(), "acme", "e"); err == nil {
			t.Error("the endpoint is still known")
		}
	})
}

func TestKazooPolicy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		defer h.close()
		h.start()
		for i, c := range []struct {
			answer   webhook.Answer
			method   string
			tries    int
			attempts int
			took     time.Duration
			state    store.HookState
		}{
			{status(200), "POST", 3, 1, 0, store.HookDelivered},
			{status(201), "POST", 3, 1, 0, store.HookDead},
			{status(201), "PUT", 3, 1, 0, store.HookDelivered},
			{status(204), "GET", 3, 1, 0, store.HookDead},
			{status(404), "POST", 3, 1, 0, store.HookDead},
			{status(302), "POST", 3, 1, 0, store.HookDead},
			{webhook.Answer{Reason: "refused"}, "POST", 3, 3, 4 * time.Second, store.HookDead},
			{status(500), "POST", 3, 3, 6 * time.Second, store.HookDead},
			{status(429), "POST", 1, 1, 0, store.HookDead},
			{webhook.Answer{Reason: "inside", Refused: true}, "POST", 5, 1, 0, store.HookDead},
		} {
			h.o.set(func() { h.o.target.Tries = c.tries })
			h.r.set(func(webhook.Request, int) webhook.Answer { return c.answer })
			d := delivery("kazoo", fmt.Sprint("k", i), fmt.Sprint("d", i), "{}")
			d.Method = c.method
			h.enqueue(d)
			for h.get(d.ID).State == store.HookWaiting {
				time.Sleep(time.Millisecond)
			}
			got := h.get(d.ID)
			if got.State != c.state || got.Attempts != c.attempts || got.Finished.Sub(got.Began).Round(100*time.Millisecond) != c.took {
				t.Errorf("%d: state %d after %d attempts in %v", i, got.State, got.Attempts, got.Finished.Sub(got.Began))
			}
		}
		// Six failures within a minute switch it off; five, or six in more, do not.
		h.r.set(func(webhook.Request, int) webhook.Answer { return status(404) })
		for i := range 6 {
			h.enqueue(delivery("kazoo", "slow", fmt.Sprint("s", i), "{}"))
			time.Sleep(13 * time.Second)
		}
		if told := h.o.heard(); len(told) != 0 {
			t.Error(told)
		}
		for i := range 6 {
			h.enqueue(delivery("kazoo", "quick", fmt.Sprint("q", i), "{}"))
			time.Sleep(11 * time.Second)
		}
		if told := h.o.heard(); !slices.Equal(told, []webhook.Transition{webhook.Disabled}) {
			t.Error(told)
		}
		h.o.set(func() { h.o.err = webhook.ErrOff })
		h.enqueue(delivery("kazoo", "quick", "off", "{}"))
		for h.get("off").State != store.HookDead {
			time.Sleep(time.Millisecond)
		}
		if d := h.get("off"); d.Reason != "it is switched off" || d.Attempts != 0 {
			t.Errorf("%+v", d)
		}
	})
}

// TestSlowReceiverDelaysNobody: one that takes its three seconds for each of a thousand, and a hundred others.
func TestSlowReceiverDelaysNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		defer h.close()
		h.opts.Total = 16
		h.r.delay = 100 * time.Millisecond
		slow := make(chan struct{})
		h.r.set(func(r webhook.Request, _ int) webhook.Answer {
			if strings.HasSuffix(r.URL, "/slow") {
				select {
				case <-slow:
				case <-time.After(3 * time.Second):
				}
			}
			return status(200)
		})
		h.start()
		var list []store.HookDelivery
		for i := range 500 {
			list = append(list, delivery("ringcentral", "slow", fmt.Sprint("slow", i), "x"))
		}
		h.enqueue(list...)
		time.Sleep(time.Second)
		began := time.Now()
		list = nil
		for i := range 100 {
			list = append(list, delivery("ringcentral", fmt.Sprint("quick", i), fmt.Sprint("quick", i), "x"))
		}
		h.enqueue(list...)
		for len(h.r.log()) < 100 {
			time.Sleep(time.Millisecond)
		}
		for quick := 0; quick < 100; time.Sleep(time.Millisecond) {
			quick = 0
			for _, s := range h.r.log() {
				if !strings.HasSuffix(s.url, "/slow") {
					quick++
				}
			}
		}
		// 12 places for 100 requests of a tenth of a second.
		if took := time.Since(began); took > 2*time.Second {
			t.Error("the others took", took)
		}
		if h.r.most > 16 {
			t.Error(h.r.most, "requests at once")
		}
		close(slow)
		h.ended(600)
	})
}

// TestManyOfOne: ten thousand changes of one endpoint, more than are kept in memory, each contact's in order.
func TestManyOfOne(t *testing.T) {
	t.Parallel()
	n, contacts := 12000, 300
	if raceEnabled { // which makes the database slow
		n = 3000
	}
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		defer h.close()
		h.opts.Window = n / 4
		h.start()
		for i := 0; i < n; i += 1000 {
			var list []store.HookDelivery
			for j := i; j < i+1000; j++ {
				list = append(list, delivery("ringcentral", "e", fmt.Sprint("d", j), fmt.Sprint(j), fmt.Sprint(j%contacts)))
			}
			h.enqueue(list...)
		}
		h.ended(n)
		last := map[int]int{}
		seen := map[string]bool{}
		for _, body := range h.r.bodies("") {
			i := 0
			_, _ = fmt.Sscan(body, &i)
			if before, ok := last[i%contacts]; ok && i < before || seen[body] {
				t.Fatal(i, "after", last[i%contacts])
			}
			last[i%contacts], seen[body] = i, true
		}
		if len(seen) != n {
			t.Error(len(seen), "delivered")
		}
	})
}

// TestOneChangeOfMany: one change that a thousand endpoints are told.
func TestOneChangeOfMany(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		defer h.close()
		h.r.delay = 50 * time.Millisecond
		h.start()
		var list []store.HookDelivery
		for i := range 1000 {
			list = append(list, delivery("ringcentral", fmt.Sprint("e", i), fmt.Sprint("d", i), "x", "contact"))
		}
		began := time.Now()
		h.enqueue(list...)
		h.ended(1000)
		if took := time.Since(began); took > 3*time.Second {
			t.Error("took", took)
		}
		if n := len(h.r.log()); n != 1000 {
			t.Error(n, "requests")
		}
		time.Sleep(2 * time.Hour)
		if s := h.e.Stats(); s.Waiting != 0 || s.Oldest != 0 || s.Endpoints != 1000 {
			t.Errorf("%+v", s)
		}
	})
}
