package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bugle/internal/bugletest"
)

// patient is a receiver that answers as it should until it is told to misbehave.
type patient struct {
	*hearing
	id     string // of the subscription
	bad    func(r *patient, w http.ResponseWriter, conn func() net.Conn)
	reason string // by which the subscription is blacklisted, part of it

	address  string
	server   *http.Server
	sick     atomic.Bool
	probes   atomic.Int64 // handshakes
	attempts atomic.Int64 // deliveries
	release  chan struct{}
}

// ServeHTTP implements http.Handler.
func (r *patient) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	conn := func() net.Conn {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		return c
	}
	body, err := io.ReadAll(req.Body)
	token := req.Header.Get("Validation-Token")
	if token != "" {
		r.probes.Add(1)
	} else if r.attempts.Add(1); err == nil {
		r.hear(body)
	}
	switch {
	case r.sick.Load():
		r.bad(r, w, conn)
	case token != "":
		w.Header().Set("Validation-Token", token)
	}
}

// up listens, at the address that it had before if it had one.
func (r *patient) up() error {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", r.address)
	if err != nil {
		return err
	}
	r.address = l.Addr().String()
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: time.Minute}
	go func() { _ = r.server.Serve(l) }()
	return nil
}

// illnesses are receivers that do not do as they should.
func illnesses(inside string) map[string]*patient {
	hijacked := func(then func(r *patient, c net.Conn)) func(*patient, http.ResponseWriter, func() net.Conn) {
		return func(r *patient, _ http.ResponseWriter, conn func() net.Conn) {
			c := conn()
			defer c.Close()
			then(r, c)
		}
	}
	return map[string]*patient{
		"500": {reason: "it answered 500", bad: func(_ *patient, w http.ResponseWriter, _ func() net.Conn) {
			w.WriteHeader(http.StatusInternalServerError)
		}},
		"302": {reason: "redirects are not followed", bad: func(_ *patient, w http.ResponseWriter, _ func() net.Conn) {
			w.Header().Set("Location", inside)
			w.WriteHeader(http.StatusFound)
		}},
		"garbage": {reason: "was not HTTP", bad: hijacked(func(_ *patient, c net.Conn) { _, _ = io.WriteString(c, "\x00\x01\r\n\r\n") })},
		"closing": {reason: "closed", bad: hijacked(func(*patient, net.Conn) {})},
		"never":   {reason: "in time", bad: hijacked(func(r *patient, _ net.Conn) { <-r.release })},
		"slow": {reason: "in time", bad: hijacked(func(r *patient, c net.Conn) {
			for _, drop := range strings.Repeat("HTTP/1.1 200 OK\r\nX-Slow: ", 20) {
				if _, err := io.WriteString(c, string(drop)); err != nil {
					return
				}
				select {
				case <-r.release:
					return
				case <-time.After(100 * time.Millisecond):
				}
			}
		})},
		"down": {reason: "refused"},
	}
}

// TestReceiversThatMisbehave: one that is well and seven that are not, in the running program, where ten minutes pass in two seconds. The
// one that is well is told at once. The others are blacklisted for what they do, sent nothing but the handshake, and once they
// answer it they are sent all that waited, in order and with the uuids and bytes of the attempts before.
func TestReceiversThatMisbehave(t *testing.T) {
	t.Parallel()
	p := serveTo(t, "127.0.0.2/32", filepath.Join(t.TempDir(), "data"), append([]string{hurried + "=300"}, chosen...), generous...)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	master := p.api(t)
	account, err := master.Create(ctx, "/accounts", object{"name": "Receivers"})
	if err != nil {
		t.Fatal(err)
	}
	api := master.For(account)
	ann, err := api.Create(ctx, api.Account("users"), object{"first_name": "Ann"})
	if err != nil {
		t.Fatal(err)
	}
	rc := bugletest.NewRingCentral("http://"+p.HTTP, nil)
	if err := rc.NewSubscriber(ctx, api, ann); err != nil {
		t.Fatal(err)
	}
	p.until(t, "Ann is listed", func() bool { // so that nobody is told of her
		list, err := rc.Entries(ctx)
		return err == nil && len(list) == 1
	})
	var reached atomic.Bool
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Store(true) }))
	defer inside.Close()
	all := illnesses(inside.URL)
	well := &patient{}
	all["well"] = well
	release := sync.OnceFunc(func() {
		for _, r := range all {
			r.sick.Store(false)
			close(r.release)
		}
	})
	for name, r := range all {
		r.hearing, r.address, r.release = newHearing(name), "127.0.0.2:0", make(chan struct{})
		if err := r.up(); err != nil {
			t.Fatal(err)
		}
		defer func() { r.server.Close() }()
		if r.id, err = rc.Hook(ctx, "http://"+r.address+"/hook"); err != nil {
			t.Fatal(name, err)
		}
	}
	defer release()
	refusesInside(ctx, t, rc, inside.URL)

	for _, r := range all {
		if r.sick.Store(r != well); r.reason == "refused" {
			r.server.Close()
		}
	}
	user, err := api.Create(ctx, api.Account("users"), object{"first_name": "Bob"})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	const changes = 8
	for i := range changes {
		if err := api.Patch(ctx, api.Account("users", user), object{"first_name": fmt.Sprint("Bob ", i)}); err != nil {
			t.Fatal(err)
		}
	}
	p.until(t, "the one that is well is told", func() bool { return len(well.all()) == changes+1 })
	if took := time.Since(began); took > 10*time.Second {
		t.Error("the one that is well was told after", took)
	}
	for name, r := range all {
		if r == well {
			continue
		}
		p.until(t, name+" is blacklisted", func() bool {
			status, reason := standing(ctx, t, rc, r.id)
			return status == "Blacklisted" && strings.Contains(reason, r.reason) && !strings.Contains(reason, "127.0.0")
		})
	}
	if status, _ := standing(ctx, t, rc, well.id); status != "Active" {
		t.Error("the one that is well is", status)
	}
	before := map[string]int64{}
	for name, r := range all {
		before[name] = r.attempts.Load()
		r.probes.Store(0)
	}
	for name, r := range all {
		if r != well && name != "down" {
			p.until(t, name+" is probed", func() bool { return r.probes.Load() > 0 })
		}
	}
	for name, r := range all {
		if n := r.attempts.Load(); n != before[name] {
			t.Errorf("%s: %d attempts while it was blacklisted", name, n-before[name])
		}
	}
	release()
	if err := all["down"].up(); err != nil {
		t.Fatal(err)
	}
	want := well.all()
	for name, r := range all {
		p.until(t, name+" is told all", func() bool { return len(r.all()) == len(want) })
		for i, e := range r.all() {
			if e != want[i] {
				t.Errorf("%s: %d. is %v, want %v", name, i+1, e, want[i])
			}
		}
		if len(r.faults) > 0 {
			t.Errorf("%s: %q", name, r.faults)
		}
		p.until(t, name+" is active", func() bool { status, _ := standing(ctx, t, rc, r.id); return status == "Active" })
	}
	if reached.Load() {
		t.Error("a redirect was followed, or an address inside was connected to")
	}
}

// standing is how a subscription stands, and why.
func standing(ctx context.Context, t *testing.T, rc *bugletest.RingCentral, id string) (status, reason string) {
	t.Helper()
	var shown struct {
		Status          string
		BlacklistedData struct{ Reason string }
	}
	if err := rc.Do(ctx, "GET", "/restapi/v1.0/subscription/"+id, nil, &shown); err != nil {
		t.Fatal(err)
	}
	return shown.Status, shown.BlacklistedData.Reason
}

// refusesInside: addresses that are not the operator's own are refused, however they are written, and nothing connects to them.
func refusesInside(ctx context.Context, t *testing.T, rc *bugletest.RingCentral, inside string) {
	t.Helper()
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(inside, "http://"))
	for address, code := range map[string]string{
		inside:                              "SUB-523",
		"http://localhost:" + port:          "SUB-523",
		"https://localhost:" + port:         "SUB-521",
		"https://127.1:" + port:             "SUB-521",
		"https://[::1]:" + port:             "SUB-521",
		"http://[::ffff:127.0.0.1]:" + port: "SUB-523",
		"http://0.0.0.0:" + port:            "SUB-523",
		"http://2130706433:" + port:         "SUB-521",
		"https://169.254.169.254/":          "SUB-521",
		"https://10.0.0.1/":                 "SUB-521",
	} {
		_, err := rc.Hook(ctx, address)
		var refused *bugletest.APIError
		var body struct{ ErrorCode, Message string }
		if !errors.As(err, &refused) || refused.Status != 400 || json.Unmarshal(refused.Data, &body) != nil || body.ErrorCode != code {
			t.Errorf("%s: %v, want %s", address, err, code)
		}
	}
}
