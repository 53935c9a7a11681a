package main

import (
	"errors"
	"path/filepath"
	"testing"

	"bugle/internal/bugletest"
)

// channel is a leg of a call as the API lists it.
type channel struct {
	ID       string `json:"uuid"`
	Owner    string `json:"owner_id"`
	OtherLeg string `json:"other_leg"`
	Answered bool   `json:"answered"`
}

// TestAdministratorsCommandCalls: the actions of /channels, on calls of real phones.
func TestAdministratorsCommandCalls(t *testing.T) {
	t.Parallel()
	o := openOffice(t, filepath.Join(t.TempDir(), "data"))
	ctx, api := within(t), o.api.For(o.company.accountID)
	ann := o.phone(t, "1001", bugletest.Behaviour{})
	conor := o.phone(t, "1002", bugletest.NeverAnswering())
	o.phone(t, "1003", bugletest.Answering(0, calleeTone))
	const otherTone = calleeTone + 300
	o.phone(t, "1004", bugletest.Answering(0, otherTone))
	legs := func() (all []channel) {
		if err := api.Do(ctx, "GET", api.Account("channels"), nil, &all); err != nil {
			t.Fatal(err)
		}
		return all
	}
	command := func(id string, data object) error { return api.Do(ctx, "POST", api.Account("channels", id), data, nil) }
	owner := func(extension string) (id string) {
		var devices []struct {
			Username string `json:"username"`
			Owner    string `json:"owner_id"`
		}
		if err := api.Do(ctx, "GET", api.Account("devices")+"?paginate=false", nil, &devices); err != nil {
			t.Fatal(err)
		}
		for _, d := range devices {
			if d.Username == extension {
				return d.Owner
			}
		}
		t.Fatal("nobody has", extension)
		return ""
	}

	call, err := ann.Dial(ctx, "1002")
	if err != nil {
		t.Fatal(err)
	}
	ringing := <-conor.Incoming()
	var own string
	o.until(t, "the leg of the caller", func() bool {
		for _, leg := range legs() {
			if leg.Owner == owner("1001") {
				own = leg.ID
			}
		}
		return own != ""
	})
	if err := command(own, object{"action": "intercept", "target_type": "user", "target_id": owner("1003")}); err != nil {
		t.Fatal(err)
	}
	if _, err := call.WaitTone(ctx, calleeTone); err != nil {
		t.Fatalf("who takes the call is not heard: %v\n%s", err, o.Log())
	}
	select {
	case <-ringing.Done():
	case <-ctx.Done():
		t.Fatal("the phone that rang goes on ringing")
	}
	if err := command(own, object{"action": "intercept", "target_type": "user", "target_id": owner("1004")}); err != nil {
		t.Fatal(err)
	}
	if _, err := call.WaitTone(ctx, otherTone); err != nil {
		t.Fatalf("who takes the call from another is not heard: %v\n%s", err, o.Log())
	}
	o.until(t, "one bridge", func() bool { return len(legs()) == 2 })
	var refused *bugletest.APIError
	if err := command(own, object{"action": "break"}); !errors.As(err, &refused) || refused.Status != 400 {
		t.Errorf("nothing is played: %v", err)
	}
	if err := command(own, object{"action": "transfer", "target": "1003"}); err != nil {
		t.Fatal(err)
	}
	if _, err := call.WaitTone(ctx, calleeTone); err != nil {
		t.Fatalf("who the call is transferred to is not heard: %v\n%s", err, o.Log())
	}
	if err := command(own, object{"action": "hangup"}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-call.Done():
	case <-ctx.Done():
		t.Fatal("the call goes on")
	}
	o.until(t, "no legs", func() bool { return len(legs()) == 0 })
	if err := command(own, object{"action": "hangup"}); !errors.As(err, &refused) || refused.Status != 404 {
		t.Errorf("a leg that is gone: %v", err)
	}
}
