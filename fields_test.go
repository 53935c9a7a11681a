package bugle_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"bugle"
)

func fields(t *testing.T, doc string) bugle.Fields {
	t.Helper()
	f, err := bugle.ParseFields([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestParseFieldsTakesObjectsOnly(t *testing.T) {
	t.Parallel()
	for _, doc := range []string{``, `null`, `[]`, `"x"`, `1`, `true`, `{`, `{"a":}`, `{"a":1}{"b":2}`, `{"a":1,}`} {
		if f, err := bugle.ParseFields([]byte(doc)); err == nil || bugle.KindOf(err) != bugle.KindInvalid {
			t.Errorf("%s is %v, error %v", doc, f, err)
		}
	}
	if f := fields(t, " {} "); len(f) != 0 || f == nil {
		t.Errorf("{} is %v", f)
	}
}

// TestKeysAreExact: encoding/json would take any case for a struct's key.
func TestKeysAreExact(t *testing.T) {
	t.Parallel()
	f := fields(t, `{"Name":"a","NAME":"b","enabled ":false,"Enabled":false,"caller-id":{}}`)
	if f.String("name") != "" || !f.Bool("enabled", true) || len(f.Object("caller_id")) != 0 {
		t.Error("a key was taken for another")
	}
	if f.String("Name") != "a" || f.String("NAME") != "b" || f.Bool("Enabled", true) {
		t.Error("a key was not found")
	}
	if got := fields(t, `{"a":"first","a":"second"}`).String("a"); got != "second" {
		t.Errorf("of a key that stands twice %q counts", got)
	}
	if got := fields(t, `{"\u0061":"escaped"}`).String("a"); got != "escaped" {
		t.Errorf("an escaped key reads %q", got)
	}
}

// TestWhatIsOfAnotherTypeIsAbsent is the table of every reader and every type of JSON.
func TestWhatIsOfAnotherTypeIsAbsent(t *testing.T) {
	t.Parallel()
	f := fields(t, `{"null":null,"true":true,"false":false,"number":12,"string":"s","empty":"","array":["a"],"object":{"k":"v"}}`)
	for key := range f {
		if got := f.String(key); got != map[string]string{"string": "s"}[key] {
			t.Errorf("%s as a string is %q", key, got)
		}
		for _, otherwise := range []bool{true, false} {
			want := otherwise
			if key == "true" || key == "false" {
				want = key == "true"
			}
			if got := f.Bool(key, otherwise); got != want {
				t.Errorf("%s as a boolean is %v", key, got)
			}
		}
		if got, want := f.Int(key, 7), map[string]int{"number": 12}[key]; got != want && (want != 0 || got != 7) {
			t.Errorf("%s as an integer is %d", key, got)
		}
		if got := f.Strings(key); (len(got) == 1) != (key == "array") {
			t.Errorf("%s as an array is %q", key, got)
		}
		if got := f.Object(key); (len(got) == 1) != (key == "object") {
			t.Errorf("%s as an object is %v", key, got)
		}
		if got := f.StringMap(key); (len(got) == 1) != (key == "object") || got == nil {
			t.Errorf("%s as a map is %v", key, got)
		}
	}
	var none bugle.Fields // as a missing object is: it can be asked like any other
	if none.String("a") != "" || !none.Bool("a", true) || none.Int("a", 3) != 3 || none.Strings("a") != nil ||
		none.Object("a").Object("b").String("c") != "" || len(none.StringMap("a")) != 0 {
		t.Error("nothing has something in it")
	}
}

func TestIntegers(t *testing.T) {
	t.Parallel()
	const otherwise = -99
	for doc, want := range map[string]int{
		`0`: 0, `-5`: -5, `300`: 300, ` 7 `: 7, `9223372036854775807`: 9223372036854775807,
		`9223372036854775808`: otherwise, `1.5`: otherwise, `3.0`: otherwise, `1e3`: otherwise, `"3"`: otherwise, `""`: otherwise,
		`null`: otherwise, `true`: otherwise, `[3]`: otherwise,
	} {
		if got := fields(t, `{"n":`+doc+`}`).Int("n", otherwise); got != want {
			t.Errorf("%s is %d, want %d", doc, got, want)
		}
	}
}

// TestNumbersKeepTheirDigits: a float64 would round an id of seventeen digits.
func TestNumbersKeepTheirDigits(t *testing.T) {
	t.Parallel()
	f := fields(t, `{"n":12345678901234567,"pi":3.14159265358979323846}`)
	if f.Int("n", 0) != 12345678901234567 || string(f["pi"]) != "3.14159265358979323846" {
		t.Errorf("%d, %s", f.Int("n", 0), f["pi"])
	}
	doc, err := json.Marshal(f)
	if want := `{"n":12345678901234567,"pi":3.14159265358979323846}`; err != nil || string(doc) != want {
		t.Errorf("written again it is %s, %v", doc, err)
	}
}

func TestStringsOfArraysAndMaps(t *testing.T) {
	t.Parallel()
	f := fields(t, `{"a":["x",1,null,"",["y"],"z"],"none":[],"m":{"k":"v","n":1,"o":{},"e":"","K":"V"},"u":"\u00e9\n\"","bad":"\ud800"}`)
	if got := f.Strings("a"); !reflect.DeepEqual(got, []string{"x", "", "z"}) {
		t.Errorf("the array has %q", got)
	}
	if got := f.Strings("none"); got == nil || len(got) != 0 {
		t.Errorf("the empty array is %v", got)
	}
	if got := f.StringMap("m"); !reflect.DeepEqual(got, map[string]string{"k": "v", "K": "V"}) {
		t.Errorf("the map has %v", got)
	}
	if got := f.String("u"); got != "é\n\"" {
		t.Errorf("escapes read %q", got)
	}
	if got := f.String("bad"); got != "\ufffd" {
		t.Errorf("half a surrogate pair reads %q", got)
	}
}

func FuzzParseFields(f *testing.F) {
	f.Add([]byte(`{"a":{"b":[1,"c",null]},"d":"e","f":12,"g":true}`))
	f.Add([]byte(`{"call_restriction":{"unknown":{"action":"deny"}},"dial_plan":{"^9(\\d+)$":{"prefix":1}}}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		o, err := bugle.ParseFields(doc)
		if err != nil {
			return
		}
		for key := range o {
			_, _, _, _ = o.String(key), o.Bool(key, true), o.Int(key, 0), o.Strings(key)
			_, _ = o.StringMap(key), o.Object(key).Object(key)
		}
		_, _ = bugle.ParseAccount("a", doc)
		_, _ = bugle.ParseUser("u", doc)
		_, _ = bugle.ParseDevice("d", doc)
		_, _ = bugle.ParseCallflow("c", doc)
		_, _ = bugle.ParseMenu("m", doc)
		_, _ = bugle.ParseGroup("g", doc)
		_, _ = bugle.ParseDirectory("x", doc)
		_, _ = bugle.ParseMedia("y", doc, "")
	})
}
