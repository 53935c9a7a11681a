package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"bugle"
	"bugle/internal/store"
)

const (
	maxOwedCalls   = 20000 // records of an outage
	owedCallsEvery = time.Second
)

// callRecords writes the records of calls that have ended. What the database cannot take now is kept in memory and
// written when it answers again.
type callRecords struct {
	store *store.Store
	log   *slog.Logger

	mu    sync.Mutex
	owed  []store.CallRow
	ended bool // nothing is owed any more
}

func (c *callRecords) submit(row store.CallRow) {
	c.store.SubmitCall(row, func(err error) {
		if err == nil {
			return
		}
		if bugle.KindOf(err) == bugle.KindUnavailable && c.owe(row) {
			return
		}
		c.log.Error("a call's record was not kept", "call", row.SIPCallID, "error", err)
	})
}

func (c *callRecords) owe(row store.CallRow) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || len(c.owed) >= maxOwedCalls {
		return false
	}
	c.owed = append(c.owed, row)
	return true
}

// follow writes what is owed once the database answers, and tries a last time when ctx ends.
func (c *callRecords) follow(ctx context.Context) {
	ticker := time.NewTicker(owedCallsEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			c.repay(context.WithoutCancel(ctx))
			c.end()
			return
		case <-ticker.C:
			c.repay(ctx)
		}
	}
}

func (c *callRecords) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if n := len(c.owed); n > 0 {
		c.log.Error("records of calls were not kept: the database does not answer", "calls", n)
	}
}

func (c *callRecords) repay(ctx context.Context) {
	c.mu.Lock()
	rows := c.owed
	c.mu.Unlock()
	if len(rows) == 0 || c.store.Ping(ctx) != nil {
		return
	}
	c.mu.Lock()
	c.owed = c.owed[len(rows):]
	c.mu.Unlock()
	for _, row := range rows {
		c.submit(row) // one that fails is owed again
	}
	c.log.Info("records of calls that ended in an outage go to the database", "calls", len(rows))
}
