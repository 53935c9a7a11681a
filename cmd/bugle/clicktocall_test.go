package main

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"bugle/internal/bugletest"
)

// visitor sends a request without a token and returns the status and the data of the answer.
func (o *office) visitor(t *testing.T, method, path, data string) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(within(t), method, "http://"+o.HTTP+"/v2"+path, strings.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var envelope struct{ Data any }
	if err := json.NewDecoder(answer.Body).Decode(&envelope); err != nil {
		t.Fatal(err)
	}
	out, _ := envelope.Data.(map[string]any)
	return answer.StatusCode, out
}

// follow waits for the final state of a visitor's attempt and returns the states that were seen.
func (o *office) follow(t *testing.T, path, state string) (seen []string) {
	t.Helper()
	for seen = []string{state}; state != "ended" && state != "unanswered" && state != "refused"; {
		code, told := o.visitor(t, "GET", path+"?wait=20&state="+state, "")
		now, _ := told["state"].(string)
		if code != 200 || now == state || len(told) != 2 {
			t.Fatalf("%d %v after %q", code, told, seen)
		}
		seen, state = append(seen, now), now
	}
	return seen
}

type attemptItem struct {
	ID, Contact, Result, Cause, State string
	CallID                            string `json:"call_id"`
	CDRs                              []string
}

// TestAVisitorIsConnected: from a public page to two people talking, followed without a token, with records to look at.
func TestAVisitorIsConnected(t *testing.T) {
	t.Parallel()
	o := openOffice(t, filepath.Join(t.TempDir(), "data"))
	ctx := within(t)
	ann, grace := o.phone(t, "1001", bugletest.Answering(0, calleeTone)), o.phone(t, "1002", bugletest.Answering(0, calleeTone))
	account := "/accounts/" + o.company.accountID
	id, err := o.api.Create(ctx, account+"/clicktocall", object{"name": "Reception", "extension": "1001", "auth_required": false})
	if err != nil {
		t.Fatal(err)
	}
	path := account + "/clicktocall/" + id
	code, told := o.visitor(t, "POST", path+"/connect", `{"data":{"contact":"1002"}}`)
	if code != 202 || len(told) != 2 {
		t.Fatalf("%d %v", code, told)
	}
	first := <-ann.Incoming()
	if _, err := (<-grace.Incoming()).WaitTone(ctx, calleeTone); err != nil {
		t.Fatalf("the second party hears nothing: %v\n%s", err, o.Log())
	}
	if _, err := first.WaitTone(ctx, calleeTone); err != nil {
		t.Fatalf("the first party hears nothing: %v\n%s", err, o.Log())
	}
	attempt := path + "/connect/" + told["id"].(string)
	if err := first.Hangup(ctx); err != nil {
		t.Fatal(err)
	}
	if seen := o.follow(t, attempt, ""); seen[len(seen)-1] != "ended" {
		t.Errorf("%q", seen)
	}
	// Somebody who does not answer is hung up on.
	grace.SetBehaviour(bugletest.Behaviour{Rings: true})
	_, told = o.visitor(t, "POST", path+"/connect", `{"data":{"contact":"1002"}}`)
	attempt = path + "/connect/" + told["id"].(string)
	<-ann.Incoming()
	<-grace.Incoming()
	if code, _ := o.visitor(t, "DELETE", attempt, ""); code != 200 {
		t.Errorf("%d", code)
	}
	if seen := o.follow(t, attempt, ""); seen[len(seen)-1] != "unanswered" {
		t.Errorf("%q", seen)
	}
	grace.SetBehaviour(bugletest.Busy())
	var item attemptItem
	if err := o.api.Do(ctx, "POST", path+"/connect?blocking=true", object{"contact": "1002"}, &item); err != nil || item.Result != "error" || item.Cause != "USER_BUSY" {
		t.Errorf("%+v, %v", item, err)
	}
	if code, _ := o.visitor(t, "POST", path+"/connect", `{"data":{"contact":"911"}}`); code != 400 {
		t.Errorf("%d", code)
	}
	// All of it is in the history, with the records of both halves.
	var history []attemptItem
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if err := o.api.Do(ctx, "GET", path+"/history", nil, &history); err != nil {
			t.Fatal(err)
		}
		if len(history) == 4 && len(history[3].CDRs) == 2 && len(history[1].CDRs) == 2 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the history stays %+v\n%s", history, o.Log())
		}
	}
	var results []string
	for _, item := range history {
		results = append(results, item.State+" "+item.Result)
	}
	if want := []string{"refused error", "unanswered error", "unanswered error", "ended success"}; !slices.Equal(results, want) {
		t.Errorf("%q", results)
	}
	var record struct {
		Cause  string         `json:"hangup_cause"`
		CallID string         `json:"call_id"`
		Vars   map[string]any `json:"custom_channel_vars"`
	}
	if err := o.api.Do(ctx, "GET", account+"/cdrs/"+history[3].CDRs[0], nil, &record); err != nil || record.CallID != history[3].CallID ||
		record.Vars["authorizing_id"] != id {
		t.Errorf("%+v, %v", record, err)
	}
}

// TestAPlannedCallSurvivesARestart: it is made by the server that is there when it is due.
func TestAPlannedCallSurvivesARestart(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	o := openOffice(t, data)
	ctx := within(t)
	o.phone(t, "1001", bugletest.Answering(0, calleeTone))
	grace := o.phone(t, "1002", bugletest.Answering(0, calleeTone))
	account := "/accounts/" + o.company.accountID
	id, err := o.api.Create(ctx, account+"/clicktocall", object{"name": "Reception", "extension": "1001", "auth_required": false})
	if err != nil {
		t.Fatal(err)
	}
	path := account + "/clicktocall/" + id
	code, told := o.visitor(t, "POST", path+"/connect", `{"data":{"contact":"1002","at":"`+time.Now().Add(2*time.Second).UTC().Format(time.RFC3339Nano)+`"}}`)
	if code != 202 || told["state"] != "scheduled" {
		t.Fatalf("%d %v", code, told)
	}
	o.end(t, syscall.SIGTERM)
	o.program = serve(t, data, chosen, "--sip", o.SIP.String())
	select {
	case call := <-grace.Incoming():
		if _, err := call.WaitTone(ctx, calleeTone); err != nil {
			t.Fatal(err)
		}
	case <-ctx.Done():
		t.Fatalf("nobody was called\n%s", o.Log())
	}
	if code, _ := o.visitor(t, "DELETE", path+"/connect/"+told["id"].(string), ""); code != 200 {
		t.Errorf("%d", code)
	}
	if seen := o.follow(t, path+"/connect/"+told["id"].(string), ""); seen[len(seen)-1] != "ended" {
		t.Errorf("%q", seen)
	}
}

// TestQuickcallIsDialledByThePhone: a user's phone rings, and then the number is called for it.
func TestQuickcallIsDialledByThePhone(t *testing.T) {
	t.Parallel()
	o := openOffice(t, filepath.Join(t.TempDir(), "data"))
	ctx := within(t)
	ann, grace := o.phone(t, "1001", bugletest.Answering(0, calleeTone)), o.phone(t, "1002", bugletest.Answering(0, calleeTone))
	account := "/accounts/" + o.company.accountID
	var users []struct {
		ID        string
		FirstName string `json:"first_name"`
	}
	if err := o.api.Do(ctx, "GET", account+"/users?paginate=false", nil, &users); err != nil {
		t.Fatal(err)
	}
	caller := ""
	for _, who := range users {
		if !strings.HasPrefix(o.company.people[0].name(), who.FirstName+" ") {
			continue
		}
		caller = who.ID
		if err := o.api.Do(ctx, "GET", account+"/users/"+who.ID+"/quickcall/1002", nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	first := <-ann.Incoming()
	if _, err := (<-grace.Incoming()).WaitTone(ctx, calleeTone); err != nil {
		t.Fatalf("%v\n%s", err, o.Log())
	}
	if err := first.Hangup(ctx); err != nil {
		t.Error(err)
	}
	// Both records are the user's, as those of calls that the phone makes itself.
	var records []struct {
		Owner string `json:"owner_id"`
	}
	for len(records) < 2 {
		if err := o.api.Do(ctx, "GET", account+"/users/"+caller+"/cdrs", nil, &records); err != nil {
			t.Fatal(err)
		}
	}
	if records[0].Owner != caller || records[1].Owner != caller {
		t.Errorf("%+v, want the owner %s", records, caller)
	}
}
