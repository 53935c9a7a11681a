package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/alecthomas/kong"

	"bugle/internal/event/webhook"
)

const (
	receiveBody   = 2 << 20 // twice what bugle sends
	receiveShown  = 8 << 10 // bytes of a body that are printed
	receiveKnown  = 10_000  // ids that are remembered
	receiveAtOnce = 64
	receiveTime   = 15 * time.Second // for a request to arrive
	maxDelay      = 10 * time.Minute
)

// receiveEvents is a receiver of webhooks for who writes one.
type receiveEvents struct {
	Listen            string        `default:"127.0.0.1:8400" help:"Address to listen on."`
	Secret            []string      `env:"BUGLE_SIGNING_SECRET" placeholder:"whsec_…" help:"Signing secret of the subscription; with it signatures are checked, and what is signed wrongly is answered 401. Several while a new one replaces an old one."`
	VerificationToken string        `env:"BUGLE_VERIFICATION_TOKEN" help:"Verification token of the subscription; with it the header is checked."`
	Fail              int           `placeholder:"STATUS" help:"Answer this status, such as 500, instead of 200, to see it tried again."`
	FailCount         int           `placeholder:"N" help:"With --fail: only to the first N requests."`
	Delay             time.Duration `help:"Wait this long before each answer; bugle waits 3s at a RingCentral subscription and 20s at a webhook."`
	Count             int           `placeholder:"N" help:"End after N requests that were answered 200."`
	TLSCert           string        `name:"receive-tls-cert" env:"BUGLE_RECEIVE_TLS_CERT" type:"existingfile" placeholder:"FILE" help:"Certificate, for https."`
	TLSKey            string        `name:"receive-tls-key" env:"BUGLE_RECEIVE_TLS_KEY" type:"existingfile" placeholder:"FILE" help:"Key of the certificate."`
	JSON              bool          `name:"json" help:"Print one JSON object for each request."`
}

// receiver is a running receiveEvents.
type receiver struct {
	c       *receiveEvents
	secrets [][]byte
	busy    chan struct{} // a place for each request
	done    context.CancelFunc

	mu       sync.Mutex
	known    map[string]delivered // by id
	order    []string             // of known, the oldest first
	failed   int
	accepted int
}

// delivered is what is remembered of an id.
type delivered struct {
	times int
	sum   [sha256.Size]byte
}

// AfterApply is kong's: receive speaks to no system, so flags that name one were meant for something else.
func (c *receiveEvents) AfterApply(k *kong.Context) error {
	for _, p := range k.Path {
		if p.Flag != nil && slices.Contains([]string{"url", "api-key-file", "secret-key-file", "data-dir", "store", "blob-dir"}, p.Flag.Name) {
			return fmt.Errorf("--%s: receive is a receiver of its own and speaks to no server", p.Flag.Name)
		}
	}
	return nil
}

func (c *receiveEvents) check() (secrets [][]byte, err error) {
	for i, text := range c.Secret {
		secret, ok := webhook.ParseSecret(text)
		if !ok {
			return nil, fmt.Errorf("--secret: number %d is no signing secret: whsec_ and base64, as the answer to the creation of the subscription shows it once", i+1)
		}
		secrets = append(secrets, secret)
	}
	switch {
	case c.Fail != 0 && (c.Fail < 200 || c.Fail > 599):
		return nil, fmt.Errorf("--fail: %d; a status from 200 to 599", c.Fail)
	case c.FailCount < 0 || c.Count < 0:
		return nil, errors.New("--fail-count and --count: 1 or more")
	case c.FailCount > 0 && c.Fail == 0:
		return nil, errors.New("--fail-count goes with --fail")
	case c.Delay < 0 || c.Delay > maxDelay:
		return nil, fmt.Errorf("--delay: %v; at most %v", c.Delay, maxDelay)
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return nil, errors.New("--receive-tls-cert and --receive-tls-key go together")
	}
	return secrets, nil
}

// Run is the command.
func (c *receiveEvents) Run(ctx context.Context) error {
	secrets, err := c.check()
	if err != nil {
		return &exitError{2, err}
	}
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	ctx, done := context.WithCancel(ctx)
	defer done()
	r := &receiver{c: c, secrets: secrets, busy: make(chan struct{}, receiveAtOnce), done: done, known: map[string]delivered{}}
	server := &http.Server{Handler: r, ReadHeaderTimeout: receiveTime, ReadTimeout: receiveTime, WriteTimeout: receiveTime + c.Delay + receiveTime, IdleTimeout: time.Minute,
		MaxHeaderBytes: 64 << 10, BaseContext: func(net.Listener) context.Context { return ctx }}
	scheme := "http"
	if c.TLSCert != "" {
		scheme = "https"
	}
	address := scheme + "://" + listener.Addr().String()
	fmt.Fprintf(os.Stderr, "listening on %s\n", address)
	if !c.JSON {
		fmt.Fprintf(os.Stderr, receiveHelp, address)
	}
	ended := make(chan error, 1)
	go func() {
		if c.TLSCert != "" {
			ended <- server.ServeTLS(listener, c.TLSCert, c.TLSKey)
			return
		}
		ended <- server.Serve(listener)
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if server.Shutdown(last) != nil {
		_ = server.Close()
	}
	<-ended
	return nil
}

const receiveHelp = `
A server that runs here needs --egress-allow 127.0.0.0/8 to reach this address, and to reach any by http:. To be told, with a token of the KAZOO API

  curl -X PUT -H "X-Auth-Token: $TOKEN" -H 'Content-Type: application/json' $URL/v2/accounts/$ACCOUNT/webhooks \
    -d '{"data":{"name":"mine","hook":"object","format":"json","uri":"%[1]s/"}}'

or with one of the RingCentral API, whose answer shows signingSecret for --secret

  curl -X POST -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' $URL/restapi/v1.0/subscription \
    -d '{"eventFilters":["/restapi/v1.0/account/~/directory/entries"],"deliveryMode":{"transportType":"WebHook","address":"%[1]s/"}}'

`

// reception is what is told of one request.
type reception struct {
	At        string          `json:"at"`
	Method    string          `json:"method"`
	Path      string          `json:"path"`
	ID        string          `json:"id,omitempty"`
	Handshake bool            `json:"handshake,omitempty"`
	Repeated  int             `json:"repeated,omitempty"` // how often it came before
	Differs   bool            `json:"differs,omitempty"`  // from what came before with its id
	Signature string          `json:"signature,omitempty"`
	Token     string          `json:"verification_token,omitempty"`
	Size      int             `json:"size"`
	Status    int             `json:"status"` // that it was answered
	Body      json.RawMessage `json:"body,omitempty"`
	Text      string          `json:"text,omitempty"` // a body that is no JSON
	raw       []byte
}

// ServeHTTP takes a request, prints it and answers.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	select {
	case r.busy <- struct{}{}:
		defer func() { <-r.busy }()
	default:
		http.Error(w, "too many requests at once", http.StatusServiceUnavailable)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, receiveBody))
	if err != nil {
		status := http.StatusBadRequest
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			status = http.StatusRequestEntityTooLarge
		}
		fmt.Fprintf(os.Stderr, "a request of %s could not be read: %v\n", req.RemoteAddr, err)
		http.Error(w, "the body could not be read", status)
		return
	}
	t := reception{At: time.Now().UTC().Format(time.RFC3339Nano), Method: req.Method, Path: req.URL.RequestURI(), Size: len(body), Status: http.StatusOK, raw: body}
	if token := req.Header.Get("Validation-Token"); token != "" && len(body) == 0 {
		// The handshake, by which a subscription is made and a receiver that failed is asked whether it is well.
		t.Handshake = true
		w.Header().Set("Validation-Token", token)
		w.Header().Set("Content-Type", "application/json")
	} else {
		r.judge(&t, req, body)
		if r.c.Delay > 0 {
			select {
			case <-time.After(r.c.Delay):
			case <-req.Context().Done(): // who sent it has gone
			}
		}
	}
	r.tell(&t) // first, so that what comes one after another is printed so
	w.WriteHeader(t.Status)
	_ = http.NewResponseController(w).Flush() // before the program may end
	r.answered(&t)
}

// judge says what a delivery is worth and how it is answered.
func (r *receiver) judge(t *reception, req *http.Request, body []byte) {
	if json.Valid(body) {
		t.Body = body
	} else {
		t.Text = strings.ToValidUTF8(string(body[:min(len(body), receiveShown)]), "\uFFFD")
	}
	if t.ID = req.Header.Get("webhook-id"); t.ID == "" {
		var told struct {
			UUID string `json:"uuid"`
		}
		if json.Unmarshal(body, &told) == nil {
			t.ID = told.UUID
		}
	}
	wrong := false
	if len(r.secrets) > 0 {
		err := webhook.Verify(req.Header, body, time.Now(), r.secrets...)
		switch {
		case err == nil:
			t.Signature = "holds"
		case errors.Is(err, webhook.ErrUnsigned):
			t.Signature = "missing"
		default:
			t.Signature, wrong = "WRONG: "+err.Error(), true
		}
	}
	if r.c.VerificationToken != "" {
		switch req.Header.Get("Verification-Token") {
		case r.c.VerificationToken:
			t.Token = "right"
		case "":
			t.Token = "missing"
		default:
			t.Token, wrong = "WRONG", true
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if t.ID != "" {
		sum := sha256.Sum256(body)
		before, seen := r.known[t.ID]
		t.Repeated, t.Differs = before.times, seen && before.sum != sum
		if !seen {
			if r.order = append(r.order, t.ID); len(r.order) > receiveKnown {
				delete(r.known, r.order[0])
				r.order = slices.Delete(r.order, 0, 1)
			}
		}
		r.known[t.ID] = delivered{before.times + 1, sum}
	}
	switch {
	case wrong:
		t.Status = http.StatusUnauthorized
	case r.c.Fail != 0 && (r.c.FailCount == 0 || r.failed < r.c.FailCount):
		r.failed++
		t.Status = r.c.Fail
	}
}

// tell prints a request.
func (r *receiver) tell(t *reception) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.c.JSON {
		line, err := json.Marshal(t)
		if err == nil {
			_, err = fmt.Println(string(line))
		}
		if err != nil {
			r.done()
		}
	} else if _, err := fmt.Print(t.text()); err != nil {
		r.done()
	}
}

// answered ends the program after the last request.
func (r *receiver) answered(t *reception) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !t.Handshake && t.Status == http.StatusOK {
		if r.accepted++; r.accepted == r.c.Count {
			r.done()
		}
	}
}

// text is a request for people.
func (t *reception) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s %s", t.At, t.Method, t.Path)
	if t.Handshake {
		fmt.Fprintf(&b, "  the handshake, answered %d\n", t.Status)
		return harmlessText(b.String())
	}
	if t.ID != "" {
		b.WriteString("  id " + t.ID)
	}
	switch {
	case t.Differs:
		fmt.Fprintf(&b, "  REPEATED, time %d, WITH OTHER BYTES", t.Repeated+1)
	case t.Repeated > 0:
		fmt.Fprintf(&b, "  repeated, time %d, the same bytes", t.Repeated+1)
	}
	if t.Signature != "" {
		b.WriteString("  signature " + t.Signature)
	}
	if t.Token != "" {
		b.WriteString("  verification token " + t.Token)
	}
	fmt.Fprintf(&b, "  %d bytes, answered %d\n", t.Size, t.Status)
	shown := t.raw
	var pretty bytes.Buffer
	if t.Body != nil && json.Indent(&pretty, t.raw, "", "  ") == nil {
		shown = pretty.Bytes()
	}
	if len(shown) > 0 {
		for line := range strings.Lines(strings.ToValidUTF8(string(shown[:min(len(shown), receiveShown)]), "\uFFFD")) {
			b.WriteString("    " + strings.TrimRight(line, "\r\n") + "\n")
		}
		if len(shown) > receiveShown {
			b.WriteString("    …\n")
		}
	}
	return harmlessText(b.String())
}
