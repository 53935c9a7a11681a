package store

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"bugle"
)

// HookState says how far a delivery has come.
type HookState int

// The states of a delivery.
const (
	HookWaiting   HookState = iota // for its first attempt, its next, or its turn
	HookDelivered                  // the receiver has taken it
	HookDead                       // given up; it may be sent again
	HookDropped                    // its endpoint is gone
)

// Limits of a delivery. What exceeds them is refused with KindInvalid.
const (
	MaxHookBody = 1 << 20 // bytes
	maxHookURL  = 8 << 10
	maxHookKeys = 1000
)

// HookDelivery is one request that is to reach a receiver. Its ID, URL, Header and Body are the same at every attempt.
type HookDelivery struct {
	ID        string // unique in the system; what a receiver tells repetitions by
	Endpoint  string // the queue that it waits in
	Kind      string // of the endpoint: who answers for it
	AccountID string
	Event     string // what it tells, for lists
	// Keys: of two deliveries of an endpoint that share a key the earlier is delivered first; none, and it waits for nobody.
	Keys        []string
	Method, URL string
	Header      [][2]string
	Body        []byte

	// The store and who delivers write what follows.
	Position int64 // of the order in the endpoint
	Queued   int64 // the place in HooksAfter
	State    HookState
	Created  time.Time
	Began    time.Time // first attempt of this round; zero: none yet
	Due      time.Time // of the next attempt
	Finished time.Time // delivered, dead or dropped
	Attempts int
	Tries    int    // attempts of this round: sending it again begins one
	Status   int    // of the last answer, 0 for none
	Reason   string // of the last failure
}

// HookEndpoint is the state of a queue of deliveries.
type HookEndpoint struct {
	ID        string
	AccountID string
	Kind      string
	Node      string // who delivers, "" for nobody
	Epoch     int64  // grows with each change of Node
	Touched   int64
	// Paused is since when nothing is sent, by an administrator's wish; zero: it is not. Resumed is when the last pause
	// ended: no time counts that a delivery has waited until then.
	Paused, Resumed time.Time
	// Failing is since when every attempt failed; zero: the last one succeeded.
	Failing time.Time
	// Blacklisted is since when nothing but probes is sent; zero: it is not.
	Blacklisted time.Time
	Reason      string // of the last failure, while Failing or Blacklisted
}

const deliveriesCounter = "deliveries"

// Enqueue stores deliveries with the transaction. They are in the order in which they are given, behind all that was
// committed before. An ID that is stored already is left as it is, so a caller that is in doubt may enqueue again.
func (tx *Tx) Enqueue(deliveries ...HookDelivery) error {
	for i := range deliveries {
		if err := deliveries[i].check(); err != nil {
			return err
		}
	}
	tx.deliveries = append(tx.deliveries, deliveries...)
	return nil
}

func (d *HookDelivery) check() error {
	if !named(d.ID) || !named(d.Endpoint) || !named(d.Kind) || !named(d.AccountID) || !named(d.Method) || !text(d.Event) ||
		strings.Contains(d.ID, "/") || d.URL == "" || len(d.URL) > maxHookURL || !text(d.URL) || len(d.Body) > MaxHookBody || len(d.Keys) > maxHookKeys ||
		!texts(d.Keys...) || slices.ContainsFunc(d.Header, func(h [2]string) bool { return !texts(h[0], h[1]) }) {
		return &bugle.Error{Op: "store.Enqueue", Kind: bugle.KindInvalid,
			Message: "a delivery needs an id, an endpoint, an account, a method and a URL, and at most a megabyte of body"}
	}
	return nil
}

// appendDeliveries writes what Enqueue was given; first is the number before theirs.
func (tx *Tx) appendDeliveries(first int64) error {
	rows, endpoints := make([][]any, len(tx.deliveries)), map[string][]any{}
	for i := range tx.deliveries {
		d := &tx.deliveries[i]
		keys, err := json.Marshal(d.Keys)
		if err != nil {
			return err
		}
		header, err := json.Marshal(d.Header)
		if err != nil {
			return err
		}
		number := first + int64(i) + 1
		rows[i] = []any{d.ID, number, number, d.Endpoint, d.AccountID, d.Event, string(keys), d.Method, d.URL, string(header),
			notNil(d.Body), int64(HookWaiting), tx.at.UnixMicro(), 0, tx.at.UnixMicro(), 0, 0, 0, 0, ""}
		endpoints[d.Endpoint] = []any{d.Endpoint, d.AccountID, d.Kind, "", 0, 0, 0, 0, 0, "", 0}
	}
	if err := inBatches(tx.ctx, tx.t, `INSERT INTO hook_deliveries (`+deliveryColumns+`) VALUES `,
		` ON CONFLICT (id) DO NOTHING`, rows); err != nil {
		return err
	}
	queues := make([][]any, 0, len(endpoints))
	for _, row := range endpoints {
		queues = append(queues, row)
	}
	slices.SortFunc(queues, func(x, y []any) int { return strings.Compare(x[0].(string), y[0].(string)) })
	return inBatches(tx.ctx, tx.t, `INSERT INTO hook_endpoints (`+endpointColumns+`) VALUES `, ` ON CONFLICT (id) DO NOTHING`, queues)
}

// ReaderPosition returns how far a reader of the change log has come; known is false when it never began. Nobody else
// moves it until the transaction ends.
func (tx *Tx) ReaderPosition(name string) (position int64, known bool, err error) {
	position, known, err = readerPosition(tx.ctx, tx.t, name)
	return position, known, tx.fail("store.ReaderPosition", err)
}

// MoveReader sets how far a reader that BeginReader knows has come, with what else the transaction writes.
func (tx *Tx) MoveReader(name string, position int64) error {
	n, err := tx.t.exec(tx.ctx, `UPDATE readers SET position = ? WHERE name = ?`, position, clean(name))
	if err == nil && n != 1 {
		err = notFound("store.MoveReader", "reader")
	}
	return tx.fail("store.MoveReader", err)
}
