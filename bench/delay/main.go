// Command delay measures what bugle's relay adds to the way of a packet: bridged calls with audio both ways, first on a
// quiet server and then while its API serves requests, beside a floor in the same run, a program that does nothing but
// forward. The delay is from just before the sender's system call to the kernel's time of arrival, so that it holds
// nothing of the load generator's own. Run it from the module's root:
//
//	go run ./bench/delay -calls 200 -requests 500 -repeat 5
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"bugle/internal/bugletest"
)

type settings struct {
	calls, requests, repeat int
	window                  time.Duration
	environment, only       string
}

func main() {
	var s settings
	flag.IntVar(&s.calls, "calls", 200, "bridged calls")
	flag.IntVar(&s.requests, "requests", 500, "requests of the API a second, while it serves")
	flag.IntVar(&s.repeat, "repeat", 5, "rounds; medians are printed")
	flag.DurationVar(&s.window, "window", 10*time.Second, "length of a measurement")
	flag.StringVar(&s.environment, "environment", "", "variables of the server, comma-separated: GOGC=100,GOMAXPROCS=2")
	flag.StringVar(&s.only, "only", "", "measure only the rows whose names hold this text")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, "delay:", err)
		os.Exit(1)
	}
}

// bench is a running server with an extension 2000 that is bridged to callee.
type bench struct {
	settings
	dir     string
	server  *bugletest.Program
	api     *bugletest.API
	account string
	callee  string
}

// measured is one run of the load generator.
type measured struct {
	P50     float64 `json:"delay_ms_p50"`
	P99     float64 `json:"delay_ms_p99"`
	P999    float64 `json:"delay_ms_p999"`
	Max     float64 `json:"delay_ms_max"`
	Lost    float64 `json:"lost"`
	Sent    float64 `json:"tx"`
	StillUp int     `json:"still_up"`
}

func run(ctx context.Context, s settings) (err error) {
	b := &bench{settings: s}
	if b.dir, err = os.MkdirTemp("", "bugle-delay"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if err := b.start(ctx); err != nil {
		return err
	}
	defer b.server.End(syscall.SIGTERM)
	rows := []string{"floor, quiet", "bugle, quiet", "floor, API serving", "bugle, API serving"}
	rows = slices.DeleteFunc(rows, func(row string) bool { return !strings.Contains(row, s.only) })
	results := map[string][]measured{}
	var served []load
	for range s.repeat { // they take turns, so that all see the same neighbours
		for _, row := range rows {
			end := func() load { return load{} }
			if strings.HasSuffix(row, "serving") {
				end = b.serve(ctx)
			}
			measure := b.bugle
			if strings.HasPrefix(row, "floor") {
				measure = b.floor
			}
			m, err := measure(ctx)
			if l := end(); l.sent > 0 {
				served = append(served, l)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", row, err)
			}
			if m.StillUp != s.calls {
				return fmt.Errorf("%s: %d of %d calls were up at the end", row, m.StillUp, s.calls)
			}
			results[row] = append(results[row], m)
		}
	}
	b.print(rows, results, served)
	return nil
}

func (b *bench) print(rows []string, results map[string][]measured, served []load) {
	fmt.Printf("%d calls, %v, medians of %d\n\n| ms | p50 | p99 | p99.9 | longest | lost |\n|---|---|---|---|---|---|\n", b.calls, b.window, b.repeat)
	values := func(row string) (out [5]float64) {
		for i, of := range []func(measured) float64{func(m measured) float64 { return m.P50 }, func(m measured) float64 { return m.P99 },
			func(m measured) float64 { return m.P999 }, func(m measured) float64 { return m.Max }, func(m measured) float64 { return m.Lost }} {
			out[i] = median(results[row], of)
		}
		return out
	}
	line := func(name string, v [5]float64) {
		fmt.Printf("| %s | %.2f | %.2f | %.2f | %.2f | %.0f |\n", name, v[0], v[1], v[2], v[3], v[4])
	}
	for _, row := range rows {
		line(row, values(row))
	}
	for _, how := range []string{", quiet", ", API serving"} {
		if len(results["floor"+how]) == 0 || len(results["bugle"+how]) == 0 {
			continue
		}
		floor, bugle := values("floor"+how), values("bugle"+how)
		for i := range bugle {
			bugle[i] -= floor[i]
		}
		line("added"+how, bugle)
	}
	fmt.Println()
	for _, row := range rows {
		fmt.Printf("p99 of each round, %s:", row)
		for _, m := range results[row] {
			fmt.Printf(" %.2f", m.P99)
		}
		fmt.Println()
	}
	for _, l := range served {
		fmt.Println("API:", l)
	}
}

func median[T any](list []T, value func(T) float64) float64 {
	var values []float64
	for _, v := range list {
		values = append(values, value(v))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

func (b *bench) start(ctx context.Context) error {
	if err := bugletest.BuildProgram(ctx, filepath.Join(b.dir, "bugle")); err != nil {
		return err
	}
	for _, name := range []string{"rtpgen", "floors/relay"} {
		out, err := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(b.dir, filepath.Base(name)), "./bench/"+name).CombinedOutput()
		if err != nil {
			return fmt.Errorf("go build ./bench/%s: %w: %s", name, err, out)
		}
	}
	secret := make([]byte, 32)
	rand.Read(secret)
	key := hex.EncodeToString(secret)
	environment := append(os.Environ(), "BUGLE_API_KEY="+key, "BUGLE_ADMIN_PASSWORD="+key[:20])
	if b.environment != "" {
		environment = append(environment, strings.Split(b.environment, ",")...)
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	b.callee = fmt.Sprintf("127.0.0.1:%d", port)
	b.server, err = bugletest.StartProgram(ctx, bugletest.ProgramOptions{Path: filepath.Join(b.dir, "bugle"), Stderr: os.Stderr,
		DataDir: filepath.Join(b.dir, "data"), Environment: environment, Arguments: []string{"--log-level", "warn"}})
	if err != nil {
		return err
	}
	b.api = bugletest.NewAPI("http://"+b.server.HTTP, client())
	return errors.Join(b.api.LoginKey(ctx, key), b.provision(ctx))
}

func freePort() (int, error) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port, nil
}

func (b *bench) bugle(ctx context.Context) (measured, error) {
	port, err := freePort()
	if err != nil {
		return measured{}, err
	}
	return b.rtpgen(ctx, "-mode", "bridge", "-target", b.server.SIP.String(), "-local", fmt.Sprintf("127.0.0.1:%d", port),
		"-callee", b.callee, "-ext", "2000", "-rate", "50")
}

func (b *bench) floor(ctx context.Context) (measured, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(b.dir, "relay"), "-n", strconv.Itoa(b.calls))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return measured{}, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return measured{}, err
	}
	if err := cmd.Start(); err != nil {
		return measured{}, err
	}
	defer cmd.Wait()
	defer in.Close() // ends it
	var first int
	if _, err := fmt.Fscanln(out, &first); err != nil {
		return measured{}, fmt.Errorf("the floor told no port: %w", err)
	}
	port, err := freePort()
	if err != nil {
		return measured{}, err
	}
	return b.rtpgen(ctx, "-mode", "forward", "-ports", strconv.Itoa(first), "-local", fmt.Sprintf("127.0.0.1:%d", port))
}

func (b *bench) rtpgen(ctx context.Context, args ...string) (m measured, err error) {
	args = append(args, "-n", strconv.Itoa(b.calls), "-dur", b.window.String(), "-settle", "2s", "-kernel-time")
	var complaint bytes.Buffer
	cmd := exec.CommandContext(ctx, filepath.Join(b.dir, "rtpgen"), args...)
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return m, fmt.Errorf("rtpgen %v: %w: %s", args, err, complaint.String())
	}
	if err := json.Unmarshal(out, &m); err != nil {
		return m, fmt.Errorf("rtpgen printed %q: %w", out, err)
	}
	if m.Sent == 0 || m.P50 == 0 {
		return m, fmt.Errorf("rtpgen measured nothing: %s", out)
	}
	return m, nil
}
