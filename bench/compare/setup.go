package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"bugle/internal/bugletest"
)

// bench is a running server with the extensions that the loads call: 1000 answers, 2000 is bridged to callee, 3000
// plays a prompt for ever, and u1000 to u1999 register.
type bench struct {
	dir       string
	scenarios string // directory of the sipp scenarios
	rtpgen    string
	floor     string
	server    *bugletest.Program
	callee    string
	seconds   int
	apiKey    string

	answerRate, bridgeRate int // calls a second
}

func prepare(ctx context.Context, seconds int) (*bench, error) {
	dir, err := os.MkdirTemp("", "bugle-bench")
	if err != nil {
		return nil, err
	}
	scenarios, err := filepath.Abs("bench/sipp")
	if err != nil {
		return nil, err
	}
	key := make([]byte, 32)
	rand.Read(key)
	b := &bench{dir: dir, scenarios: scenarios, rtpgen: filepath.Join(dir, "rtpgen"), floor: filepath.Join(dir, "uas"),
		seconds: seconds, apiKey: hex.EncodeToString(key)}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	b.callee = fmt.Sprintf("127.0.0.1:%d", port)
	if err := bugletest.BuildProgram(ctx, filepath.Join(dir, "bugle")); err != nil {
		return nil, err
	}
	for _, build := range [][2]string{{"rtpgen", "./bench/rtpgen"}, {"uas", "./bench/floors/uas"}} {
		if out, err := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(dir, build[0]), build[1]).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("go build %s: %w: %s", build[1], err, out)
		}
	}
	if err := b.start(ctx); err != nil {
		return nil, errors.Join(err, b.close())
	}
	if err := b.provision(ctx); err != nil {
		return nil, errors.Join(err, b.close())
	}
	// The other servers read their configuration at their start; so does this one.
	b.stop()
	if err := b.start(ctx); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

func (b *bench) start(ctx context.Context) (err error) {
	b.server, err = bugletest.StartProgram(ctx, bugletest.ProgramOptions{Path: filepath.Join(b.dir, "bugle"),
		DataDir: filepath.Join(b.dir, "data"), Stderr: os.Stderr, Arguments: []string{"--max-calls", "5000", "--log-level", "warn"},
		Environment: append(os.Environ(), "BUGLE_API_KEY="+b.apiKey, "BUGLE_ADMIN_PASSWORD="+b.apiKey[:20])})
	return err
}

func (b *bench) stop() {
	if b.server != nil {
		_, _ = b.server.End(syscall.SIGTERM)
	}
}

func (b *bench) close() error {
	b.stop()
	return os.RemoveAll(b.dir)
}

func (b *bench) provision(ctx context.Context) error {
	api := bugletest.NewAPI("http://"+b.server.HTTP, nil)
	if err := api.LoginKey(ctx, b.apiKey); err != nil {
		return err
	}
	type object = map[string]any
	account, err := api.Create(ctx, "/accounts/"+api.AccountID, object{"name": "bench", "realm": "bench.example"})
	if err != nil {
		return err
	}
	var id string
	create := func(kind string, document object) (err error) {
		id, err = api.Create(ctx, "/accounts/"+account+kind, document)
		return err
	}
	if err := create("/devices", object{"name": "caller", "sip": object{"method": "ip", "ip": "127.0.0.1"}}); err != nil {
		return err
	}
	if err := create("/devices", object{"name": "callee", "sip": object{"username": "callee", "password": "not-registered",
		"invite_format": "route", "route": "sip:callee@" + b.callee}}); err != nil {
		return err
	}
	callee := id
	wait := object{"module": "wait_for_hangup", "data": object{}, "children": object{}}
	for number, flow := range map[string]object{
		"1000": {"module": "answer", "data": object{}, "children": object{"_": wait}},
		"2000": {"module": "device", "data": object{"id": callee, "timeout": 30}, "children": object{}},
		"3000": {"module": "play", "data": object{"id": "prompt://system_media/dir-enter_person_name", "endless_playback": true}, "children": object{}},
	} {
		if err := create("/callflows", object{"numbers": []string{number}, "flow": flow}); err != nil {
			return err
		}
	}
	for i := 1000; i < 2000; i++ {
		if err := create("/devices", object{"name": fmt.Sprintf("u%d", i), "sip": object{"username": fmt.Sprintf("u%d", i),
			"password": fmt.Sprintf("secret%d", i)}}); err != nil {
			return err
		}
	}
	return nil
}

// answering starts sipp as the callee and returns what ends it.
func (b *bench) answering(ctx context.Context) (func(), error) {
	host, port, _ := strings.Cut(b.callee, ":")
	cmd := exec.CommandContext(ctx, "sipp", "-i", host, "-p", port, "-sf", filepath.Join(b.scenarios, "uas_answer.xml"),
		"-nostdin", "-timeout", "600")
	cmd.Dir = b.dir
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	time.Sleep(700 * time.Millisecond) // sipp does not say when it listens
	return func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}, nil
}
