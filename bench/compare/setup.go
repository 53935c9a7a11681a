package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// bench is a running server with the extensions that the loads call: 1000 answers, 2000 is bridged to callee, 3000
// plays a prompt for ever, and u1000 to u1999 register.
type bench struct {
	dir       string
	scenarios string // directory of the sipp scenarios
	rtpgen    string
	floor     string
	server    *exec.Cmd
	sip       string
	http      string
	admin     string
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
	for _, build := range [][2]string{{"bugle", "./cmd/bugle"}, {"rtpgen", "./bench/rtpgen"}, {"uas", "./bench/floors/uas"}} {
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
	return b, nil
}

func (b *bench) start(ctx context.Context) error {
	b.server = exec.CommandContext(ctx, filepath.Join(b.dir, "bugle"), "serve", "--data-dir", filepath.Join(b.dir, "data"),
		"--sip", "127.0.0.1:0", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--egress-allow", "127.0.0.0/8",
		"--max-calls", "5000", "--log-level", "warn")
	b.server.Env = append(os.Environ(), "BUGLE_API_KEY="+b.apiKey, "BUGLE_ADMIN_PASSWORD="+b.apiKey[:20])
	b.server.Stderr = os.Stderr
	out, err := b.server.StdoutPipe()
	if err != nil {
		return err
	}
	if err := b.server.Start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), "bugle ready ")
		if !ok {
			continue
		}
		for _, word := range strings.Fields(rest) {
			switch name, value, _ := strings.Cut(word, "="); name {
			case "sip":
				b.sip = value
			case "http":
				b.http = value
			case "admin":
				b.admin = value
			}
		}
		go io.Copy(io.Discard, out)
		return nil
	}
	return errors.New("the server ended before it was ready")
}

func (b *bench) close() error {
	if b.server != nil && b.server.Process != nil {
		_ = b.server.Process.Signal(syscall.SIGTERM)
		_ = b.server.Wait()
	}
	return os.RemoveAll(b.dir)
}

// put sends one PUT and decodes the envelope's data into out.
func (b *bench) put(ctx context.Context, token, path string, data, out any) error {
	body, err := json.Marshal(map[string]any{"data": data})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://"+b.http+"/v2"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Auth-Token", token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var envelope struct {
		Data      json.RawMessage `json:"data"`
		AuthToken string          `json:"auth_token"`
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusCreated && resp.StatusCode != http.StatusOK {
		return fmt.Errorf("PUT %s: %s: %s", path, resp.Status, text)
	}
	if err := json.Unmarshal(text, &envelope); err != nil {
		return err
	}
	if token, ok := out.(*string); ok && path == "/api_auth" {
		*token = envelope.AuthToken
		return nil
	}
	return json.Unmarshal(envelope.Data, out)
}

func (b *bench) provision(ctx context.Context) error {
	var token string
	if err := b.put(ctx, "", "/api_auth", map[string]any{"api_key": b.apiKey}, &token); err != nil {
		return err
	}
	var root struct {
		ID string `json:"account_id"`
	}
	if err := b.put(ctx, token, "/api_auth", map[string]any{"api_key": b.apiKey}, &root); err != nil {
		return err
	}
	var id struct {
		ID string `json:"id"`
	}
	type object = map[string]any
	create := func(kind string, document object) error {
		return b.put(ctx, token, "/accounts/"+root.ID+kind, document, &id)
	}
	if err := create("", object{"name": "bench", "realm": "bench.example"}); err != nil {
		return err
	}
	root.ID = id.ID
	if err := create("/devices", object{"name": "caller", "sip": object{"method": "ip", "ip": "127.0.0.1"}}); err != nil {
		return err
	}
	if err := create("/devices", object{"name": "callee", "sip": object{"username": "callee", "password": "not-registered",
		"invite_format": "route", "route": "sip:callee@" + b.callee}}); err != nil {
		return err
	}
	callee := id.ID
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
