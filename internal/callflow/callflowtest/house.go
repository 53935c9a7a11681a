package callflowtest

import (
	"context"
	"encoding/json"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"bugle"
	"bugle/internal/call"
	"bugle/internal/call/simulate"
	"bugle/internal/callflow"
	"bugle/internal/callflow/module"
	"bugle/internal/directory"
	"bugle/internal/registrar"
)

// House is an account with phones, in a simulated world.
type House struct {
	*simulate.World
	Documents *Documents
	Speech    *Speech
	Mailboxes *Mailboxes
	Calls     *call.Settings
	Modules   map[string]callflow.Module
	Engine    *callflow.Engine
	T         testing.TB

	mu           sync.Mutex
	unregistered map[string]bool
	contacts     map[string]int
	panics       int
	reports      []call.Report
}

// New returns an empty house. Every phone is registered once until a test says otherwise.
func New(t testing.TB) *House {
	t.Helper()
	h := &House{World: simulate.NewWorld(), Documents: newDocuments(), Speech: &Speech{Recordings: map[string]bool{}},
		T: t, unregistered: map[string]bool{}, contacts: map[string]int{}}
	h.Mailboxes = newMailboxes(h.Speech)
	h.Documents.Accounts[AccountID] = bugle.Account{ID: AccountID, Name: "House", Realm: "house.example", Enabled: true,
		Language: "en-us"}
	h.Calls = &call.Settings{Originator: h.World, Loopbacks: h.World, Busy: h.Speech.say("", "tone-busy"), Registry: call.NewRegistry(0), Clock: h.Clock, Activity: h.Clock,
		Ringback: h.Speech.say("", "ringback"), HoldTone: h.Speech.say("", "tone-hold"), OnPanic: h.panicked, OnEnd: h.ended}
	h.Modules = module.All(module.Services{Documents: h.Documents, Locator: h, Speech: h.Speech, Directories: h, Mailboxes: h.Mailboxes,
		Random: func(n int) int { return n - 1 }})
	h.Open()
	t.Cleanup(func() { // what still goes on is hung up, so that no flow outlives its test
		h.Settle()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		h.Calls.Registry.Drain(ctx)
		h.Settle()
	})
	h.World.Dial = func(leg call.Leg, from, number string) call.Sink {
		device, _ := h.Documents.Device(context.Background(), AccountID, from)
		return h.Engine.Handle(callflow.Inbound{Leg: leg, AccountID: AccountID, DeviceID: from, UserID: device.OwnerID,
			Realm: "house.example", Dialed: number, CallID: leg.ID()})
	}
	return h
}

// Open makes a new engine from Calls, Documents and Modules.
func (h *House) Open() {
	h.Engine = callflow.New(callflow.Options{Calls: h.Calls, Modules: h.Modules, Documents: h.Documents,
		Audio: h.Speech})
	h.Calls.HoldMusic = h.Engine.HoldMusic
}

// checker judges flows by the modules that there are.
var checker = sync.OnceValue(func() *callflow.Checker {
	c, err := callflow.NewChecker(module.All(module.Services{}))
	if err != nil {
		panic(err)
	}
	return c
})

// Callflow adds a callflow. Numbers are its numbers; one that begins with ^ is a pattern.
func (h *House) Callflow(id, numbers, flow string) {
	h.T.Helper()
	c := bugle.Callflow{ID: id}
	for _, n := range strings.Fields(numbers) {
		if strings.HasPrefix(n, "^") {
			c.Patterns = append(c.Patterns, n)
		} else {
			c.Numbers = append(c.Numbers, n)
		}
	}
	if err := json.Unmarshal([]byte(flow), &c.Flow); err != nil {
		h.T.Fatalf("flow of %s: %v", id, err)
	}
	for _, problem := range checker().CheckFlow([]byte(flow)) {
		if problem.Code != "enum" { // tests may leave a module out on purpose
			h.T.Fatalf("flow of %s: %s: %s", id, problem.Path, problem.Message)
		}
	}
	h.Documents.With(func(d *Documents) { d.Callflows[id] = c })
}

// Phone adds a phone whose device id and SIP user name are its number; owner may be "".
func (h *House) Phone(number, owner string) {
	h.Documents.With(func(d *Documents) {
		d.Devices[number] = bugle.Device{ID: number, Name: number, OwnerID: owner, Enabled: true,
			SIP: bugle.DeviceSIP{Method: "password", Username: number}}
	})
}

// Person adds a user whose id is the names in lower case with a phone, and a callflow "flow-NUMBER" for the number, which
// is what directories lead to.
func (h *House) Person(number, given, family string, directories ...string) {
	h.T.Helper()
	id := strings.ToLower(given + "-" + family)
	member := map[string]string{}
	for _, d := range directories {
		member[d] = "flow-" + number
	}
	h.Documents.With(func(d *Documents) {
		d.Users[id] = bugle.User{ID: id, FirstName: given, LastName: family, Enabled: true, Directories: member,
			CallerID: bugle.CallerID{InternalNumber: number}}
	})
	h.Phone(number, id)
	h.Callflow("flow-"+number, number, `{"module":"user","data":{"id":"`+id+`"}}`)
}

// Unregister makes a phone one that is not registered.
func (h *House) Unregister(device string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.unregistered[device] = true
}

// Contacts makes a phone registered at n places.
func (h *House) Contacts(device string, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.contacts[device] = n
}

// Locate is module.Locator's.
func (h *House) Locate(deviceID string) []registrar.Binding {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.unregistered[deviceID] {
		return nil
	}
	var bindings []registrar.Binding
	for i := range max(h.contacts[deviceID], 1) {
		source := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), 5060)
		bindings = append(bindings, registrar.Binding{DeviceID: deviceID, Source: source, Transport: "udp",
			Contact: "sip:" + deviceID + "@" + source.String()})
	}
	return bindings
}

// Snapshot is module.Directories': the users and devices that are members now.
func (h *House) Snapshot(accountID, directoryID string) (*directory.Snapshot, bool) {
	h.Documents.mu.RLock()
	defer h.Documents.mu.RUnlock()
	doc, ok := h.Documents.Directories[directoryID]
	if !ok || accountID != AccountID {
		return nil, false
	}
	var people []directory.Person
	for _, u := range h.Documents.Users {
		if p, ok := directory.OfUser(u, directoryID, u.CallerID.InternalNumber); ok {
			people = append(people, p)
		}
	}
	for _, d := range h.Documents.Devices {
		if p, ok := directory.OfDevice(d, directoryID, d.ID); ok {
			people = append(people, p)
		}
	}
	index := directory.New(directory.Options{SortBy: doc.SortBy})
	index.Load(people)
	return index.Snapshot(), true
}

// Play carries a dialogue out; calls come from the phone "1001" until a line says another.
func (h *House) Play(script string) *simulate.Dialogue {
	h.T.Helper()
	d := &simulate.Dialogue{World: h.World, From: "1001"}
	if err := d.Run(script); err != nil {
		h.T.Fatal(err)
	}
	return d
}

func (h *House) panicked(any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.panics++
}

func (h *House) ended(r call.Report) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reports = append(h.reports, r)
}

// Panics is how many panics were counted.
func (h *House) Panics() int {
	h.Settle()
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.panics
}

// Reports are the reports of the calls that have ended.
func (h *House) Reports() []call.Report {
	h.Settle()
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]call.Report(nil), h.reports...)
}

// GoOn goes on with a dialogue.
func (h *House) GoOn(d *simulate.Dialogue, script string) {
	h.T.Helper()
	if err := d.Run(script); err != nil {
		h.T.Fatal(err)
	}
}
