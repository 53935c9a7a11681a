package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"bugle/internal/event/webhook"
)

// receiving is a running bugle events receive --json.
type receiving struct {
	cmd     *exec.Cmd
	address string        // host and port
	read    chan struct{} // closed when all it printed was read

	mu  sync.Mutex
	got []reception
}

func receive(t *testing.T, listen string, more ...string) *receiving {
	t.Helper()
	r := &receiving{cmd: bugleCommand(t, nil, append([]string{"events", "receive", "--json", "--listen", listen}, more...)...), read: make(chan struct{})}
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	complaints, err := r.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.end)
	told := bufio.NewReader(complaints)
	first, err := told.ReadString('\n')
	if r.address = strings.TrimSpace(strings.TrimPrefix(first, "listening on http://")); err != nil || strings.Contains(r.address, " ") {
		t.Fatalf("it does not listen: %q %v", first, err)
	}
	go func() { _, _ = io.Copy(io.Discard, told) }()
	go func() {
		defer close(r.read)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var one reception
			if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
				t.Errorf("%v: %s", err, lines.Bytes())
			}
			r.mu.Lock()
			r.got = append(r.got, one)
			r.mu.Unlock()
		}
	}()
	return r
}

func (r *receiving) end() {
	if r.cmd.ProcessState == nil {
		_ = r.cmd.Process.Signal(syscall.SIGTERM)
		<-r.read
		_ = r.cmd.Wait()
	}
}

func (r *receiving) all() []reception {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// restapi speaks to the RingCentral API.
func restapi(t *testing.T, p *program, method, path, token, contentType, body string, out any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+p.HTTP+"/restapi"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", contentType)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %d %s", method, path, answer.StatusCode, text)
	}
	if err := json.Unmarshal(text, out); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
}

// TestEvents: a receiver takes deliveries of RingCentral's and of KAZOO's kind, its signature is judged, what failed is sent
// again once it is mended, a pause keeps all and its order through a kill, and the changes are followed.
func TestEvents(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	p := serve(t, data, chosen)
	api := p.api(t)
	events := func(arguments ...string) string {
		t.Helper()
		return bugleOutput(t, chosen[1:], append(append([]string{"events"}, arguments...), "--url", "http://"+p.HTTP)...)
	}
	ann, err := api.Create(t.Context(), api.Account("users"), object{"first_name": "Ann", "last_name": "Lee", "username": "ann", "email": "ann@example.com",
		"password": testPassword})
	if err != nil {
		t.Fatal(err)
	}
	var login struct {
		Token string `json:"access_token"`
	}
	restapi(t, p, "POST", "/oauth/token", "", "application/x-www-form-urlencoded",
		url.Values{"grant_type": {"password"}, "username": {"ann@example.com"}, "password": {testPassword}}.Encode(), &login)
	first := receive(t, "127.0.0.1:0")
	var sub struct {
		ID       string `json:"id"`
		Status   string `json:"status"`
		Delivery struct {
			Secret string `json:"signingSecret"`
		} `json:"deliveryMode"`
	}
	restapi(t, p, "POST", "/v1.0/subscription", login.Token, "application/json", `{"eventFilters":["/restapi/v1.0/account/~/directory/entries"],`+
		`"deliveryMode":{"transportType":"WebHook","address":"http://`+first.address+`/rc?token=hidden"}}`, &sub)
	p.until(t, "the handshake is told", func() bool { got := first.all(); return len(got) == 1 && got[0].Handshake })
	first.end()

	// RingCentral's kind, signed.
	second := receive(t, first.address, "--secret", sub.Delivery.Secret, "--fail", "500", "--fail-count", "1")
	department := func(name string) {
		t.Helper()
		if err := api.Patch(t.Context(), api.Account("users", ann), object{"department": name}); err != nil {
			t.Fatal(err)
		}
	}
	department("zero")
	departments := func(r *receiving, path string) (found []string) {
		for _, one := range r.all() {
			var n struct {
				Body struct{ Contacts []struct{ Department string } }
			}
			if strings.HasPrefix(one.Path, path) && one.Status == 200 && json.Unmarshal(one.Body, &n) == nil {
				for _, c := range n.Body.Contacts {
					found = append(found, c.Department)
				}
			}
		}
		return found
	}
	p.until(t, "it comes a second time", func() bool { return slices.Contains(departments(second, "/rc"), "zero") })
	got := second.all()
	if len(got) < 2 || got[0].Status != 500 || got[0].Signature != "holds" || got[1].Signature != "holds" || got[1].Repeated != 1 || got[1].Differs || got[0].ID != got[1].ID {
		t.Errorf("%+v", got)
	}
	second.end()

	// KAZOO's kind, whose only try fails; then the receiver is mended.
	third := receive(t, first.address, "--fail", "500", "--fail-count", "1")
	hook, err := api.Create(t.Context(), api.Account("webhooks"), object{"name": "H", "hook": "object", "format": "json", "retries": 1, "uri": "http://" + first.address + "/kazoo",
		"custom_data": object{"type": "menu"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := api.Create(t.Context(), api.Account("menus"), object{"name": "M"}); err != nil {
		t.Fatal(err)
	}
	p.until(t, "it is given up", func() bool { return strings.Contains(events("deliveries", "master", "--failed"), "doc_created") })
	listed := strings.Fields(strings.Split(events("deliveries", "master", "--failed", "--subscription", hook), "\n")[1])
	if shown := events("deliveries", "master", listed[0]); !strings.Contains(shown, "it answered 500") || !strings.Contains(shown, `"action": "doc_created"`) {
		t.Errorf("%s", shown)
	}
	if said := events("resend", "master", "--failed"); said != "1 sent again\n" {
		t.Errorf("%q", said)
	}
	p.until(t, "it is sent again", func() bool { return len(third.all()) == 2 })
	if got := third.all(); got[1].ID != listed[0] || got[1].Repeated != 1 || got[1].Differs || got[1].Status != 200 {
		t.Errorf("%+v", got)
	}
	if said := events("resend", "master", listed[0]); said != "1 sent again\n" {
		t.Errorf("%q", said)
	}
	p.until(t, "it is sent a third time", func() bool { return len(third.all()) == 3 })
	if said := events("resend", "master", "--since", "1h", "--subscription", hook); said != "1 sent again\n" {
		t.Errorf("%q", said)
	}
	p.until(t, "and a fourth", func() bool { return len(third.all()) == 4 })

	// A pause, through a kill.
	if said := events("pause", "master", sub.ID); !strings.Contains(said, "is paused") {
		t.Errorf("%q", said)
	}
	restapi(t, p, "GET", "/v1.0/subscription/"+sub.ID, login.Token, "application/json", "", &sub)
	if sub.Status != "Suspended" {
		t.Error(sub.Status)
	}
	want := []string{"one", "two", "three", "four"}
	for _, name := range want {
		department(name)
	}
	waits := func() string {
		for line := range strings.Lines(events("subscriptions", "master")) {
			if strings.HasPrefix(line, sub.ID) {
				return strings.Join(strings.Fields(line)[1:4], " ")
			}
		}
		return ""
	}
	p.until(t, "four wait", func() bool { return waits() == "ringcentral paused 4" })
	if list := events("subscriptions", "master"); strings.Contains(list, "hidden") || !strings.Contains(list, hook) || !strings.Contains(list, "Ann Lee") {
		t.Errorf("%s", list)
	}
	p.end(t, os.Kill)
	p = serve(t, data, chosen)
	api = p.api(t)
	department("five")
	p.until(t, "five wait", func() bool { return waits() == "ringcentral paused 5" })
	if n := len(departments(third, "/rc")); n != 0 {
		t.Error(n, "came during the pause")
	}
	events("resume", "master", sub.ID)
	p.until(t, "all have come", func() bool { return len(departments(third, "/rc")) == 5 })
	if got := departments(third, "/rc"); !slices.Equal(got, append(want, "five")) {
		t.Error(got)
	}

	// The changes themselves, from where somebody was.
	lines := strings.Split(strings.TrimSpace(events("tail", "master", "--after", "0", "--count", "8")), "\n")
	if len(lines) != 8 || !strings.Contains(lines[7], "Update  User") || !strings.Contains(lines[7], "Ann Lee") || !strings.Contains(lines[7], "changed: department") {
		t.Errorf("%q", lines)
	}
	after := strings.Fields(lines[6])[0]
	one := events("tail", "master", "--after", after, "--count", "1", "--json")
	var change struct {
		Contact struct{ Department string }
	}
	if err := json.Unmarshal([]byte(one), &change); err != nil || change.Contact.Department != "five" {
		t.Errorf("%v %s", err, one)
	}
	// A stopped server's deliveries.
	p.end(t, syscall.SIGTERM)
	if list := bugleOutput(t, nil, "events", "deliveries", "master", "--data-dir", data, "--limit", "0"); strings.Count(list, "delivered") != 7 {
		t.Errorf("%s", list)
	}
}

// TestEventsTailReconnects: a server that is killed and started again on its port is followed without a gap, and another
// account's key follows nothing of this one.
func TestEventsTailReconnects(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	p := serve(t, data, chosen)
	api := p.api(t)
	address := p.HTTP
	other, err := api.Create(t.Context(), api.Account(), object{"name": "Other"})
	if err != nil {
		t.Fatal(err)
	}
	var key struct {
		Key string `json:"api_key"`
	}
	if err := api.Do(t.Context(), http.MethodGet, api.For(other).Account("api_key"), nil, &key); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"subscriptions", "deliveries", "tail"} {
		out, err := bugleCommand(t, []string{"BUGLE_API_KEY=" + key.Key}, "events", command, "master", "--url", "http://"+address).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "0 accounts") {
			t.Errorf("%s of another account: %v %s", command, err, out)
		}
	}
	cmd := bugleCommand(t, chosen[1:], "events", "tail", "Other", "--count", "40", "--after", "0", "--url", "http://"+address)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines, seen := bufio.NewScanner(out), map[string]bool{}
	for round := range 2 {
		for range 20 {
			if _, err := api.For(other).Create(t.Context(), api.For(other).Account("users"), object{"first_name": "Person"}); err != nil {
				t.Fatal(err)
			}
		}
		for range 20 {
			if !lines.Scan() {
				t.Fatalf("it ended after %d changes: %v\n%s", len(seen), cmd.Wait(), &complaints)
			}
			fields := strings.Fields(lines.Text())
			if seen[fields[0]] = true; fields[2] != "Create" {
				t.Error(lines.Text())
			}
		}
		if round == 0 {
			p.end(t, os.Kill)
			p = serve(t, data, chosen, "--http", address)
			api = p.api(t)
		}
	}
	if err := cmd.Wait(); err != nil || len(seen) != 40 || !strings.Contains(complaints.String(), "the connection is lost") {
		t.Errorf("%d changes, want 40: %v\n%s", len(seen), err, &complaints)
	}
}

func TestEventsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	p := serve(t, data, chosen)
	url := "http://" + p.HTTP
	for _, c := range []struct {
		name      string
		arguments []string
		want      string
	}{
		{"no account", []string{"subscriptions", "Nobody", "--url", url}, `"Nobody"`},
		{"nothing to send", []string{"resend", "master", "--url", url}, "--failed"},
		{"both", []string{"resend", "master", "x", "--failed", "--url", url}, "not both"},
		{"no delivery", []string{"resend", "master", "x", "--url", url}, `"x" is no delivery`},
		{"nor to show", []string{"deliveries", "master", "x", "--url", url}, `"x" is no delivery`},
		{"no subscription", []string{"pause", "master", "x", "--url", url}, "bugle events subscriptions"},
		{"nor its deliveries", []string{"deliveries", "master", "--subscription", "x", "--url", url}, `"x" is no webhook`},
		{"time", []string{"deliveries", "master", "--since", "yesterday", "--url", url}, "36h"},
		{"state", []string{"deliveries", "master", "--state", "lost", "--url", url}, "dropped"},
		{"order", []string{"deliveries", "master", "--since", "1h", "--until", "2h", "--url", url}, "created_from"},
		{"limit", []string{"deliveries", "master", "--limit", "-1", "--url", url}, "--limit"},
		{"cursor", []string{"tail", "master", "--after", "x", "--url", url}, "--after"},
		{"stopped", []string{"tail", "master", "--data-dir", data}, "--url"},
		{"secret", []string{"receive", "--secret", "letmein"}, "whsec_"},
		{"status", []string{"receive", "--fail", "42"}, "--fail"},
		{"count", []string{"receive", "--fail-count", "1"}, "--fail"},
		{"delay", []string{"receive", "--delay", "1h"}, "10m"},
		{"key", []string{"receive", "--receive-tls-cert", os.Args[0]}, "together"},
		{"address", []string{"receive", "--listen", "nowhere"}, "--listen"},
		{"no server", []string{"--url", url, "receive"}, "speaks to no server"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out, err := bugleCommand(t, chosen[1:], append([]string{"events"}, c.arguments...)...).CombinedOutput()
			if err == nil || !strings.Contains(string(out), c.want) {
				t.Errorf("%v %s; want it to name %q", err, out, c.want)
			}
		})
	}
	if help := bugleOutput(t, nil, "events", "--help"); !strings.Contains(help, "bugle events receive --listen") {
		t.Error(help)
	}
}

// TestReceiveJudges: wrong signatures, wrong tokens, other bytes of one id, and more than it takes.
func TestReceiveJudges(t *testing.T) {
	t.Parallel()
	secret := bytes.Repeat([]byte{7}, 32)
	r := receive(t, "127.0.0.1:0", "--secret", webhook.FormatSecret(secret), "--verification-token", "letmein", "--count", "2")
	send := func(body string, header ...[2]string) int {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+r.address+"/", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range header {
			request.Header.Set(h[0], h[1])
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	token, now := [2]string{"Verification-Token", "letmein"}, time.Now()
	signed := func(body string, with []byte) [][2]string {
		return append(webhook.Sign("id-1", now, []byte(body), with), token)
	}
	steps := []struct {
		body   string
		header [][2]string
		want   int
	}{
		{`{"a":1}`, signed(`{"a":1}`, bytes.Repeat([]byte{8}, 32)), 401}, {`{"a":2}`, signed(`{"a":1}`, secret), 401},
		{`{"a":1}`, append(signed(`{"a":1}`, secret), [2]string{"Verification-Token", "guess"}), 401},
		{`{"a":1}`, webhook.Sign("id-1", now.Add(-600e9), []byte(`{"a":1}`), secret), 401},
		{"\x1b[2J", signed("\x1b[2J", secret), 200}, {strings.Repeat("x", receiveBody+1), nil, 413}, {`{"uuid":"id-9"}`, [][2]string{token}, 200},
	}
	for i, step := range steps {
		if got := send(step.body, step.header...); got != step.want {
			t.Errorf("step %d: %d, want %d", i, got, step.want)
		}
	}
	<-r.read // it ends by --count
	if err := r.cmd.Wait(); err != nil {
		t.Error(err)
	}
	var told []string
	for _, one := range r.all() {
		told = append(told, strings.Fields(one.Signature + " -")[0]+" "+one.Token)
		if strings.Contains(one.text(), "\x1b") {
			t.Errorf("a terminal would obey %q", one.text())
		}
	}
	if want := []string{"WRONG: right", "WRONG: right", "holds WRONG", "WRONG: missing", "holds right", "missing right"}; !slices.Equal(told, want) {
		t.Errorf("%q", told)
	}
	if last := r.all()[5]; last.ID != "id-9" || !r.all()[4].Differs {
		t.Errorf("%+v", r.all())
	}
}
