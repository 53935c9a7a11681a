package crossbar

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"bugle/internal/store"
)

// TestNarrow: what a filter lets pass, the database does not pass over, whichever encoder wrote the document.
func TestNarrow(t *testing.T) {
	t.Parallel()
	word := rapid.SampledFrom([]string{"", "a", "ab", "ab cd", "Europe/Warsaw", "x&y zz", `say "hi" now`, `back\slash`, "<b>bold</b>", "żółw wins",
		"true", "12", "1.0", "1e3", "null", "tab\there", "{}", "[1]", `{"a":1}`, "it's", "50%", "under_score", "id", "\u2028line", "[\"ab\",\"12\"]"})
	key := rapid.SampledFrom([]string{"a", "b", "id", "caller id", "k&y", "ü", "_x%", "0"})
	var value func(depth int) *rapid.Generator[any]
	value = func(depth int) *rapid.Generator[any] {
		simple := []*rapid.Generator[any]{rapid.Map(word, func(s string) any { return s }), rapid.Just[any](nil), rapid.Just[any](true),
			rapid.SampledFrom([]any{json.Number("12"), json.Number("1.0"), json.Number("1e3")})}
		if depth == 0 {
			return rapid.OneOf(simple...)
		}
		deeper := rapid.Deferred(func() *rapid.Generator[any] { return value(depth - 1) })
		return rapid.OneOf(append(simple,
			rapid.Map(rapid.MapOfN(key, deeper, 0, 3), func(m map[string]any) any { return m }),
			rapid.Map(rapid.SliceOfN(deeper, 0, 3), func(l []any) any { return l }))...)
	}
	rapid.Check(t, func(t *rapid.T) {
		doc := rapid.MapOfN(key, value(2), 0, 4).Draw(t, "document")
		path := strings.Join(rapid.SliceOfN(key, 1, 3).Draw(t, "path"), ".")
		name := rapid.SampledFrom([]string{"filter_" + path, "filter_not_" + path, "has_key", "has_value", "key_missing", "value_missing",
			"created_from", "created_to", "modified_from", "modified_to"}).Draw(t, "filter")
		text := path
		found, _ := lookUp(doc, path)
		switch {
		case strings.HasPrefix(name, "filter_"):
			text = rapid.OneOf(word, rapid.Just(plain(found))).Draw(t, "value")
		case strings.HasSuffix(name, "_from"), strings.HasSuffix(name, "_to"):
			text = strconv.FormatInt(rapid.OneOf(rapid.Int64(), rapid.Int64Range(62167219200+98, 62167219200+102)).Draw(t, "time"), 10)
		}
		req := &request{http: httptest.NewRequest("GET", "/", nil), query: url.Values{name: {text}}}
		keep, err := req.filters(&resource{})
		if err != nil {
			t.Fatal(err)
		}
		q := req.byDatabase(store.Query{})
		encoded, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, body := range [][]byte{appendTree(nil, doc), encoded} {
			at := func(name string) time.Time {
				return time.UnixMicro(rapid.Int64Range(99_000_000, 102_000_000).Draw(t, name))
			}
			d := store.Document{ID: "x", Body: body, Created: at("created"), Modified: at("modified")}
			if !keep(&d) {
				continue
			}
			for _, part := range q.Contains {
				if !strings.Contains(string(body), part) {
					t.Errorf("%s=%s passes %s, which has no %q", name, text, body, part)
				}
			}
			if w := q.Times; w != nil && (d.Created.Before(w.CreatedFrom) || d.Created.After(w.CreatedTo) || d.Modified.Before(w.ModifiedFrom) ||
				d.Modified.After(w.ModifiedTo)) {
				t.Errorf("%s=%s passes what was created at %v and modified at %v, which is not in %v", name, text, d.Created, d.Modified, w)
			}
		}
	})
	narrowed := func(name, value string) int {
		req := &request{query: url.Values{name: {value}}}
		q := req.byDatabase(store.Query{})
		if q.Times != nil {
			return 1
		}
		return len(q.Contains)
	}
	for name, value := range map[string]string{"filter_timezone": "Europe/Warsaw", "filter_a.b": "x&yy", "has_key": "a.b", "has_value": "a",
		"created_from": "1", "modified_to": "1"} {
		if narrowed(name, value) != 1 {
			t.Errorf("%s=%s is not left to the database", name, value)
		}
	}
}
