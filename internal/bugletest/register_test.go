package bugletest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/icholy/digest"

	"bugle/internal/sip"
)

// office is a registrar that is as strict as a phone can meet: it checks the digest, wants at least a minute, and can
// call a nonce stale.
type office struct {
	t     *testing.T
	addr  netip.AddrPort
	stack *sip.Stack

	mu       sync.Mutex
	nonce    string
	nonces   int
	stale    bool // the next credentials are stale
	statuses []int
	contacts []string
	counts   []int // nc of each accepted REGISTER
	least    uint32
	grant    uint32
}

func newOffice(t *testing.T, least, grant uint32) *office {
	t.Helper()
	o := &office{t: t, least: least, grant: grant, nonce: "n1"}
	o.stack = sip.New(sip.Options{OnRequest: o.onRequest, OnPanic: func(what any) { t.Error(what) }})
	addr, err := o.stack.ListenUDP(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.addr = addr
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		_ = o.stack.Close(ctx)
	})
	return o
}

func (o *office) onRequest(tx *sip.ServerTransaction, req *sip.Message) {
	o.mu.Lock()
	defer o.mu.Unlock()
	resp := o.judge(req)
	o.statuses = append(o.statuses, resp.StatusCode())
	_ = tx.Respond(resp)
}

func (o *office) judge(req *sip.Message) *sip.Message {
	credentials, err := digest.ParseCredentials(req.Header("Authorization"))
	challenge := digest.Challenge{Realm: "office", Nonce: o.nonce, Algorithm: "MD5", QOP: []string{"auth"}}
	right := false
	if err == nil && credentials.Nonce == o.nonce {
		want, err := digest.Digest(&challenge, digest.Options{Method: "REGISTER", URI: req.RequestURI(), Username: "ann",
			Password: "secret", Count: credentials.Nc, Cnonce: credentials.Cnonce})
		right = err == nil && want.Response == credentials.Response && credentials.Username == "ann"
	}
	if right && o.stale {
		o.stale, right = false, false
		o.nonces++
		o.nonce = fmt.Sprintf("n%d", o.nonces+1)
		challenge.Nonce, challenge.Stale = o.nonce, true
	}
	if !right {
		resp := sip.NewResponse(req, 401, "")
		resp.Add("WWW-Authenticate", `Digest realm="office", nonce="x", algorithm=NEW-256`)
		resp.Add("WWW-Authenticate", challenge.String())
		return resp
	}
	wish, _ := req.Expires()
	if wish > 0 && wish < o.least {
		resp := sip.NewResponse(req, 423, "")
		resp.AddInt("Min-Expires", int(o.least))
		return resp
	}
	o.counts = append(o.counts, credentials.Nc)
	o.contacts = nil
	resp := sip.NewResponse(req, 200, "")
	if wish > 0 {
		contact, _ := req.Contact()
		o.contacts = append(o.contacts, contact.URI.String())
		resp.Add("Contact", fmt.Sprintf("<sip:other@10.0.0.1>;expires=5, <%s>;expires=%d", contact.URI, o.grant))
	}
	return resp
}

func TestAPhoneRegistersRefreshesAndLeaves(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	o := newOffice(t, 60, 2)
	p := newPhone(t, Options{Server: o.addr, Realm: "office", Username: "ann", Password: "secret", Expires: 30 * time.Second})
	must(t, p.Register(ctx))
	if p.Granted() != 2*time.Second {
		t.Errorf("granted %v", p.Granted())
	}
	// Challenged once; too brief; then the next count of the same nonce.
	o.mu.Lock()
	if !slices.Equal(o.statuses, []int{401, 423, 200}) || !slices.Equal(o.contacts, []string{p.URI()}) {
		t.Errorf("statuses %v, contacts %v", o.statuses, o.contacts)
	}
	o.stale = true
	o.mu.Unlock()
	// It refreshes at half of two seconds, with the old nonce first.
	for {
		o.mu.Lock()
		n := len(o.counts)
		o.mu.Unlock()
		if n > 1 {
			break
		}
		select {
		case <-ctx.Done():
			t.Fatal("no refresh came")
		case <-time.After(20 * time.Millisecond):
		}
	}
	must(t, p.Unregister(ctx))
	o.mu.Lock()
	defer o.mu.Unlock()
	// Each use of a nonce is counted, that of the 423 too, and a new nonce begins at 1.
	if !slices.Equal(o.counts[:2], []int{2, 2}) {
		t.Errorf("nonce counts %v, want 2, 2, ...", o.counts)
	}
	if len(o.contacts) != 0 {
		t.Errorf("still registered: %v", o.contacts)
	}
}

func TestAWrongPasswordIsTriedOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t, 60, 60)
	p := newPhone(t, Options{Server: o.addr, Realm: "office", Username: "ann", Password: "guess"})
	err := p.Register(within(t))
	if refused, ok := errors.AsType[*StatusError](err); !ok || refused.Status != 401 {
		t.Errorf("registered with %v", err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if !slices.Equal(o.statuses, []int{401, 401}) {
		t.Errorf("statuses %v: the password was tried again, or not at all", o.statuses)
	}
}
