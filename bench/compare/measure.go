package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

const perCalls = "CPU-s per 1,000"

func (b *bench) answeredFloor(ctx context.Context) (figure, error) {
	port, err := freePort()
	if err != nil {
		return figure{}, err
	}
	listen := fmt.Sprintf("127.0.0.1:%d", port)
	floor := exec.CommandContext(ctx, b.floor, "-listen", listen)
	if err := floor.Start(); err != nil {
		return figure{}, err
	}
	defer func() {
		_ = floor.Process.Signal(syscall.SIGTERM)
		_ = floor.Wait()
	}()
	time.Sleep(300 * time.Millisecond)
	cpu, note, err := b.sipp(ctx, listen, floor.Process.Pid, "uac_call.xml", "1000", b.answerRate)
	return figure{work: "answered calls", program: "floor", unit: perCalls, runs: []float64{cpu}, note: note}, err
}

func (b *bench) answered(ctx context.Context) (figure, error) {
	cpu, note, err := b.sipp(ctx, b.server.SIP.String(), b.server.PID, "uac_call.xml", "1000", b.answerRate)
	return figure{work: "answered calls", program: "bugle", unit: perCalls, runs: []float64{cpu}, note: note}, err
}

func (b *bench) bridged(ctx context.Context) (figure, error) {
	stop, err := b.answering(ctx)
	if err != nil {
		return figure{}, err
	}
	defer stop()
	cpu, note, err := b.sipp(ctx, b.server.SIP.String(), b.server.PID, "uac_call.xml", "2000", b.bridgeRate)
	return figure{work: "bridged calls", program: "bugle", unit: perCalls, runs: []float64{cpu}, note: note}, err
}

func (b *bench) registered(ctx context.Context) (figure, error) {
	cpu, note, err := b.sipp(ctx, b.server.SIP.String(), b.server.PID, "register.xml", "x", 100, "-inf", filepath.Join(b.scenarios, "users.csv"))
	return figure{work: "digest registrations", program: "bugle", unit: perCalls, runs: []float64{cpu}, note: note}, err
}

func (b *bench) relayed(ctx context.Context) (figure, error) {
	return b.media(ctx, "relayed stream-seconds", "cpu_s_per_1000_stream_s", perCalls, "-mode", "bridge", "-ext", "2000", "-callee", b.callee, "-n", "200", "-rate", "20")
}

func (b *bench) prompted(ctx context.Context) (figure, error) {
	return b.media(ctx, "played call-seconds", "cpu_s_per_1000_call_s", perCalls, "-mode", "listen", "-ext", "3000", "-n", "200", "-rate", "20")
}

func (b *bench) held(ctx context.Context) (figure, error) {
	return b.media(ctx, "held call", "rss_kib_per_call", "KiB", "-mode", "hold", "-ext", "1000", "-n", "500", "-rate", "50")
}

func (b *bench) heldBridged(ctx context.Context) (figure, error) {
	return b.media(ctx, "held bridged call", "rss_kib_per_call", "KiB", "-mode", "hold", "-ext", "2000", "-callee", b.callee, "-n", "250", "-rate", "40")
}

func (b *bench) media(ctx context.Context, work, key, unit string, args ...string) (figure, error) {
	result, err := b.rtp(ctx, append(args, "-dur", strconv.Itoa(b.seconds)+"s")...)
	if err != nil {
		return figure{}, err
	}
	value, ok := result[key].(float64)
	if !ok {
		return figure{}, fmt.Errorf("%s: %v", work, result)
	}
	note := fmt.Sprintf("up %v of %v", result["still_up"], result["calls"])
	if delay, ok := result["delay_ms_p99"]; ok {
		note += fmt.Sprintf(", delay p99 %v ms, lost %v", delay, result["lost"])
	}
	return figure{work: work, program: "bugle", unit: unit, runs: []float64{value}, note: note}, nil
}
