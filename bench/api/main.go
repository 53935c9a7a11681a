// Command api measures the HTTP API: requests a second, and CPU-seconds of the server process for 1,000 of them, beside
// two floors in the same run: what the store alone takes for its own list of 50 and its own transactions, on the very same
// documents with the same readers of its log, and what an HTTP server takes that does nothing but answer the same bytes.
//
//	go run ./bench/api
//	go run ./bench/api -store postgres://user@/database?host=/run/postgresql
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
	flag.IntVar(&o.seconds, "seconds", 5, "seconds of each work")
	answer := flag.String("answer", "", "be the HTTP server that answers every request with this file, and nothing else")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	run := func() error { return measure(ctx, o) }
	if *answer != "" {
		run = func() error { return answerAll(ctx, *answer) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
