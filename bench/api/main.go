// Command api measures the HTTP API: requests a second, and CPU-seconds of the server process for 1,000 of them, beside
// two floors in the same run: what the store alone takes for its own list of 50 and its own transactions, on a copy of the very
// same database with the same readers of its log, by turns with the server; and what an HTTP server takes that does nothing
// but answer the same bytes.
//
//	go run ./bench/api
//	go run ./bench/api -store postgres://user@/database?host=/run/postgresql
//
// On PostgreSQL the floor has a database of its own, made as a copy and dropped at the end: the role must be allowed to.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
)

func main() {
	var o options
	flag.StringVar(&o.store, "store", "", "URL of an empty PostgreSQL database; SQLite without it")
	flag.IntVar(&o.users, "users", 20_000, "users of the account")
	flag.IntVar(&o.clients, "clients", 4, "clients at once")
	flag.IntVar(&o.seconds, "seconds", 3, "seconds of each work in each round")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds of what has a floor, of which medians are told")
	flag.StringVar(&o.profiles, "profiles", "", "directory for CPU profiles of the server and of the floor in each work")
	answer := flag.String("answer", "", "be the HTTP server that answers every request with this file, and nothing else")
	alone := flag.Bool("alone", false, "be the store's floor, told what to do on standard input")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	run := func() error { return measure(ctx, o) }
	switch {
	case *answer != "":
		run = func() error { return answerAll(ctx, *answer) }
	case *alone:
		run = func() error { return beAlone(ctx, os.Stdin, os.Stdout) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
