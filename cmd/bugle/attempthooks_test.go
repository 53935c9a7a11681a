package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bugle/internal/bugletest"
)

// TestWebhooksAreToldOfAnAttempt: a visitor's button has two phones connected, and a receiver of the hook clicktocall is told
// each state of the attempt once, with the id that the page got.
func TestWebhooksAreToldOfAnAttempt(t *testing.T) {
	t.Parallel()
	receiver := receiveHooks(t)
	o := openOffice(t, filepath.Join(t.TempDir(), "data"), "--egress-allow=127.0.0.0/8")
	ctx, account := within(t), "/accounts/"+o.company.accountID
	ann, grace := o.phone(t, "1001", bugletest.Answering(0, calleeTone)), o.phone(t, "1002", bugletest.Answering(0, calleeTone))
	id, err := o.api.Create(ctx, account+"/clicktocall", object{"name": "Reception", "extension": "1001", "auth_required": false})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.api.Create(ctx, account+"/webhooks", object{"name": "page", "hook": "clicktocall", "uri": receiver.URL + "/", "format": "json", "http_verb": "post"}); err != nil {
		t.Fatal(err)
	}
	states := func(attempt string) (out []string) {
		for _, event := range receiver.told("/") {
			if event["attempt_id"] == attempt {
				out = append(out, fmt.Sprint(event["state"]))
			}
		}
		return out
	}
	path := account + "/clicktocall/" + id + "/connect"
	connect := func() string {
		t.Helper()
		code, told := o.visitor(t, "POST", path, `{"data":{"contact":"1002"}}`)
		if code != 202 {
			t.Fatalf("%d %v", code, told)
		}
		return told["id"].(string)
	}
	attempt := connect()
	first, second := <-ann.Incoming(), <-grace.Incoming()
	for _, phone := range []*bugletest.PhoneCall{first, second} {
		if _, err := phone.WaitTone(ctx, calleeTone); err != nil {
			t.Fatal(err)
		}
	}
	if err := second.Hangup(ctx); err != nil {
		t.Fatal(err)
	}
	if pageSaw := o.follow(t, path+"/"+attempt, ""); pageSaw[len(pageSaw)-1] != "ended" {
		t.Errorf("the page saw %q", pageSaw)
	}
	o.until(t, "the end is told", func() bool { return slices.Contains(states(attempt), "ended") })
	if told := strings.Join(states(attempt), " "); told != "ringing answered bridged ended" {
		t.Errorf("told %q", told)
	}
	grace.SetBehaviour(bugletest.Busy())
	other := connect()
	<-ann.Incoming()
	o.until(t, "the other end is told", func() bool { return slices.Contains(states(other), "ended") })
	if told := strings.Join(states(other), " "); told != "ringing answered ended" {
		t.Errorf("a busy one: told %q", told)
	}
	got := receiver.told("/")
	for _, event := range got {
		if event["clicktocall_id"] != id || event["account_id"] != o.company.accountID || event["contact"] != "1002" || event["call_id"] == "" {
			t.Errorf("%v", event)
		}
		if (event["cause"] != nil) != (event["state"] == "ended") || event["attempt_id"] == other && event["state"] == "ended" && event["cause"] != "USER_BUSY" {
			t.Errorf("%v", event)
		}
	}
	if len(got) != 7 {
		t.Errorf("%d events", len(got))
	}
}
