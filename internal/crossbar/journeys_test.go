package crossbar_test

import (
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"bugle/internal/store"
	"bugle/internal/store/pgtest"
)

// journeys stands between a server and PostgreSQL and writes down what waits for an answer.
type journeys struct {
	mu    sync.Mutex
	made  []string
	texts map[string]string // of prepared statements, by connection and name
}

func (j *journeys) reset() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.made = nil
}

func (j *journeys) list() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.made)
}

// throughJourneys is the URL of a database behind a listener that counts.
func throughJourneys(t *testing.T, database string) (string, *journeys) {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	behind := filepath.Join(q.Get("host"), ".s.PGSQL.5432")
	dir := t.TempDir()
	q.Set("host", dir)
	u.RawQuery = q.Encode()
	listener, err := net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432"))
	if err != nil {
		t.Fatal(err)
	}
	j := &journeys{texts: map[string]string{}}
	var wg sync.WaitGroup
	t.Cleanup(func() {
		listener.Close()
		wg.Wait()
	})
	wg.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("unix", behind)
			if err != nil {
				t.Error(err)
				client.Close()
				return
			}
			wg.Go(func() {
				_, _ = io.Copy(client, server)
				client.Close()
			})
			wg.Go(func() {
				j.pass(client, server)
				server.Close()
			})
		}
	})
	return u.String(), j
}

// pass copies what a client sends: https://www.postgresql.org/docs/15/protocol-message-formats.html
func (j *journeys) pass(client, server net.Conn) {
	name := client.RemoteAddr().String() + client.LocalAddr().String()
	var asked string
	for first := true; ; first = false {
		head := make([]byte, 5)
		if first { // the only message without a type
			head = head[:4]
		}
		if _, err := io.ReadFull(client, head); err != nil {
			return
		}
		rest := make([]byte, binary.BigEndian.Uint32(head[len(head)-4:])-4)
		if _, err := io.ReadFull(client, rest); err != nil {
			return
		}
		if !first {
			words := strings.Split(string(rest), "\x00")
			j.mu.Lock()
			switch head[0] {
			case 'Q':
				j.made = append(j.made, words[0])
			case 'P':
				j.texts[name+words[0]], asked = words[1], words[1]
			case 'B':
				asked = j.texts[name+words[1]]
			case 'S':
				j.made = append(j.made, asked)
			}
			j.mu.Unlock()
		}
		if _, err := server.Write(append(head, rest...)); err != nil {
			return
		}
	}
}

// onPostgres are servers on one database, the first of which has been set up; j counts the journeys of the last.
func onPostgres(t *testing.T, n int) (servers []*world, j *journeys) {
	t.Helper()
	clock := &clock{at: testStart}
	database := pgtest.URL(t)
	for i := range n {
		if i == n-1 {
			database, j = throughJourneys(t, database)
		}
		// One connection for reading and one for writing: each prepares a statement when it first runs it.
		s, err := store.OpenPostgres(t.Context(), database+"&pool_max_conns=2", store.Options{Now: clock.now})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		servers = append(servers, serverOn(t, s, clock))
	}
	w := servers[0]
	var err error
	if w.master, _, err = w.api.EnsureMaster(t.Context(), testPassword, testAPIKey, nil); err != nil {
		t.Fatal(err)
	}
	w.token = w.keyToken(testAPIKey)
	w.account = w.newAccount("Acme")
	for _, other := range servers[1:] {
		other.master, other.token, other.account = w.master, w.token, w.account
	}
	return servers, j
}

// logIn is the token of a user of the account Acme.
func (w *world) logIn(username, password string) string {
	w.t.Helper()
	a := w.raw("PUT", "/v2/user_auth", `{"data":{"account_name":"Acme","credentials":"`+md5Of(username+":"+password)+`"}}`)
	token, _ := a.body["auth_token"].(string)
	if token == "" {
		w.t.Fatalf("user_auth: %d %s", a.code, a.text)
	}
	return token
}

// TestJourneys: on PostgreSQL a read is one query, which also proves who asks, and who asks costs a write none.
func TestJourneys(t *testing.T) {
	t.Parallel()
	servers, j := onPostgres(t, 1)
	w := servers[0]
	user := w.must("PUT", w.own("/users"), `{"first_name":"Ann","username":"ann","password":"secret","priv_level":"admin"}`).str("id")
	flow := w.must("PUT", w.own("/callflows"), `{"numbers":["1000"],"flow":{"module":"user","data":{"id":"`+user+`"}}}`).str("id")
	tokens := map[string]string{"an API key": w.token, "a user": w.logIn("ann", "secret")}
	for _, test := range []struct {
		verb, path, data string
		most             int
		why              string
	}{
		{"GET", "/users/" + user, "", 1, "the document"},
		{"GET", "/users", "", 1, "the list"},
		{"GET", "/users?filter_timezone=Europe%2FBerlin&page_size=10", "", 1, "the list"},
		{"GET", "", "", 1, "the account"},
		{"GET", "/channels", "", 1, "who asks: there is no document"},
		{"PUT", "/users", `{"first_name":"Bob"}`, 7, "begin, account, id, row, numbers, change, commit"},
		{"PATCH", "/users/" + user, `{"ui_metadata":{"a":1}}`, 6, "begin, document, row, numbers, change, commit"},
		{"PATCH", "/callflows/" + flow, `{"ui_metadata":{"a":1}}`, 7, "likewise, and whom it names"},
	} {
		for who, token := range tokens {
			var made []string
			for range 3 { // a statement is prepared when it first runs
				j.reset()
				if a := w.as(token, test.verb, w.own(test.path), test.data); a.code >= 300 {
					t.Fatalf("%s %s: %d %s", test.verb, test.path, a.code, a.text)
				}
				made = j.list()
			}
			// Others are told of a commit later, by a connection of its own.
			made = slices.DeleteFunc(made, func(sql string) bool { return strings.Contains(sql, "notify") })
			if len(made) > test.most || len(made) == 0 {
				t.Errorf("%s %s of %s took %d journeys, not %d (%s):\n%s", test.verb, test.path, who, len(made), test.most, test.why,
					strings.Join(made, "\n"))
			}
		}
	}
}

// TestNothingIsAssumed: what a server remembers of accounts and users is not believed, whatever another server has written.
func TestNothingIsAssumed(t *testing.T) {
	t.Parallel()
	servers, j := onPostgres(t, 2)
	a, b := servers[0], servers[1]
	user := a.must("PUT", a.own("/users"), `{"first_name":"Ann","username":"ann","password":"one","priv_level":"admin"}`).str("id")
	path := a.own("/users/" + user)
	token := b.logIn("ann", "one")
	expect := func(what string, code int, verb, path, data string) {
		t.Helper()
		if got := b.as(token, verb, path, data); got.code != code {
			t.Errorf("%s: %s %s is %d, not %d: %s", what, verb, path, got.code, code, got.text)
		}
	}
	all := func(what string, code int) {
		t.Helper()
		expect(what, code, "GET", path, "")
		expect(what, code, "GET", a.own("/users"), "")
		expect(what, code, "GET", a.own("/channels"), "")
		expect(what, code, "PATCH", path, `{"ui_metadata":{"a":1}}`)
	}
	all("at first", 200)

	a.must("PATCH", path, `{"first_name":"Anna"}`)
	if got := b.as(token, "GET", path, ""); got.str("first_name") != "Anna" {
		t.Errorf("the other server reads %s", got.text)
	}
	a.must("PATCH", path, `{"priv_level":"user"}`)
	expect("a user who is no administrator any more", 403, "PUT", a.own("/users"), `{"first_name":"Eve"}`)
	a.must("PATCH", path, `{"priv_level":"admin"}`)
	all("an administrator again", 200)
	a.must("PATCH", path, `{"enabled":false}`)
	all("a disabled user", 401)
	a.must("PATCH", path, `{"enabled":true}`)
	all("an enabled user", 200)
	a.must("PATCH", a.own(""), `{"enabled":false}`)
	all("a disabled account", 401)
	a.must("PATCH", a.own(""), `{"enabled":true}`)
	all("an enabled account", 200)
	before := len(b.must("GET", a.own("/users"), "").rows())
	a.must("PATCH", path, `{"password":"two"}`)
	expect("a token from before a new password", 401, "PUT", a.own("/users"), `{"first_name":"Eve"}`)
	all("likewise", 401)
	if after := len(b.must("GET", a.own("/users"), "").rows()); after != before {
		t.Errorf("something was written: %d users, %d before", after, before)
	}
	token = b.logIn("ann", "two")
	all("a new token", 200)
	if got := a.as(token, "DELETE", "/v2/token_auth", ""); got.code != 200 {
		t.Fatal(got.code, string(got.text))
	}
	all("a token that was ended", 401)
	token = b.logIn("ann", "two")
	all("one more", 200)
	a.must("DELETE", path, "")
	all("a deleted user", 401)
	token = b.token
	all2 := func(what string, code int) {
		t.Helper()
		expect(what, code, "GET", a.own("/users"), "")
		expect(what, code, "GET", a.own(""), "")
		expect(what, code, "GET", a.own("/channels"), "")
	}
	all2("the master", 200)
	a.must("DELETE", a.own(""), "")
	all2("a deleted account", 404)
	expect("likewise", 404, "PUT", a.own("/users"), `{"first_name":"Eve"}`)
	if len(j.list()) == 0 {
		t.Error("the journeys were not seen")
	}
}
