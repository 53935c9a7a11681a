package webhook_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"bugle/internal/event/webhook"
	"bugle/internal/store"
)

func (h *house) pause(endpoint string, paused bool) {
	h.t.Helper()
	if err := h.s.Write(h.t.Context(), func(tx *store.Tx) error { return tx.PauseHook("acme", endpoint, "ringcentral", paused) }); err != nil {
		h.t.Fatal(err)
	}
	time.Sleep(time.Second) // of the virtual clock: the engine has looked
}

// TestAPauseIsNobodysFailure: a delivery that failed for two days, a pause of a week and a restart; then there are 72 hours
// again, in the old order, and nobody is blacklisted for what was before.
func TestAPauseIsNobodysFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		defer h.close()
		patient := webhook.RingCentral()
		patient.BlacklistAfter = 0
		h.opts.Kinds["ringcentral"] = webhook.Kind{Policy: patient, Owner: h.o}
		h.r.set(func(webhook.Request, int) webhook.Answer { return status(500) })
		h.start()
		first := h.one("e", "a")
		time.Sleep(48 * time.Hour) // the schedule is jittered: it may end at 58
		h.one("e", "a")
		h.pause("e", true)
		before := len(h.r.log())
		time.Sleep(3 * 24 * time.Hour)
		h.stop()
		h.start()
		time.Sleep(4 * 24 * time.Hour)
		if n := len(h.r.log()) - before; n != 0 {
			t.Fatal(n, "requests to a paused endpoint")
		}
		h.stop()
		h.opts.Kinds["ringcentral"] = webhook.Kind{Policy: webhook.RingCentral(), Owner: h.o} // from here with blacklisting
		h.start()
		h.pause("e", false)
		time.Sleep(time.Minute)
		if d := h.get(first); d.State != store.HookWaiting || d.Tries < 3 || d.Tries > 7 {
			t.Errorf("after the pause: state %v, tries %d", d.State, d.Tries)
		}
		if e, err := h.s.GetHookEndpoint(t.Context(), "acme", "e"); err != nil || !e.Blacklisted.IsZero() {
			t.Error("blacklisted for what was before the pause", err)
		}
		h.r.set(nil)
		h.ended(2)
		bodies := h.r.bodies("")
		if last := bodies[len(bodies)-2:]; !slices.Equal(last, []string{"1", "2"}) {
			t.Error(last)
		}
	})
}

// TestAPauseOfABlacklisted: nothing is sent, not even probes; resumed, it is asked at once and gets what waited in order.
func TestAPauseOfABlacklisted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		defer h.close()
		h.r.set(func(webhook.Request, int) webhook.Answer { return status(500) })
		h.o.set(func() { h.o.probe = errSick })
		h.start()
		for range 3 {
			h.one("e", "a")
		}
		time.Sleep(time.Hour)
		if told := h.o.heard(); !slices.Equal(told, []webhook.Transition{webhook.Blacklisted}) {
			t.Fatal(told)
		}
		h.pause("e", true)
		probes := func() (n int) { h.o.set(func() { n = len(h.o.probes) }); return n }
		n := probes()
		time.Sleep(5 * 24 * time.Hour)
		if got := probes(); got != n {
			t.Error(got-n, "probes of a paused endpoint")
		}
		h.pause("e", false) // still sick: what has waited for more than 72 hours has them again
		time.Sleep(time.Hour)
		if got := probes(); got < n+4 || h.get("e-1").State != store.HookWaiting {
			t.Error(got-n, "probes since, state", h.get("e-1").State)
		}
		h.o.set(func() { h.o.probe = nil })
		h.r.set(nil)
		h.ended(3)
		bodies := h.r.bodies("")
		if last := bodies[len(bodies)-3:]; !slices.Equal(last, []string{"1", "2", "3"}) {
			t.Error(last)
		}
	})
}

// TestAPauseHasAnEnd: what has waited for 35 days is given up, though more waits than is held in memory, and can be sent
// again.
func TestAPauseHasAnEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		defer h.close()
		h.opts.Window = 10
		h.start()
		h.pause("e", true)
		for range 25 {
			h.one("e", "a")
		}
		time.Sleep(20 * 24 * time.Hour)
		h.one("e", "a")
		time.Sleep(14 * 24 * time.Hour)
		dead := store.HookQuery{AccountID: "acme", States: []store.HookState{store.HookDead}, Limit: 100}
		if list, _, err := h.s.Deliveries(t.Context(), dead); err != nil || len(list) != 0 {
			t.Error(len(list), "dead before their time", err)
		}
		time.Sleep(2 * 24 * time.Hour)
		list, _, err := h.s.Deliveries(t.Context(), dead)
		if err != nil || len(list) != 25 || list[0].Reason == "" {
			t.Fatal(len(list), err)
		}
		h.pause("e", false)
		h.ended(1)
		if n := h.resend(dead, ""); n != 25 {
			t.Error(n, "sent again")
		}
		h.ended(26)
		var want []string
		for i := range 25 {
			want = append(want, fmt.Sprint(i+1))
		}
		if got := h.r.bodies(""); !slices.Equal(got, append([]string{"26"}, want...)) {
			t.Error(got)
		}
	})
}
