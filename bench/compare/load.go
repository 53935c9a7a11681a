package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// processCPU returns the user and system seconds of a process, from /proc.
func processCPU(pid int) (float64, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return float64(user+system) / 100, nil
}

// profile takes a CPU profile of the server into directory/work.pprof while it works, and returns what waits for it. An
// empty directory takes none.
func (b *bench) profile(ctx context.Context, directory, work string) func() error {
	if directory == "" {
		return func() error { return nil }
	}
	done := make(chan error, 1)
	go func() {
		done <- func() error {
			url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", b.server.Admin, b.seconds)
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
			if err != nil {
				return err
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			file, err := os.Create(filepath.Join(directory, work+".pprof"))
			if err != nil {
				return err
			}
			_, err = io.Copy(file, resp.Body)
			return errors.Join(err, file.Close())
		}()
	}()
	return func() error { return <-done }
}

func freePort() (int, error) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port, nil
}

// sipp runs one scenario to its end against server and returns the CPU-seconds of pid for 1,000 successful calls.
func (b *bench) sipp(ctx context.Context, server string, pid int, scenario, extension string, rate int, more ...string) (float64, string, error) {
	port, err := freePort()
	if err != nil {
		return 0, "", err
	}
	dir, err := os.MkdirTemp(b.dir, "sipp")
	if err != nil {
		return 0, "", err
	}
	calls := rate * b.seconds
	stat := filepath.Join(dir, "stat.csv")
	args := append([]string{server, "-i", "127.0.0.1", "-p", strconv.Itoa(port), "-sf", filepath.Join(b.scenarios, scenario),
		"-s", extension, "-r", strconv.Itoa(rate), "-m", strconv.Itoa(calls), "-l", "3000", "-d", "0", "-nostdin",
		"-trace_stat", "-stf", stat, "-fd", "3600", "-timeout", strconv.Itoa(b.seconds + 40), "-timeout_error"}, more...)
	cmd := exec.CommandContext(ctx, "sipp", args...)
	cmd.Dir = dir
	before, err := processCPU(pid)
	if err != nil {
		return 0, "", err
	}
	runErr := cmd.Run() // exits non-zero when a call failed; the counts say how many
	time.Sleep(2 * time.Second)
	after, err := processCPU(pid)
	if err != nil {
		return 0, "", err
	}
	ok, failed, err := counts(stat)
	if err != nil {
		return 0, "", errors.Join(runErr, err)
	}
	if ok < calls*99/100 {
		return 0, "", fmt.Errorf("%s: %d of %d calls succeeded, %d failed (%v)", scenario, ok, calls, failed, runErr)
	}
	return (after - before) / float64(ok) * 1000, fmt.Sprintf("%d/s, %d calls, %d failed", rate, ok, failed), nil
}

func counts(stat string) (ok, failed int, err error) {
	file, err := os.Open(stat)
	if err != nil {
		return 0, 0, err
	}
	defer file.Close()
	r := csv.NewReader(file)
	r.Comma, r.FieldsPerRecord = ';', -1
	rows, err := r.ReadAll()
	if err != nil || len(rows) < 2 {
		return 0, 0, fmt.Errorf("sipp wrote no counts: %w", err)
	}
	for i, name := range rows[0] {
		n, _ := strconv.Atoi(rows[len(rows)-1][i])
		switch name {
		case "SuccessfulCall(C)":
			ok = n
		case "FailedCall(C)":
			failed = n
		}
	}
	return ok, failed, nil
}

// rtp runs the RTP load generator and returns what it printed.
func (b *bench) rtp(ctx context.Context, args ...string) (map[string]any, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	args = append([]string{"-target", b.server.SIP.String(), "-local", fmt.Sprintf("127.0.0.1:%d", port), "-pid", strconv.Itoa(b.server.PID)}, args...)
	var complaint bytes.Buffer
	cmd := exec.CommandContext(ctx, b.rtpgen, args...)
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("rtpgen %v: %w: %s", args, err, complaint.String())
	}
	line, _, _ := bytes.Cut(bytes.TrimSpace(out), []byte("\n"))
	var result map[string]any
	if err := json.Unmarshal(line, &result); err != nil {
		return nil, fmt.Errorf("rtpgen printed %q: %w", out, err)
	}
	return result, nil
}
