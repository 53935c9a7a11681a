//go:build linux && (amd64 || arm64 || riscv64 || loong64)

package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// order is what a design's process is asked to do, as a line of JSON on its standard input.
type order struct {
	Work    string // "relay", "play", "hold" or "delay"
	Design  string
	Loops   int
	Streams int
	From    int // the port that the load sends from
	Sinks   int // the first of the ports that it listens on
}

// outcome is what the process measured between two lines on its standard input.
type outcome struct {
	Packets uint64
	CPU     float64 // seconds
	Mallocs uint64
	KiB     float64   // of each session, "hold" only
	Delays  []float64 // microseconds from the sender to the receiver, "delay" only, by delayShares
}

var delayShares = []struct {
	name  string
	share float64
}{{"p50", 0.5}, {"p99", 0.99}, {"p99.9", 0.999}, {"longest", 1}}

// design is a way of doing a work.
type design struct {
	name  string
	kind  string
	loops int
	floor string // the name of the design that it is compared with
}

func designs(work string) []design {
	if work == "hold" {
		return []design{{name: "bugle portable", kind: "portable"}, {name: "bugle epoll", kind: "epoll", loops: 2}}
	}
	if work == "delay" {
		return []design{
			{name: "floor epoll, 2 threads", kind: "floor", loops: 2},
			{name: "bugle portable", kind: "portable", loops: 1},
			{name: "bugle epoll, 2 loops", kind: "epoll", loops: 2},
		}
	}
	if work == "play" {
		return []design{
			{name: "floor wheel, raw sockets, 1 thread", kind: "floor", loops: 1},
			{name: "floor wheel, raw sockets, 2 threads", kind: "floor", loops: 2},
			{name: "bugle portable", kind: "portable", loops: 1},
			{name: "bugle epoll, 1 loop", kind: "epoll", loops: 1, floor: "floor wheel, raw sockets, 1 thread"},
			{name: "bugle epoll, 2 loops", kind: "epoll", loops: 2, floor: "floor wheel, raw sockets, 2 threads"},
		}
	}
	return []design{
		{name: "floor goroutine a socket", kind: "goroutine", loops: 1},
		{name: "floor epoll, 1 thread", kind: "floor", loops: 1},
		{name: "floor epoll, 2 threads", kind: "floor", loops: 2},
		{name: "bugle portable", kind: "portable", loops: 1, floor: "floor goroutine a socket"},
		{name: "bugle epoll, 1 loop", kind: "epoll", loops: 1, floor: "floor epoll, 1 thread"},
		{name: "bugle epoll, 2 loops", kind: "epoll", loops: 2, floor: "floor epoll, 2 threads"},
	}
}

func main() {
	streams := flag.Int("n", 500, "one-way streams")
	window := flag.Duration("window", 5*time.Second, "how long each measurement takes")
	rounds := flag.Int("rounds", 3, "measurements of each design")
	works := flag.String("work", "", "relay, play, hold or delay; empty for all")
	only := flag.String("only", "", "designs whose names hold this text")
	serve := flag.Bool("serve", false, "be the process that is measured")
	flag.Parse()
	if *serve {
		if err := serveOrder(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	for _, work := range []string{"relay", "play", "hold", "delay"} {
		if *works != "" && *works != work {
			continue
		}
		if err := compare(work, *only, *streams, *window, *rounds); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// compare measures every design of a work, round after round, so that a change of the machine's mood meets all alike.
func compare(work, only string, streams int, window time.Duration, rounds int) error {
	all := slices.DeleteFunc(designs(work), func(d design) bool { return !strings.Contains(d.name, only) })
	results := map[string][]outcome{}
	for range rounds {
		for _, d := range all {
			result, err := measure(order{Work: work, Design: d.kind, Loops: d.loops, Streams: streams}, window)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", work, d.name, err)
			}
			results[d.name] = append(results[d.name], result)
		}
	}
	fmt.Printf("%s: %d streams, %v, medians of %d\n", work, streams, window, rounds)
	for _, d := range all {
		if work == "hold" {
			fmt.Printf("  %-38s %6.1f KiB a session\n", d.name, median(results[d.name], func(o outcome) float64 { return o.KiB }))
			continue
		}
		if work == "delay" {
			fmt.Printf("  %-38s", d.name)
			for i, share := range delayShares {
				fmt.Printf("  %s %6.0f µs", share.name, median(results[d.name], func(o outcome) float64 { return o.Delays[i] }))
			}
			fmt.Println()
			continue
		}
		perPacket := func(o outcome) float64 { return o.CPU / float64(o.Packets) * 1e6 }
		cost := median(results[d.name], perPacket)
		fmt.Printf("  %-38s %6.2f µs a packet  %5.3f CPU-s for 1,000 stream-seconds  %6.3f allocations a packet", d.name, cost,
			cost*50/1000, median(results[d.name], func(o outcome) float64 { return float64(o.Mallocs) / float64(o.Packets) }))
		if len(results[d.floor]) > 0 {
			fmt.Printf("  %.2f x floor", cost/median(results[d.floor], perPacket))
		}
		fmt.Printf("  (%d packets)\n", int(median(results[d.name], func(o outcome) float64 { return float64(o.Packets) })))
	}
	return nil
}

func median(outcomes []outcome, value func(outcome) float64) float64 {
	var values []float64
	for _, o := range outcomes {
		values = append(values, value(o))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// measure runs one design under load.
func measure(o order, window time.Duration) (outcome, error) {
	load, err := newLoad(o.Streams, o.Work == "delay")
	if err != nil {
		return outcome{}, err
	}
	defer load.close()
	o.From, o.Sinks = load.from, load.sinks
	command := exec.Command(os.Args[0], "-serve")
	command.Stderr = os.Stderr
	in, err := command.StdinPipe()
	if err != nil {
		return outcome{}, err
	}
	out, err := command.StdoutPipe()
	if err != nil {
		return outcome{}, err
	}
	if err := command.Start(); err != nil {
		return outcome{}, err
	}
	defer command.Wait()
	defer in.Close()
	tell, answers := json.NewEncoder(in), json.NewDecoder(bufio.NewReader(out))
	var ports []int
	if err := tell.Encode(o); err != nil {
		return outcome{}, err
	}
	if err := answers.Decode(&ports); err != nil {
		return outcome{}, err
	}
	var result outcome
	var delays []float64
	if o.Work == "relay" || o.Work == "delay" {
		load.send(ports)
	}
	time.Sleep(time.Second) // until sources are learned and caches warm
	for range 2 {           // the beginning and the end of the window
		if err := tell.Encode(true); err != nil {
			return outcome{}, err
		}
		if err := answers.Decode(&result); err != nil {
			return outcome{}, err
		}
		if o.Work != "hold" && result.Packets == 0 {
			load.forget()
			time.Sleep(window)
			delays = load.percentiles()
		}
	}
	if o.Work != "hold" && load.heard() == 0 {
		return outcome{}, fmt.Errorf("nothing arrived")
	}
	result.Delays = delays
	return result, nil
}

// serveOrder is the process that is measured.
func serveOrder() error {
	orders, answers := json.NewDecoder(bufio.NewReader(os.Stdin)), json.NewEncoder(os.Stdout)
	var o order
	if err := orders.Decode(&o); err != nil {
		return err
	}
	if o.Work == "delay" {
		o.Work = "relay"
		go otherWork()
	}
	serve := serveBugle
	switch o.Design {
	case "floor", "goroutine":
		serve = serveFloor
	}
	ports, snapshot, err := serve(o)
	if err != nil {
		return err
	}
	if err := answers.Encode(ports); err != nil {
		return err
	}
	var begin *outcome
	for {
		var next bool
		if err := orders.Decode(&next); err != nil {
			return nil // the end of the input is the end of the work
		}
		now := snapshot()
		if begin == nil {
			begin = &now
			if err := answers.Encode(outcome{KiB: now.KiB}); err != nil {
				return err
			}
			continue
		}
		if err := answers.Encode(outcome{Packets: now.Packets - begin.Packets, CPU: now.CPU - begin.CPU,
			Mallocs: now.Mallocs - begin.Mallocs, KiB: now.KiB}); err != nil {
			return err
		}
	}
}

// otherWork is what else a server does: 500 requests a second, each a document of JSON that is read, changed and written.
func otherWork() {
	document := []byte(`{"id":"a","name":"Ann Lee","numbers":["1001","1002"],"flow":{"module":"user","data":{"id":"x","timeout":20},` +
		`"children":{"_":{"module":"voicemail","data":{"id":"y"},"children":{}}}}}`)
	for range time.Tick(2 * time.Millisecond) {
		go func() {
			for range 20 {
				var value map[string]any
				if json.Unmarshal(document, &value) == nil {
					value["revision"] = time.Now().String()
					_, _ = json.Marshal(value)
				}
			}
		}()
	}
}
