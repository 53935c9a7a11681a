package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"bugle/internal/bugletest"
	"bugle/internal/store"
)

// office is a running server with the demonstration's company and an API client that may change it.
type office struct {
	*program
	api     *bugletest.API
	company *company
}

func openOffice(t *testing.T, data string, more ...string) *office {
	t.Helper()
	p := serve(t, data, chosen, more...)
	o := &office{program: p, api: p.api(t)}
	var err error
	if o.company, err = found(t.Context(), o.api, "demo.test", secret); err != nil {
		t.Fatalf("%v\n%s", err, p.Log())
	}
	return o
}

// phone registers the phone of an extension.
func (o *office) phone(t *testing.T, extension string, behaviour bugletest.Behaviour) *bugletest.Phone {
	t.Helper()
	return o.phoneAt(t, o.company.realm, extension, behaviour)
}

// phoneAt registers the phone of an extension that calls the server by a name of its own.
func (o *office) phoneAt(t *testing.T, realm, extension string, behaviour bugletest.Behaviour) *bugletest.Phone {
	t.Helper()
	return o.register(t, realm, extension, behaviour, nil)
}

// register registers the phone of an extension that knows prompts, nil for tones only.
func (o *office) register(t *testing.T, realm, extension string, behaviour bugletest.Behaviour, prompts *bugletest.Recogniser) *bugletest.Phone {
	t.Helper()
	for _, who := range o.company.people {
		if who.extension != extension {
			continue
		}
		p, err := bugletest.New(bugletest.Options{Server: o.SIP, Realm: realm,
			Username: extension, Password: who.password, DisplayName: who.name(), Behaviour: behaviour,
			Recogniser: prompts, FirstPort: 30000, LastPort: 39998})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Close() })
		if err := p.Register(t.Context()); err != nil {
			t.Fatalf("register %s: %v\n%s", extension, err, o.Log())
		}
		return p
	}
	t.Fatalf("nobody has extension %s", extension)
	return nil
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// talk dials and waits until each side hears the other's tone.
func (o *office) talk(t *testing.T, from *bugletest.Phone, number string) *bugletest.PhoneCall {
	t.Helper()
	ctx := within(t)
	call, err := from.Dial(ctx, number)
	if err != nil {
		t.Fatal(err)
	}
	if err := call.WaitAnswer(ctx); err != nil {
		t.Fatalf("dial %s: %v\n%s", number, err, o.Log())
	}
	if _, err := call.WaitTone(ctx, calleeTone); err != nil {
		t.Fatalf("the caller hears nothing: %v\n%s", err, o.Log())
	}
	return call
}

// status dials a number that is not answered and returns what the caller is told.
func (o *office) status(t *testing.T, from *bugletest.Phone, number string) int {
	t.Helper()
	ctx := within(t)
	call, err := from.Dial(ctx, number)
	if err != nil {
		t.Fatal(err)
	}
	defer call.Hangup(context.WithoutCancel(ctx))
	var refused *bugletest.StatusError
	if err := call.WaitAnswer(ctx); !errors.As(err, &refused) {
		t.Fatalf("dial %s: %v, want a refusal", number, err)
	}
	return refused.Status
}

func TestRegistrationsSurviveARestart(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	o := openOffice(t, data)
	ann := o.phone(t, "1001", bugletest.Behaviour{})
	o.phone(t, "1002", bugletest.Answering(0, calleeTone))
	o.end(t, syscall.SIGTERM)
	o.program = serve(t, data, chosen, "--sip", o.SIP.String())
	call := o.talk(t, ann, "1002")
	if err := call.Hangup(within(t)); err != nil {
		t.Fatal(err)
	}
}

// TestAChannelIsShownAndHungUp: each leg of a call by its phone's user name, and a hang-up by the API is one on the line.
func TestAChannelIsShownAndHungUp(t *testing.T) {
	t.Parallel()
	o := openOffice(t, filepath.Join(t.TempDir(), "data"))
	o.phone(t, "1002", bugletest.Answering(0, calleeTone))
	live := o.talk(t, o.phone(t, "1001", bugletest.Behaviour{}), "1002")
	type channel struct {
		ID        string `json:"uuid"`
		Username  string
		Direction string
		Answered  bool
		Other     string `json:"other_leg"`
	}
	var legs []channel
	path := "/accounts/" + o.company.accountID + "/channels"
	if err := o.api.Do(within(t), "GET", path, nil, &legs); err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(legs, func(a, b channel) int { return strings.Compare(a.Username, b.Username) })
	if len(legs) != 2 || legs[0].Username != "1001" || legs[0].Direction != "inbound" || !legs[0].Answered ||
		legs[1].Username != "1002" || legs[1].Direction != "outbound" || legs[0].Other != legs[1].ID {
		t.Fatalf("channels: %+v", legs)
	}
	if err := o.api.Do(within(t), "POST", path+"/"+legs[1].ID, object{"action": "hangup"}, nil); err != nil {
		t.Fatal(err)
	}
	if ended, err := live.WaitEnd(within(t)); err != nil || !ended.Remote {
		t.Errorf("%v, %v", ended, err)
	}
}

func TestWhatTheAPIChangesTakesEffectOnTheNextCall(t *testing.T) {
	t.Parallel()
	o := openOffice(t, filepath.Join(t.TempDir(), "data"))
	ctx := within(t)
	ann := o.phone(t, "1001", bugletest.Behaviour{})
	o.phone(t, "1002", bugletest.Answering(0, calleeTone))
	if got := o.status(t, ann, "1777"); got != 404 {
		t.Errorf("a number that nobody has: %d, want 404", got)
	}
	var flows []struct {
		ID      string   `json:"id"`
		Numbers []string `json:"numbers"`
	}
	path := "/accounts/" + o.company.accountID + "/callflows"
	if err := o.api.Do(ctx, "GET", path+"?paginate=false", nil, &flows); err != nil {
		t.Fatal(err)
	}
	for _, flow := range flows {
		if len(flow.Numbers) == 1 && flow.Numbers[0] == "1002" {
			if err := o.api.Do(ctx, "PATCH", path+"/"+flow.ID, object{"numbers": []string{"1777"}}, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := o.talk(t, ann, "1777").Hangup(ctx); err != nil {
		t.Fatal(err)
	}
	if got := o.status(t, ann, "1002"); got != 404 {
		t.Errorf("the number that was taken away: %d, want 404", got)
	}
}

func TestSIGTERMLetsLiveCallsFinish(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	o := openOffice(t, data)
	ann := o.phone(t, "1001", bugletest.Behaviour{})
	cher := o.phone(t, "1006", bugletest.Behaviour{})
	conor := o.phone(t, "1002", bugletest.Answering(0, calleeTone))
	call := o.talk(t, ann, "1002")
	other := <-conor.Incoming()
	if err := o.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for { // until the signal has been taken
		if o.status(t, cher, "1093") == 503 {
			break
		}
	}
	call.SayTone(callerTone)
	if _, err := other.WaitTone(within(t), callerTone); err != nil {
		t.Errorf("the live call fell silent: %v", err)
	}
	if err := call.Hangup(within(t)); err != nil {
		t.Error(err)
	}
	if state := o.end(t, syscall.SIGTERM); state.ExitCode() != 0 {
		t.Fatalf("exit %v\n%s", state, o.Log())
	}
	s := openData(t, data)
	calls, _, err := s.Calls(t.Context(), store.CallQuery{AccountID: o.company.accountID})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range calls {
		if c.Dialed == "1002" && c.Cause == "NORMAL_CLEARING" && !c.Answered.IsZero() && strings.Contains(string(c.Trail), "bridged") {
			device, err := s.Get(t.Context(), c.AccountID, "device", c.DeviceID)
			if err != nil || c.OwnerID == "" || !strings.Contains(string(device.Body), c.OwnerID) {
				t.Errorf("the owner is %q of %s, %v", c.OwnerID, device.Body, err)
			}
			if _, err := s.Get(t.Context(), c.AccountID, "device", c.ToID); err != nil || c.OtherLeg == "" || c.OtherLeg == c.SIPCallID {
				t.Errorf("who answered is %q, its leg %q, %v", c.ToID, c.OtherLeg, err)
			}
			return
		}
	}
	t.Errorf("the call that was live at SIGTERM has no record: %+v", calls)
}

// openData opens the store of a server that is not running.
func openData(t *testing.T, data string) *store.Store {
	t.Helper()
	key, err := store.LoadKey(filepath.Join(data, "key"))
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := store.NewSealer(key)
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.OpenSQLite(t.Context(), filepath.Join(data, "bugle.db"), store.Options{Sealer: sealer})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// TestFullDisk fills the disk under a running server: writes are refused with 503, the live call goes on, registered
// phones call each other, and writes work again when there is room.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root can mount a small file system")
	}
	data := filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", data, "tmpfs", 0, "size=16m,mode=0700"); err != nil {
		t.Skipf("no tmpfs here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(data, syscall.MNT_DETACH) })
	o := openOffice(t, data)
	ann := o.phone(t, "1001", bugletest.Behaviour{})
	cher := o.phone(t, "1006", bugletest.Behaviour{})
	conor := o.phone(t, "1002", bugletest.Answering(0, calleeTone))
	o.phone(t, "1003", bugletest.Answering(0, calleeTone))
	live := o.talk(t, ann, "1002")
	other := <-conor.Incoming()

	ballast := filepath.Join(data, "ballast")
	fill(t, ballast)
	var refused *bugletest.APIError
	for i := 0; ; i++ { // the database may still have room in the pages it has
		_, err := o.api.Create(within(t), "/accounts/"+o.company.accountID+"/users", object{"first_name": strings.Repeat("x", 120)})
		if errors.As(err, &refused) {
			break
		}
		if err != nil || i > 20000 {
			t.Fatalf("write %d on a full disk: %v", i, err)
		}
	}
	if refused.Status != 503 {
		t.Errorf("a write on a full disk answers %d, want 503: %v", refused.Status, refused)
	}
	if err := o.talk(t, cher, "1003").Hangup(within(t)); err != nil {
		t.Error(err)
	}
	live.SayTone(callerTone)
	if _, err := other.WaitTone(within(t), callerTone); err != nil {
		t.Errorf("the live call fell silent: %v", err)
	}
	if err := live.Hangup(within(t)); err != nil {
		t.Error(err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if _, err := o.api.Create(within(t), "/accounts/"+o.company.accountID+"/users", object{"first_name": "Room"}); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

// fill writes a file until the disk is full.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
}
