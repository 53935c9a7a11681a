package crossbar

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"bugle/internal/store"
)

// TestRowsCopied compares the rows of lists with what summary makes of the whole document.
func TestRowsCopied(t *testing.T) {
	t.Parallel()
	texts := []string{`null`, `""`, `"Zoë \"Q\""`, `" : x, "`, `[]`, `["a","b"]`, `{}`, `{"enabled":true,"a":[{"b":"}"}]}`, `{"media_id":"m"}`, `false`, `true`, `-1.50`,
		`{"module":"user","data":{"id":"x"},"children":{"_":{"module":"hangup"}}}`, `"\u00e9\\"`}
	random := rand.New(rand.NewPCG(1, 2))
	tried, shared := 0, map[string]any{}
	for _, res := range resources() {
		if res.copied == nil {
			continue
		}
		tried++
		for _, key := range res.copied {
			if !slices.Contains(res.summaryKeys, key) {
				t.Errorf("%s: %s is copied and not in summaryKeys", res.noun, key)
			}
		}
		parsed := res.parsedKeys()
		for range 2000 {
			doc := map[string]any{"sip": map[string]any{"username": "u"}, "further": []any{"x"}}
			for _, key := range res.summaryKeys {
				if random.IntN(3) > 0 {
					v, err := parseTree([]byte(texts[random.IntN(len(texts))]))
					if err != nil {
						t.Fatal(err)
					}
					doc[key] = v
				}
			}
			body := appendTree(nil, doc)
			whole, err := parseKeys(body, res.summaryKeys)
			if err != nil {
				t.Fatal(err)
			}
			row := maps.Clone(res.summary(whole))
			row["id"] = "i"
			d := store.Document{ID: "i", Body: body}
			cells, err := res.row(&d, parsed, shared, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := appendCells(nil, append(cells, cell{key: "id", tree: d.ID}))
			if want := appendTree(nil, row); err != nil || string(got) != string(want) {
				t.Fatalf("%s: %s\nis listed as %s, not %s (%v)", res.noun, body, got, want, err)
			}
		}
	}
	if tried < 3 {
		t.Error("only", tried, "resources copy")
	}
}
