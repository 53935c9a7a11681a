package event

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"bugle/internal/contact"
	"bugle/internal/store"
)

// company is a projected company of some people, of whom some are at one site.
type company struct {
	b        *testing.B
	s        *store.Store
	p        *Projector
	position int64
}

func newCompany(b *testing.B, people, atSite int) *company {
	b.Helper()
	s, err := store.OpenSQLite(b.Context(), filepath.Join(b.TempDir(), "bugle.db"), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	c := &company{b: b, s: s, p: &Projector{opts: ProjectorOptions{Store: s, Batch: projectorBatch, Now: time.Now}, sorter: contact.NewSorter(), holder: "bench"}}
	c.put("site", "site", map[string]any{"name": "North"})
	for at := 0; at < people; at += 500 {
		if err := s.Write(context.Background(), func(tx *store.Tx) error {
			for i := at; i < min(at+500, people); i++ {
				for typ, body := range map[string]any{"user": user(i, i < atSite, "Ann"), "callflow": map[string]any{"numbers": []string{fmt.Sprint(10000 + i)},
					"flow": map[string]any{"module": "user", "data": map[string]any{"id": fmt.Sprint("u", i)}}}} {
					text, err := json.Marshal(body)
					if err != nil {
						return err
					}
					if err := tx.Put(&store.Document{AccountID: "a", Type: typ, ID: fmt.Sprint(typ[:1], i), Body: text}, ""); err != nil {
						return err
					}
				}
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
	began := time.Now()
	if c.position, err = c.p.prepare(context.Background()); err != nil {
		b.Fatal(err)
	}
	b.Logf("the first load of %d people took %v", people, time.Since(began).Round(time.Millisecond))
	return c
}

func user(i int, atSite bool, name string) map[string]any {
	u := map[string]any{"first_name": name, "last_name": fmt.Sprint("Lee", i), "email": fmt.Sprint("p", i, "@example.com")}
	if atSite {
		u["site_id"] = "site"
	}
	return u
}

func (c *company) put(typ, id string, body any) {
	c.b.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		c.b.Fatal(err)
	}
	if err := c.s.Write(context.Background(), func(tx *store.Tx) error {
		return tx.Put(&store.Document{AccountID: "a", Type: typ, ID: id, Body: text}, store.AnyRev)
	}); err != nil {
		c.b.Fatal(err)
	}
}

// project carries out what was written since, and returns how long that took.
func (c *company) project() (took time.Duration) {
	c.b.Helper()
	for {
		changes, err := c.s.Changes(context.Background(), c.position, 500)
		if err != nil {
			c.b.Fatal(err)
		}
		if len(changes) == 0 {
			return took
		}
		began := time.Now()
		if err := c.p.apply(context.Background(), changes); err != nil {
			c.b.Fatal(err)
		}
		took += time.Since(began)
		c.position = changes[len(changes)-1].Position
	}
}

// BenchmarkOneChange is a person's new name in a company of 1,000 and of 100,000: by itself, with a commit of its own, and
// as one of 100 that are carried out together.
func BenchmarkOneChange(b *testing.B) {
	for _, people := range []int{1000, 100_000} {
		b.Run(fmt.Sprint(people), func(b *testing.B) {
			c := newCompany(b, people, 0)
			for _, together := range []int{1, 100} {
				b.Run(fmt.Sprintf("together=%d", together), func(b *testing.B) {
					var took time.Duration
					n := 0
					for b.Loop() {
						for range together {
							n++
							c.put("user", fmt.Sprint("u", (n*7919)%people), user((n*7919)%people, false, fmt.Sprint("Ann", n)))
						}
						took += c.project()
					}
					b.ReportMetric(float64(took.Microseconds())/float64(n), "µs/change")
					b.ReportMetric(0, "ns/op") // it has the writes of the documents in it
				})
			}
		})
	}
}

// BenchmarkSiteRename is one change of 10,000 contacts, in a company of 10,000 and of 100,000.
func BenchmarkSiteRename(b *testing.B) {
	const at = 10_000
	for _, people := range []int{at, 100_000} {
		b.Run(fmt.Sprint(people), func(b *testing.B) {
			c := newCompany(b, people, at)
			var took time.Duration
			n := 0
			for b.Loop() {
				n++
				c.put("site", "site", map[string]any{"name": fmt.Sprint("North", n)})
				took += c.project()
			}
			last, _, _, err := c.s.DirectoryState(context.Background(), "a")
			if err != nil || last != int64(n*at) {
				b.Fatal(last, n, err)
			}
			b.ReportMetric(float64(took.Milliseconds())/float64(n), "ms/rename")
			b.ReportMetric(float64(took.Microseconds())/float64(n*at), "µs/contact")
			b.ReportMetric(0, "ns/op")
		})
	}
}
