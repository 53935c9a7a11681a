package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bugle/internal/bugletest"
	"bugle/internal/call"
	"bugle/internal/callflow"
)

// TestACallThatTheProgramStarts: from the engine of the wired program to two phones, its channels, its records, and a
// stop of the server while the second phone rings.
func TestACallThatTheProgramStarts(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	flags := serveFlags{placeFlags: placeFlags{DataDir: filepath.Join(t.TempDir(), "data")}, HTTP: "127.0.0.1:0", SIP: "127.0.0.1:0",
		RTPPorts: "20000-29999", EgressAllow: []string{"127.0.0.0/8"}, MaxCalls: 4, Drain: 20 * time.Second, CallDays: 1,
		Outage: time.Minute, SIPDigest: "md5", Flite: "flite", MediaLoop: "auto", LogLevel: "error"}
	s, err := flags.settings(io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	s.log, s.password, s.apiKey = slog.New(slog.DiscardHandler), secret(), strings.Repeat("a1", 32)
	v, err := start(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	stopped := false
	defer func() {
		if !stopped {
			v.stop(context.Background())
		}
	}()
	api := bugletest.NewAPI("http://"+v.httpAddr, nil)
	if err := api.LoginUser(ctx, masterAccount, adminUser, s.password); err != nil {
		t.Fatal(err)
	}
	company, err := found(ctx, api, "demo.test", secret)
	if err != nil {
		t.Fatal(err)
	}
	var phones []*bugletest.Phone
	for i, behaviour := range []bugletest.Behaviour{bugletest.Answering(0, callerTone), {}} {
		p, err := bugletest.New(bugletest.Options{Server: netip.MustParseAddrPort(v.sipAddr), Realm: company.realm, Behaviour: behaviour,
			Username: company.people[i].extension, Password: company.people[i].password, FirstPort: 30000, LastPort: 39998})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if err := p.Register(ctx); err != nil {
			t.Fatal(err)
		}
		phones = append(phones, p)
	}
	order := callflow.Origination{AccountID: company.accountID, By: callflow.Authorizing{ID: "button", Type: "clicktocall"},
		First: callflow.Destination{Number: "1001"}, Second: callflow.Destination{Number: "1002"},
		Variables: map[string]string{"page": "pricing"}, PresenceID: "1001"}
	// connect starts a call and takes it to where the second phone rings.
	connect := func(id string) (second *bugletest.PhoneCall, states chan callflow.OriginationEvent) {
		states = make(chan callflow.OriginationEvent, 8)
		order.CallID = id
		if _, err := v.flows.Originate(order, func(e callflow.OriginationEvent) { states <- e }); err != nil {
			t.Fatal(err)
		}
		select {
		case second = <-phones[1].Incoming():
		case <-ctx.Done():
			t.Fatal("the second phone does not ring")
		}
		if err := second.Ring(); err != nil {
			t.Fatal(err)
		}
		return second, states
	}
	talk := func(second *bugletest.PhoneCall, states chan callflow.OriginationEvent) {
		if err := second.Answer(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := second.WaitTone(ctx, callerTone); err != nil {
			t.Errorf("the second party does not hear the first: %v", err)
		}
	}
	ends := func(states chan callflow.OriginationEvent) {
		for e := range states {
			if e.State == callflow.OriginationEnded {
				if e.Cause != call.NormalClearing {
					t.Errorf("it ended with %s", e.Cause)
				}
				return
			}
		}
	}

	second, states := connect("c2c-button-0123456789")
	talk(second, states)
	var rows []map[string]any
	if err := api.Do(ctx, "GET", "/accounts/"+company.accountID+"/channels", nil, &rows); err != nil || len(rows) != 4 {
		t.Fatalf("%d channels, %v", len(rows), err)
	}
	seen := 0
	for _, row := range rows {
		if row["direction"] != "outbound" || fmt.Sprint(row["custom_application_vars"]) != "map[page:pricing]" {
			t.Errorf("a channel is %v", row)
		}
		if row["authorizing_type"] == "clicktocall" && row["authorizing_id"] == "button" {
			seen++
		}
	}
	if seen != 2 {
		t.Errorf("%d channels of the button in %v", seen, rows)
	}
	if err := second.Hangup(ctx); err != nil {
		t.Fatal(err)
	}
	ends(states)
	for _, id := range []string{order.CallID, order.CallID + "-b"} {
		record := map[string]any{}
		path := "/accounts/" + company.accountID + "/cdrs/" + time.Now().UTC().Format("200601") + "-" + id
		for api.Do(ctx, "GET", path, nil, &record) != nil && ctx.Err() == nil {
			time.Sleep(20 * time.Millisecond) // written with those of the next quarter of a second
		}
		if record["authorizing_id"] != "button" || record["direction"] != "outbound" || record["hangup_cause"] != "NORMAL_CLEARING" ||
			fmt.Sprint(record["custom_application_vars"]) != "map[page:pricing]" {
			t.Errorf("the record of %s is %v", id, record)
		}
	}

	second, states = connect("c2c-button-2")
	done := make(chan struct{})
	go func() {
		defer close(done)
		v.stop(context.Background())
	}()
	stopped = true
	for v.calls.Reserve(0) { // until it takes no more calls
		time.Sleep(5 * time.Millisecond)
	}
	if _, err := v.flows.Originate(order, nil); err == nil {
		t.Error("a server that stops starts calls")
	}
	talk(second, states)
	if err := second.Hangup(ctx); err != nil {
		t.Fatal(err)
	}
	ends(states)
	<-done
}
