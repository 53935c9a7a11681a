package store

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"bugle"
)

// HookResult is what one attempt made of a delivery, or what became of it without one.
type HookResult struct {
	Delivery HookDelivery // its State, Began, Due, Finished, Attempts, Tries, Status and Reason are kept
	Attempt  *HookAttempt // nil: none was made
	// Endpoint is the endpoint as it is after it; its Failing, Blacklisted and Reason are kept.
	Endpoint HookEndpoint
	// Lost says, after the commit, that another node delivers for the endpoint now: nothing was written.
	Lost bool
}

// SubmitHookResult writes a result in a commit that it shares with others, unless the endpoint has another epoch. done is
// called once, after the commit or its failure, and must not block.
func (s *Store) SubmitHookResult(r *HookResult, done func(error)) {
	s.results.submit([]*HookResult{r}, done)
}

func (s *Store) writeHookResults(ctx context.Context, t *transaction, results []*HookResult) error {
	epochs, err := lockEndpoints(ctx, t, results)
	if err != nil {
		return err
	}
	last, queues := map[string][]any{}, map[string][]any{}
	var attempts [][]any
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	for _, r := range results {
		d, e := &r.Delivery, &r.Endpoint
		if epoch, known := epochs[e.ID]; !known || epoch != e.Epoch {
			r.Lost = true
			continue
		}
		r.Lost = false
		if d.ID != "" {
			last[d.ID] = []any{d.ID, number(int64(d.State)), number(micro(d.Began)), number(micro(d.Due)), number(micro(d.Finished)),
				number(int64(d.Attempts)), number(int64(d.Tries)), number(int64(d.Status)), clean(d.Reason)}
		}
		queues[e.ID] = []any{e.ID, number(micro(e.Failing)), number(micro(e.Blacklisted)), clean(e.Reason)}
		if a := r.Attempt; a != nil {
			success := 0
			if a.Success {
				success = 1
			}
			attempts = append(attempts, []any{a.Delivery, a.Number, a.Endpoint, a.AccountID, micro(a.At), a.Took.Microseconds(), success,
				a.Status, clean(a.Error), notNil(a.Answer), micro(a.RetryAt)})
		}
	}
	// All parameters are text: the engines agree on no other type for a value that stands in no column.
	if err := updateRows(ctx, t, `UPDATE hook_deliveries SET state = CAST(v.column2 AS BIGINT), began = CAST(v.column3 AS BIGINT), `+
		`due = CAST(v.column4 AS BIGINT), finished = CAST(v.column5 AS BIGINT), attempts = CAST(v.column6 AS BIGINT), `+
		`tries = CAST(v.column7 AS BIGINT), status = CAST(v.column8 AS BIGINT), reason = v.column9`, `hook_deliveries`, last); err != nil {
		return err
	}
	if err := updateRows(ctx, t, `UPDATE hook_endpoints SET failing = CAST(v.column2 AS BIGINT), `+
		`blacklisted = CAST(v.column3 AS BIGINT), reason = v.column4`, `hook_endpoints`, queues); err != nil {
		return err
	}
	return inBatches(ctx, t, `INSERT INTO hook_attempts (`+hookAttemptColumns+`) VALUES `, ` ON CONFLICT (delivery_id, number) DO NOTHING`,
		attempts)
}

// updateRows runs an update with rows by id, in the order of the ids, so that two transactions never wait for each other.
func updateRows(ctx context.Context, t *transaction, update, table string, rows map[string][]any) error {
	list := make([][]any, 0, len(rows))
	for _, row := range rows {
		list = append(list, row)
	}
	slices.SortFunc(list, func(x, y []any) int { return strings.Compare(x[0].(string), y[0].(string)) })
	return inBatches(ctx, t, update+` FROM (VALUES `, `) AS v WHERE `+table+`.id = v.column1`, list)
}

// lockEndpoints returns the epochs of the results' endpoints, which no other node takes until the transaction ends.
func lockEndpoints(ctx context.Context, t *transaction, results []*HookResult) (map[string]int64, error) {
	wanted := map[string]struct{}{}
	for _, r := range results {
		wanted[r.Endpoint.ID] = struct{}{}
	}
	ids := make([]string, 0, len(wanted))
	for id := range wanted {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	epochs := make(map[string]int64, len(ids))
	for part := range slices.Chunk(ids, batches[0]) {
		args := make([]any, batches[0]) // one statement for all sizes
		for i := range args {
			args[i] = part[min(i, len(part)-1)]
		}
		rows, err := t.rows(ctx, `SELECT id, epoch FROM hook_endpoints d WHERE id IN `+tuples(1, len(args))+` ORDER BY id`+t.locking(), args...)
		if err != nil {
			return nil, err
		}
		for rows.Next() {
			var id string
			var epoch int64
			if err := rows.Scan(&id, &epoch); err != nil {
				rows.Close()
				return nil, err
			}
			epochs[id] = epoch
		}
		if err := rows.Err(); err != nil {
			return nil, err
		}
	}
	return epochs, nil
}

// ClaimHookEndpoints makes node deliver for those of the endpoints that still have the epoch that they are given with, and
// returns them with their new one.
func (s *Store) ClaimHookEndpoints(ctx context.Context, node string, list []HookEndpoint) (claimed []HookEndpoint, err error) {
	list = slices.SortedFunc(slices.Values(list), func(a, b HookEndpoint) int { return strings.Compare(a.ID, b.ID) })
	err = s.Write(ctx, func(tx *Tx) error {
		claimed = claimed[:0]
		for _, e := range list {
			n, err := tx.t.exec(tx.ctx, `UPDATE hook_endpoints SET node = ?, epoch = epoch + 1 WHERE id = ? AND epoch = ?`,
				clean(node), e.ID, e.Epoch)
			if err != nil {
				return tx.fail("store.ClaimHookEndpoints", err)
			}
			if n == 1 {
				e.Node, e.Epoch = node, e.Epoch+1
				claimed = append(claimed, e)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return claimed, nil
}

// ReleaseHookEndpoints makes nobody deliver for what a node delivers for, and forgets the node.
func (s *Store) ReleaseHookEndpoints(ctx context.Context, node string) error {
	return s.Write(ctx, func(tx *Tx) error {
		_, err := tx.t.exec(tx.ctx, `UPDATE hook_endpoints SET node = '', epoch = epoch + 1 WHERE node = ?`, clean(node))
		if err == nil {
			_, err = tx.t.exec(tx.ctx, `DELETE FROM hook_nodes WHERE node = ?`, clean(node))
		}
		return tx.fail("store.ReleaseHookEndpoints", err)
	})
}

// BeatHookNode says that a node lives, and returns the beats of all nodes: one whose beat stands still is dead.
func (s *Store) BeatHookNode(ctx context.Context, node string) (beats map[string]int64, err error) {
	if err := s.Write(ctx, func(tx *Tx) error {
		_, err := tx.t.exec(tx.ctx, `INSERT INTO hook_nodes (node, beat) VALUES (?, 1) ON CONFLICT (node) DO UPDATE SET `+
			`beat = hook_nodes.beat + 1`, clean(node))
		return tx.fail("store.BeatHookNode", err)
	}); err != nil {
		return nil, err
	}
	rows, err := s.readable().rows(ctx, `SELECT node, beat FROM hook_nodes`)
	if err != nil {
		return nil, s.fail("store.BeatHookNode", err)
	}
	defer rows.Close()
	beats = map[string]int64{}
	for rows.Next() {
		var name string
		var beat int64
		if err := rows.Scan(&name, &beat); err != nil {
			return nil, s.fail("store.BeatHookNode", err)
		}
		beats[name] = beat
	}
	return beats, s.fail("store.BeatHookNode", rows.Err())
}

// BuryHookNode forgets a dead node; what it delivered for is taken by its endpoints' epochs.
func (s *Store) BuryHookNode(ctx context.Context, node string) error {
	return s.Write(ctx, func(tx *Tx) error {
		_, err := tx.t.exec(tx.ctx, `DELETE FROM hook_nodes WHERE node = ?`, clean(node))
		return tx.fail("store.BuryHookNode", err)
	})
}

// BeginReader makes a reader known at a position, unless it is known.
func (s *Store) BeginReader(ctx context.Context, name string, position int64) error {
	if !named(name) {
		return &bugle.Error{Op: "store.BeginReader", Kind: bugle.KindInvalid, Message: "a reader needs a name"}
	}
	return s.Write(ctx, func(tx *Tx) error {
		_, err := tx.t.exec(tx.ctx, `INSERT INTO readers (name, position) VALUES (?, ?) ON CONFLICT (name) DO NOTHING`, name, position)
		return tx.fail("store.BeginReader", err)
	})
}

// numberHooks writes what Enqueue and Touch were given, with numbers of the counter of deliveries. It is the last thing
// of a transaction, like appendChanges.
func (tx *Tx) numberHooks() error {
	if !tx.hooked() {
		return nil
	}
	last, err := tx.count([]any{deliveriesCounter, len(tx.deliveries) + min(len(tx.touched), 1)})
	if err != nil {
		return err
	}
	number := last[deliveriesCounter] // of all that is touched
	if err := tx.appendDeliveries(number - int64(len(tx.deliveries)+min(len(tx.touched), 1))); err != nil {
		return err
	}
	slices.Sort(tx.touched)
	for _, id := range tx.touched {
		if _, err := tx.t.exec(tx.ctx, `UPDATE hook_endpoints SET touched = ? WHERE id = ?`, number, id); err != nil {
			return err
		}
	}
	return nil
}

func (tx *Tx) hooked() bool { return len(tx.deliveries)+len(tx.touched) > 0 }

// ProbeHook makes the node that delivers for an endpoint look at it now: a blacklisted one is probed at once.
func (tx *Tx) ProbeHook(accountID, endpoint string) error {
	return tx.touch("store.ProbeHook", accountID, endpoint, `kind = kind`)
}

func (tx *Tx) touch(op, accountID, endpoint, set string, args ...any) error {
	n, err := tx.t.exec(tx.ctx, `UPDATE hook_endpoints SET `+set+` WHERE id = ? AND account_id = ?`,
		append(args, clean(endpoint), clean(accountID))...)
	if err == nil && n != 1 {
		err = notFound(op, "endpoint")
	}
	if err == nil {
		tx.touched = append(tx.touched, clean(endpoint))
	}
	return tx.fail(op, err)
}

// DropHook ends what waits for an endpoint, which is gone, and forgets its state.
func (tx *Tx) DropHook(accountID, endpoint string) error {
	_, err := tx.t.exec(tx.ctx, `DELETE FROM hook_endpoints WHERE id = ? AND account_id = ?`, clean(endpoint), clean(accountID))
	if err == nil {
		_, err = tx.t.exec(tx.ctx, `UPDATE hook_deliveries SET state = ?, finished = ? WHERE endpoint_id = ? AND account_id = ? AND `+
			`state IN (?, ?)`, int64(HookDropped), tx.at.UnixMicro(), clean(endpoint), clean(accountID), int64(HookWaiting), int64(HookDead))
	}
	return tx.fail("store.DropHook", err)
}

// SweepHooks removes the deliveries that ended before a time, with their attempts, in small transactions, and returns how
// many deliveries.
func (s *Store) SweepHooks(ctx context.Context, before time.Time) (removed int, err error) {
	const old = `(SELECT id FROM hook_deliveries WHERE finished > 0 AND finished < ? ORDER BY finished, id LIMIT ?)`
	for {
		var n int64
		if err := s.Write(ctx, func(tx *Tx) (err error) {
			if _, err = tx.t.exec(tx.ctx, `DELETE FROM hook_attempts WHERE delivery_id IN `+old, before.UnixMicro(), sweepBatch); err == nil {
				n, err = tx.t.exec(tx.ctx, `DELETE FROM hook_deliveries WHERE id IN `+old, before.UnixMicro(), sweepBatch)
			}
			return tx.fail("store.SweepHooks", err)
		}); err != nil {
			return removed, err
		}
		if removed += int(n); n < sweepBatch {
			return removed, nil
		}
	}
}
