package crossbar_test

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"testing"
	"time"

	"bugle/internal/crossbar"
)

func (w *world) names(path string) (names []string, next string) {
	w.t.Helper()
	a := w.must("GET", path, "")
	for _, row := range a.rows() {
		name, _ := row["name"].(string)
		if name == "" {
			name, _ = row["last_name"].(string)
		}
		names = append(names, name)
	}
	next, _ = a.body["next_start_key"].(string)
	if size := fmt.Sprint(a.body["page_size"]); a.body["page_size"] != nil && size != fmt.Sprint(len(names)) {
		w.t.Errorf("%s: page_size is %s with %d rows", path, size, len(names))
	}
	return names, next
}

func TestPagesNeitherRepeatNorSkip(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var want []string
	for i := range 23 {
		name := fmt.Sprintf("Menu %02d", i/2) // every name twice
		want = append(want, name)
		w.must("PUT", w.own("/menus"), fmt.Sprintf(`{"name":"%s","odd":%d}`, name, i%2))
	}
	for _, size := range []int{1, 4, 22, 23, 24} {
		var got []string
		start, pages := "", 0
		for {
			names, next := w.names(w.own(fmt.Sprintf("/menus?page_size=%d&start_key=%s", size, url.QueryEscape(start))))
			got = append(got, names...)
			if pages++; next == "" {
				break
			}
			start = next
		}
		if !slices.Equal(got, want) || pages != (23+size-1)/size {
			t.Errorf("size %d: %d pages, %v", size, pages, got)
		}
	}
	if got, next := w.names(w.own("/menus?paginate=false")); !slices.Equal(got, want) || next != "" {
		t.Errorf("%v", got)
	}
	slices.Reverse(want)
	first, next := w.names(w.own("/menus?descending=true&page_size=12"))
	second, _ := w.names(w.own("/menus?descending=true&page_size=12&start_key=" + next))
	if got := append(first, second...); !slices.Equal(got, want) {
		t.Errorf("descending: %v", got)
	}
	// A key of one list is no key of another, nor of another account.
	for _, path := range []string{w.own("/users?start_key=" + next), "/v2/accounts/" + w.master.AccountID + "/menus?descending=true&start_key=" + next,
		w.own("/menus?start_key=" + next), w.own("/menus?start_key=%00"), w.own("/menus?page_size=-1"), w.own("/menus?page_size=1e9"),
		w.own("/menus?page_size=1000000000")} {
		if a := w.call("GET", path, ""); a.code != 404 || a.body["message"] != "faulty_request" {
			t.Errorf("%s: %d %s", path, a.code, a.text)
		}
	}
	// Filtered pages are full until the last.
	var odd []string
	start, pages := "", 0
	for {
		names, next := w.names(w.own("/menus?filter_odd=1&page_size=3&start_key=" + start))
		odd = append(odd, names...)
		if pages++; next == "" {
			break
		}
		if start = next; len(names) != 3 {
			t.Errorf("a page of %d", len(names))
		}
	}
	if len(odd) != 11 || pages != 4 {
		t.Errorf("%d pages, %v", pages, odd)
	}
	// Exactly one page: no further key.
	if names, next := w.names(w.own("/menus?filter_odd=1&page_size=11")); len(names) != 11 || next != "" {
		t.Error(len(names), next)
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must("PUT", w.own("/menus"), `{"name":"A","ui_metadata":{"origin":"web"},"retries":2,"flags":["x"]}`)
	w.clock.advance(1000 * time.Second)
	w.must("PUT", w.own("/menus"), `{"name":"B","ui_metadata":{"origin":"cli"},"empty":""}`)
	for query, want := range map[string][]string{
		"filter_ui_metadata.origin=web":            {"A"},
		`filter_ui_metadata.origin=["web","cli"]`:  {"A", "B"},
		"filter_not_ui_metadata.origin=web":        {"B"},
		"filter_retries=2":                         {"A"},
		"filter_hunt=true":                         {"A", "B"},
		"filter_nosuch=":                           {"A", "B"},
		"has_key=empty":                            {"B"},
		"key_missing=empty":                        {"A"},
		"has_value=empty":                          nil,
		"value_missing=empty":                      {"A", "B"},
		"has_key=flags.0":                          {"A"},
		"filter_hunt=true&filter_name=B":           {"B"},
		"has_key=empty&has_key=flags":              nil,
		"created_from=0":                           {"A", "B"},
		"created_to=0":                             nil,
		"modified_from=63962496500&created_from=0": {"B"},
	} {
		got, _ := w.names(w.own("/menus?" + url.PathEscape(query)))
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	if a := w.call("GET", w.own("/menus?created_from=soon"), ""); a.code != 400 {
		t.Errorf("%d %s", a.code, a.text)
	}
	// A filter that an index answers says what reading all says, and its pages are those of the same list.
	owner := w.must("PUT", w.own("/users"), `{"first_name":"O"}`).str("id")
	for i := range 7 {
		w.must("PUT", w.own("/devices"), fmt.Sprintf(`{"name":"P%d","flags":["%d"],"owner_id":"%s"}`, i, i%2, []string{owner, ""}[i/5]))
	}
	for query, want := range map[string][]string{
		"filter_owner_id=" + owner:                         {"P0", "P1", "P2", "P3", "P4"},
		"filter_owner_id=" + owner + "&descending=true":    {"P4", "P3", "P2", "P1", "P0"},
		"filter_owner_id=" + owner + "&filter_flags.0=1":   {"P1", "P3"},
		"filter_owner_id=" + owner + "&filter_owner_id=x":  nil,
		"filter_owner_id=":                                 {"P5", "P6"},
		"filter_owner_id=x":                                nil,
		`filter_owner_id=["` + owner + `","x"]`:            {"P0", "P1", "P2", "P3", "P4"},
		"filter_not_owner_id=" + owner:                     {"P5", "P6"},
		"filter_owner_id=" + owner + "&filter_not_name=P1": {"P0", "P2", "P3", "P4"},
	} {
		if got, _ := w.names(w.own("/devices?" + url.PathEscape(query))); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	_, next := w.names(w.own("/devices?page_size=2"))
	if got, _ := w.names(w.own("/devices?filter_owner_id=" + owner + "&start_key=" + next)); !slices.Equal(got, []string{"P2", "P3", "P4"}) {
		t.Errorf("from the second page of the list: %v", got)
	}
	// Secrets cannot be found out by filtering.
	device := w.must("PUT", w.own("/devices"), `{"name":"D"}`)
	stored, err := w.store.Get(context.Background(), w.account, crossbar.TypeDevice, device.str("id"))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{device.str("sip", "password"), sealedPart(string(stored.Body))} {
		if rows := w.must("GET", w.own("/devices?filter_sip.password="+url.QueryEscape(secret)), "").rows(); secret == "" || len(rows) != 0 {
			t.Error("a filter sees a password")
		}
	}
}

func TestUsersAreListedByName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must("PATCH", w.own(""), `{"language":"pl-PL"}`)
	for _, last := range []string{"Zając", "Łoś", "Lis", "Żuk", "lew", "Mysz"} {
		w.must("PUT", w.own("/users"), `{"last_name":"`+last+`"}`)
	}
	got, _ := w.names(w.own("/users"))
	if want := []string{"lew", "Lis", "Łoś", "Mysz", "Zając", "Żuk"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestEndKeyAndChunks: end_key is a key like start_key, and ends the list there; chunks change nothing of the JSON.
func TestEndKeyAndChunks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 30 {
		w.must("PUT", w.own("/menus"), fmt.Sprintf(`{"name":"Menu %02d","odd":%d}`, i, i%2))
	}
	_, end := w.names(w.own("/menus?page_size=10")) // behind Menu 09
	for query, want := range map[string]int{"": 10, "&page_size=4": 4, "&page_size=10": 10, "&page_size=11": 10, "&filter_odd=1": 5,
		"&paginate=false": 10, "&filter_odd=1&page_size=5": 5} {
		names, next := w.names(w.own("/menus?end_key=" + end + query))
		if len(names) != want || (next != "") != (query == "&page_size=4") {
			t.Errorf("%s: %d rows, next %q", query, len(names), next)
		}
	}
	first, next := w.names(w.own("/menus?page_size=7&end_key=" + end))
	rest, after := w.names(w.own("/menus?page_size=7&end_key=" + end + "&start_key=" + next))
	if len(first) != 7 || !slices.Equal(rest, []string{"Menu 07", "Menu 08", "Menu 09"}) || after != "" {
		t.Errorf("%v %v %q", first, rest, after)
	}
	_, end = w.names(w.own("/menus?page_size=10&descending=true")) // behind Menu 20
	if names, _ := w.names(w.own("/menus?descending=true&end_key=" + end)); len(names) != 10 || names[9] != "Menu 20" {
		t.Errorf("%v", names)
	}
	plain := w.must("GET", w.own("/menus"), "")
	chunked := w.must("GET", w.own("/menus?is_chunked=true&chunk_size=7"), "")
	if fmt.Sprint(plain.data()) != fmt.Sprint(chunked.data()) || chunked.header.Get("Content-Length") != "" || len(chunked.rows()) != 30 ||
		plain.body["revision"] != chunked.body["revision"] {
		t.Errorf("%v %d rows", chunked.header, len(chunked.rows()))
	}
	for _, query := range []string{"end_key=x", "end_key=" + end, "chunk_size=0", "chunk_size=51", "chunk_size=x", "page_size=0", "page_size=x"} {
		if a := w.call("GET", w.own("/menus?"+query), ""); a.code != 404 || a.body["message"] != "faulty_request" {
			t.Errorf("%s: %d %s", query, a.code, a.text)
		}
	}
}

func TestPreconditionsOfReading(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	menu := w.must("PUT", w.own("/menus"), `{"name":"M"}`)
	rev, _ := menu.body["revision"].(string)
	list, _ := w.must("GET", w.own("/menus"), "").body["revision"].(string)
	one := "/menus/" + menu.str("id")
	w.clock.advance(time.Hour) // a list's revision knows no time
	for _, c := range []struct {
		method, path, header string
		want                 int
	}{
		{"GET", one, `If-None-Match: "` + rev + `"`, 304}, {"HEAD", one, `If-None-Match: "` + rev + `"`, 304},
		{"GET", one, `If-None-Match: W/"` + rev + `", "x"`, 304}, {"GET", one, `If-None-Match: *`, 304}, {"GET", one, `If-None-Match: "x"`, 200},
		{"GET", "/menus", `If-None-Match: "` + list + `"`, 304}, {"GET", "/menus?descending=true&page_size=5", `If-None-Match: "x"`, 200},
		{"GET", one, `If-Match: "` + rev + `"`, 200}, {"GET", one, `If-Match: "1-0"`, 412}, {"GET", "/menus", `If-Match: "` + list + `"`, 200},
		{"GET", "/menus", `If-Match: "1-0"`, 412}, {"HEAD", "/menus", `If-Match: "1-0"`, 412},
	} {
		token := w.keyToken(testAPIKey) // that of the setup is over
		if a := w.as(token, c.method, w.own(c.path), "", c.header); a.code != c.want {
			t.Errorf("%s %s %s: %d, want %d: %s", c.method, c.path, c.header, a.code, c.want, a.text)
		}
	}
}

// FuzzStartKey: whatever key a client makes up, the answer is a page or a clean refusal.
func FuzzStartKey(f *testing.F) {
	w := newWorld(f)
	for i := range 5 {
		w.must("PUT", w.own("/menus"), fmt.Sprintf(`{"name":"%d"}`, i))
	}
	_, next := w.names(w.own("/menus?page_size=2"))
	f.Add(next, "")
	f.Add("", next)
	f.Add(next[:len(next)-1], next+"A")
	f.Add("%00", "' OR 1=1 --")
	f.Add(next[:8]+"AAAA", "AQEB")
	f.Fuzz(func(t *testing.T, start, end string) {
		w.t = t
		a := w.call("GET", w.own("/menus?start_key="+url.QueryEscape(start)+"&end_key="+url.QueryEscape(end)), "")
		if a.code != 200 && (a.code != 404 || a.body["message"] != "faulty_request") {
			t.Fatalf("%q %q: %d %s", start, end, a.code, a.text)
		}
	})
}
