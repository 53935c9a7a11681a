package store

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"bugle"
)

const (
	deliveryColumns = `id, position, queued, endpoint_id, account_id, event, order_keys, method, url, header, body, state, ` +
		`created, began, due, finished, attempts, tries, status, reason`
	endpointColumns    = `id, account_id, kind, node, epoch, touched, paused, failing, blacklisted, reason, resumed`
	hookAttemptColumns = `delivery_id, number, endpoint_id, account_id, at, took, success, status, error, answer, retry_at`
)

// HookAttempt is one attempt at a delivery.
type HookAttempt struct {
	Delivery  string
	Number    int // from 1, over all rounds
	Endpoint  string
	AccountID string
	At        time.Time
	Took      time.Duration
	Success   bool
	Status    int       // of the answer, 0 for none
	Error     string    // why it failed, for the owner of the endpoint
	Answer    []byte    // the first bytes of the answer's body
	RetryAt   time.Time // of the next attempt, zero for none
}

// HookQuery selects deliveries or attempts of one account.
type HookQuery struct {
	AccountID string
	Endpoint  string      // "" for every one
	Delivery  string      // "" for every one; attempts only
	States    []HookState // none for every one; deliveries only
	// From is included, Until is not; zero means without bound. They bound when attempts were made, and when deliveries were
	// enqueued.
	From, Until time.Time
	// First and Last bound the positions of deliveries, both included; 0 means without bound.
	First, Last int64
	After       []byte // what the page before returned as next
	Limit       int    // 1 to 1000; 0 means 50
	Ascending   bool   // the oldest first
}

// GetDelivery returns a delivery, else KindNotFound.
func (s *Store) GetDelivery(ctx context.Context, accountID, id string) (HookDelivery, error) {
	if !texts(accountID, id) {
		return HookDelivery{}, notFound("store.GetDelivery", "delivery")
	}
	list, err := s.deliveries(ctx, `SELECT `+deliveryColumns+` FROM hook_deliveries WHERE id = ? AND account_id = ?`, id, accountID)
	if err == nil && len(list) == 0 {
		err = notFound("store.GetDelivery", "delivery")
	}
	if err != nil {
		return HookDelivery{}, s.fail("store.GetDelivery", err)
	}
	return list[0], nil
}

// HooksAfter returns up to limit (1 to 1000) deliveries that were enqueued or sent again after one with a Queued and a
// Position, in the order of the two.
func (s *Store) HooksAfter(ctx context.Context, queued, position int64, limit int) ([]HookDelivery, error) {
	list, err := s.deliveries(ctx, `SELECT `+deliveryColumns+` FROM hook_deliveries WHERE (queued, position) > (?, ?) `+
		`ORDER BY queued, position LIMIT ? + 0`, queued, position, Query{Limit: limit}.limit())
	return list, s.fail("store.HooksAfter", err)
}

// HooksWaiting returns up to limit (1 to 1000) waiting deliveries of an endpoint behind a position.
func (s *Store) HooksWaiting(ctx context.Context, endpoint string, after int64, limit int) ([]HookDelivery, error) {
	list, err := s.deliveries(ctx, `SELECT `+deliveryColumns+` FROM hook_deliveries WHERE state = ? AND endpoint_id = ? AND `+
		`position > ? ORDER BY position LIMIT ? + 0`, int64(HookWaiting), clean(endpoint), after, Query{Limit: limit}.limit())
	return list, s.fail("store.HooksWaiting", err)
}

// HooksQueued is the last number that was given to a delivery or an endpoint: where a reader begins that looks for what
// waits after asking for it.
func (s *Store) HooksQueued(ctx context.Context) (int64, error) {
	n, err := counter(ctx, s.readable(), deliveriesCounter)
	return n, s.fail("store.HooksQueued", err)
}

func (s *Store) deliveries(ctx context.Context, query string, args ...any) ([]HookDelivery, error) {
	rows, err := s.readable().rows(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []HookDelivery
	for rows.Next() {
		var d HookDelivery
		var keys, header []byte
		var state, created, began, due, finished int64
		if err := rows.Scan(&d.ID, &d.Position, &d.Queued, &d.Endpoint, &d.AccountID, &d.Event, &keys, &d.Method, &d.URL, &header,
			&d.Body, &state, &created, &began, &due, &finished, &d.Attempts, &d.Tries, &d.Status, &d.Reason); err != nil {
			return nil, err
		}
		if err := errors.Join(json.Unmarshal(keys, &d.Keys), json.Unmarshal(header, &d.Header)); err != nil {
			return nil, err
		}
		d.State, d.Created, d.Began, d.Due, d.Finished = HookState(state), timeOf(created), timeOf(began), timeOf(due), timeOf(finished)
		list = append(list, d)
	}
	return list, rows.Err()
}

// HookAttempts returns one page of attempts, the latest first, and where the next begins.
func (s *Store) HookAttempts(ctx context.Context, q HookQuery) (list []HookAttempt, next []byte, err error) {
	if !texts(q.AccountID, q.Endpoint, q.Delivery) {
		return nil, nil, nil
	}
	where, args := `account_id = ?`, []any{q.AccountID}
	if q.Delivery != "" { // by its own key: the index of an account's attempts would be read through
		where, args = `account_id || '' = ? AND delivery_id = ?`, append(args, q.Delivery)
	}
	if q.Endpoint != "" {
		where, args = where+` AND endpoint_id = ?`, append(args, q.Endpoint)
	}
	if !q.From.IsZero() {
		where, args = where+` AND at >= ?`, append(args, micro(q.From))
	}
	if !q.Until.IsZero() {
		where, args = where+` AND at < ?`, append(args, micro(q.Until))
	}
	if q.After != nil {
		at, id, err := hookPlace(q.After)
		delivery, digits, _ := strings.Cut(id, "/")
		number, wrong := strconv.ParseInt(digits, 10, 64)
		if err != nil || wrong != nil {
			return nil, nil, errPlace("store.HookAttempts")
		}
		where, args = where+` AND (at, delivery_id, number) < (?, ?, ?)`, append(args, at, delivery, number)
	}
	limit := Query{Limit: q.Limit}.limit()
	rows, err := s.readable().rows(ctx, `SELECT `+hookAttemptColumns+` FROM hook_attempts WHERE `+where+
		` ORDER BY at DESC, delivery_id DESC, number DESC LIMIT ? + 0`, append(args, limit+1)...)
	if err != nil {
		return nil, nil, s.fail("store.HookAttempts", err)
	}
	defer rows.Close()
	for rows.Next() {
		a, err := scanHookAttempt(rows)
		if err != nil {
			return nil, nil, s.fail("store.HookAttempts", err)
		}
		list = append(list, a)
	}
	if err := rows.Err(); err != nil {
		return nil, nil, s.fail("store.HookAttempts", err)
	}
	if len(list) > limit {
		list = list[:limit]
		next = list[limit-1].Place()
	}
	return list, next, nil
}

// Place is the After of a page that begins behind a.
func (a *HookAttempt) Place() []byte {
	return encodeCursor(binary.BigEndian.AppendUint64(nil, uint64(micro(a.At))), a.Delivery+"/"+strconv.Itoa(a.Number))
}

func hookPlace(after []byte) (n int64, id string, err error) {
	key, id, err := decodeCursor(after)
	if err != nil || len(key) != 8 {
		return 0, "", errPlace("store.Deliveries")
	}
	return int64(binary.BigEndian.Uint64(key)), id, nil
}

func errPlace(op string) error {
	return &bugle.Error{Op: op, Kind: bugle.KindInvalid, Field: "start_key", Message: "not a key that a page before this one gave"}
}

func scanHookAttempt(row scanner) (a HookAttempt, err error) {
	var at, took, success, retry int64
	err = row.Scan(&a.Delivery, &a.Number, &a.Endpoint, &a.AccountID, &at, &took, &success, &a.Status, &a.Error, &a.Answer, &retry)
	a.At, a.Took, a.Success, a.RetryAt = timeOf(at), time.Duration(took)*time.Microsecond, success != 0, timeOf(retry)
	return a, err
}

// GetHookEndpoint returns the state of an endpoint that something was enqueued for, else KindNotFound.
func (s *Store) GetHookEndpoint(ctx context.Context, accountID, id string) (HookEndpoint, error) {
	if !texts(accountID, id) {
		return HookEndpoint{}, notFound("store.GetHookEndpoint", "endpoint")
	}
	list, err := endpoints(ctx, s.readable(), `id = ? AND account_id = ?`, id, accountID)
	if err == nil && len(list) == 0 {
		err = notFound("store.GetHookEndpoint", "endpoint")
	}
	if err != nil {
		return HookEndpoint{}, s.fail("store.GetHookEndpoint", err)
	}
	return list[0], nil
}

// HookEndpointsTouched returns the endpoints that were touched after a number: paused, resumed, or looked at anew.
func (s *Store) HookEndpointsTouched(ctx context.Context, after int64) ([]HookEndpoint, error) {
	list, err := endpoints(ctx, s.readable(), `touched > ?`, after)
	return list, s.fail("store.HookEndpointsTouched", err)
}

// HookPage is how many endpoints HookEndpointsWaiting returns at once.
const HookPage = 1000

// HookEndpointsWaiting returns the endpoints behind an id that something waits for or that are blacklisted, HookPage of
// them unless there are no more.
func (s *Store) HookEndpointsWaiting(ctx context.Context, after string) ([]HookEndpoint, error) {
	list, err := endpoints(ctx, s.readable(), `id > ? AND (blacklisted > 0 OR id IN (SELECT endpoint_id FROM hook_deliveries `+
		`WHERE state = 0)) ORDER BY id LIMIT ? + 0`, after, HookPage)
	return list, s.fail("store.HookEndpointsWaiting", err)
}

func endpoints(ctx context.Context, r querier, where string, args ...any) ([]HookEndpoint, error) {
	rows, err := r.rows(ctx, `SELECT `+endpointColumns+` FROM hook_endpoints WHERE `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []HookEndpoint
	for rows.Next() {
		var e HookEndpoint
		var paused, failing, blacklisted, resumed int64
		if err := rows.Scan(&e.ID, &e.AccountID, &e.Kind, &e.Node, &e.Epoch, &e.Touched, &paused, &failing, &blacklisted,
			&e.Reason, &resumed); err != nil {
			return nil, err
		}
		e.Paused, e.Resumed, e.Failing, e.Blacklisted = timeOf(paused), timeOf(resumed), timeOf(failing), timeOf(blacklisted)
		list = append(list, e)
	}
	return list, rows.Err()
}

// ReaderPosition returns how far a reader of the change log has come; known is false when it never began.
func (s *Store) ReaderPosition(ctx context.Context, name string) (position int64, known bool, err error) {
	position, known, err = readerPosition(ctx, s.readable(), name)
	return position, known, s.fail("store.ReaderPosition", err)
}

func readerPosition(ctx context.Context, r querier, name string) (position int64, known bool, err error) {
	err = r.row(ctx, `SELECT position FROM readers d WHERE name = ?`+r.locking(), clean(name)).Scan(&position)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	return position, err == nil, err
}
