package bugle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// Fields is one JSON object with its keys exactly as written: unlike encoding/json's struct decoding, "Enabled" is not
// "enabled", and a number keeps its digits. A missing key and a value of another type both read as absent, because
// documents are open and a schema has judged them already.
type Fields map[string]json.RawMessage

// ParseFields reads a JSON object.
func ParseFields(doc []byte) (Fields, error) {
	var f Fields
	if err := json.Unmarshal(doc, &f); err != nil {
		return nil, &Error{Op: "bugle.ParseFields", Kind: KindInvalid, Message: "not a JSON object", Err: err}
	}
	if f == nil {
		return nil, &Error{Op: "bugle.ParseFields", Kind: KindInvalid, Message: "not a JSON object: null"}
	}
	return f, nil
}

// Object returns the object at key, empty when absent.
func (f Fields) Object(key string) Fields {
	var o Fields
	if raw := f[key]; len(raw) > 0 && raw[0] == '{' {
		_ = json.Unmarshal(raw, &o)
	}
	return o
}

// String returns the string at key, "" when absent.
func (f Fields) String(key string) string {
	var s string
	if raw := f[key]; len(raw) > 0 && raw[0] == '"' {
		_ = json.Unmarshal(raw, &s)
	}
	return s
}

// Bool returns the boolean at key, otherwise when absent.
func (f Fields) Bool(key string, otherwise bool) bool {
	switch raw := bytes.TrimSpace(f[key]); string(raw) {
	case "true":
		return true
	case "false":
		return false
	}
	return otherwise
}

// Int returns the integer at key, otherwise when absent or not an integer.
func (f Fields) Int(key string, otherwise int) int {
	n, err := strconv.Atoi(string(bytes.TrimSpace(f[key])))
	if err != nil {
		return otherwise
	}
	return n
}

// Strings returns the array of strings at key; members of another type are left out.
func (f Fields) Strings(key string) []string {
	var raw []json.RawMessage
	if v := f[key]; len(v) == 0 || v[0] != '[' || json.Unmarshal(v, &raw) != nil {
		return nil
	}
	out := make([]string, 0, len(raw))
	for _, r := range raw {
		var s string
		if json.Unmarshal(r, &s) == nil && len(r) > 0 && r[0] == '"' {
			out = append(out, s)
		}
	}
	return out
}

// StringMap returns the members of the object at key whose values are strings.
func (f Fields) StringMap(key string) map[string]string {
	o := f.Object(key)
	out := make(map[string]string, len(o))
	for k := range o {
		if s := o.String(k); s != "" {
			out[k] = s
		}
	}
	return out
}

func parse(op, id string, doc []byte) (Fields, error) {
	f, err := ParseFields(doc)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", op, id, err)
	}
	return f, nil
}
