package main

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"bugle/internal/bugletest"
	"bugle/internal/store"
)

// ready asks the server whether it is ready.
func (p *program) ready(t *testing.T) (status int, text string) {
	t.Helper()
	answer, err := http.Get("http://" + p.Admin + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

// until waits until the condition holds.
func (p *program) until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for ctx := within(t); !condition(); time.Sleep(20 * time.Millisecond) {
		if ctx.Err() != nil {
			t.Fatalf("%s: not within the time\n%s", what, p.Log())
		}
	}
}

// unavailable checks that the API says so, in its envelope, to those who read and to those who write.
func (o *office) unavailable(t *testing.T) {
	t.Helper()
	users := "/accounts/" + o.company.accountID + "/users"
	for _, method := range []string{"GET", "PUT"} {
		var body any
		if method == "PUT" {
			body = object{"first_name": "Lost"}
		}
		var refused *bugletest.APIError
		err := o.api.Do(within(t), method, users, body, nil)
		if !errors.As(err, &refused) || refused.Status != 503 || !strings.Contains(refused.Message+string(refused.Data), "does not answer") {
			t.Errorf("%s without a database: %v, want 503 and why", method, err)
		}
	}
	if status, text := o.ready(t); status != 503 || !strings.Contains(text, "database") {
		t.Errorf("/readyz says %d %q", status, text)
	}
}

// TestLostDatabase takes the database from a running server: first the file is away, then another one is in its place.
// The API refuses, calls and registrations go on, and when the file is back all is as it was, without a restart.
func TestLostDatabase(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	o := openOffice(t, data)
	ann := o.phone(t, "1001", bugletest.Behaviour{})
	cher := o.phone(t, "1006", bugletest.Behaviour{})
	conor := o.phone(t, "1002", bugletest.Answering(0, calleeTone))
	o.phone(t, "1003", bugletest.Answering(0, calleeTone))
	plain := o.phoneAt(t, "127.0.0.1", "1007", bugletest.Behaviour{}) // which knows no realm
	live := o.talk(t, ann, "1002")
	other := <-conor.Incoming()
	users := "/accounts/" + o.company.accountID + "/users"
	before, err := o.api.Create(within(t), users, object{"first_name": "Before"})
	if err != nil {
		t.Fatal(err)
	}

	file := filepath.Join(data, "bugle.db")
	if err := os.Rename(file, file+".away"); err != nil {
		t.Fatal(err)
	}
	o.unavailable(t)
	if err := os.WriteFile(file, []byte("not the database"), 0o600); err != nil {
		t.Fatal(err)
	}
	o.unavailable(t)
	o.until(t, "the cache notices", func() bool { return strings.Contains(o.Log(), "calls go on with what is cached") })
	if err := o.talk(t, cher, "1003").Hangup(within(t)); err != nil {
		t.Error(err)
	}
	live.SayTone(900)
	other.SayTone(1200)
	if _, err := other.WaitTone(within(t), 900); err != nil {
		t.Errorf("the called party of the live call hears nothing: %v", err)
	}
	if _, err := live.WaitTone(within(t), 1200); err != nil {
		t.Errorf("the caller of the live call hears nothing: %v", err)
	}
	// A phone that refreshes stays, one that comes is let in, and both can be called.
	if err := conor.Register(within(t)); err != nil {
		t.Errorf("a refresh without a database: %v", err)
	}
	if granted := conor.Granted(); granted < time.Minute {
		t.Errorf("a refresh without a database is for %v", granted)
	}
	if err := plain.Register(within(t)); err != nil {
		t.Errorf("a refresh of a phone that names no realm: %v", err)
	}
	if err := o.talk(t, plain, "1003").Hangup(within(t)); err != nil {
		t.Error(err)
	}
	late := o.phone(t, "1004", bugletest.Answering(0, calleeTone))
	if granted := late.Granted(); granted > 2*time.Minute {
		t.Errorf("a registration that is not saved is for %v", granted)
	}
	if err := live.Hangup(within(t)); err != nil {
		t.Error(err)
	}
	for _, number := range []string{"1002", "1004"} {
		if err := o.talk(t, ann, number).Hangup(within(t)); err != nil {
			t.Error(err)
		}
	}

	if err := os.Rename(file+".away", file); err != nil {
		t.Fatal(err)
	}
	o.until(t, "ready again", func() bool { status, _ := o.ready(t); return status == 200 })
	var user struct {
		Name string `json:"first_name"`
	}
	if err := o.api.Do(within(t), "GET", users+"/"+before, nil, &user); err != nil || user.Name != "Before" {
		t.Errorf("what was acknowledged before is %+v, %v", user, err)
	}
	if _, err := o.api.Create(within(t), users, object{"first_name": "After"}); err != nil {
		t.Errorf("a write after the outage: %v", err)
	}
	if err := o.talk(t, cher, "1002").Hangup(within(t)); err != nil {
		t.Error(err)
	}
	if state := o.end(t, syscall.SIGTERM); state.ExitCode() != 0 {
		t.Fatalf("exit %v\n%s", state, o.Log())
	}
	o.afterOutage(t, data)
}

// afterOutage checks that what happened in memory has reached the database, by a second run of the program.
func (o *office) afterOutage(t *testing.T, data string) {
	t.Helper()
	s := openData(t, data)
	calls, _, err := s.Calls(t.Context(), store.CallQuery{AccountID: o.company.accountID})
	if err != nil {
		t.Fatal(err)
	}
	dialled := map[string]int{}
	for _, c := range calls {
		dialled[c.Dialed]++
	}
	if dialled["1002"] != 3 || dialled["1003"] != 2 || dialled["1004"] != 1 {
		t.Errorf("the records of calls are of %v", dialled)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	o.program = serve(t, data, chosen, "--sip", o.SIP.String())
	cher := o.phone(t, "1005", bugletest.Behaviour{})
	if err := o.talk(t, cher, "1004").Hangup(within(t)); err != nil {
		t.Errorf("the phone that came in the outage is not found after a restart: %v", err)
	}
}

// TestCallsWithoutDatabaseEnd: after the time that was set, what is in memory is too old to be acted on.
func TestCallsWithoutDatabaseEnd(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	o := openOffice(t, data, "--calls-without-database", "4s")
	ann := o.phone(t, "1001", bugletest.Behaviour{})
	conor := o.phone(t, "1002", bugletest.Answering(0, calleeTone))
	live := o.talk(t, ann, "1002")
	other := <-conor.Incoming()
	file := filepath.Join(data, "bugle.db")
	if err := os.Rename(file, file+".away"); err != nil {
		t.Fatal(err)
	}
	gone := time.Now()
	o.until(t, "calls are refused", func() bool { return o.status(t, conor, "1093") == 503 })
	if lasted := time.Since(gone); lasted < 2*time.Second {
		t.Errorf("calls were refused after %v", lasted)
	}
	live.SayTone(900)
	if _, err := other.WaitTone(within(t), 900); err != nil {
		t.Errorf("the live call fell silent: %v", err)
	}
	if err := os.Rename(file+".away", file); err != nil {
		t.Fatal(err)
	}
	o.until(t, "calls are taken", func() bool { return o.status(t, conor, "1093") != 503 })
}
