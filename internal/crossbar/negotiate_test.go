package crossbar_test

import (
	"encoding/csv"
	"slices"
	"strings"
	"testing"

	"bugle/internal/crossbar"
)

func TestListsAsCSV(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if a := w.call("GET", w.own("/users?accept=csv"), ""); a.code != 200 || len(a.text) != 0 ||
		!strings.HasPrefix(a.header.Get("Content-Type"), "text/csv") {
		t.Errorf("an empty list: %d %q %v", a.code, a.text, a.header)
	}
	want := map[string]bool{}
	for _, name := range []string{`=HYPERLINK("http://x")`, "+12125551234", "-1+1|cmd", "@SUM(1)", "O'Brien, \"Bob\"\nJr", "Łukasz"} {
		w.must("PUT", w.own("/users"), `{"last_name":`+quoted(name)+`,"flags":["a","b"]}`)
		if strings.ContainsAny(name[:1], "=@-") {
			name = "'" + name
		}
		want[name] = true
	}
	for range 60 {
		w.must("PUT", w.own("/users"), `{"last_name":"X","call_recording":{"any":{"any":{"enabled":true}}}}`)
	}
	a := w.call("GET", w.own("/users"), "", "Accept: text/csv", "X-File-Name: peo\"ple.csv")
	if a.code != 200 || a.header.Get("Content-Disposition") != `attachment; filename="peo_ple.csv"` {
		t.Fatalf("%d %v %.200s", a.code, a.header, a.text)
	}
	rows, err := csv.NewReader(strings.NewReader(string(a.text))).ReadAll()
	if err != nil || len(rows) != 67 {
		t.Fatal(len(rows), err)
	}
	head := rows[0]
	if head[0] != "ID" || !slices.Contains(head, "Last Name") || !slices.Contains(head, "Call Recording Any Any Enabled") {
		t.Errorf("%q", head)
	}
	last, flags := slices.Index(head, "Last Name"), slices.Index(head, "Flags")
	for _, row := range rows[1:] {
		if row[last] == "X" {
			continue
		}
		if !want[row[last]] || row[flags] != "a,b" {
			t.Errorf("%q", row)
		}
		delete(want, row[last])
	}
	if len(want) > 0 {
		t.Errorf("missing: %v", want)
	}
	// A page when one is asked for, with its successor in a header.
	a = w.call("GET", w.own("/users?page_size=2&accept=csv&file_name=x.csv"), "")
	if next := a.header.Get("X-Next-Start-Key"); strings.Count(string(a.text), "\r\n") != 3 || next == "" ||
		!strings.Contains(a.header.Get("Content-Disposition"), "x.csv") {
		t.Errorf("%q %v", a.text, a.header)
	}
	// A representation has a revision of its own.
	tag := a.header.Get("Etag")
	if b := w.call("GET", w.own("/users?page_size=2"), "", "If-None-Match: "+tag); b.code != 200 {
		t.Errorf("the JSON matched the CSV's revision: %d", b.code)
	}
	if b := w.call("GET", w.own("/users?page_size=2&accept=csv"), "", "If-None-Match: "+tag); b.code != 304 || len(b.text) != 0 {
		t.Errorf("%d %q", b.code, b.text)
	}
	// Every list, also of what is no document.
	device := w.must("PUT", w.own("/devices"), `{"name":"D"}`).str("id")
	w.phones.list[w.account] = []crossbar.Registration{{Username: "u", DeviceID: device}}
	w.calls.list[w.account] = []crossbar.Channel{{ID: "c"}}
	for _, path := range []string{w.own("/registrations"), w.own("/channels"), w.own("/devices/status"), "/v2/accounts", "/v2/schemas",
		"/v2/accounts/" + w.master.AccountID + "/descendants", w.own("/devices")} {
		a := w.call("GET", path, "", "Accept: text/csv")
		if rows, err := csv.NewReader(strings.NewReader(string(a.text))).ReadAll(); a.code != 200 || err != nil || len(rows) < 2 {
			t.Errorf("%s: %d %v %s", path, a.code, err, a.text)
		}
	}
}

func quoted(s string) string {
	return `"` + strings.NewReplacer(`"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

func TestAcceptChoosesOnGetOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	menu := w.must("PUT", w.own("/menus"), `{"name":"M"}`).str("id")
	for _, c := range []struct {
		method, path, accept string
		want                 int
		contentType          string
	}{
		{"GET", "/menus", "text/csv;q=0.5, application/json", 200, "application/json"},
		{"GET", "/menus", "text/csv, application/json;q=0.5", 200, "text/csv; charset=utf-8; header=present"},
		{"GET", "/menus", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", 200, "application/json"},
		{"GET", "/menus", "*", 200, "application/json"},
		{"GET", "/menus", "text/*", 200, "application/json"},
		{"GET", "/menus", "image/png", 406, "application/json"},
		{"GET", "/menus", "application/json;q=0", 406, "application/json"},
		{"GET", "/menus", "text/csv;q=0, */*", 200, "application/json"},
		{"HEAD", "/menus", "image/png", 406, "application/json"},
		{"HEAD", "/menus", "text/csv", 200, "text/csv; charset=utf-8; header=present"},
		{"HEAD", "/menus/" + menu, "application/pdf", 406, "application/json"},
		{"GET", "/menus/" + menu, "text/csv", 406, "application/json"},
		{"GET", "/menus/" + menu, "text/csv, */*;q=0.1", 200, "application/json"},
		{"GET", "/menus/" + menu + "?accept=csv", "", 200, "application/json"},
		{"GET", "/menus?accept=image/png", "image/png", 200, "application/json"},
		{"GET", "/menus?accept=text/csv", "image/png", 200, "text/csv; charset=utf-8; header=present"},
		{"PATCH", "/menus/" + menu, "image/png", 200, "application/json"},
		{"PATCH", "/menus/" + menu, "text/csv", 200, "application/json"},
		{"GET", "/menus", strings.Repeat("a/b,", 10_000), 406, "application/json"},
	} {
		body := ""
		if c.method == "PATCH" {
			body = `{}`
		}
		a := w.call(c.method, w.own(c.path), body, "Accept: "+c.accept)
		if a.code != c.want || a.header.Get("Content-Type") != c.contentType {
			t.Errorf("%s %s, Accept %.60s: %d %s", c.method, c.path, c.accept, a.code, a.header.Get("Content-Type"))
		}
	}
}
