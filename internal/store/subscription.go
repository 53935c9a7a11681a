package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Subscription is somebody who is told of the changes of a company directory.
type Subscription struct {
	ID        string
	AccountID string
	UserID    string
	AppID     string
	Transport string
	Expires   time.Time
	Cursor    int64     // the last event that was told, or that is in a stored delivery
	Follows   bool      // it wants events of the directory
	Remind    time.Time // when its owner is told that it expires; zero: never
	Body      []byte    // a JSON object
}

const subscriptionColumns = `id, account_id, user_id, app_id, transport, expires, cursor, follows, remind, body`

func scanSubscription(row scanner) (u Subscription, err error) {
	var expires, follows, remind int64
	err = row.Scan(&u.ID, &u.AccountID, &u.UserID, &u.AppID, &u.Transport, &expires, &u.Cursor, &follows, &remind, &u.Body)
	u.Expires, u.Follows, u.Remind = timeOf(expires), follows == 1, timeOf(remind)
	return u, err
}

// AddSubscription writes a new subscription.
func (tx *Tx) AddSubscription(u Subscription) error {
	follows := 0
	if u.Follows {
		follows = 1
	}
	_, err := tx.t.exec(tx.ctx, `INSERT INTO subscriptions (`+subscriptionColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, u.ID, u.AccountID, u.UserID,
		clean(u.AppID), u.Transport, micro(u.Expires), u.Cursor, follows, micro(u.Remind), string(u.Body))
	return tx.fail("store.AddSubscription", err)
}

// SetSubscription writes what may change of a subscription, except its cursor; KindNotFound when there is none.
func (tx *Tx) SetSubscription(u Subscription) error {
	follows := 0
	if u.Follows {
		follows = 1
	}
	n, err := tx.t.exec(tx.ctx, `UPDATE subscriptions SET expires = ?, follows = ?, remind = ?, body = ? WHERE id = ?`, micro(u.Expires), follows,
		micro(u.Remind), string(u.Body), clean(u.ID))
	if err == nil && n != 1 {
		err = notFound("store.SetSubscription", "subscription")
	}
	return tx.fail("store.SetSubscription", err)
}

// MoveSubscription moves a subscription's cursor, and reports whether it stood where it was thought to: of two who read the
// same events one moves it.
func (tx *Tx) MoveSubscription(id string, from, to int64) (moved bool, err error) {
	n, err := tx.t.exec(tx.ctx, `UPDATE subscriptions SET cursor = ? WHERE id = ? AND cursor = ?`, to, clean(id), from)
	return n == 1, tx.fail("store.MoveSubscription", err)
}

// RemindSubscription sets when its owner is told next, and reports whether it was due when it was thought to be.
func (tx *Tx) RemindSubscription(id string, from, to time.Time) (moved bool, err error) {
	n, err := tx.t.exec(tx.ctx, `UPDATE subscriptions SET remind = ? WHERE id = ? AND remind = ?`, micro(to), clean(id), micro(from))
	return n == 1, tx.fail("store.RemindSubscription", err)
}

// RemoveSubscription removes a subscription; removing none is no error.
func (tx *Tx) RemoveSubscription(id string) error {
	_, err := tx.t.exec(tx.ctx, `DELETE FROM subscriptions WHERE id = ?`, clean(id))
	return tx.fail("store.RemoveSubscription", err)
}

// Subscription returns a subscription as it is in the transaction, else KindNotFound.
func (tx *Tx) Subscription(id string) (Subscription, error) {
	u, err := subscription(tx.ctx, tx.t, id)
	return u, tx.fail("store.Subscription", err)
}

// Subscription returns a subscription, else KindNotFound.
func (s *Store) Subscription(ctx context.Context, id string) (Subscription, error) {
	u, err := subscription(ctx, s.readable(), id)
	return u, s.fail("store.Subscription", err)
}

func subscription(ctx context.Context, q querier, id string) (Subscription, error) {
	if !text(id) {
		return Subscription{}, notFound("store.Subscription", "subscription")
	}
	u, err := scanSubscription(q.row(ctx, `SELECT `+subscriptionColumns+` FROM subscriptions d WHERE id = ?`+q.locking(), id))
	if errors.Is(err, sql.ErrNoRows) {
		err = notFound("store.Subscription", "subscription")
	}
	return u, err
}

// SubscriptionsOf returns the subscriptions of a user by an app, by id.
func (s *Store) SubscriptionsOf(ctx context.Context, accountID, userID, appID string) ([]Subscription, error) {
	return s.subscriptions(ctx, ` WHERE account_id = ? AND user_id = ? AND app_id = ? ORDER BY id`, accountID, userID, clean(appID))
}

// SubscriptionsOfAccount returns up to limit subscriptions of an account behind an id, by id.
func (s *Store) SubscriptionsOfAccount(ctx context.Context, accountID, after string, limit int) ([]Subscription, error) {
	return s.subscriptions(ctx, ` WHERE account_id = ? AND id > ? ORDER BY id LIMIT ? + 0`, accountID, clean(after), limit)
}

// CountSubscriptions counts those of a user by an app that have not expired at a time.
func (tx *Tx) CountSubscriptions(accountID, userID, appID string, at time.Time) (n int, err error) {
	err = tx.t.row(tx.ctx, `SELECT count(*) FROM subscriptions WHERE account_id = ? AND user_id = ? AND app_id = ? AND expires > ?`, accountID,
		userID, clean(appID), micro(at)).Scan(&n)
	return n, tx.fail("store.CountSubscriptions", err)
}

// SubscriptionsBehind returns up to limit subscriptions of a transport that follow a directory, have not expired at a time,
// and whose account has later events than their cursor; behind an id.
func (s *Store) SubscriptionsBehind(ctx context.Context, transport string, at time.Time, after string, limit int) ([]Subscription, error) {
	return s.subscriptions(ctx, ` u WHERE u.transport = ? AND u.follows = 1 AND u.expires > ? AND u.id > ? AND EXISTS (SELECT 1 FROM `+
		`contact_accounts a WHERE a.account_id = u.account_id AND a.sequence > u.cursor) ORDER BY u.id LIMIT ? + 0`, transport, micro(at), after, limit)
}

// SubscriptionsDue returns up to limit subscriptions whose reminder is due at a time.
func (s *Store) SubscriptionsDue(ctx context.Context, at time.Time, limit int) ([]Subscription, error) {
	return s.subscriptions(ctx, ` WHERE remind > 0 AND remind <= ? ORDER BY remind, id LIMIT ? + 0`, micro(at), limit)
}

// SubscriptionsExpired returns up to limit subscriptions that expired before a time.
func (s *Store) SubscriptionsExpired(ctx context.Context, before time.Time, limit int) ([]Subscription, error) {
	return s.subscriptions(ctx, ` WHERE expires < ? ORDER BY expires, id LIMIT ? + 0`, micro(before), limit)
}

func (s *Store) subscriptions(ctx context.Context, where string, args ...any) (list []Subscription, err error) {
	err = each(ctx, s.readable(), `SELECT `+subscriptionColumns+` FROM subscriptions`+where, args, func(rows *sql.Rows) error {
		u, err := scanSubscription(rows)
		list = append(list, u)
		return err
	})
	return list, s.fail("store.Subscriptions", err)
}
