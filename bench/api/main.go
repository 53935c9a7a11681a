// Command api measures the HTTP API: requests a second, and CPU-seconds of the server process for 1,000 of them, beside
// what the store alone takes for its own list of 50 and its own transaction on the same documents in the same run.
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
	flag.StringVar(&o.storeFloor, "store-floor", "", "URL of another empty database, for what the store alone takes; with -store")
	flag.IntVar(&o.users, "users", 20_000, "users of the account")
	flag.IntVar(&o.clients, "clients", 4, "clients at once")
	flag.IntVar(&o.seconds, "seconds", 5, "seconds of each work")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := measure(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
