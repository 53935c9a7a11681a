package kazoo_test

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"bugle/internal/egress"
	"bugle/internal/event/kazoo"
	"bugle/internal/event/webhook"
	"bugle/internal/store"
	"bugle/internal/store/pgtest"
)

var killRounds = flag.Int("kill-rounds", 6, "how often the server is killed, on each database; 200 have been seen to lose nothing")

func openStore(ctx context.Context, where string) (*store.Store, error) {
	if store.IsPostgres(where) {
		return store.OpenPostgres(ctx, where, store.Options{})
	}
	return store.OpenSQLite(ctx, filepath.Join(where, "bugle.db"), store.Options{})
}

// running is what serves webhooks on a store.
type running struct {
	s      *store.Store
	hooks  *kazoo.Hooks
	engine *webhook.Engine
	sender *webhook.Sender
}

func serve(ctx context.Context, where string) (*running, error) {
	s, err := openStore(ctx, where)
	if err != nil {
		return nil, err
	}
	networks, err := egress.ParseNetworks("127.0.0.0/8")
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	hooks, err := kazoo.Start(ctx, kazoo.Options{Store: s, Documents: s, Cluster: "c1", Log: log, Disable: func(ctx context.Context, accountID, id, reason string) error {
		return s.Write(ctx, func(tx *store.Tx) error {
			d, err := tx.Get(accountID, "webhook", id)
			if err != nil {
				return err
			}
			d.Body = json.RawMessage(strings.Replace(string(d.Body), "{", `{"enabled":false,`, 1))
			return tx.Put(&d, d.Rev)
		})
	}})
	if err != nil {
		return nil, err
	}
	sender := webhook.NewSender(egress.New(networks), nil, nil)
	engine, err := webhook.Start(ctx, webhook.Options{Store: s, Send: sender, Alone: !store.IsPostgres(where), Log: log,
		Spread: 20 * time.Millisecond, Beat: 100 * time.Millisecond,
		Kinds: map[string]webhook.Kind{kazoo.Kind: {Policy: webhook.Kazoo(), Owner: hooks}}})
	return &running{s, hooks, engine, sender}, err
}

func (r *running) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	r.engine.Close(ctx)
	r.sender.Close()
	r.hooks.Close()
	_ = r.s.Close()
}

// serverMain serves and writes documents from three goroutines until it is killed, one line for each acknowledged write.
func serverMain(where string) int {
	ctx := context.Background()
	r, err := serve(ctx, where)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	run := os.Getenv("BUGLE_HOOKS_RUN")
	var wg sync.WaitGroup
	for w := range 3 {
		wg.Go(func() {
			for n := 0; ; n++ {
				d := store.Document{AccountID: "acme", Type: "user", ID: fmt.Sprintf("%s-%d-%d", run, w, n), Body: json.RawMessage(`{"a":1}`)}
				if err := r.s.Write(ctx, func(tx *store.Tx) error { return tx.Put(&d, "") }); err != nil {
					fmt.Fprintln(os.Stderr, err)
					return
				}
				fmt.Println(d.ID)
				time.Sleep(time.Duration(rand.IntN(4)) * time.Millisecond) // deliveries keep up: some are under way at any moment
			}
		})
	}
	wg.Wait()
	return 1
}

// receiver keeps which ids told of which document, over all runs.
type receiver struct {
	mu       sync.Mutex
	ids      map[string]map[string]string // hook, document and action to the id; a second id is a fault
	requests int
	faults   []string
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	var e struct{ ID, Action, Type string }
	err := json.Unmarshal(body, &e)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests++
	hook, id, key := req.Header.Get("X-Hook-Id"), req.Header.Get("webhook-id"), e.Action+" "+e.ID
	if err != nil || hook == "" || id == "" || req.Header.Get("X-Account-Id") != "acme" {
		r.faults = append(r.faults, fmt.Sprintf("%v %v %s", err, req.Header, body))
	}
	if r.ids == nil {
		r.ids = map[string]map[string]string{}
	}
	if r.ids[hook] == nil {
		r.ids[hook] = map[string]string{}
	}
	if known := r.ids[hook][key]; known != "" && known != id {
		r.faults = append(r.faults, fmt.Sprintf("%s was told as %s and as %s", key, known, id))
	}
	r.ids[hook][key] = id
	if r.requests%97 == 0 { // now and then it fails, and the next attempt must tell the same
		w.WriteHeader(http.StatusServiceUnavailable)
		delete(r.ids[hook], key)
	}
}

func (r *receiver) has(hook string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.ids[hook])
}

func TestKillSQLite(t *testing.T) {
	t.Parallel()
	killAgainAndAgain(t, t.TempDir())
}

func TestKillPostgres(t *testing.T) {
	t.Parallel()
	killAgainAndAgain(t, pgtest.URL(t))
}

// killAgainAndAgain kills a server that writes documents and tells two webhooks of them, at random moments: in the end
// every change of the log was told to each, and what was told twice has one id.
func killAgainAndAgain(t *testing.T, where string) {
	r := &receiver{}
	server := httptest.NewServer(r)
	defer server.Close()
	s, err := openStore(t.Context(), where)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"hook1", "hook2"} {
		d := store.Document{AccountID: "acme", Type: "webhook", ID: id, Body: json.RawMessage(fmt.Sprintf(
			`{"name":"x","hook":"object","uri":%q,"format":"json","retries":4,"custom_data":{"type":"user"}}`, server.URL))}
		if err := s.Write(t.Context(), func(tx *store.Tx) error { return tx.Put(&d, "") }); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	rounds := *killRounds
	if testing.Short() {
		rounds = 3
	}
	acknowledged := 0
	for round := range rounds {
		acknowledged += killServer(t, where, fmt.Sprint("run", round))
	}
	end, err := serve(t.Context(), where)
	if err != nil {
		t.Fatal(err)
	}
	defer end.close()
	changed := map[string]bool{}
	for at := int64(0); ; {
		changes, err := end.s.Changes(t.Context(), at, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range changes {
			if at = c.Position; c.Type == "user" {
				changed["doc_"+string(c.Kind)+" "+c.ID] = true
			}
		}
		if len(changes) < 1000 {
			break
		}
	}
	if len(changed) < acknowledged {
		t.Fatalf("%d changes of %d that were acknowledged", len(changed), acknowledged)
	}
	deadline := time.Now().Add(2 * time.Minute)
	for (r.has("hook1") < len(changed) || r.has("hook2") < len(changed)) && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for hook, told := range r.ids {
		for key := range changed {
			if told[key] == "" {
				t.Errorf("%s was not told of %s", hook, key)
			}
		}
		if len(told) != len(changed) {
			t.Errorf("%s was told of %d changes, there are %d", hook, len(told), len(changed))
		}
	}
	for _, fault := range r.faults {
		t.Error(fault)
	}
	if len(r.ids) != 2 {
		t.Errorf("%d webhooks were told", len(r.ids))
	}
	t.Logf("%d changes to 2 webhooks by %d requests, through %d kills", len(changed), r.requests, rounds)
}

// killServer lets a server acknowledge some writes, then kills it a moment later, and returns how many it acknowledged.
func killServer(t *testing.T, where, run string) (acknowledged int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "BUGLE_HOOKS_SERVER="+where, "BUGLE_HOOKS_RUN="+run)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for range 5 + rand.IntN(60) {
		if _, err := lines.ReadString('\n'); err != nil {
			t.Errorf("the server ended by itself: %v", err)
			break
		}
		acknowledged++
	}
	time.Sleep(time.Duration(rand.IntN(20_000)) * time.Microsecond) // a random point of a delivery, not a synchronisation
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_, _ = io.Copy(io.Discard, lines)
	_ = cmd.Wait()
	return acknowledged
}
