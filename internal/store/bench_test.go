package store

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bugle/internal/store/pgtest"
)

const benchAccounts, benchUsers = 100, 200

// onEach runs a benchmark on each engine, with 20,000 documents of about 1 kB in 100 accounts.
func onEach(b *testing.B, run func(b *testing.B, s *Store)) {
	b.Helper()
	for name, open := range map[string]func(*testing.B) (*Store, error){
		"SQLite": func(b *testing.B) (*Store, error) {
			return OpenSQLite(b.Context(), filepath.Join(b.TempDir(), "bugle.db"), Options{})
		},
		"PostgreSQL": func(b *testing.B) (*Store, error) { return OpenPostgres(b.Context(), pgtest.URL(b), Options{}) },
	} {
		b.Run(name, func(b *testing.B) {
			s, err := open(b)
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { s.Close() })
			fillForBench(b, s)
			run(b, s)
		})
	}
}

func fillForBench(b *testing.B, s *Store) {
	b.Helper()
	for a := range benchAccounts {
		if err := s.Write(b.Context(), func(tx *Tx) error {
			for u := range benchUsers {
				d := benchDoc(a, u)
				if err := tx.Put(&d, ""); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
}

func benchDoc(a, u int) Document {
	account, id := fmt.Sprintf("account%03d", a), fmt.Sprintf("user%03d-%03d", a, u)
	return Document{AccountID: account, Type: "user", ID: id, SortKey: []byte(fmt.Sprintf("name %d", u*7919%1000)),
		Body: json.RawMessage(fmt.Sprintf(`{"first_name":"Ann","last_name":"Name %d","pad":"%s"}`, u, strings.Repeat("x", 900))),
		Keys: []Key{{"user.username", account, id}}, Index: []Index{{"directory", "d1"}}}
}

func BenchmarkGet(b *testing.B) { onEach(b, benchGet) }

func benchGet(b *testing.B, s *Store) {
	i := 0
	for b.Loop() {
		d := benchDoc(i%benchAccounts, i%benchUsers)
		if _, err := s.Get(b.Context(), d.AccountID, d.Type, d.ID); err != nil {
			b.Fatal(err)
		}
		i += 7
	}
}

func BenchmarkList50(b *testing.B) { onEach(b, benchList50) }

func benchList50(b *testing.B, s *Store) {
	i := 0
	for b.Loop() {
		if docs, _, err := s.List(b.Context(), Query{AccountID: fmt.Sprintf("account%03d", i%benchAccounts), Type: "user"}); err != nil || len(docs) != 50 {
			b.Fatal(err)
		}
		i++
	}
}

// BenchmarkWrite replaces a document: its row, its change, two counters, one sync.
func BenchmarkWrite(b *testing.B) { onEach(b, benchWrite) }

func benchWrite(b *testing.B, s *Store) {
	for _, writers := range []int{1, 8} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			b.SetParallelism((writers + 1) / 2) // times the cores, two here
			var n atomic.Int64
			work := func() {
				i := int(n.Add(7))
				d := benchDoc(i%benchAccounts, i%benchUsers)
				if err := s.Write(b.Context(), func(tx *Tx) error { return tx.Put(&d, AnyRev) }); err != nil {
					b.Error(err)
				}
			}
			if writers == 1 {
				for b.Loop() {
					work()
				}
				return
			}
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					work()
				}
			})
		})
	}
}

// BenchmarkBindings is what ten thousand phones do that register again: rows a second through group commits.
func BenchmarkBindings(b *testing.B) { onEach(b, benchBindings) }

func benchBindings(b *testing.B, s *Store) {
	window := make(chan struct{}, 1000)
	i := 0
	for b.Loop() {
		window <- struct{}{}
		row := BindingRow{AccountID: "account001", DeviceID: fmt.Sprint("device", i%10000), Contact: "sip:x@192.0.2.1:5060",
			Username: "x", Realm: "acme.example", Transport: "udp", Source: "192.0.2.1:5060", Expires: time.Unix(int64(i), 0)}
		s.SubmitBindings([]BindingRow{row}, nil, func(err error) {
			if err != nil {
				b.Error(err)
			}
			<-window
		})
		i++
	}
	for range cap(window) {
		window <- struct{}{}
	}
}

func BenchmarkCache(b *testing.B) { onEach(b, benchCache) }

func benchCache(b *testing.B, s *Store) {
	c := NewCache(s, CacheOptions{})
	defer c.Close()
	if err := c.Warm(b.Context(), "user"); err != nil {
		b.Fatal(err)
	}
	b.Logf("warm: %+v", c.Stats())
	ctx := context.Background()
	key := Key{"user.username", "account007", "user007-007"}
	b.Run("key", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.GetByKey(ctx, key); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("list", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if docs, err := c.ListByIndex(ctx, "account007", "user", Index{"directory", "d1"}); err != nil || len(docs) != benchUsers {
				b.Fatal(err)
			}
		}
	})
}
