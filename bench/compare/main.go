// Command compare measures bugle beside the floor programs in one run: answered and bridged calls, registrations,
// relayed and played audio, and the memory of held calls. It starts everything itself, on loopback, and every load is
// bounded. Run it from the module's root: go run ./bench/compare -h
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
)

// figure is one measured number of one program.
type figure struct {
	work    string
	program string
	unit    string
	runs    []float64
	note    string
}

func (f figure) median() float64 {
	sorted := slices.Clone(f.runs)
	slices.Sort(sorted)
	return sorted[len(sorted)/2]
}

func main() {
	works := flag.String("works", "answered,bridged,register,relay,prompt,hold", "what to measure, comma-separated")
	repeat := flag.Int("repeat", 3, "runs of each; medians are printed")
	seconds := flag.Int("seconds", 10, "length of a run")
	answerRate := flag.Int("answer-rate", 100, "answered calls a second")
	bridgeRate := flag.Int("bridge-rate", 50, "bridged calls a second")
	profile := flag.String("profile", "", "directory to write a CPU profile of the server to, for each work")
	flag.Parse()
	if err := run(*works, *profile, *repeat, *seconds, *answerRate, *bridgeRate); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func run(works, profile string, repeat, seconds, answerRate, bridgeRate int) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	b, err := prepare(ctx, seconds)
	if err != nil {
		return err
	}
	defer b.close()
	b.answerRate, b.bridgeRate = answerRate, bridgeRate
	all := map[string][]func(context.Context) (figure, error){
		"answered": {b.answeredFloor, b.answered},
		"bridged":  {b.bridged},
		"register": {b.registered},
		"relay":    {b.relayed},
		"prompt":   {b.prompted},
		"hold":     {b.held, b.heldBridged},
	}
	var figures []figure
	for _, work := range strings.Split(works, ",") {
		measures, ok := all[work]
		if !ok {
			return fmt.Errorf("unknown work %q", work)
		}
		sum := make([]figure, len(measures))
		profiled := b.profile(ctx, profile, work)
		for range repeat { // floor and server take turns, so that both see the same neighbours
			for i, measure := range measures {
				f, err := measure(ctx)
				if err != nil {
					return fmt.Errorf("%s: %w", work, err)
				}
				f.runs = append(sum[i].runs, f.runs...)
				sum[i] = f
			}
		}
		figures = append(figures, sum...)
		if err := profiled(); err != nil {
			return err
		}
	}
	fmt.Println("| work | program | median | min | max | unit | note |\n|---|---|---|---|---|---|---|")
	for _, f := range figures {
		fmt.Printf("| %s | %s | %.3g | %.3g | %.3g | %s | %s |\n", f.work, f.program, f.median(), slices.Min(f.runs),
			slices.Max(f.runs), f.unit, f.note)
	}
	return nil
}
