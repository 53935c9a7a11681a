package clients

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"bugle/internal/bugletest"
)

// TestRingCentralRestarts: the program is killed, and ended, and begins anew: RingCentral's packages come back by themselves and miss nothing.
func TestRingCentralRestarts(t *testing.T) {
	t.Parallel()
	account(t, "Restarts") // builds the program
	address, server := waitingProxy(t)
	dir := t.TempDir()
	start := func() *bugletest.Program {
		t.Helper()
		p, err := bugletest.StartProgram(t.Context(), bugletest.ProgramOptions{Path: filepath.Join(serving.dir, "bugle"), DataDir: filepath.Join(dir, "data"),
			Environment: []string{"BUGLE_API_KEY=" + apiKey, "HOME=" + dir}, Arguments: []string{"--http", "127.0.0.1:0", "--drain", "1s"}})
		if err != nil {
			t.Fatal(err)
		}
		server.Store(&p.HTTP)
		return p
	}
	program := start()
	defer func() {
		if _, err := program.End(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
	}()
	api := bugletest.NewAPI("http://"+address, nil)
	if err := api.LoginKey(t.Context(), apiKey); err != nil {
		t.Fatal(err)
	}
	company, err := api.Create(t.Context(), "/accounts", map[string]any{"name": "Restarts"})
	if err != nil {
		t.Fatal(err)
	}
	api = api.For(company)
	var user, app, credential struct {
		ID     string `json:"id"`
		Secret string `json:"client_secret"`
		JWT    string `json:"jwt"`
	}
	for _, make := range []struct {
		path string
		doc  map[string]any
		made any
	}{{"users", map[string]any{"first_name": "Bob"}, &user}, {"oauth_apps", map[string]any{"name": "CRM"}, &app}} {
		if err := api.Do(t.Context(), "PUT", api.Account(make.path), make.doc, make.made); err != nil {
			t.Fatal(err)
		}
	}
	if err := api.Do(t.Context(), "PUT", api.Account("users/"+user.ID+"/jwt_credentials"), map[string]any{"name": "x"}, &credential); err != nil {
		t.Fatal(err)
	}
	var errors bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "node", "restart.mjs")
	cmd.Dir, cmd.Stderr = node(t, "restart.mjs"), &errors
	cmd.Env = append(os.Environ(), "BUGLE_URL=http://"+address, "API_KEY="+apiKey, "BUGLE_ACCOUNT="+company, "BUGLE_USER="+user.ID, "CLIENT_ID="+app.ID,
		"CLIENT_SECRET="+app.Secret, "JWT="+credential.JWT)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	signals := map[string]os.Signal{"KILL": syscall.SIGKILL, "TERM": syscall.SIGTERM}
	said := []string{}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		said = append(said, lines.Text())
		how, restart := strings.CutPrefix(lines.Text(), "restart ")
		if !restart {
			continue
		}
		server.Store(nil)
		_, _ = program.End(signals[how]) // the state of a process that was killed is an error
		program = start()
		if _, err := fmt.Fprintln(in, "up"); err != nil {
			t.Error(err)
		}
	}
	if err := cmd.Wait(); err != nil || len(said) != 3 || said[2] != "restart: ok" {
		t.Errorf("%v %q\n%s", err, said, &errors)
	}
}

// waitingProxy listens for as long as the test runs and hands connections on to the server's address, when there is one: the packages let the
// error of a connection that is refused through, so that a program of theirs ends.
func waitingProxy(t *testing.T) (address string, server *atomic.Pointer[string]) {
	t.Helper()
	server = &atomic.Pointer[string]{}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { handOn(ctx, client, server) })
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = listener.Close()
		running.Wait()
	})
	return listener.Addr().String(), server
}

func handOn(ctx context.Context, client net.Conn, server *atomic.Pointer[string]) {
	defer client.Close()
	for ctx.Err() == nil {
		if to := server.Load(); to != nil {
			if behind, err := net.Dial("tcp", *to); err == nil {
				defer context.AfterFunc(ctx, func() { _ = behind.Close() })()
				go func() {
					_, _ = io.Copy(behind, client)
					_ = behind.Close()
				}()
				_, _ = io.Copy(client, behind)
				_ = behind.Close()
				return
			}
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}
