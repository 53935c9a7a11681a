package crossbar

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func decoded(t *testing.T, text []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return v
}

// FuzzTree judges the parser by encoding/json: what it takes is JSON, means the same, and survives being written again
// with every digit; what it refuses is no JSON, or one of the four things that it refuses on purpose.
func FuzzTree(f *testing.F) {
	for _, seed := range []string{`{"a":[1,-0.50,1E+3,true,false,null,"\u00e9\n\"\\/"],"b":{}}`, `[]`, `"\ud83d\ude00"`, `01`, `1.`, `[1,]`,
		`{"a":1,"a":2}`, ` {"x" : "y" } `, `"\ud800"`, `tru`, `-`, `1e999`, "\"\x01\"", "\xff", `{"a":1}x`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := parseTree(text)
		if err != nil {
			if json.Valid(text) && err == errNotJSON {
				t.Fatalf("refused %q", text)
			}
			return
		}
		if !json.Valid(text) {
			t.Fatalf("took %q", text)
		}
		want := decoded(t, text)
		if !reflect.DeepEqual(v, want) {
			t.Fatalf("%q: %#v, want %#v", text, v, want)
		}
		again := appendTree(nil, v)
		if got := decoded(t, again); !reflect.DeepEqual(got, want) {
			t.Fatalf("%q was written as %q", text, again)
		}
	})
}

// TestParseKeys: passing over keys finds the same as reading all of them.
func TestParseKeys(t *testing.T) {
	t.Parallel()
	doc := []byte(`{"a":{"x":["}",{"b":1}]},"b":"q\"}","c":[1,{"b":2}],"d":-1.5,"e":null,"f":true}`)
	whole, err := parseObject(doc)
	if err != nil {
		t.Fatal(err)
	}
	for _, keys := range [][]string{{}, {"a"}, {"b"}, {"f"}, {"a", "c", "e"}, {"b", "d", "f"}, {"zzz"}, {"a", "b", "c", "d", "e", "f"}} {
		want := map[string]any{}
		for _, key := range keys {
			if v, ok := whole[key]; ok {
				want[key] = v
			}
		}
		got, err := parseKeys(doc, keys)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v %v, want %v", strings.Join(keys, ","), got, err, want)
		}
	}
}

func TestMergeTree(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]string{
		{`{"a":1,"b":{"c":2,"d":3}}`, `{"b":{"c":null,"e":4}}`, `{"a":1,"b":{"d":3,"e":4}}`},
		{`{"a":[1,2]}`, `{"a":[3]}`, `{"a":[3]}`},
		{`{"a":"x"}`, `{"a":{"b":null,"c":{"d":null}}}`, `{"a":{"c":{}}}`},
		{`{}`, `{"a":{"b":{"c":1,"d":null}}}`, `{"a":{"b":{"c":1}}}`},
	} {
		doc, _ := parseObject([]byte(c[0]))
		patch, _ := parseObject([]byte(c[1]))
		mergeTree(doc, patch)
		if got := string(appendTree(nil, doc)); got != c[2] {
			t.Errorf("%s with %s: %s, want %s", c[0], c[1], got, c[2])
		}
	}
}
