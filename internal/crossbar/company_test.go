package crossbar_test

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"bugle/internal/crossbar"
	"bugle/internal/event"
)

// directoryWorld is a world whose company directory is projected.
type directoryWorld struct {
	*world
	projector *event.Projector
}

func newDirectoryWorld(t *testing.T, more ...func(*crossbar.Options)) *directoryWorld {
	t.Helper()
	return newWorld(t, append(more, withContacts)...).project(t)
}

func withContacts(o *crossbar.Options) { o.Contacts = event.NewContacts(o.Store) }

// callingDirectoryWorld is a callingWorld whose company directory is projected.
func callingDirectoryWorld(t *testing.T) (*world, *directoryWorld) {
	t.Helper()
	w, _ := callingWorld(t, withContacts)
	return w, w.project(t)
}

func (w *world) project(t *testing.T) *directoryWorld {
	t.Helper()
	d := &directoryWorld{w, event.Project(event.ProjectorOptions{Store: w.store, OnPanic: func(v any) { t.Errorf("panic: %v", v) }})}
	t.Cleanup(d.projector.Close)
	d.settle()
	return d
}

// settle waits until everything that was written is in the directory.
func (d *directoryWorld) settle() {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	position, err := d.store.Position(ctx)
	if err == nil {
		err = d.projector.Wait(ctx, position)
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

// people puts two users and a site, and returns their ids.
func (d *directoryWorld) people() (ann, bob, site string) {
	d.t.Helper()
	site = d.must("PUT", d.own("/sites"), `{"name":"North","code":"N"}`).str("id")
	ann = d.must("PUT", d.own("/users"), `{"first_name":"Ann","last_name":"Lee","email":"ann@example.com","department":"Sales","site_id":"`+site+`",
		"mobile_number":"415 555 0101","profile":{"title":"Boss"},"contact_numbers":["+14155550103",{"number":"+14155550104","label":"boat"}]}`).str("id")
	bob = d.must("PUT", d.own("/users"), `{"first_name":"=Bob","last_name":"Ng","activation":"pending","call_forward":{"enabled":true,"number":"+14155550109"}}`).str("id")
	d.must("PUT", d.own("/callflows"), `{"numbers":["1001","4155550100"],"flow":{"module":"user","data":{"id":"`+ann+`"}}}`)
	d.settle()
	return ann, bob, site
}

func TestCompanyDirectory(t *testing.T) {
	t.Parallel()
	d := newDirectoryWorld(t)
	ann, bob, site := d.people()
	list := d.must("GET", d.own("/directory/contacts"), "")
	rows := list.rows()
	if len(rows) != 2 || rows[0]["id"] != ann || rows[1]["id"] != bob {
		t.Fatalf("%s", list.text)
	}
	numeric := rows[0]["numeric_id"].(string)
	siteNumber := list.data().([]any)[0].(map[string]any)["site"].(map[string]any)["numeric_id"].(string)
	sameJSON(t, rows[0], `{"id":"`+ann+`","numeric_id":"`+numeric+`","type":"User","status":"Enabled","first_name":"Ann","last_name":"Lee",
		"name":"Ann Lee","department":"Sales","email":"ann@example.com","job_title":"Boss","extension_number":"1001",
		"site":{"id":"`+site+`","numeric_id":"`+siteNumber+`","name":"North","code":"N"},"phone_numbers":[
		{"phone_number":"+14155550100","usage_type":"DirectNumber","type":"VoiceFax"},{"phone_number":"+14155550101","usage_type":"MobileNumber"},
		{"phone_number":"+14155550103","usage_type":"ContactNumber"},{"phone_number":"+14155550104","usage_type":"ContactNumber"}]}`)
	if rows[1]["status"] != "NotActivated" {
		t.Errorf("%v", rows[1])
	}
	for _, id := range []string{ann, numeric} {
		sameJSON(t, d.must("GET", d.own("/directory/contacts/"+id), "").data(), text(rows[0]))
	}
	for path, want := range map[string]string{"?search=ann": ann, "?type=User&site_id=" + siteNumber: ann, "?site_id=main-site": bob, "?search=%3Dbob": bob} {
		if got := d.must("GET", d.own("/directory/contacts"+path), "").rows(); len(got) != 1 || got[0]["id"] != want {
			t.Errorf("%s: %v", path, got)
		}
	}
	first := d.must("GET", d.own("/directory/contacts?page_size=1"), "")
	next, _ := first.body["next_start_key"].(string)
	if a := d.must("GET", d.own("/directory/contacts?page_size=1&start_key="+next), ""); len(a.rows()) != 1 || a.rows()[0]["id"] != bob || a.body["next_start_key"] != nil {
		t.Errorf("%s", a.text)
	}
	other := d.newAccount("Other")
	for path, code := range map[string]int{d.own("/directory/contacts?type=x"): 400, d.own("/directory/contacts?start_key=x"): 404, d.own("/directory/contacts?search=" + strings.Repeat("x", 200)): 400,
		d.own("/directory/contacts/none"): 404, "/v2/accounts/" + other + "/directory/contacts/" + ann: 404,
		"/v2/accounts/" + other + "/directory/contacts/" + numeric: 404} {
		if a := d.call("GET", path, ""); a.code != code {
			t.Errorf("%s: %d, want %d: %s", path, a.code, code, a.text)
		}
	}
}

func TestCompanyDirectoryFiles(t *testing.T) {
	t.Parallel()
	d := newDirectoryWorld(t)
	ann, _, _ := d.people()
	a := d.call("GET", d.own("/directory/contacts?accept=csv&page_size=1"), "")
	table, err := csv.NewReader(strings.NewReader(string(a.text))).ReadAll()
	if err != nil || len(table) != 3 || a.header.Get("Content-Disposition") != `attachment; filename="directory.csv"` {
		t.Fatalf("%v %s", err, a.text)
	}
	if want := []string{"User", "Enabled", "Ann Lee", "Ann", "Lee", "Sales", "Boss", "ann@example.com", "1001", "North", "+14155550100", "",
		"+14155550101", "", "+14155550103; +14155550104"}; !slices.Equal(table[1][2:], want) {
		t.Errorf("%q", table[1])
	}
	if table[2][5] != "'=Bob" {
		t.Errorf("a cell is a formula: %q", table[2])
	}
	cards := d.call("GET", d.own("/directory/contacts"), "", "Accept: text/vcard")
	text := unfolded(cards)
	if strings.Count(text, "BEGIN:VCARD\r\nVERSION:4.0\r\n") != 2 || !strings.Contains(text, "KIND:individual\r\nFN:Ann Lee\r\nN:Lee;Ann;;;\r\nORG:Acme;Sales\r\n"+
		"TITLE:Boss\r\nEMAIL:ann@example.com\r\nTEL;VALUE=text;TYPE=work,voice:1001\r\nTEL;VALUE=text;TYPE=\"work,voice\":+14155550100\r\n"+
		"TEL;VALUE=text;TYPE=\"cell\":+14155550101\r\n") || !strings.Contains(text, "UID:urn:uuid:"+ann[:8]+"-") {
		t.Errorf("%s", text)
	}
}

func TestDirectoryChanges(t *testing.T) {
	t.Parallel()
	d := newDirectoryWorld(t)
	begin := d.must("GET", d.own("/directory/changes"), "").str("cursor")
	ann, _, _ := d.people()
	d.must("PATCH", d.own("/users/"+ann), `{"first_name":"Anna","profile":{"title":"Chief"}}`)
	d.settle()
	a := d.must("GET", d.own("/directory/changes?after="+begin), "")
	var got []string
	for _, v := range a.at("changes").([]any) {
		change := v.(map[string]any)
		got = append(got, fmt.Sprint(change["cursor"], change["event_type"], change["changed_fields"], text(change["previous"])))
	}
	want := []string{"1 Create <nil> null", "2 Create <nil> null", `3 Update [extension_number phone_numbers]`, `4 Update [first_name name] {"first_name":"Ann","name":"Ann Lee"}`}
	for i := range want {
		if i >= len(got) || !strings.HasPrefix(strings.ReplaceAll(got[i], " ", ""), strings.ReplaceAll(want[i], " ", "")) {
			t.Errorf("%q, want %q", got, want)
			break
		}
	}
	if a.str("cursor") != "4" || a.at("more") != false {
		t.Errorf("%s", a.text)
	}
	if a := d.must("GET", d.own("/directory/changes?after=4"), ""); len(a.at("changes").([]any)) != 0 || a.str("cursor") != "4" {
		t.Errorf("%s", a.text)
	}
	for after, code := range map[string]int{"5": 410, "x": 400, "-1": 400, "99999999999999999999": 400} {
		if a := d.call("GET", d.own("/directory/changes?after="+after), ""); a.code != code {
			t.Errorf("after %s: %d %s", after, a.code, a.text)
		}
	}
	if n, err := d.store.SweepDirectoryEvents(t.Context(), d.clock.now().Add(time.Second)); err != nil || n != 4 {
		t.Fatal(n, err)
	}
	if a := d.call("GET", d.own("/directory/changes?after=1"), ""); a.code != 410 || a.body["message"] != "gone" {
		t.Errorf("%d %s", a.code, a.text)
	}
}

// sse are the events of a stream, one by one.
type sse struct {
	t     *testing.T
	lines *bufio.Reader
}

func (s *sse) next() (id string, data map[string]any) {
	s.t.Helper()
	for {
		line, err := s.lines.ReadString('\n')
		if err != nil {
			s.t.Fatalf("the stream ended: %v", err)
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch name {
		case "id":
			id = value
		case "data":
			if err := json.Unmarshal([]byte(value), &data); err != nil {
				s.t.Fatal(err)
			}
		case "":
			if data != nil {
				return id, data
			}
		}
	}
}

// TestDirectoryEventStream follows changes over a real connection, which breaks, and goes on from the last id.
func TestDirectoryEventStream(t *testing.T) {
	t.Parallel()
	d := newDirectoryWorld(t)
	server := httptest.NewServer(d.api)
	t.Cleanup(server.Close)
	t.Cleanup(d.api.EndStreams) // first: the server waits for its requests
	open := func(path string, headers ...string) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Auth-Token", d.token)
		r.Header.Set("Accept", "text/event-stream")
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			r.Header.Set(name, value)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { answer.Body.Close() })
		return answer
	}
	answer := open(d.own("/directory/changes?after=0"))
	if answer.StatusCode != 200 || answer.Header.Get("Content-Type") != "text/event-stream" || answer.Header.Get("Content-Disposition") != "" {
		t.Fatal(answer.Status, answer.Header)
	}
	stream := &sse{t, bufio.NewReader(answer.Body)}
	ann, _, _ := d.people()
	for i := 1; i <= 3; i++ {
		if id, data := stream.next(); id != fmt.Sprint(i) || data["cursor"] != id {
			t.Fatalf("%s %v, want %d", id, data, i)
		}
	}
	answer.Body.Close()
	d.must("DELETE", d.own("/users/"+ann), "")
	stream = &sse{t, bufio.NewReader(open(d.own("/directory/changes?after=0"), "Last-Event-ID: 3").Body)}
	if id, data := stream.next(); id != "4" || data["event_type"] != "Delete" {
		t.Fatalf("%s %v", id, data)
	}
	if answer := open(d.own("/directory/changes"), "Last-Event-ID: 77"); answer.StatusCode != 410 {
		t.Error(answer.Status)
	}
	last := open(d.own("/directory/changes"))
	d.api.EndStreams()
	if _, err := io.Copy(io.Discard, last.Body); err != nil {
		t.Errorf("the stream did not end by itself: %v", err)
	}
}

// TestPhoneBooks: a phone loads the directory with its own SIP credentials, page by page, and nobody else's.
func TestPhoneBooks(t *testing.T) {
	t.Parallel()
	d := newDirectoryWorld(t, func(o *crossbar.Options) { o.PublicURL, o.Limits.Anonymous = "https://pbx.example.com", 60 })
	d.people()
	for i := range 20 {
		d.must("PUT", d.own("/users"), fmt.Sprintf(`{"first_name":"P%02d","last_name":"Zed","mobile_number":"+1415555%04d"}`, i, i))
	}
	d.settle()
	device := d.must("PUT", d.own("/devices"), `{"name":"Desk","sip":{"username":"desk","password":"pa:ss word"}}`).str("id")
	get := func(path, user, password string) answer {
		t.Helper()
		r := httptest.NewRequest("GET", path, nil)
		r.RemoteAddr = "192.0.2.9:5000"
		if user != "" {
			r.SetBasicAuth(user, password)
		}
		rec := httptest.NewRecorder()
		d.api.ServeHTTP(rec, r)
		return answer{code: rec.Code, header: rec.Header(), text: rec.Body.Bytes()}
	}
	type book struct {
		XMLName xml.Name
		Entries []struct{ Name, Telephone string } `xml:"DirectoryEntry"`
		Keys    []struct{ Name, URL string }       `xml:"SoftKeyItem"`
		Items   []struct {
			First string `xml:"fn"`
		} `xml:"item_list>item"`
		Contacts []struct{ FirstName string } `xml:"Contact"`
		URL      string
	}
	load := func(path string) (b book, a answer) {
		t.Helper()
		if a = get(path, "desk", "pa:ss word"); a.code != 200 || a.header.Get("Content-Type") != "text/xml; charset=utf-8" {
			t.Fatalf("%s: %d %s", path, a.code, a.text)
		}
		if err := xml.Unmarshal(a.text, &b); err != nil {
			t.Fatal(err)
		}
		return b, a
	}
	path := d.own("/directory/phonebook/")
	b, a := load(path + "cisco")
	key := func(name string) string {
		for _, k := range b.Keys {
			if k.Name == name {
				return strings.TrimPrefix(k.URL, "https://pbx.example.com")
			}
		}
		t.Fatalf("no key %s: %s", name, a.text)
		return ""
	}
	if b.XMLName.Local != "CiscoIPPhoneDirectory" || b.Entries[0].Name != "Ann Lee" || b.Entries[0].Telephone != "1001" || len(b.Entries) > 32 ||
		a.header.Get("Link") != "<https://pbx.example.com"+path+"cisco?page=2>; rel=\"next\"" {
		t.Errorf("%s %v", a.text, a.header)
	}
	seen := len(b.Entries)
	b, a = load(key("Next"))
	if seen += len(b.Entries); seen != 22 { // Bob is at no number; Ann at two
		t.Errorf("%d entries on two pages", seen)
	}
	b, a = load(key("Search"))
	if b.XMLName.Local != "CiscoIPPhoneInput" {
		t.Errorf("%s", a.text)
	}
	if b, a = load(strings.TrimPrefix(b.URL, "https://pbx.example.com") + "?search=ann"); len(b.Entries) != 2 {
		t.Errorf("%s", a.text)
	}
	if b, a = load(path + "snom?page_size=3&search=zed"); b.XMLName.Local != "SnomIPPhoneDirectory" || !strings.Contains(key("#"), "page=2&page_size=3&search=zed") {
		t.Errorf("%s", a.text)
	}
	if b, a = load(path + "yealink?search=lee"); b.XMLName.Local != "YealinkIPPhoneDirectory" || len(b.Entries) != 1 {
		t.Errorf("%s", a.text)
	}
	if b, a = load(path + "polycom/0004f2abcdef-directory.xml"); b.XMLName.Local != "directory" || len(b.Items) != 25 {
		t.Errorf("%d %s", len(b.Items), a.text)
	}
	if b, a = load(path + "grandstream/phonebook.xml?page=2&page_size=10"); b.XMLName.Local != "AddressBook" || len(b.Contacts) != 10 {
		t.Errorf("%d %s", len(b.Contacts), a.text)
	}
	other := d.newAccount("Other")
	for name, c := range map[string]struct {
		path, user, password string
		code                 int
	}{
		"with its realm":    {path + "snom", "desk@acme.example.com", "pa:ss word", 200},
		"nobody":            {path + "snom", "", "", 401},
		"another password":  {path + "snom", "desk", "pa:ss", 401},
		"an unknown phone":  {path + "snom", "tesk", "pa:ss word", 401},
		"another account":   {"/v2/accounts/" + other + "/directory/phonebook/snom", "desk", "pa:ss word", 401},
		"an unknown vendor": {path + "fanvil", "desk", "pa:ss word", 404},
		"page 0":            {path + "snom?page=0", "desk", "pa:ss word", 400},
		"too large a page":  {path + "cisco?page_size=17", "desk", "pa:ss word", 400},
		"behind the last":   {path + "cisco?page=999", "desk", "pa:ss word", 200},
		"the list":          {d.own("/directory/contacts"), "desk", "pa:ss word", 401},
		"the changes":       {d.own("/directory/changes"), "desk", "pa:ss word", 401},
	} {
		a := get(c.path, c.user, c.password)
		if a.code != c.code {
			t.Errorf("%s: %d, want %d: %s", name, a.code, c.code, a.text)
		}
		if challenged := strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Basic realm="); challenged != (c.code == 401 && strings.Contains(c.path, "phonebook")) {
			t.Errorf("%s: WWW-Authenticate is %q", name, a.header.Get("WWW-Authenticate"))
		}
	}
	if a := d.call("GET", path+"yealink", ""); a.code != 200 {
		t.Errorf("an administrator: %d %s", a.code, a.text)
	}
	d.must("PATCH", d.own("/devices/"+device), `{"enabled":false}`)
	if a := get(path+"snom", "desk", "pa:ss word"); a.code != 401 {
		t.Errorf("a disabled phone: %d", a.code)
	}
	for range 100 { // an office's phones, which ask once without a password: one address
		if a := get(path+"snom", "", ""); a.code != 401 {
			t.Fatal("many phones:", a.code)
		}
	}
	var last int
	for range 12 { // ten wrong ones a minute, then not even the right one
		last = get(path+"snom", "guess", "x").code
	}
	if last != 429 {
		t.Errorf("after many wrong passwords: %d", last)
	}
	d.must("PATCH", d.own("/devices/"+device), `{"enabled":true}`)
	refused := 0
	for i := range 80 { // who guesses names has what any other without a token has
		if get(path+"snom", fmt.Sprint("phone", i), "x").code == 429 {
			refused++
		}
	}
	if refused < 20 || get(path+"snom", "desk", "pa:ss word").code != 200 {
		t.Error(refused, "of 80 guesses were refused, and the phone beside them")
	}
}
