// Command connect measures what a call costs that bugle starts itself, to two parties, beside two plain INVITE legs of the same
// agent with nothing above them. Each takes turns in a process of its own; sipp is every party. With -history it asks the whole
// program over HTTP instead and looks whether its history has all that was asked. Run it from the module's root:
// go run ./bench/connect -h
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"bugle"
	"bugle/internal/call"
	"bugle/internal/callflow"
	"bugle/internal/callflow/callflowtest"
	"bugle/internal/callflow/module"
	"bugle/internal/egress"
	"bugle/internal/media"
	"bugle/internal/registrar"
	"bugle/internal/sip"
	"bugle/internal/sipua"
)

func main() {
	work := flag.String("work", "", "what this process does: connects or legs; empty: both, in processes of their own")
	callee := flag.String("callee", "", "address of who answers; for -work")
	rate := flag.Int("rate", 50, "connects a second")
	seconds := flag.Int("seconds", 10, "length of a run")
	repeat := flag.Int("repeat", 3, "runs of each; medians are printed")
	past := flag.Bool("history", false, "ask a running server for connects over HTTP and compare its history with what was asked")
	flag.Parse()
	var err error
	if *past {
		err = history(context.Background(), *rate, *seconds)
	} else if *work != "" {
		err = load(*work, *callee, *rate, *rate**seconds)
	} else {
		err = compare(*rate, *seconds, *repeat)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "connect:", err)
		os.Exit(1)
	}
}

// compare runs both works in turns, so that both see the same neighbours.
func compare(rate, seconds, repeat int) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bugle-connect")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	callee, stop, err := answering(dir)
	if err != nil {
		return err
	}
	defer stop()
	works := []string{"connects", "legs"}
	costs := map[string][]float64{}
	for range repeat {
		for _, work := range works {
			cmd := exec.Command(self, "-work", work, "-callee", callee, "-rate", strconv.Itoa(rate), "-seconds", strconv.Itoa(seconds))
			cmd.Stderr = os.Stderr
			out, err := cmd.Output()
			if err != nil {
				return fmt.Errorf("%s: %w", work, err)
			}
			cost, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
			if err != nil {
				return err
			}
			costs[work] = append(costs[work], cost)
		}
	}
	fmt.Printf("| work, %d/s | median, CPU-s per 1,000 | min | max |\n|---|---|---|---|\n", rate)
	for _, work := range works {
		slices.Sort(costs[work])
		fmt.Printf("| %s | %.3g | %.3g | %.3g |\n", map[string]string{"connects": "connects", "legs": "two plain INVITE legs"}[work],
			costs[work][len(costs[work])/2], costs[work][0], costs[work][len(costs[work])-1])
	}
	return nil
}

// answering starts sipp as every party and returns its address and what ends it.
func answering(dir string) (address string, stop func(), err error) {
	free, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	address = free.LocalAddr().String()
	_ = free.Close()
	host, port, _ := strings.Cut(address, ":")
	scenario, err := filepath.Abs("bench/sipp/uas_answer.xml")
	if err != nil {
		return "", nil, err
	}
	cmd := exec.Command("sipp", "-i", host, "-p", port, "-sf", scenario, "-nostdin", "-timeout", "600")
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	time.Sleep(700 * time.Millisecond) // sipp does not say when it listens
	return address, func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}, nil
}

// talk is how long the parties talk.
const talk = time.Second

// load makes count calls and prints the CPU-seconds of this process per 1,000 of them.
func load(work, callee string, rate, count int) error {
	agent, flows, end, err := open(callee)
	if err != nil {
		return err
	}
	defer end()
	one := func(id string, done func(error)) { plain(agent, callee, id, done) }
	if work == "connects" {
		one = func(id string, done func(error)) { connect(flows, id, done) }
	}
	before := cpu()
	var calls sync.WaitGroup
	var mu sync.Mutex
	failed, why := 0, error(nil)
	pace := time.NewTicker(time.Second / time.Duration(rate))
	defer pace.Stop()
	for i := range count {
		calls.Add(1)
		one(fmt.Sprintf("bench-%d-%d", os.Getpid(), i), func(err error) {
			defer calls.Done()
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed, why = failed+1, err
			}
		})
		<-pace.C
	}
	calls.Wait()
	used := cpu() - before
	if failed > 0 {
		return fmt.Errorf("%d of %d failed, the last with %w", failed, count, why)
	}
	fmt.Println(used / float64(count) * 1000)
	return nil
}

// cpu is the CPU-seconds that this process has used.
func cpu() float64 {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

// connect has the engine call two extensions, hangs up when they have talked, and tells how it ended.
func connect(flows *callflow.Engine, id string, done func(error)) {
	var o *callflow.Originated
	begun := make(chan struct{})
	o, err := flows.Originate(callflow.Origination{CallID: id, AccountID: callflowtest.AccountID,
		By:    callflow.Authorizing{ID: "button", Type: "clicktocall"},
		First: callflow.Destination{Number: "1001"}, Second: callflow.Destination{Number: "1002"}}, func(e callflow.OriginationEvent) {
		switch e.State {
		case callflow.Bridged:
			<-begun
			time.AfterFunc(talk, o.Hangup)
		case callflow.OriginationEnded:
			var err error
			if e.Cause != call.NormalClearing {
				err = fmt.Errorf("%s", e.Cause)
			}
			done(err)
		}
	})
	close(begun)
	if err != nil {
		done(err)
	}
}

// plain makes two INVITE legs one after the other, hangs both up when they have been answered for the same time, and does
// nothing else.
func plain(agent *sipua.Agent, callee, id string, done func(error)) {
	target := call.Target{URI: "sip:callee@" + callee, Realm: "bench.example", Caller: call.Party{Number: "1000"}}
	over := sync.OnceFunc(func() { done(nil) })
	var first call.Leg
	ready := make(chan struct{})
	first = agent.Originate(id, target, answered(func() {
		<-ready
		var second call.Leg
		set := make(chan struct{})
		second = agent.Originate(id+"-b", target, answered(func() {
			<-set
			time.AfterFunc(talk, func() {
				first.Hangup(call.NormalClearing)
				second.Hangup(call.NormalClearing)
				over()
			})
		}))
		close(set)
	}))
	close(ready)
}

// answered is a sink that does something when its leg is answered. A leg posts with its lock held.
type answered func()

// Post is call.Sink's.
func (a answered) Post(_ call.Leg, e call.Event) {
	if _, ok := e.(call.Answered); ok {
		go a()
	}
}

// nowhere is a registrar.Log and a module.Locator without registrations, and a sipua.Directory without devices.
type nowhere struct{}

func (nowhere) Load(context.Context) ([]registrar.Binding, error) { return nil, nil }

func (nowhere) Save(context.Context, []registrar.Binding, []registrar.Key) error { return nil }

func (nowhere) Locate(string) []registrar.Binding { return nil }

func (nowhere) DeviceByUsername(context.Context, string, string) (bugle.Account, bugle.Device, error) {
	return bugle.Account{}, bugle.Device{}, &bugle.Error{Kind: bugle.KindNotFound}
}

func (nowhere) Password(bugle.Device) (string, error) { return "", nil }

func (nowhere) DeviceByIP(context.Context, netip.Addr) (bugle.Account, bugle.Device, error) {
	return bugle.Account{}, bugle.Device{}, &bugle.Error{Kind: bugle.KindNotFound}
}

func (nowhere) AccountByRealm(context.Context, string) (bugle.Account, error) {
	return bugle.Account{}, &bugle.Error{Kind: bugle.KindNotFound}
}

// open wires the rooms of the call path as the program does, with two extensions that lead to callee.
func open(callee string) (*sipua.Agent, *callflow.Engine, func(), error) {
	local := netip.MustParseAddr("127.0.0.1")
	engine, err := media.NewEngine(media.Options{LocalIP: local})
	if err != nil {
		return nil, nil, nil, err
	}
	docs := &callflowtest.Documents{Callflows: map[string]bugle.Callflow{}, Devices: map[string]bugle.Device{},
		Accounts: map[string]bugle.Account{callflowtest.AccountID: {ID: callflowtest.AccountID, Realm: "bench.example", Enabled: true}}}
	for _, number := range []string{"1001", "1002"} {
		docs.Devices[number] = bugle.Device{ID: number, Name: number, Enabled: true,
			SIP: bugle.DeviceSIP{InviteFormat: "route", Route: "sip:" + number + "@" + callee}}
		docs.Callflows[number] = bugle.Callflow{ID: number, Numbers: []string{number},
			Flow: bugle.Flow{Module: "device", Data: bugle.Fields{"id": []byte(`"` + number + `"`)}}}
	}
	settings := &call.Settings{Registry: call.NewRegistry(0), Ringback: []*media.Clip{media.Ringback()}, Busy: []*media.Clip{media.Busy()},
		Loopbacks: call.Sessions{Engine: engine}}
	flows := callflow.New(callflow.Options{Calls: settings, Documents: docs,
		Modules: module.All(module.Services{Documents: docs, Locator: nowhere{}})})
	phones := registrar.New(registrar.Options{Log: nowhere{}})
	agent := sipua.New(sipua.Options{Media: engine, Registrar: phones, Directory: nowhere{},
		Egress:  egress.New([]netip.Prefix{netip.PrefixFrom(local, 32)}),
		Invites: sipua.InviteHandlerFunc(func(sipua.Incoming) call.Sink { return nil })})
	settings.Originator = agent
	stack := sip.New(sip.Options{OnRequest: agent.HandleRequest, OnACK: agent.HandleACK, OnStray2xx: agent.HandleStray2xx})
	agent.Attach(stack)
	if _, err := stack.ListenUDP(context.Background(), "127.0.0.1:0"); err != nil {
		return nil, nil, nil, err
	}
	return agent, flows, func() {
		agent.Close()
		_ = stack.Close(context.Background())
		phones.Close()
		engine.Close()
	}, nil
}
