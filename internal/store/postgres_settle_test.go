package store

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bugle"
	"bugle/internal/store/pgtest"
)

// cutter stands between a store and its database and can cut a connection at a COMMIT.
type cutter struct {
	from, to string // socket files
	listener net.Listener
	at       atomic.Int32
	cuts     atomic.Int32
	wg       sync.WaitGroup
}

const (
	cutNever        = iota
	cutBeforeCommit // the database does not hear of it
	cutAfterCommit  // the client does not hear of it
	cutAll          // every COMMIT, and every connection from then on
)

// newCutter returns a cutter and the URL that leads through it.
func newCutter(t *testing.T, url string) (*cutter, string) {
	t.Helper()
	_, rest, _ := strings.Cut(url, "host=")
	host := strings.ReplaceAll(rest, "%2F", "/")
	dir, err := os.MkdirTemp("", "bugle-cut") // a short path
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{from: filepath.Join(dir, ".s.PGSQL.5432"), to: filepath.Join(host, ".s.PGSQL.5432")}
	if c.listener, err = net.Listen("unix", c.from); err != nil {
		t.Fatal(err)
	}
	c.wg.Go(c.accept)
	t.Cleanup(func() {
		c.listener.Close()
		c.wg.Wait()
		os.RemoveAll(dir)
	})
	return c, strings.Replace(url, rest, dir, 1)
}

func (c *cutter) accept() {
	for {
		client, err := c.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("unix", c.to)
		if err != nil || c.at.Load() == cutAll && c.cuts.Load() > 0 {
			client.Close()
			if err == nil {
				server.Close()
			}
			continue
		}
		c.wg.Go(func() { c.carry(client, server) })
	}
}

func (c *cutter) carry(client, server net.Conn) {
	defer client.Close()
	defer server.Close()
	var deaf atomic.Bool
	c.wg.Go(func() {
		buffer := make([]byte, 1<<16)
		for {
			n, err := server.Read(buffer)
			if err != nil || deaf.Load() {
				client.Close()
				return
			}
			if _, err := client.Write(buffer[:n]); err != nil {
				return
			}
		}
	})
	buffer := make([]byte, 1<<16)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		if how := c.at.Load(); how != cutNever && bytes.Contains(buffer[:n], []byte("commit\x00")) {
			c.cuts.Add(1)
			switch how {
			case cutAll:
				return
			case cutBeforeCommit:
				c.at.Store(cutNever)
				return
			}
			c.at.Store(cutNever)
			deaf.Store(true)
		}
		if _, err := server.Write(buffer[:n]); err != nil && err != io.EOF {
			return
		}
	}
}

// TestLostAnswerOfACommit cuts the connection at a COMMIT: the store finds out what became of it, and makes the change
// once.
func TestLostAnswerOfACommit(t *testing.T) {
	t.Parallel()
	c, url := newCutter(t, pgtest.URL(t))
	s := postgresAt(url).open(t, Options{})
	cache := cacheOf(t, s, CacheOptions{})
	d, rev := user("u1", "Ann"), ""
	for i, how := range []int32{cutNever, cutAfterCommit, cutBeforeCommit, cutAfterCommit} {
		d.Body = []byte(fmt.Sprintf(`{"n":%d}`, i))
		attempts := 0
		c.at.Store(how)
		err := s.Write(t.Context(), func(tx *Tx) error { attempts++; return tx.Put(&d, rev) })
		if err != nil || c.at.Load() != cutNever {
			t.Fatalf("write %d: %v", i, err)
		}
		if want := 1; how == cutBeforeCommit && attempts != want+1 || how != cutBeforeCommit && attempts != want {
			t.Errorf("write %d was run %d times", i, attempts)
		}
		rev = d.Rev
		got, err := s.Get(t.Context(), "acme", "user", "u1")
		cached, err2 := cache.Get(t.Context(), "acme", "user", "u1")
		if err != nil || err2 != nil || got.Rev != rev || cached.Rev != rev || int(revNumber(rev)) != i+1 {
			t.Errorf("write %d left %s %v, %s %v, want %s", i, got.Rev, err, cached.Rev, err2, rev)
		}
	}
	if n := len(wantLog(t, s)); n != 4 {
		t.Errorf("%d changes, want 4", n)
	}
	// When the database stays away, nobody knows.
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	c.at.Store(cutAll)
	attempts := 0
	err := s.Write(ctx, func(tx *Tx) error { attempts++; return tx.Put(&d, rev) })
	wantKind(t, err, bugle.KindUnavailable)
	if attempts != 1 || !strings.Contains(err.Error(), "is not known") {
		t.Errorf("after %d attempts: %v", attempts, err)
	}
	c.at.Store(cutNever)
	until(t, "the database is back", func() bool { _, err := s.Get(t.Context(), "acme", "user", "u1"); return err == nil })
}
