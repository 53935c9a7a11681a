package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// floor is the process that does the store's own work.
type floor struct {
	cmd      *exec.Cmd
	in       io.Closer
	tasks    *json.Encoder
	outcomes *json.Decoder
}

// startFloor starts it on a copy of the database that the server, which has ended, has left.
func (b *bench) startFloor(ctx context.Context) (_ *floor, err error) {
	at := place{Account: b.account, Flow: b.flow}
	if b.store != "" {
		at.Store, err = b.copyDatabase(ctx)
	} else {
		at.File, err = b.copyFile()
	}
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	f := &floor{cmd: exec.CommandContext(ctx, self, "-alone")}
	f.cmd.Stderr = os.Stderr
	in, err := f.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := f.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	f.in, f.tasks, f.outcomes = in, json.NewEncoder(in), json.NewDecoder(out)
	if err := f.cmd.Start(); err != nil {
		return nil, err
	}
	var ready outcome
	if err := errors.Join(f.tasks.Encode(at), f.outcomes.Decode(&ready)); err != nil {
		return nil, errors.Join(err, f.end())
	}
	return f, nil
}

func (f *floor) do(t task) (o outcome, err error) {
	err = errors.Join(f.tasks.Encode(t), f.outcomes.Decode(&o))
	return o, err
}

func (f *floor) end() error { return errors.Join(f.in.Close(), f.cmd.Wait()) }

func (b *bench) copyFile() (file string, err error) {
	file = filepath.Join(b.dir, "floor", "bugle.db")
	if err := os.Mkdir(filepath.Dir(file), 0o700); err != nil {
		return "", err
	}
	body, err := os.ReadFile(filepath.Join(b.dir, "data", "bugle.db"))
	if err != nil {
		return "", err
	}
	return file, os.WriteFile(file, body, 0o600)
}

const floorSuffix = "_floor"

// copyDatabase makes the server's database twice and returns the URL of the second.
func (b *bench) copyDatabase(ctx context.Context) (string, error) {
	u, err := url.Parse(b.store)
	if err != nil {
		return "", err
	}
	name := strings.TrimPrefix(u.Path, "/")
	if err := b.administer(ctx, `CREATE DATABASE `+pgx.Identifier{name + floorSuffix}.Sanitize()+` TEMPLATE `+pgx.Identifier{name}.Sanitize()); err != nil {
		return "", err
	}
	u.Path += floorSuffix
	return u.String(), nil
}

func (b *bench) dropCopy(ctx context.Context) error {
	u, err := url.Parse(b.store)
	if b.store == "" || err != nil {
		return err
	}
	return b.administer(ctx, `DROP DATABASE IF EXISTS `+pgx.Identifier{strings.TrimPrefix(u.Path, "/") + floorSuffix}.Sanitize())
}

func (b *bench) administer(ctx context.Context, statement string) error {
	config, err := pgx.ParseConfig(b.store)
	if err != nil {
		return err
	}
	config.Database = "template1" // the one that is always there and nobody is in
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	return errors.Join(err, conn.Close(ctx))
}

// httpAlone is what an HTTP server takes, in a process of its own, that reads the same requests and answers the same
// bytes.
func (b *bench) httpAlone(ctx context.Context, work string) (o outcome, err error) {
	file := filepath.Join(b.dir, "answer")
	if err := os.WriteFile(file, b.answers[work], 0o600); err != nil {
		return o, err
	}
	self, err := os.Executable()
	if err != nil {
		return o, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	server := exec.CommandContext(ctx, self, "-answer", file)
	server.Stderr = os.Stderr
	out, err := server.StdoutPipe()
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		return o, err
	}
	defer func() {
		cancel()
		_ = server.Wait() // killed
	}()
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return o, err
	}
	w := b.work(work)
	return load(ctx, task{Clients: w.clients, Seconds: b.seconds}, func() (float64, error) { return processCPU(server.Process.Pid) },
		func(n int64) error {
			_, err := b.askAt(ctx, strings.TrimSpace(address), w.verb, w.path, w.text(n))
			return err
		})
}

// answerAll is that server.
func answerAll(ctx context.Context, file string) error {
	debug.SetGCPercent(300)
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(text)))
		_, _ = w.Write(text)
	})}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// compared is a work that has a floor, round by round.
type compared struct {
	name          string
	aim           float64
	server, alone []float64 // CPU-seconds of 1,000
	http          float64
	serverS, ownS float64 // a second, in the last round
	ratios        []float64
}

// compare lets the server and the floor take turns, so that what else the machine does strikes both.
func (b *bench) compare(ctx context.Context, f *floor) error {
	list := []*compared{{name: listing, aim: 2}, {name: creating, aim: 1.5}, {name: patching, aim: 1.5}}
	for round := range b.rounds {
		for _, c := range list {
			w := b.work(c.name)
			o, err := b.serve(ctx, w, round)
			if err != nil {
				return err
			}
			t := task{Work: c.name, Clients: w.clients, Seconds: b.seconds}
			if c.name != listing {
				t.Rate = float64(o.Done) / o.Took // what follows the log has as much to do at once
			}
			if b.profiles != "" && round == 0 {
				t.Profile = filepath.Join(b.profiles, "floor-"+w.file()+".pprof")
			}
			own, err := f.do(t)
			if err != nil {
				return err
			}
			c.server, c.alone = append(c.server, o.each()), append(c.alone, own.each())
			c.ratios = append(c.ratios, o.each()/own.each())
			c.serverS, c.ownS = float64(o.Done)/o.Took, float64(own.Done)/own.Took
		}
	}
	for _, c := range list {
		o, err := b.httpAlone(ctx, c.name)
		if err != nil {
			return err
		}
		c.http = o.each()
	}
	fmt.Printf("\nmedians of %d rounds; CPU-seconds of 1,000\n%-18s %8s %8s %10s %10s %8s   %-19s %9s %6s\n", b.rounds, "", "server", "a second",
		"the store", "a second", "HTTP", "times the store's", "less HTTP", "aim")
	for _, c := range list {
		fmt.Printf("%-18s %8.3f %8.0f %10.3f %10.0f %8.3f   %5.2f (%.2f to %.2f) %9.2f %6.1f\n", c.name, median(c.server), c.serverS,
			median(c.alone), c.ownS, c.http, median(c.ratios), slices.Min(c.ratios), slices.Max(c.ratios),
			(median(c.server)-c.http)/median(c.alone), c.aim)
	}
	return nil
}

func median(list []float64) float64 {
	list = slices.Sorted(slices.Values(list))
	return (list[(len(list)-1)/2] + list[len(list)/2]) / 2
}
