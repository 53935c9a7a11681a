package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"bugle/internal/bugletest"
)

// demoCommand shows the whole system at work on loopback and then stays up to be tried.
type demoCommand struct {
	Once     bool   `help:"Make the first call, then stop instead of staying up."`
	LogLevel string `default:"warn" enum:"debug,info,warn,error" help:"Log of the server, on standard error: debug, info, warn or error."`
}

// Run is the command.
func (c *demoCommand) Run(ctx context.Context) error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bugle-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	d := &demo{started: time.Now(), once: c.Once, dir: dir,
		log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))}
	err = d.run(ctx)
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return nil // the person pressed Ctrl-C
	}
	return err
}

// demo is one run of the demonstration.
type demo struct {
	started time.Time
	once    bool
	dir     string
	log     *slog.Logger
	server  *server
	api     *bugletest.API
	company *company
	phones  []*bugletest.Phone
	narrate narrator
}

func (d *demo) run(ctx context.Context) error {
	fmt.Println("bugle demo: a phone system on this machine's loopback, a company of twelve, and its first call.")
	fmt.Println()
	if err := d.start(ctx); err != nil {
		return err
	}
	defer func() {
		for _, phone := range d.phones {
			_ = phone.Close()
		}
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		d.server.stop(stop)
	}()
	if err := d.furnish(ctx); err != nil {
		return err
	}
	if err := d.firstCall(ctx); err != nil {
		return fmt.Errorf("the first call failed: %w", err)
	}
	if d.once {
		return nil
	}
	// From now on the visitor's softphone is Ann.
	if err := d.phones[0].Unregister(ctx); err != nil {
		return err
	}
	d.invite()
	<-ctx.Done()
	fmt.Println("\nstopping")
	return nil
}

// secret returns a password that can be typed: 80 random bits.
func secret() string {
	return strings.ToLower(rand.Text()[:16])
}

// free returns the wanted address on loopback, or one with a port of the system's choice when that is taken.
func free(port string, networks ...string) string {
	wanted := net.JoinHostPort("127.0.0.1", port)
	for _, network := range networks {
		if network == "udp" {
			conn, err := net.ListenPacket(network, wanted)
			if err != nil {
				return "127.0.0.1:0"
			}
			_ = conn.Close()
			continue
		}
		listener, err := net.Listen(network, wanted)
		if err != nil {
			return "127.0.0.1:0"
		}
		_ = listener.Close()
	}
	return wanted
}

func (d *demo) start(ctx context.Context) error {
	flags := serveFlags{placeFlags: placeFlags{DataDir: d.dir}, HTTP: free("8000", "tcp"), Admin: free("9090", "tcp"), SIP: free("5060", "udp", "tcp"),
		RTPPorts: "20000-29999", EgressAllow: []string{"127.0.0.0/8"}, MaxCalls: 500, Drain: time.Second, CallDays: 1, Outage: time.Minute, SIPDigest: "md5",
		Flite: "flite", MediaLoop: "auto", LogLevel: "info"}
	s, err := flags.settings(os.Stderr)
	if err != nil {
		return err
	}
	key := make([]byte, 32)
	rand.Read(key)
	s.log, s.password, s.apiKey = d.log, secret(), hex.EncodeToString(key)
	s.onStep = d.narrate.step
	d.server, err = start(ctx, s)
	if err != nil {
		return err
	}
	d.api = bugletest.NewAPI("http://"+d.server.httpAddr, nil)
	return d.api.LoginUser(ctx, masterAccount, adminUser, s.password)
}

// furnish creates the company and registers its phones: everybody's answers after a second and says a tone, the
// last four misbehave, and the first is left for the visitor's softphone after the first call.
func (d *demo) furnish(ctx context.Context) error {
	sip := netip.MustParseAddrPort(d.server.sipAddr)
	var err error
	if d.company, err = found(ctx, d.api, "demo.bugle.example", secret); err != nil {
		return err
	}
	phone := func(extension, name, password string, behaviour bugletest.Behaviour) error {
		p, err := bugletest.New(bugletest.Options{Server: sip, Realm: d.company.realm, Username: extension, Password: password,
			DisplayName: name, Behaviour: behaviour, Recogniser: promptRecogniser(), FirstPort: 30000, LastPort: 39998,
			OnEvent: d.narrate.phone(extension, name)})
		if err != nil {
			return err
		}
		d.phones = append(d.phones, p)
		return p.Register(ctx)
	}
	for i, who := range d.company.people {
		behaviour := bugletest.Answering(time.Second, calleeTone)
		if i == 0 {
			behaviour = bugletest.Behaviour{}
		}
		if err := phone(who.extension, who.name(), who.password, behaviour); err != nil {
			return fmt.Errorf("phone %s: %w", who.extension, err)
		}
	}
	for _, t := range troubles() {
		if err := phone(t.extension, t.says, d.company.password, t.behaviour); err != nil {
			return fmt.Errorf("phone %s: %w", t.extension, err)
		}
	}
	fmt.Printf("%d people, %d phones, a directory at 411 and a menu at 100 were created over the API in %s\n\n",
		len(d.company.people), len(d.phones), time.Since(d.started).Round(10*time.Millisecond))
	return nil
}

// invite prints what to try next.
func (d *demo) invite() {
	ann := d.company.people[0]
	base := "http://" + d.server.httpAddr + "/v2"
	host, port, _ := net.SplitHostPort(d.server.sipAddr)
	fmt.Printf(`
The system stays up until you press Ctrl-C. Try:

  a softphone    SIP server %s port %s, UDP or TCP; realm (domain) %s
                 user %s, password %s: you are %s
  dial           411 or *411  the directory: spell a name (6 2 7 4 for O'Brien, 7 6 4 for the two Smiths)
                 100          the main menu: 9 the directory, 0 the operator, or an extension
                 1002 .. 1012 a colleague, who answers after a second and hums
`, host, port, d.company.realm, ann.extension, ann.password, ann.name())
	for _, t := range troubles() {
		fmt.Printf("                 %-12s %s\n", t.extension, t.says)
	}
	passwordFile := filepath.Join(d.dir, "ann-password")
	if err := os.WriteFile(passwordFile, []byte(ann.password+"\n"), 0o600); err != nil {
		d.log.Error("the password file of the demonstration was not written", "error", err)
	}
	fmt.Printf(`
  no softphone   go run ./cmd/bugle call --server %s --realm %s --user %s \
                   --password-file %s --record heard.wav \
                   --keys "expect dir-enter_person_name, 6 2 7 4 #, expect dir-found, 1, expect tone:%d, hangup" 411

  a web page     http://%s/c2c/%s
                 enter 1003: Conor's phone rings, then Łukasz's, and they talk

  the API        TOKEN=$(curl -s -X PUT %s/user_auth -H 'Content-Type: application/json' \
                   -d '{"data":{"credentials":"%s","account_name":"%s"}}' | sed 's/.*"auth_token":"\([^"]*\)".*/\1/')
                 curl -s -H "X-Auth-Token: $TOKEN" "%s/accounts/%s/directories/%s?pretty_print=true"
                 curl -s -H "X-Auth-Token: $TOKEN" "%s/accounts/%s/channels?pretty_print=true"
                 curl -s -X PUT %s/accounts/%s/users -H "X-Auth-Token: $TOKEN" \
                   -H 'Content-Type: application/json' -d '{"data":{"first_name":"Grace","last_name":"Hopper"}}'

  the metrics    curl -s http://%s/metrics
`, d.server.sipAddr, d.company.realm, ann.extension, passwordFile, calleeTone,
		d.server.httpAddr, d.company.buttonID,
		base, credentials(adminUser, d.server.settings.password), masterAccount,
		base, d.company.accountID, d.company.directoryID,
		base, d.company.accountID, base, d.company.accountID, d.server.adminAddr)
}
