package peers

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bugle"
	"bugle/internal/bugletest"
	"bugle/internal/call"
	"bugle/internal/callflow"
	"bugle/internal/callflow/callflowtest"
	"bugle/internal/callflow/module"
	"bugle/internal/directory"
	"bugle/internal/egress"
	"bugle/internal/media"
	"bugle/internal/registrar"
	"bugle/internal/sip"
	"bugle/internal/sipua"
	"bugle/internal/speech"
)

// exchange is the call path of the program in the test's own process, so that a test can have it start calls. Its office has
// the same three people as any other.
type exchange struct {
	*office
	flows   *callflow.Engine
	calls   *call.Registry
	docs    *callflowtest.Documents
	mu      sync.Mutex
	reports []call.Report
	out     []call.Leg // outbound legs
	noise   bytes.Buffer
}

func newExchange(t *testing.T) *exchange {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	x := &exchange{calls: call.NewRegistry(0), office: &office{t: t, ctx: ctx, realm: "exchange.example", ears: tones(),
		account: callflowtest.AccountID, lee: "lee", bob: "bob", cleo: "cleo",
		passwords: map[string]string{"lee": "lee7secret", "bob": "bob7secret", "cleo": "cleo7secret"}}}
	x.log = func() string {
		x.mu.Lock()
		defer x.mu.Unlock()
		return x.noise.String()
	}
	x.docs = &callflowtest.Documents{Accounts: map[string]bugle.Account{x.account: {ID: x.account, Realm: x.realm, Enabled: true, Language: "en-us"}},
		Callflows: map[string]bugle.Callflow{}, Users: map[string]bugle.User{}, Devices: map[string]bugle.Device{},
		Menus: map[string]bugle.Menu{}, Directories: map[string]bugle.Directory{"everybody": {ID: "everybody", MinDTMF: 3, ConfirmMatch: true}}}
	x.employ("Ann", "Lee", "1001", x.lee)
	x.employ("Bob", "Nowak", "1002", x.bob)
	x.employ("Cleo", "Park", "1003", x.cleo)
	x.docs.Callflows["411"] = bugle.Callflow{ID: "411", Numbers: []string{"411"},
		Flow: bugle.Flow{Module: "directory", Data: bugle.Fields{"id": []byte(`"everybody"`)}}}
	x.open()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%.8000s", x.log())
		}
	})
	return x
}

func (x *exchange) employ(first, last, extension, username string) {
	x.docs.Users[username] = bugle.User{ID: username, FirstName: first, LastName: last, Enabled: true,
		Directories: map[string]string{"everybody": extension},
		CallerID:    bugle.CallerID{InternalName: first + " " + last, InternalNumber: extension}}
	x.docs.Devices[username] = bugle.Device{ID: username, Name: first + "'s phone", OwnerID: username, Enabled: true,
		SIP: bugle.DeviceSIP{Method: "password", Username: username}}
	x.docs.Callflows[extension] = bugle.Callflow{ID: extension, Numbers: []string{extension},
		Flow: bugle.Flow{Module: "user", Data: bugle.Fields{"id": []byte(`"` + username + `"`)}}}
}

// open wires the rooms as the program does.
func (x *exchange) open() {
	t := x.t
	t.Helper()
	logger := slog.New(slog.NewTextHandler(x, &slog.HandlerOptions{Level: slog.LevelInfo}))
	onPanic := func(v any) { t.Errorf("panic: %v", v) }
	local := netip.MustParseAddr("127.0.0.1")
	engine, err := media.NewEngine(media.Options{LocalIP: local, Log: logger, OnPanic: onPanic, Ports: media.PortRange{First: 28000, Last: 29998}})
	must(t, err)
	phones := registrar.New(registrar.Options{Log: forgetful{}, Logger: logger, OnPanic: onPanic})
	guard := egress.New([]netip.Prefix{netip.PrefixFrom(local, 32)})
	speaker := speech.NewSpeaker(speech.NewCatalogue(speech.Options{Log: logger}))
	settings := &call.Settings{Registry: x.calls, Log: logger, Ringback: []*media.Clip{media.Ringback()}, Busy: []*media.Clip{media.Busy()},
		HoldTone: []*media.Clip{media.Hold()}, Loopbacks: call.Sessions{Engine: engine}, OnPanic: onPanic, OnEnd: x.ended}
	x.flows = callflow.New(callflow.Options{Calls: settings, Documents: x.docs, Audio: speaker, Log: logger,
		Modules: module.All(module.Services{Documents: x.docs, Locator: phones, Speech: speaker, Directories: x})})
	agent := sipua.New(sipua.Options{Media: engine, Registrar: phones, Directory: x, Egress: guard, Log: logger, OnPanic: onPanic,
		Invites: sipua.InviteHandlerFunc(func(in sipua.Incoming) call.Sink {
			return x.flows.Handle(callflow.Inbound{Leg: in.Leg, AccountID: in.Account.ID, DeviceID: in.Device.ID,
				UserID: in.Device.OwnerID, Realm: in.Realm, Dialed: in.Dialed, CallID: in.CallID})
		})})
	settings.Originator = originator{agent, x}
	stack := sip.New(sip.Options{Log: logger, OnRequest: agent.HandleRequest, OnACK: agent.HandleACK, OnStray2xx: agent.HandleStray2xx,
		OnPanic: onPanic, Supported: sipua.Extensions(), Server: "bugle"})
	agent.Attach(stack)
	x.server, err = stack.ListenUDP(x.ctx, fmt.Sprint("127.0.0.1:", freePorts(t, 1))) // TCP listens there too
	must(t, err)
	_, err = stack.ListenTCP(x.ctx, x.server.String())
	must(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		gone, now := context.WithCancel(ctx)
		now()
		x.calls.Drain(gone)
		<-agent.Drain()
		agent.Close()
		_ = stack.Close(ctx)
		phones.Close()
		engine.Close()
	})
}

// originator notes the legs that it starts.
type originator struct {
	call.Originator
	x *exchange
}

func (o originator) Originate(callID string, target call.Target, sink call.Sink) call.Leg {
	l := o.Originator.Originate(callID, target, sink)
	o.x.mu.Lock()
	defer o.x.mu.Unlock()
	o.x.out = append(o.x.out, l)
	return l
}

// legs are the outbound legs so far.
func (x *exchange) legs() []call.Leg {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Clone(x.out)
}

// Write takes the log.
func (x *exchange) Write(line []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.noise.Write(line)
}

func (x *exchange) ended(r call.Report) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.reports = append(x.reports, r)
}

// report waits for the record of a call.
func (x *exchange) report(id string) call.Report {
	x.t.Helper()
	for {
		x.mu.Lock()
		i := slices.IndexFunc(x.reports, func(r call.Report) bool { return r.ID == id })
		if i >= 0 {
			defer x.mu.Unlock()
			return x.reports[i]
		}
		x.mu.Unlock()
		select {
		case <-time.After(5 * time.Millisecond):
		case <-x.ctx.Done():
			x.t.Fatalf("the call %s left no record", id)
		}
	}
}

// Snapshot is module.Directories'.
func (x *exchange) Snapshot(_, directoryID string) (*directory.Snapshot, bool) {
	var people []directory.Person
	for _, u := range x.docs.Users {
		if p, ok := directory.OfUser(u, directoryID, u.CallerID.InternalNumber); ok {
			people = append(people, p)
		}
	}
	index := directory.New(directory.Options{})
	index.Load(people)
	return index.Snapshot(), true
}

// DeviceByUsername is sipua.Directory's.
func (x *exchange) DeviceByUsername(ctx context.Context, _, username string) (bugle.Account, bugle.Device, error) {
	device, err := x.docs.Device(ctx, x.account, username)
	account, _ := x.docs.Account(ctx, x.account)
	return account, device, err
}

// Password is sipua.Directory's.
func (x *exchange) Password(device bugle.Device) (string, error) { return x.passwords[device.ID], nil }

// DeviceByIP is sipua.Directory's.
func (x *exchange) DeviceByIP(context.Context, netip.Addr) (bugle.Account, bugle.Device, error) {
	return bugle.Account{}, bugle.Device{}, &bugle.Error{Kind: bugle.KindNotFound}
}

// AccountByRealm is sipua.Directory's.
func (x *exchange) AccountByRealm(ctx context.Context, realm string) (bugle.Account, error) {
	if realm != x.realm {
		return bugle.Account{}, &bugle.Error{Kind: bugle.KindNotFound}
	}
	return x.docs.Account(ctx, x.account)
}

// forgetful keeps registrations in memory only: a registrar.Log.
type forgetful struct{}

func (forgetful) Load(context.Context) ([]registrar.Binding, error) { return nil, nil }

func (forgetful) Save(context.Context, []registrar.Binding, []registrar.Key) error { return nil }

// connect is a call that the exchange starts.
type connect struct {
	*callflow.Originated
	x       *exchange
	id      string
	changed chan struct{}

	mu   sync.Mutex
	told []string
}

// originate starts a call of a button.
func (x *exchange) originate(order callflow.Origination) *connect {
	x.t.Helper()
	c := &connect{x: x, id: order.CallID, changed: make(chan struct{}, 64)}
	order.AccountID = x.account
	if order.By == (callflow.Authorizing{}) {
		order.By = callflow.Authorizing{ID: "button", Type: "clicktocall"}
	}
	var err error
	c.Originated, err = x.flows.Originate(order, func(e callflow.OriginationEvent) {
		c.mu.Lock()
		c.told = append(c.told, strings.TrimSpace(fmt.Sprintf("%s %s", e.State, e.Cause)))
		c.mu.Unlock()
		c.changed <- struct{}{}
	})
	must(x.t, err)
	return c
}

// wait waits until the last that was told begins so.
func (c *connect) wait(state string) {
	c.x.t.Helper()
	for {
		c.mu.Lock()
		told := slices.Clone(c.told)
		c.mu.Unlock()
		if slices.ContainsFunc(told, func(s string) bool { return strings.HasPrefix(s, state) }) {
			return
		}
		select {
		case <-c.changed:
		case <-c.x.ctx.Done():
			c.x.t.Fatalf("told %q, and not %s\n%.6000s", told, state, c.x.log())
		}
	}
}

// ends waits for the end and checks all that was told.
func (c *connect) ends(want ...string) {
	c.x.t.Helper()
	c.wait("ended")
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Equal(c.told, want) {
		c.x.t.Errorf("told %q, want %q", c.told, want)
	}
}

// tones are what recognises the tones of a call's progress, beside the prompts.
var tones = sync.OnceValue(func() *bugletest.Recogniser {
	catalogue := speech.NewCatalogue(speech.Options{})
	clips := []*media.Clip{media.Busy(), media.Ringback()}
	for _, id := range speech.BuiltinPrompts() {
		clips = append(clips, catalogue.Prompt(context.Background(), "", "en-us", id))
	}
	return bugletest.NewRecogniser(clips)
})
