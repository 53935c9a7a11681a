package clients

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"bugle/internal/bugletest"
)

const apiKey = "76543210fedcba9876543210fedcba9876543210fedcba9876543210fedcba98"

// serving is the one `bugle serve` that all tests use, each with an account of its own.
var serving struct {
	*bugletest.Program
	once sync.Once
	err  error
	dir  string
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(served{m}) }

// served are the tests and, after them, the end of the server that they used.
type served struct{ m *testing.M }

// Run implements goleak.TestingM.
func (s served) Run() int {
	status := s.m.Run()
	if serving.Program != nil {
		if err := serving.Panics(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
		if _, err := serving.End(syscall.SIGTERM); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
	}
	if serving.dir != "" {
		os.RemoveAll(serving.dir)
	}
	return status
}

// account makes an account of its own for a test on the running server, with a client that is logged in.
func account(t *testing.T, name string) *bugletest.API {
	t.Helper()
	serving.once.Do(func() {
		if serving.dir, serving.err = os.MkdirTemp("", "bugle-clients-"); serving.err != nil {
			return
		}
		binary := filepath.Join(serving.dir, "bugle")
		if serving.err = bugletest.BuildProgram(context.Background(), binary); serving.err != nil {
			return
		}
		serving.Program, serving.err = bugletest.StartProgram(context.Background(), bugletest.ProgramOptions{Path: binary,
			DataDir: filepath.Join(serving.dir, "data"), Environment: []string{"BUGLE_API_KEY=" + apiKey, "HOME=" + serving.dir},
			// All visitors of all tests have one address.
			Arguments: []string{"--connects-per-address", "60", "--connects-per-endpoint", "200", "--api-anonymous-per-minute", "5000", "--drain", "1s",
				"--egress-allow", "127.0.0.1/32", "--ringcentral-rates", "light=1000,medium=1000,heavy=1000,auth=1000"}})
	})
	if serving.err != nil {
		t.Fatal(serving.err)
	}
	api := bugletest.NewAPI("http://"+serving.HTTP, nil)
	if err := api.LoginKey(t.Context(), apiKey); err != nil {
		t.Fatal(err)
	}
	id, err := api.Create(t.Context(), "/accounts", map[string]any{"name": name})
	if err != nil {
		t.Fatal(err)
	}
	return api.For(id)
}

// key is the API key of an account.
func key(t *testing.T, api *bugletest.API) string {
	t.Helper()
	var out struct {
		Key string `json:"api_key"`
	}
	if err := api.Do(t.Context(), "GET", api.Account("api_key"), nil, &out); err != nil {
		t.Fatal(err)
	}
	return out.Key
}

var installed struct {
	once sync.Once
	err  error
}

// node is a directory with the given files of this one, in which what package-lock.json pins is installed.
func node(t *testing.T, files ...string) string {
	t.Helper()
	const tools = "../../.tools/clients"
	installed.once.Do(func() { installed.err = install(tools) })
	if installed.err != nil {
		t.Fatal(installed.err)
	}
	modules, err := filepath.Abs(filepath.Join(tools, "node_modules"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, "package.json") {
		if err := copyFile(filepath.Join(dir, filepath.Base(file)), file); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// install brings .tools/clients to what the lock file says, unless it is there already.
func install(tools string) error {
	want, err := os.ReadFile("package-lock.json")
	if err != nil {
		return err
	}
	done := filepath.Join(tools, "installed.json")
	if have, err := os.ReadFile(done); err == nil && bytes.Equal(have, want) {
		return nil
	}
	if err := os.MkdirAll(tools, 0o755); err != nil {
		return err
	}
	for _, file := range []string{"package.json", "package-lock.json", ".npmrc"} {
		if err := copyFile(filepath.Join(tools, file), file); err != nil {
			return err
		}
	}
	cmd := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = tools
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	return os.WriteFile(done, want, 0o644)
}

func copyFile(to, from string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o644)
}

// run runs a program of the directory and returns what it wrote.
func run(t *testing.T, dir string, environment []string, program string, arguments ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, arguments...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), environment...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", program, arguments, err, out)
	}
	return string(out)
}
