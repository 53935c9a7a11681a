package callflow_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"bugle"
	"bugle/internal/callflow"
	"bugle/internal/callflow/module"
)

func newChecker(t testing.TB) *callflow.Checker {
	t.Helper()
	c, err := callflow.NewChecker(module.All(module.Services{}))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCheckFlow(t *testing.T) {
	t.Parallel()
	checker := newChecker(t)
	tests := []struct{ name, flow, want string }{
		{"empty", `{}`, ""},
		{"fine", `{"module":"directory","data":{"id":"d","own_key":1},"children":{"_":{"module":"hangup","ui":{}},"x":{}}}`, ""},
		{"no data", `{"module":"answer"}`, ""},
		{"not JSON", `{`, " type"},
		{"not an object", `[]`, " type"},
		{"no module", `{"data":{}}`, "module required"},
		{"a module's name of another type", `{"module":5}`, "module type"},
		{"an empty module's name", `{"module":""}`, "module minLength"},
		{"a long module's name", `{"module":"` + strings.Repeat("m", 65) + `"}`, "module maxLength"},
		{"a module that does not exist", `{"module":"directoy","data":{"id":"d"}}`, "module enum"},
		{"names are exact", `{"Module":"answer"}`, "module required"},
		{"data of another type", `{"module":"answer","data":[]}`, "data type"},
		{"a key missing", `{"module":"directory","data":{}}`, "data.id required"},
		{"data missing", `{"module":"directory"}`, "data.id required"},
		{"a value of another type", `{"module":"user","data":{"id":"u","timeout":"20"}}`, "data.timeout type"},
		{"a value out of the list", `{"module":"sleep","data":{"unit":"d"}}`, "data.unit enum"},
		{"a value too small", `{"module":"sleep","data":{"duration":-1}}`, "data.duration minimum"},
		{"deep", `{"module":"answer","children":{"_":{"module":"menu","data":{"id":"m"},"children":{"1":{"module":"play","data":{}}}}}}`,
			"children._.children.1.data.id required"},
		{"a dot in a key", `{"module":"answer","children":{"a.b":{"module":"x"}}}`, "children.a%2Eb.module enum"},
		{"an empty key", `{"module":"answer","children":{"":{"module":"answer"}}}`, "children invalid"},
		{"children of another type", `{"module":"answer","children":[]}`, "children type"},
		{"a child of another type", `{"module":"answer","children":{"1":"answer"}}`, "children.1 type"},
		{"a member of a list", `{"module":"ring_group","data":{"endpoints":[{"endpoint_type":"user","id":"u"},{"id":"v"}]}}`,
			"data.endpoints.1.endpoint_type required"},
		{"everything at once", `{"module":"user","data":{"strategy":"x"},"children":{"_":{"module":"nope"}}}`,
			"children._.module enum, data.id required, data.strategy enum"},
		{"too deep", strings.Repeat(`{"module":"answer","children":{"_":`, 101) + `{}` + strings.Repeat(`}}`, 101),
			strings.Repeat("children._.", 99) + "children._ invalid"},
	}
	for _, test := range tests {
		var got []string
		for _, p := range checker.CheckFlow(json.RawMessage(test.flow)) {
			got = append(got, p.Path+" "+p.Code)
			if p.Message == "" {
				t.Errorf("%s: %s has no message", test.name, p.Path)
			}
		}
		if text := strings.Join(got, ", "); text != test.want {
			t.Errorf("%s: %q, want %q", test.name, text, test.want)
		}
	}
}

func TestCheckFlowSaysWhatIsAllowed(t *testing.T) {
	t.Parallel()
	p := newChecker(t).CheckFlow(json.RawMessage(`{"module":"sleep","data":{"unit":"d"}}`))[0]
	if p.Message != "Value not found in enumerated list of values" || fmt.Sprint(p.Target) != "[ms s m h]" || p.Value != "d" {
		t.Errorf("%+v", p)
	}
	p = newChecker(t).CheckFlow(json.RawMessage(`{"module":"directoy"}`))[0]
	if !strings.Contains(p.Message, `"directoy"`) || !strings.Contains(p.Message, "directory") {
		t.Errorf("%+v", p)
	}
}

func TestCheckPattern(t *testing.T) {
	t.Parallel()
	checker := newChecker(t)
	tests := []struct {
		pattern  string
		err      string // part of the message, "" for none
		warnings bool
	}{
		{`^\*72([0-9]*)$`, "", false},
		{`^\*\*([0-9]+)$`, "", false},
		{`^555(?<tail>\d+)$`, "", false},
		{`^\**([0-9]*)$`, "", true}, // a stock pattern that takes 911
		{`.*`, "", true},
		{`^\d{4}$`, "", false},
		{`^(\d{4}`, "missing closing )", false},
		{`^(?!911)\d+$`, "look-arounds such as (?!", false},
		{`(?<=\*)\d+`, "look-arounds such as (?<=", false},
		{`^(\d)\1$`, "invalid escape sequence", false},
	}
	for _, test := range tests {
		warning, err := checker.CheckPattern(test.pattern)
		switch {
		case (err != nil) != (test.err != ""), err != nil && !strings.Contains(err.Error(), test.err):
			t.Errorf("%s: error %v, want %q", test.pattern, err, test.err)
		case err != nil && bugle.KindOf(err) != bugle.KindInvalid:
			t.Errorf("%s: kind %v", test.pattern, bugle.KindOf(err))
		case (warning != "") != test.warnings:
			t.Errorf("%s: warning %q", test.pattern, warning)
		}
	}
}

func TestModuleSchemas(t *testing.T) {
	t.Parallel()
	schemas := newChecker(t).ModuleSchemas()
	if len(schemas) != 20 || len(schemas["callflows.directory"]) == 0 {
		t.Errorf("%d schemas", len(schemas))
	}
}

func FuzzCheckFlow(f *testing.F) {
	checker := newChecker(f)
	f.Add(`{"module":"ring_group","data":{"endpoints":[{"endpoint_type":"user","id":"u"}]},"children":{"_":{}}}`)
	f.Add(`{"module":"answer","children":{"_":{"module":"x","data":null}}}`)
	f.Fuzz(func(t *testing.T, flow string) {
		if len(checker.CheckFlow(json.RawMessage(flow))) > 0 {
			return
		}
		var parsed bugle.Flow
		if err := json.Unmarshal([]byte(flow), &parsed); err != nil {
			t.Errorf("a flow that was found fine cannot be read: %v", err)
		}
	})
}
