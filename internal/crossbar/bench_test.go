package crossbar_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"bugle/internal/store"
)

// bench sends one request again and again and reports how many a second one client gets, beside what the store alone
// can do for the same work.
func bench(b *testing.B, w *world, verb, path string, body func(i int) string) {
	b.Helper()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		text := ""
		if body != nil {
			text = `{"data":` + body(i) + `}`
		}
		r := httptest.NewRequest(verb, path, strings.NewReader(text))
		r.Header.Set("X-Auth-Token", w.token)
		rec := httptest.NewRecorder()
		w.api.ServeHTTP(rec, r)
		if rec.Code >= 300 {
			b.Fatal(rec.Code, rec.Body)
		}
		i++
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
}

func benchWorld(b *testing.B, users int) (w *world, user string) {
	b.Helper()
	w = newWorld(b)
	for i := range users {
		user = w.must("PUT", w.own("/users"), fmt.Sprintf(`{"first_name":"First%d","last_name":"Last%d","email":"u%d@acme.example.com",`+
			`"caller_id":{"internal":{"name":"First%d Last%d","number":"%d"}},"timezone":"Europe/Warsaw"}`, i, i*7919%10007, i, i, i, 1000+i)).str("id")
	}
	return w, user
}

func BenchmarkGetUser(b *testing.B) {
	w, user := benchWorld(b, 200)
	b.Run("api", func(b *testing.B) { bench(b, w, http.MethodGet, w.own("/users/"+user), nil) })
	b.Run("store", func(b *testing.B) {
		for b.Loop() {
			if _, err := w.store.Get(context.Background(), w.account, "user", user); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
	})
}

func BenchmarkListUsers(b *testing.B) {
	w, _ := benchWorld(b, 2000)
	b.Run("api", func(b *testing.B) { bench(b, w, http.MethodGet, w.own("/users"), nil) })
	b.Run("store", func(b *testing.B) {
		for b.Loop() {
			if docs, _, err := w.store.List(context.Background(), store.Query{AccountID: w.account, Type: "user", Limit: 50}); err != nil || len(docs) != 50 {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
	})
	b.Run("filtered", func(b *testing.B) { bench(b, w, http.MethodGet, w.own("/users?filter_timezone=Europe%2FWarsaw"), nil) })
}

func BenchmarkWrite(b *testing.B) {
	w, user := benchWorld(b, 200)
	b.Run("PUT_user", func(b *testing.B) {
		bench(b, w, http.MethodPut, w.own("/users"), func(i int) string { return fmt.Sprintf(`{"first_name":"N%d"}`, i) })
	})
	b.Run("PATCH_user", func(b *testing.B) {
		bench(b, w, http.MethodPatch, w.own("/users/"+user), func(i int) string { return fmt.Sprintf(`{"ui_metadata":{"n":%d}}`, i) })
	})
	b.Run("store", func(b *testing.B) {
		d, err := w.store.Get(context.Background(), w.account, "user", user)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if err := w.store.Write(context.Background(), func(tx *store.Tx) error { return tx.Put(&d, store.AnyRev) }); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
	})
}

func BenchmarkUserAuth(b *testing.B) {
	w := newWorld(b)
	bench(b, w, http.MethodPut, "/v2/user_auth", func(int) string {
		return `{"account_name":"master","credentials":"` + md5Of("admin:"+testPassword) + `"}`
	})
}

func BenchmarkPatchCallflow(b *testing.B) {
	w, user := benchWorld(b, 1)
	flow := w.must("PUT", w.own("/callflows"), `{"numbers":["1000"],"flow":{"module":"user","data":{"id":"`+user+`"}}}`).str("id")
	b.Run("api", func(b *testing.B) {
		bench(b, w, http.MethodPatch, w.own("/callflows/"+flow), func(i int) string { return fmt.Sprintf(`{"ui_metadata":{"n":%d}}`, i) })
	})
	b.Run("store", func(b *testing.B) {
		for b.Loop() {
			if err := w.store.Write(context.Background(), func(tx *store.Tx) error {
				d, err := tx.Get(w.account, "callflow", flow)
				if err != nil {
					return err
				}
				return tx.Put(&d, d.Rev)
			}); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
	})
}
