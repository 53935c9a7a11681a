package peers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"bugle/internal/bugletest"
	"bugle/internal/media"
	"bugle/internal/speech"
)

const apiKey = "89abcdef0123456789abcdef0123456789abcdef0123456789abcdef01234567"

// serving is the one `bugle serve` that all tests of this package use, each with an account of its own.
var serving struct {
	*bugletest.Program
	once sync.Once
	err  error
	dir  string
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(servedTests{m}) }

// servedTests are the tests and, after them, the end of the server that they used.
type servedTests struct{ m *testing.M }

// Run implements goleak.TestingM.
func (s servedTests) Run() int {
	status := s.m.Run()
	if err := stopServing(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return status
}

// startServing builds the program as its user would and starts it on loopback.
func startServing() error {
	var err error
	if serving.dir, err = os.MkdirTemp("", "bugle-peers-"); err != nil {
		return err
	}
	binary := filepath.Join(serving.dir, "bugle")
	if err := bugletest.BuildProgram(context.Background(), binary, fmt.Sprintf("-race=%v", raced)); err != nil {
		return err
	}
	serving.Program, err = bugletest.StartProgram(context.Background(), bugletest.ProgramOptions{Path: binary,
		DataDir:     filepath.Join(serving.dir, "data"),
		Environment: []string{"BUGLE_API_KEY=" + apiKey, "PATH=" + os.Getenv("PATH"), "HOME=" + serving.dir},
		Arguments:   []string{"--rtp-ports", "22000-25999", "--drain", "1s"}})
	return err
}

// stopServing ends the server and tells whether it had panicked or did not stop as it should.
func stopServing() error {
	if serving.dir != "" {
		defer os.RemoveAll(serving.dir)
	}
	if serving.Program == nil {
		return nil
	}
	panics := serving.Panics(context.Background())
	state, err := serving.End(syscall.SIGTERM)
	if err == nil && !state.Success() {
		err = fmt.Errorf("bugle serve ended with %v", state)
	}
	if err := errors.Join(panics, err); err != nil {
		return fmt.Errorf("%w\n%s", err, serving.Log())
	}
	return nil
}

// office is an account with three people and a directory, made over the HTTP API.
type office struct {
	t         *testing.T
	ctx       context.Context
	api       *bugletest.API
	server    netip.AddrPort // of SIP
	log       func() string  // of the server
	ears      *bugletest.Recogniser
	account   string
	realm     string
	passwords map[string]string // by user name
	lee       string            // user name of Ann Lee's phone, extension 1001
	bob       string            // of Bob Nowak's, 1002
	cleo      string            // of Cleo Park's, 1003
}

type object = map[string]any

// newOffice makes an account of its own on the shared server.
func newOffice(t *testing.T) *office {
	t.Helper()
	serving.once.Do(func() { serving.err = startServing() })
	if serving.err != nil {
		t.Fatal(serving.err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	client := &http.Client{Timeout: 20 * time.Second}
	t.Cleanup(client.CloseIdleConnections)
	o := &office{t: t, ctx: ctx, server: serving.SIP, log: serving.Log, ears: prompts(), api: bugletest.NewAPI("http://"+serving.HTTP, client), passwords: map[string]string{}}
	must(t, o.api.LoginKey(ctx, apiKey))
	tag := strings.ToLower(rand.Text()[:8])
	o.realm, o.lee, o.bob, o.cleo = tag+".peers.example", "lee"+tag, "bob"+tag, "cleo"+tag
	var err error
	o.account, err = o.api.Create(ctx, o.api.Account(), object{"name": "Peers " + tag, "realm": o.realm})
	must(t, err)
	directory := o.create("directories", object{"name": "Everybody", "min_dtmf": 3, "confirm_match": true})
	o.create("callflows", object{"name": "Directory", "numbers": []string{"411"},
		"flow": object{"module": "directory", "data": object{"id": directory}, "children": object{}}})
	o.employ("Ann", "Lee", "1001", o.lee, directory)
	o.employ("Bob", "Nowak", "1002", o.bob, directory)
	o.employ("Cleo", "Park", "1003", o.cleo, directory)
	return o
}

func (o *office) create(kind string, document object) string {
	o.t.Helper()
	id, err := o.api.Create(o.ctx, "/accounts/"+o.account+"/"+kind, document)
	must(o.t, err)
	return id
}

func (o *office) employ(first, last, extension, username, directory string) {
	o.t.Helper()
	o.passwords[username] = strings.ToLower(rand.Text()[:16])
	user := o.create("users", object{"first_name": first, "last_name": last,
		"caller_id": object{"internal": object{"name": first + " " + last, "number": extension}}})
	o.create("devices", object{"name": first + "'s phone", "owner_id": user,
		"sip": object{"username": username, "password": o.passwords[username]}})
	flow := o.create("callflows", object{"name": first, "numbers": []string{extension},
		"flow": object{"module": "user", "data": object{"id": user, "timeout": 20}, "children": object{}}})
	must(o.t, o.api.Patch(o.ctx, "/accounts/"+o.account+"/users/"+user, object{"directories": object{directory: flow}}))
}

// phone registers a phone of our own.
func (o *office) phone(username string, behaviour bugletest.Behaviour) *bugletest.Phone {
	o.t.Helper()
	began := time.Now()
	p, err := bugletest.New(bugletest.Options{Server: o.server, Realm: o.realm, Username: username,
		Password: o.passwords[username], Behaviour: behaviour, Recogniser: o.ears, FirstPort: 26000, LastPort: 27998,
		OnEvent: func(_ *bugletest.PhoneCall, e bugletest.Event) {
			o.t.Logf("%6.2f %s %s", time.Since(began).Seconds(), username, e)
		}})
	must(o.t, err)
	o.t.Cleanup(func() {
		if err := p.Close(); err != nil {
			o.t.Error(err)
		}
	})
	must(o.t, p.Register(o.ctx))
	return p
}

// next is the next call that comes to a phone.
func (o *office) next(p *bugletest.Phone) *bugletest.PhoneCall {
	o.t.Helper()
	select {
	case call := <-p.Incoming():
		return call
	case <-o.ctx.Done():
		o.t.Fatalf("no call came in\n%.4000s", o.log())
		return nil
	}
}

// ends checks how a call ended.
func (o *office) ends(call *bugletest.PhoneCall, status int, remote bool) {
	o.t.Helper()
	end, err := call.WaitEnd(o.ctx)
	must(o.t, err)
	if end.Status != status || end.Remote != remote {
		o.t.Errorf("ended with %q, want %d, by the other side %v", end, status, remote)
	}
}

// hears waits for a tone.
func (o *office) hears(call *bugletest.PhoneCall, hertz float64) {
	o.t.Helper()
	_, err := call.WaitTone(o.ctx, hertz)
	must(o.t, err)
}

// prompts recognises what bugle says.
var prompts = sync.OnceValue(func() *bugletest.Recogniser {
	catalogue := speech.NewCatalogue(speech.Options{})
	var clips []*media.Clip
	for _, id := range speech.BuiltinPrompts() {
		clips = append(clips, catalogue.Prompt(context.Background(), "", "en-us", id))
	}
	return bugletest.NewRecogniser(clips)
})

// needs skips the test when a program is missing, and fails it where CI is set.
func needs(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is missing, and CI is set: %v", program, err)
		}
		t.Skipf("%s is missing; test/install-peers installs it", program)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
