package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"bugle"
	"bugle/internal/store/pgtest"
)

// TestPostgresKill is TestKill on PostgreSQL: the client is killed.
func TestPostgresKill(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	killAgainAndAgain(t, afterTheDead(url), url, 2)
}

// afterTheDead opens the database when the sessions of a killed process have ended: a commit that it had sent may be
// carried out until then.
type afterTheDead string

func (url afterTheDead) open(t *testing.T, opts Options) *Store {
	t.Helper()
	s := postgresAt(url).open(t, opts)
	var own int
	if err := s.read.db.QueryRow(`SELECT pg_backend_pid()`).Scan(&own); err != nil {
		t.Fatal(err)
	}
	until(t, "the dead sessions end", func() bool {
		var others int
		err := s.read.db.QueryRow(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle' `+
			`AND pid <> $1 AND query NOT LIKE '%pg_stat_activity%'`, own).Scan(&others)
		if err != nil {
			t.Fatal(err)
		}
		return others == 0
	})
	return s
}

// TestPostgresServerEnds ends the server under load, as a crash does, and starts it again: the store goes on by itself,
// nothing that was acknowledged is lost, and nothing that was refused was written.
func TestPostgresServerEnds(t *testing.T) {
	t.Parallel()
	cluster := pgtest.New(t)
	s := postgresAt(cluster.URL(t)).open(t, Options{})
	c := NewCache(s, CacheOptions{})
	defer c.Close()
	l := &load{t: t, s: s, stop: make(chan struct{}), documents: map[string]string{}, records: map[string]bool{}}
	var wg sync.WaitGroup
	for w := range writerCount {
		wg.Go(func() { l.document(w) })
	}
	for w := range 3 {
		wg.Go(func() { l.record(w) })
	}
	for range 2 {
		goal := l.acknowledged.Load() + 200
		until(t, "200 writes", func() bool { return l.acknowledged.Load() >= goal })
		refused := l.refused.Load()
		cluster.Halt()
		until(t, "writes are refused", func() bool { return l.refused.Load() > refused })
		until(t, "the cache notices", func() bool { return !c.Healthy() })
		wantKind(t, s.Ping(t.Context()), bugle.KindUnavailable)
		cluster.Restart(t)
		until(t, "the cache notices", c.Healthy)
	}
	goal := l.acknowledged.Load() + 200
	until(t, "200 writes", func() bool { return l.acknowledged.Load() >= goal })
	close(l.stop)
	wg.Wait()
	checkIntegrity(t, s)
	checkAcknowledged(t, s, l.documents, l.records)
	t.Logf("%d writes were acknowledged, %d refused", l.acknowledged.Load(), l.refused.Load())
}

// load writes until it is stopped, each thing until it is acknowledged.
type load struct {
	t                     *testing.T
	s                     *Store
	stop                  chan struct{}
	acknowledged, refused atomic.Int64

	mu        sync.Mutex
	documents map[string]string
	records   map[string]bool
}

func (l *load) stopped() bool {
	select {
	case <-l.stop:
		return true
	default:
		return false
	}
}

func (l *load) document(w int) {
	for n, doubt := 0, false; !l.stopped(); {
		d, err := writeOne(context.Background(), l.s, "load", w, n)
		switch {
		case err == nil:
			l.mu.Lock()
			l.documents[d.ID] = d.Rev
			l.mu.Unlock()
			l.acknowledged.Add(1)
		case bugle.KindOf(err) == bugle.KindUnique && doubt: // it was written
			d, err := l.s.GetAny(context.Background(), d.AccountID, d.Type, d.ID)
			if err != nil {
				continue
			}
			l.mu.Lock()
			l.documents[d.ID] = d.Rev
			l.mu.Unlock()
		case bugle.KindOf(err) != bugle.KindUnavailable:
			l.t.Errorf("document %d of %d: %v", n, w, err)
			return
		default:
			doubt = doubt || strings.Contains(err.Error(), "is not known")
			l.refused.Add(1)
			continue // the same again
		}
		n, doubt = n+1, false
	}
}

func (l *load) record(w int) {
	for n := 0; !l.stopped(); {
		id := fmt.Sprintf("-load-%d-%d", w, n)
		err := errors.Join(l.s.SaveBindings(context.Background(), []BindingRow{{DeviceID: "b" + id, Contact: "sip:x"}}, nil),
			l.s.SaveCall(context.Background(), CallRow{ID: "c" + id, AccountID: "acme"}))
		if err != nil {
			if !lost(err) {
				l.t.Errorf("record %d of %d: %v", n, w, err)
				return
			}
			l.refused.Add(1)
			continue
		}
		l.mu.Lock()
		l.records["b"+id], l.records["c"+id] = true, true
		l.mu.Unlock()
		l.acknowledged.Add(1)
		n++
	}
}
