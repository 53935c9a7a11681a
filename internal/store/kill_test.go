package store

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"bugle"
)

const writerCount = 6

// writerMain writes from several goroutines and says so on its standard output, one line for each acknowledged write,
// written with one system call: "d WRITER N REV" for documents, "b WRITER N" for bindings, "c WRITER N" for calls. It
// stops after the writes of BUGLE_STORE_WRITES, or never.
func writerMain(where string) int {
	ctx := context.Background()
	open := func() (*Store, error) { return OpenSQLite(ctx, sqliteIn(where).path(), Options{}) }
	if IsPostgres(where) {
		open = func() (*Store, error) { return OpenPostgres(ctx, where, Options{}) }
	}
	s, err := open()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	limit, _ := strconv.Atoi(os.Getenv("BUGLE_STORE_WRITES"))
	run := os.Getenv("BUGLE_STORE_RUN")
	var wg sync.WaitGroup
	failed := make(chan error, 100)
	acknowledge := func(err error, line string) {
		if err == nil {
			_, err = os.Stdout.WriteString(line)
		}
		if err != nil {
			failed <- err
		}
	}
	for w := range writerCount {
		wg.Go(func() {
			for n := 0; limit == 0 || n < limit; n++ {
				doc, err := writeOne(ctx, s, run, w, n)
				acknowledge(err, fmt.Sprintf("d %d %d %s\n", w, n, doc.Rev))
			}
		})
	}
	for w := range 3 {
		wg.Go(func() {
			for n := 0; limit == 0 || n < limit/4; n++ {
				id := fmt.Sprintf("-%s-%d-%d", run, w, n)
				acknowledge(s.SaveBindings(ctx, []BindingRow{{DeviceID: "b" + id, Contact: "sip:x"}}, nil), fmt.Sprintf("b %d %d\n", w, n))
				acknowledge(s.SaveCall(ctx, CallRow{ID: "c" + id, AccountID: "acme"}), fmt.Sprintf("c %d %d\n", w, n))
			}
		})
	}
	wg.Wait()
	select {
	case err = <-failed:
	default:
		err = s.Close()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// writeOne creates a document; every third one also moves a number from the one before, edits it, or deletes it.
func writeOne(ctx context.Context, s *Store, run string, w, n int) (Document, error) {
	account := fmt.Sprint("account", w%2)
	id := func(n int) string { return fmt.Sprintf("%s-%d-%d", run, w, n) }
	d := Document{AccountID: account, Type: "user", ID: id(n), Body: json.RawMessage(fmt.Sprintf(`{"n":%d,"pad":"%0500d"}`, n, n)),
		SortKey: []byte(strconv.Itoa(n % 10)), Index: []Index{{"tenth", strconv.Itoa(n % 10)}},
		Keys: []Key{{"number", account, id(n)}}}
	err := s.Write(ctx, func(tx *Tx) error {
		if n > 0 && n%3 == 0 {
			old, err := tx.Get(account, "user", id(n-1))
			if err != nil {
				return err
			}
			if n%2 == 0 {
				if _, err := tx.Delete(account, "user", old.ID, old.Rev, n%4 == 0); err != nil {
					return err
				}
			} else {
				old.Keys = []Key{{"number", account, id(n - 1)}, {"moved", account, id(n)}}
				if err := tx.Put(&old, old.Rev); err != nil {
					return err
				}
			}
		}
		return tx.Put(&d, "")
	})
	return d, err
}

// writer starts the test binary as a writer on a directory or a database's URL.
func writer(where, run string, writes int, prefix ...string) *exec.Cmd {
	argv := append(prefix, os.Args[0])
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "BUGLE_STORE_WRITER="+where, "BUGLE_STORE_RUN="+run,
		"BUGLE_STORE_WRITES="+strconv.Itoa(writes))
	cmd.Stderr = os.Stderr
	return cmd
}

// TestKill kills a process that writes from nine goroutines, again and again at random moments, and looks for what it
// had acknowledged.
func TestKill(t *testing.T) {
	t.Parallel()
	dir := sqliteIn(t.TempDir())
	killAgainAndAgain(t, dir, string(dir), 4)
}

func killAgainAndAgain(t *testing.T, o opener, where string, rounds int) {
	if testing.Short() {
		rounds = 2
	}
	acknowledged := map[string]string{}    // documents to revisions
	records, total := map[string]bool{}, 0 // those of one round
	for round := range rounds {
		run := fmt.Sprint("run", round)
		killed := killWriter(t, where, run, 400+rand.IntN(800))
		for line := range strings.Lines(killed) {
			f := strings.Fields(line)
			switch {
			case !strings.HasSuffix(line, "\n"): // cut by the kill
			case f[0] == "d":
				acknowledged[fmt.Sprintf("%s-%s-%s", run, f[1], f[2])] = f[3]
			default:
				records[fmt.Sprintf("%s-%s-%s-%s", f[0], run, f[1], f[2])] = true
			}
		}
		total += len(records)
		s := o.open(t, Options{})
		checkIntegrity(t, s)
		checkAcknowledged(t, s, acknowledged, records)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			break
		}
	}
	t.Logf("%d documents and %d records were acknowledged in %d rounds", len(acknowledged), total, rounds)
}

// killWriter lets a writer acknowledge so many writes, then kills it a moment later, and returns what it said.
func killWriter(t *testing.T, where, run string, writes int) string {
	t.Helper()
	cmd := writer(where, run, 0)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	lines := bufio.NewReader(out)
	for range writes {
		line, err := lines.ReadString('\n')
		said.WriteString(line)
		if err != nil {
			t.Errorf("the writer ended by itself: %v", err)
			break
		}
	}
	time.Sleep(time.Duration(rand.IntN(20_000)) * time.Microsecond) // a random point of a write, not a synchronisation
	if err := cmd.Process.Kill(); err != nil {                      // SIGKILL
		t.Error(err)
	}
	rest, _ := io.ReadAll(lines) // said, and in the pipe
	said.Write(rest)
	_ = cmd.Wait()
	return said.String()
}

func checkAcknowledged(t *testing.T, s *Store, documents map[string]string, records map[string]bool) {
	t.Helper()
	changed := map[string]map[string]bool{} // document to all its revisions
	for _, c := range wantLog(t, s) {
		if changed[c.ID] == nil {
			changed[c.ID] = map[string]bool{}
		}
		changed[c.ID][c.Rev] = true
	}
	for id, rev := range documents {
		if !changed[id][rev] {
			t.Errorf("document %s was acknowledged with revision %s and is lost", id, rev)
		}
	}
	for _, row := range loadBindings(t, s) {
		delete(records, row.DeviceID)
	}
	for key := range records {
		if _, err := s.GetCall(t.Context(), "acme", key); err == nil {
			delete(records, key)
		}
	}
	for key := range records {
		delete(records, key)
		t.Errorf("record %s was acknowledged and is lost", key)
	}
}

// checkIntegrity compares everything that is kept twice.
func checkIntegrity(t *testing.T, s *Store) {
	t.Helper()
	if _, is := s.engine.(*sqliteEngine); is {
		var verdict string
		if err := s.read.db.QueryRow(`PRAGMA integrity_check`).Scan(&verdict); err != nil || verdict != "ok" {
			t.Errorf("integrity_check: %s, %v", verdict, err)
		}
	}
	last := map[string]bugle.Change{}
	for _, c := range wantLog(t, s) {
		last[c.ID] = c
	}
	holders := map[Key]string{}
	rows, err := s.read.db.Query(`SELECT space, scope, value, document_id FROM document_keys`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var k Key
		var id string
		if err := rows.Scan(&k.Space, &k.Scope, &k.Value, &id); err != nil {
			t.Fatal(err)
		}
		holders[k] = id
	}
	keys, entries := 0, 0
	for _, deleted := range []bool{false, true} {
		q := Query{Type: "user", Limit: 1000, Deleted: deleted}
		for {
			docs, next, err := s.List(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range docs {
				c := last[d.ID]
				if c.Rev != d.Rev || deleted != (c.Kind == bugle.Deleted) || !deleted && string(c.After) != string(d.Body) {
					t.Errorf("document %s at %s has %s %s as its last change", d.ID, d.Rev, c.Kind, c.Rev)
				}
				if deleted {
					continue
				}
				keys, entries = keys+len(d.Keys), entries+len(d.Index)
				for _, k := range d.Keys {
					if holders[k] != d.ID {
						t.Errorf("key %v of %s leads to %q", k, d.ID, holders[k])
					}
				}
			}
			if q.After = next; next == nil {
				break
			}
		}
	}
	alive := 0
	for _, c := range last {
		if c.Kind != bugle.Deleted {
			alive++
		}
	}
	if n, err := s.Count(t.Context(), Query{Type: "user"}); err != nil || n != alive {
		t.Errorf("%d living documents, the log knows %d, %v", n, alive, err)
	}
	var indexRows int
	if err := s.read.db.QueryRow(`SELECT count(*) FROM document_index`).Scan(&indexRows); err != nil || len(holders) != keys ||
		indexRows != entries {
		t.Errorf("%d key rows for %d keys, %d index rows for %d entries, %v", len(holders), keys, indexRows, entries, err)
	}
}
