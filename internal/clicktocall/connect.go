package clicktocall

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"net/netip"
	"regexp"
	"time"

	"bugle"
	"bugle/internal/callflow"
	"bugle/internal/store"
)

// Request asks to have a contact connected with an endpoint.
type Request struct {
	Account    bugle.Account
	Endpoint   bugle.ClickToCall
	Contact    string // as it was sent, decoded once
	Requester  Requester
	Token      *Token            // a signed token that was found good, nil for none
	AutoAnswer bool              // nothing for anonymous callers
	Variables  map[string]string // over the endpoint's; an anonymous caller's are under them
	Key        string            // Idempotency-Key, "" for none
	At         time.Time         // when to call, zero for now
	Refused    *Refusal          // what was found wrong before; the attempt is only written down
}

// Requester is who asks, as the history tells.
type Requester struct {
	AccountID string `json:"account_id,omitempty"` // "" for an anonymous caller
	UserID    string `json:"user_id,omitempty"`
	Method    string `json:"method"` // of authentication; "anonymous", "token"
	Address   string `json:"client_ip,omitempty"`
	Origin    string `json:"origin,omitempty"`
	RequestID string `json:"request_id,omitempty"`
}

func (r Requester) anonymous() bool { return r.AccountID == "" }

// Token is a signed token for one attempt.
type Token struct {
	ID      string
	Contact string // normalised, as Permit returns it
	Expires time.Time
}

// Attempt is what became of a Request.
type Attempt struct {
	Row         store.AttemptRow
	Origination callflow.Origination // of an attempt that was begun; zero for one that is scheduled
	Repeated    bool                 // the key was used before: Row is the attempt of then
}

const (
	maxVariables    = 50
	maxVariable     = 1024 // bytes of a value
	maxKey          = 255
	mostDue         = 100 // attempts of an endpoint that may be scheduled at once
	furthest        = 30 * 24 * time.Hour
	keepTokensAfter = time.Minute // clocks of servers differ
)

var (
	variableForm = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)
	keyForm      = regexp.MustCompile(`^[ -~]{1,255}$`)
)

// Connect makes an attempt, or plans it, unless something forbids it. The error is a *Refusal, which the history has then, or
// says that the attempt could not be made or written.
func (s *Service) Connect(ctx context.Context, r Request) (Attempt, error) {
	row, a := s.row(&r)
	contact, err := s.judge(ctx, &r, &row, a.Stranger)
	var earlier *store.AttemptRow
	if err == nil && r.Key != "" {
		earlier, err = s.repeated(ctx, &row)
	}
	if earlier != nil && err == nil {
		return s.repeat(earlier), nil
	}
	giveBack := func() {}
	if err == nil {
		giveBack, err = s.limited(&r, a.Stranger)
	}
	if err == nil {
		var placed Attempt
		if placed, err = s.place(ctx, &r, row, contact, a); err == nil {
			return placed, nil
		}
		giveBack()
	}
	var refusal *Refusal
	var known *written
	if errors.As(err, &refusal) && !errors.As(err, &known) {
		s.writeRefusal(row, refusal)
	}
	return Attempt{Row: row}, err
}

// Permit judges a contact by input and dial policy alone and returns it normalised. The error is a *Refusal, or says that nobody
// can tell.
func (s *Service) Permit(ctx context.Context, account *bugle.Account, endpoint *bugle.ClickToCall, text string) (string, error) {
	contact, refusal := ParseContact(account, text)
	if refusal != nil {
		return "", refusal
	}
	return s.permit(ctx, account, endpoint, &contact, false)
}

// row is the attempt before it was judged.
func (s *Service) row(r *Request) (store.AttemptRow, *asked) {
	requester, _ := json.Marshal(r.Requester) // strings
	a := &asked{Contact: clip(r.Contact), AutoAnswer: r.AutoAnswer && !r.Requester.anonymous(), Variables: map[string]string{}, At: r.At,
		Stranger: r.Requester.anonymous() && r.Token == nil}
	layers := []map[string]string{r.Endpoint.Variables, r.Variables}
	if r.Requester.anonymous() {
		layers[0], layers[1] = layers[1], layers[0]
	}
	for _, layer := range layers {
		maps.Copy(a.Variables, layer)
	}
	row := store.AttemptRow{ID: bugle.NewID(), AccountID: r.Account.ID, EndpointID: r.Endpoint.ID, Created: s.now(),
		Contact: a.Contact, State: string(Starting), Requester: requester, Request: a.encode(), Key: r.Key}
	if !r.At.IsZero() {
		row.State, row.Due = string(Scheduled), r.At.UTC().Truncate(time.Microsecond)
	}
	return row, a
}

// clip keeps a contact that is no contact from filling the history.
func clip(text string) string {
	if len(text) > maxContact {
		return text[:maxContact] + "..."
	}
	return text
}

// judge is input and dial policy: everything before limits.
func (s *Service) judge(ctx context.Context, r *Request, row *store.AttemptRow, stranger bool) (Contact, error) {
	if r.Refused != nil {
		return Contact{}, r.Refused
	}
	if !r.Account.Enabled {
		return Contact{}, refuse(ReasonDisabled, "the account is disabled")
	}
	contact, refusal := ParseContact(&r.Account, r.Contact)
	if refusal != nil {
		return contact, refusal
	}
	if refusal := r.malformed(); refusal != nil {
		return contact, refusal
	}
	normal, err := s.permit(ctx, &r.Account, &r.Endpoint, &contact, stranger)
	row.Contact = normal
	if err != nil {
		return contact, err
	}
	if r.Token != nil && r.Token.Contact != normal {
		return contact, refuse(ReasonToken, "the token is for another contact")
	}
	now := row.Created
	if !r.At.IsZero() {
		if !r.At.After(now) || r.At.Sub(now) > furthest {
			return contact, refuse(ReasonSchedule, "at is a time within the next 30 days, such as %s", now.Add(time.Hour).Format(time.RFC3339))
		}
		now = r.At
	}
	if until := quietUntil(&r.Account, r.Endpoint.QuietHours, now); !until.IsZero() {
		quiet := refuse(ReasonQuiet, "nobody is called before %s", until.Format(time.RFC3339))
		if quiet.Until = until; r.At.IsZero() {
			quiet.Retry = until.Sub(now)
		}
		return contact, quiet
	}
	return contact, nil
}

func (r *Request) malformed() *Refusal {
	if r.Key != "" && !keyForm.MatchString(r.Key) {
		return refuse(ReasonKey, "Idempotency-Key is 1 to %d printable characters of ASCII", maxKey)
	}
	return CheckVariables(r.Variables)
}

// CheckVariables judges custom application variables; nil when they are good.
func CheckVariables(variables map[string]string) *Refusal {
	if len(variables) > maxVariables {
		return refuse(ReasonVariables, "custom_application_vars may have %d members", maxVariables)
	}
	for name, value := range variables {
		if !variableForm.MatchString(name) || len(value) > maxVariable || hasControl(value) {
			return refuse(ReasonVariables, "the names of custom_application_vars have 1 to 64 characters a-z, A-Z, 0-9, - and _, and the values "+
				"at most %d bytes without control characters", maxVariable)
		}
	}
	return nil
}

func hasControl(text string) bool {
	for _, r := range text {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return true
		}
	}
	return false
}

// repeated is the attempt that has the key of row already, nil for none.
func (s *Service) repeated(ctx context.Context, row *store.AttemptRow) (*store.AttemptRow, error) {
	earlier, err := s.o.Store.AttemptByKey(ctx, row.EndpointID, row.Key)
	if err != nil {
		if bugle.KindOf(err) == bugle.KindNotFound {
			err = nil
		}
		return nil, err
	}
	return &earlier, sameAttempt(&earlier, row)
}

func sameAttempt(earlier, row *store.AttemptRow) error {
	if earlier.Contact != row.Contact {
		return refuse(ReasonKeyReused, "the Idempotency-Key was used for another contact")
	}
	return nil
}

// limited counts the attempt of an anonymous caller without a token.
func (s *Service) limited(r *Request, stranger bool) (giveBack func(), err error) {
	if !stranger {
		return func() {}, nil
	}
	client, _ := netip.ParseAddr(r.Requester.Address)
	now := s.o.Now()
	wait, backAddress := s.perAddress.take(network(client), now)
	if wait == 0 {
		var backEndpoint func()
		if wait, backEndpoint = s.perEndpoint.take(r.Endpoint.ID, now); wait == 0 {
			return func() { backAddress(); backEndpoint() }, nil
		}
		backAddress()
	}
	refusal := refuse(ReasonRate, "too many calls are asked for without a token: %d a minute from one address and %d for one click to call "+
		"are allowed", s.o.Limits.PerAddress, s.o.Limits.PerEndpoint)
	refusal.Retry = wait
	return nil, refusal
}

// place writes the attempt and begins its call.
func (s *Service) place(ctx context.Context, r *Request, row store.AttemptRow, contact Contact, a *asked) (Attempt, error) {
	p := store.Placing{Throttle: time.Duration(r.Endpoint.Throttle) * time.Second, MostDue: mostDue}
	if r.Token != nil {
		p.Token, p.TokenExpires = r.Token.ID, r.Token.Expires.Add(keepTokensAfter)
	}
	if r.Requester.anonymous() {
		p.MostToOne = 1
	}
	if row.Due.IsZero() {
		row.CallID, row.Started, row.Node, row.Lease = newCallID(r.Endpoint.ID), row.Created, s.node, row.Created.Add(leaseTime)
	}
	// Whoever asked may go away; an attempt that was written is made.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeWait)
	defer cancel()
	placed, err := s.o.Store.PlaceAttempt(ctx, row, p)
	if err != nil {
		return Attempt{}, err
	}
	if placed.Earlier != nil {
		return s.repeat(placed.Earlier), sameAttempt(placed.Earlier, &row)
	}
	if refusal := refusalOf(&placed, p.Throttle); refusal != nil {
		return Attempt{}, refusal
	}
	if !row.Due.IsZero() {
		s.o.Notify(eventOf(&row, row.Created))
		return Attempt{Row: row}, nil
	}
	h := hold(row)
	s.keepAlways(h)
	s.o.Notify(eventOf(&row, row.Created))
	o := origination(&r.Account, &r.Endpoint, &contact, row.Contact, row.CallID, a)
	if err := s.begin(h, o); err != nil {
		return Attempt{}, s.notBegun(ctx, h, p.Token, row.Created, err)
	}
	row, _ = h.look()
	return Attempt{Row: row, Origination: o}, nil
}

// repeat is the attempt of an earlier request, as it is now.
func (s *Service) repeat(row *store.AttemptRow) Attempt {
	if h := s.find(row.ID); h != nil {
		now, _ := h.look()
		row = &now
	}
	return Attempt{Row: *row, Repeated: true}
}

func refusalOf(placed *store.Placed, throttle time.Duration) *Refusal {
	switch {
	case placed.Spent:
		return refuse(ReasonToken, "the token was used before")
	case placed.Full:
		return refuse(ReasonFull, "as many calls are planned here as may be, or one to this contact is")
	case placed.Throttled > 0:
		r := refuse(ReasonThrottle, "only one call in %s is made here", throttle)
		r.Retry = placed.Throttled
		return r
	}
	return nil
}

// notBegun undoes a placing whose call could not be begun, and writes the attempt as refused.
func (s *Service) notBegun(ctx context.Context, h *held, token string, at time.Time, err error) error {
	row, _ := h.look()
	if undo := s.o.Store.UnplaceAttempt(ctx, row.EndpointID, token, at); undo != nil {
		s.o.Log.Warn("the throttle of an endpoint was not given back", "endpoint", row.EndpointID, "error", undo)
	}
	refusal := refuse(ReasonCapacity, "no call can be made now")
	refusal.Retry, refusal.Contact = 5*time.Second, row.Contact
	if bugle.KindOf(err) != bugle.KindLimited {
		s.o.Log.Error("a call could not be begun", "call", row.CallID, "error", err)
	}
	s.change(h, Refused, s.now(), func(row *store.AttemptRow) {
		row.Reason, row.Cause, row.CallID, row.Started = string(refusal.Reason), refusal.Message, "", time.Time{}
	})
	return &written{refusal}
}

// written is a refusal that the history has already.
type written struct{ refusal *Refusal }

func (w *written) Error() string { return w.refusal.Error() }

func (w *written) Unwrap() error { return w.refusal }

// writeRefusal writes down an attempt that was refused.
func (s *Service) writeRefusal(row store.AttemptRow, refusal *Refusal) {
	row.State, row.Reason, row.Cause, row.Key, row.Due = string(Refused), string(refusal.Reason), refusal.Message, "", time.Time{}
	if refusal.Contact != "" {
		row.Contact = refusal.Contact
	}
	h := hold(row)
	if !s.keep(h) {
		s.o.Log.Error("a refused attempt was not kept: too many wait for the database", "endpoint", row.EndpointID, "reason", refusal.Reason)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	s.submit(h)
}

func newCallID(endpointID string) string {
	var b [5]byte
	rand.Read(b[:])
	return "c2c-" + endpointID + "-" + hex.EncodeToString(b[:])
}
