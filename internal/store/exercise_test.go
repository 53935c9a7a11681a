package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bugle"
)

// opener opens one database: called again on the same value after the store was closed, it opens the same one.
type opener interface {
	open(t *testing.T, opts Options) *Store
}

// exercise is what every engine has to pass.
func exercise(t *testing.T, fresh func(t *testing.T) opener) {
	for name, test := range map[string]func(*testing.T, opener){
		"bytes are kept exactly":                          exerciseBytes,
		"a revision guards each write":                    exerciseGuard,
		"what is malformed is refused":                    exerciseRefused,
		"a unique key has one holder":                     exerciseUnique,
		"of many who want one key one gets it":            exerciseRace,
		"soft deletion frees keys and can be undone":      exerciseSoftDelete,
		"hard deletion leaves nothing":                    exerciseHardDelete,
		"an error writes nothing":                         exerciseRollback,
		"a panic writes nothing":                          exercisePanic,
		"indexes find documents":                          exerciseIndex,
		"pages neither repeat nor skip":                   exercisePages,
		"a plain list has the same documents":             exercisePlain,
		"pages neither repeat nor skip among insertions":  exercisePagesMoving,
		"the beginnings of keys are found":                exerciseKeyBegins,
		"a malformed cursor is refused":                   exerciseCursor,
		"every write has its change":                      exerciseChanges,
		"a document has its history":                      exerciseHistory,
		"a history tells what is not shown":               exerciseHidden,
		"memory tells what the log does":                  exerciseTail,
		"commits keep lists in memory right":              exerciseCacheLists,
		"who looks for contacts is woken for them":        exerciseDirectoryNudges,
		"an account's sequence has no gap":                exerciseSequence,
		"a follower misses nothing":                       exerciseFollow,
		"retention removes the oldest changes":            exerciseSweep,
		"bindings survive":                                exerciseBindings,
		"calls are kept":                                  exerciseCalls,
		"messages are kept":                               exerciseMessages,
		"messages change in transactions":                 exerciseMessageChanges,
		"contacts are kept in order":                      exerciseContacts,
		"facts are found by what they name":               exerciseFacts,
		"a numeric id is given once":                      exerciseNumericIDs,
		"an account's events have no gap":                 exerciseDirectoryEvents,
		"OAuth tokens are good once":                      exerciseOAuth,
		"a subscription's cursor is moved by one":         exerciseSubscriptions,
		"old calls are removed":                           exerciseCallSweep,
		"attempts are kept":                               exerciseAttempts,
		"attempts are placed once":                        exerciseAttemptsPlaced,
		"of many who place, the throttle lets one pass":   exerciseAttemptsRace,
		"scheduled attempts are given once":               exerciseAttemptsDue,
		"scheduled attempts can be canceled":              exerciseAttemptsCanceled,
		"attempts of a dead process are ended":            exerciseAttemptsLost,
		"hooks are kept in order":                         exerciseHooks,
		"results of hooks are kept":                       exerciseHookResults,
		"one node delivers an endpoint's hooks":           exerciseHookNodes,
		"deliveries are found, counted and sent again":    exerciseHookLog,
		"records come in groups":                          exerciseGroups,
		"records come in numbers":                         exerciseManyRecords,
		"what is no text is not found":                    exerciseForeignText,
		"the limits fit":                                  exerciseLargest,
		"a cancelled request ends":                        exerciseCancel,
		"a closed store says so":                          exerciseClosed,
		"a wrong secret key is noticed at start":          exerciseCanary,
		"the cache is current":                            exerciseCache,
		"the cache remembers that nobody holds a key":     exerciseCacheNegative,
		"the cache follows other writers":                 exerciseCacheFollows,
		"what is assumed is proven":                       exercisePremises,
		"the database passes over":                        exerciseNarrow,
		"many readers of the cache see their writes":      exerciseCacheRace,
		"a load that was overtaken is not kept":           exerciseCacheOvertaken,
		"a commit that is told late does no harm":         exerciseCacheLate,
		"a warm cache needs no database":                  exerciseCacheWarm,
		"a long list is read when it is asked for":        exerciseCacheLong,
		"the cache is bounded":                            exerciseCacheBound,
		"a view is parsed once for a revision":            exerciseCacheView,
		"the cache outlives the database for ten minutes": exerciseCacheOutage,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, fresh(t))
		})
	}
}

func TestSQLite(t *testing.T) {
	t.Parallel()
	exercise(t, func(t *testing.T) opener { return sqliteIn(t.TempDir()) })
}

type sqliteIn string

func (dir sqliteIn) path() string { return filepath.Join(string(dir), "bugle.db") }

func (dir sqliteIn) open(t *testing.T, opts Options) *Store {
	t.Helper()
	if opts.OnPanic == nil {
		opts.OnPanic = func(v any) { t.Errorf("panic: %v", v) }
	}
	s, err := OpenSQLite(t.Context(), dir.path(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// put writes doc and fails the test when it cannot.
func put(t *testing.T, s *Store, doc Document, ifRev string) Document {
	t.Helper()
	if err := s.Write(context.Background(), func(tx *Tx) error { return tx.Put(&doc, ifRev) }); err != nil {
		t.Fatal(err)
	}
	return doc
}

func remove(t *testing.T, s *Store, doc Document, hard bool) Document {
	t.Helper()
	var old Document
	if err := s.Write(context.Background(), func(tx *Tx) (err error) {
		old, err = tx.Delete(doc.AccountID, doc.Type, doc.ID, doc.Rev, hard)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return old
}

func wantKind(t *testing.T, err error, kind bugle.Kind) {
	t.Helper()
	if err == nil || bugle.KindOf(err) != kind {
		t.Fatalf("error is %v, want kind %q", err, kind)
	}
}

func ids(docs []Document) []string {
	out := []string{}
	for _, d := range docs {
		out = append(out, d.ID)
	}
	return out
}

func user(id, name string) Document {
	return Document{AccountID: "acme", Type: "user", ID: id, Body: json.RawMessage(fmt.Sprintf(`{"name":%q}`, name)),
		SortKey: []byte(name)}
}

func exerciseBytes(t *testing.T, o opener) {
	clock := time.Date(2026, 11, 21, 12, 0, 0, 123456789, time.FixedZone("", 3600))
	s := o.open(t, Options{Now: func() time.Time { return clock }})
	doc := Document{AccountID: "acme", Type: "user", ID: "u1",
		Body:    json.RawMessage(" {\"Name\" : \"Łukasz \\u0000 \U0001F4DE\",\n\t\"name\":1.0e0, \"n\":12345678901234567890.10,\"name\":2} "),
		Private: json.RawMessage(`{ "hash":"x"}`), SortKey: []byte{0, 255, 1},
		Keys:  []Key{{"username", "acme", "łukasz"}, {"sip", "", "a b"}, {"username", "acme", "łukasz"}},
		Index: []Index{{"owner_id", "x"}, {"", ""}}[:1]}
	doc = put(t, s, doc, "")
	want := doc
	want.Keys = doc.Keys[:2]
	for name, read := range map[string]func() (Document, error){
		"Get":      func() (Document, error) { return s.Get(t.Context(), "acme", "user", "u1") },
		"Find":     func() (Document, error) { return s.Find(t.Context(), "user", "u1") },
		"GetByKey": func() (Document, error) { return s.GetByKey(t.Context(), Key{"sip", "", "a b"}) },
		"List": func() (Document, error) {
			docs, _, err := s.List(t.Context(), Query{AccountID: "acme", Type: "user"})
			return append(docs, Document{})[0], err
		},
	} {
		got, err := read()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if want := clock.UTC().Truncate(time.Microsecond); !doc.Created.Equal(want) || !doc.Modified.Equal(want) {
		t.Errorf("created %v, modified %v, want %v", doc.Created, doc.Modified, want)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = o.open(t, Options{})
	if got, err := s.Get(t.Context(), "acme", "user", "u1"); err != nil || cmp.Diff(want, got) != "" {
		t.Errorf("after reopening: %v, %v", got, err)
	}
}

func exerciseGuard(t *testing.T, o opener) {
	s := o.open(t, Options{})
	first := put(t, s, user("u1", "Ann"), "")
	if revNumber(first.Rev) != 1 {
		t.Errorf("first revision is %q", first.Rev)
	}
	try := func(ifRev string) error {
		d := user("u1", "Bea")
		return s.Write(t.Context(), func(tx *Tx) error { return tx.Put(&d, ifRev) })
	}
	err := try("")
	wantKind(t, err, bugle.KindUnique)
	var e *bugle.Error
	if !errors.As(err, &e) || e.Field != "id" || e.Holder != "u1" {
		t.Errorf("a taken id says %+v", e)
	}
	wantKind(t, try("1-00000000000000000000000000000000"), bugle.KindConflict)
	second := first
	second.Body = json.RawMessage(`{"name":"Ann B"}`)
	second = put(t, s, second, first.Rev)
	if revNumber(second.Rev) != 2 || second.Rev == first.Rev || !second.Created.Equal(first.Created) {
		t.Errorf("second write is %+v after %+v", second, first)
	}
	wantKind(t, try(first.Rev), bugle.KindConflict)
	if err := try(AnyRev); err != nil {
		t.Error(err)
	}
	absent := user("u2", "Cay")
	wantKind(t, s.Write(t.Context(), func(tx *Tx) error { return tx.Put(&absent, first.Rev) }), bugle.KindConflict)
	if err := s.Write(t.Context(), func(tx *Tx) error { return tx.Put(&absent, AnyRev) }); err != nil {
		t.Error(err)
	}
	wantKind(t, s.Write(t.Context(), func(tx *Tx) error {
		_, err := tx.Delete("acme", "user", "u1", first.Rev, false)
		return err
	}), bugle.KindConflict)
	_, err = s.Find(t.Context(), "device", "u1")
	wantKind(t, err, bugle.KindNotFound)
	for _, other := range []Document{{AccountID: "other", Type: "user", ID: "u1"}, {AccountID: "acme", Type: "device", ID: "u1"}} {
		other.Body = json.RawMessage(`{}`)
		for _, rev := range []string{"", AnyRev, first.Rev} {
			wantKind(t, s.Write(t.Context(), func(tx *Tx) error { return tx.Put(&other, rev) }), bugle.KindUnique)
		}
		_, err := s.Get(t.Context(), other.AccountID, other.Type, "u1")
		wantKind(t, err, bugle.KindNotFound)
	}
}

func exerciseRefused(t *testing.T, o opener) {
	s := o.open(t, Options{})
	good := user("u1", "Ann")
	long := string(make([]byte, MaxValue+1))
	for name, broken := range map[string]func(d *Document){
		"no account":       func(d *Document) { d.AccountID = "" },
		"no type":          func(d *Document) { d.Type = "" },
		"no id":            func(d *Document) { d.ID = "" },
		"a long id":        func(d *Document) { d.ID = long },
		"no body":          func(d *Document) { d.Body = nil },
		"broken JSON":      func(d *Document) { d.Body = json.RawMessage(`{"a":`) },
		"an array":         func(d *Document) { d.Body = json.RawMessage(`[]`) },
		"null":             func(d *Document) { d.Body = json.RawMessage(`null`) },
		"broken UTF-8":     func(d *Document) { d.Body = json.RawMessage("{\"a\":\"\xff\"}") },
		"a private string": func(d *Document) { d.Private = json.RawMessage(`"x"`) },
		"an empty key":     func(d *Document) { d.Keys = []Key{{"number", "acme", ""}} },
		"a NUL in a key":   func(d *Document) { d.Keys = []Key{{"number", "acme", "1\x00"}} },
		"a nameless index": func(d *Document) { d.Index = []Index{{"", "x"}} },
		"a long index":     func(d *Document) { d.Index = []Index{{"x", "1" + long}} },
		"a long sort key":  func(d *Document) { d.SortKey = []byte(long) },
		"too many keys":    func(d *Document) { d.Keys = make([]Key, MaxLinks+1) },
	} {
		d := good
		broken(&d)
		if err := s.Write(t.Context(), func(tx *Tx) error { return tx.Put(&d, "") }); bugle.KindOf(err) != bugle.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	d := good
	d.Body = json.RawMessage(`{"x":"` + string(slices.Repeat([]byte("a"), MaxBody)) + `"}`)
	wantKind(t, s.Write(t.Context(), func(tx *Tx) error { return tx.Put(&d, "") }), bugle.KindTooLarge)
	if changes, err := s.Changes(t.Context(), 0, 0); err != nil || len(changes) != 0 {
		t.Errorf("refused writes left %v, %v", changes, err)
	}
}

func exerciseUnique(t *testing.T, o opener) {
	s := o.open(t, Options{})
	a, b := user("u1", "Ann"), user("u2", "Bea")
	a.Keys = []Key{{"number", "acme", "1001"}, {"number", "acme", "1002"}}
	a = put(t, s, a, "")
	b.Keys = []Key{{"number", "acme", "1003"}, {"number", "acme", "1002"}}
	err := s.Write(t.Context(), func(tx *Tx) error { return tx.Put(&b, "") })
	wantKind(t, err, bugle.KindUnique)
	var e *bugle.Error
	if !errors.As(err, &e) || e.Holder != "u1" || e.Field != "number" {
		t.Errorf("a taken number says %+v", e)
	}
	if _, err := s.GetByKey(t.Context(), Key{"number", "acme", "1003"}); bugle.KindOf(err) != bugle.KindNotFound {
		t.Errorf("a refused document holds a key: %v", err)
	}
	b.Keys = []Key{{"number", "other", "1002"}, {"pattern", "acme", "1002"}, {"number", "", "1002"}}
	b = put(t, s, b, "") // another scope, another space
	// In one transaction a number may change hands.
	a.Keys = []Key{{"number", "acme", "1001"}}
	b.Keys = []Key{{"number", "acme", "1002"}}
	if err := s.Write(t.Context(), func(tx *Tx) error {
		return errors.Join(tx.Put(&a, a.Rev), tx.Put(&b, b.Rev))
	}); err != nil {
		t.Fatal(err)
	}
	if d, err := s.GetByKey(t.Context(), Key{"number", "acme", "1002"}); err != nil || d.ID != "u2" {
		t.Errorf("1002 belongs to %v, %v", d.ID, err)
	}
	if _, err := s.GetByKey(t.Context(), Key{"pattern", "acme", "1002"}); bugle.KindOf(err) != bugle.KindNotFound {
		t.Errorf("a key that was given up is held: %v", err)
	}
	// What was read keeps its keys when it is written again.
	read, err := s.Get(t.Context(), "acme", "user", "u2")
	if err != nil {
		t.Fatal(err)
	}
	read.Body = json.RawMessage(`{"name":"B"}`)
	put(t, s, read, read.Rev)
	if d, err := s.GetByKey(t.Context(), Key{"number", "acme", "1002"}); err != nil || d.ID != "u2" {
		t.Errorf("1002 belongs to %v, %v", d.ID, err)
	}
}

func exerciseRace(t *testing.T, o opener) {
	s := o.open(t, Options{})
	const writers = 12
	results := make(chan error, writers)
	for i := range writers {
		go func() {
			d := user(fmt.Sprint("u", i), "x")
			d.Keys = []Key{{"number", "acme", "1001"}}
			results <- s.Write(t.Context(), func(tx *Tx) error { return tx.Put(&d, "") })
		}()
	}
	won := 0
	for range writers {
		if err := <-results; err == nil {
			won++
		} else {
			wantKind(t, err, bugle.KindUnique)
		}
	}
	if n, err := s.Count(t.Context(), Query{AccountID: "acme", Type: "user"}); won != 1 || n != 1 || err != nil {
		t.Errorf("%d writers got the key, %d documents, %v", won, n, err)
	}
}

func exerciseSoftDelete(t *testing.T, o opener) {
	s := o.open(t, Options{})
	d := user("u1", "Ann")
	d.Keys, d.Index = []Key{{"number", "acme", "1001"}}, []Index{{"owner_id", "x"}}
	d = put(t, s, d, "")
	old := remove(t, s, d, false)
	if diff := cmp.Diff(d, old); diff != "" {
		t.Errorf("Delete returned (-want +got):\n%s", diff)
	}
	_, err := s.Get(t.Context(), "acme", "user", "u1")
	wantKind(t, err, bugle.KindNotFound)
	_, err = s.GetByKey(t.Context(), d.Keys[0])
	wantKind(t, err, bugle.KindNotFound)
	for _, q := range []Query{{AccountID: "acme", Type: "user"}, {AccountID: "acme", Type: "user", Index: &d.Index[0]}} {
		if docs, _, err := s.List(t.Context(), q); err != nil || len(docs) != 0 {
			t.Errorf("a deleted document is listed: %v, %v", ids(docs), err)
		}
	}
	docs, _, err := s.List(t.Context(), Query{AccountID: "acme", Type: "user", Deleted: true})
	if err != nil || len(docs) != 1 || !docs[0].Deleted || revNumber(docs[0].Rev) != 2 {
		t.Fatalf("deleted documents: %v, %v", docs, err)
	}
	_, _, err = s.List(t.Context(), Query{AccountID: "acme", Type: "user", Deleted: true, Index: &Index{"a", "b"}})
	wantKind(t, err, bugle.KindInvalid)
	dead, err := s.GetAny(t.Context(), "acme", "user", "u1")
	if err != nil || cmp.Diff(dead, docs[0]) != "" {
		t.Fatal(dead, err)
	}
	_, err = s.Find(t.Context(), "user", "u1")
	wantKind(t, err, bugle.KindNotFound)
	wantKind(t, s.Write(t.Context(), func(tx *Tx) error {
		_, err := tx.Delete("acme", "user", "u1", "", false)
		return err
	}), bugle.KindNotFound)
	// Its key may go to another one, and then it cannot come back with it.
	other := user("u2", "Bea")
	other.Keys = d.Keys
	other = put(t, s, other, "")
	wantKind(t, s.Write(t.Context(), func(tx *Tx) error { return tx.Put(&dead, dead.Rev) }), bugle.KindUnique)
	remove(t, s, other, false)
	back := put(t, s, dead, dead.Rev)
	if got, err := s.GetByKey(t.Context(), d.Keys[0]); err != nil || got.ID != "u1" || got.Rev != back.Rev ||
		!got.Created.Equal(d.Created) || revNumber(got.Rev) != 3 || got.Deleted {
		t.Errorf("the undeleted document is %+v, %v", got, err)
	}
	if docs, _, err := s.List(t.Context(), Query{AccountID: "acme", Type: "user", Index: &d.Index[0]}); err != nil || len(docs) != 1 {
		t.Errorf("an undeleted document is not in its index: %v, %v", docs, err)
	}
	// Creating over a deleted one begins anew, with a revision that nobody has seen.
	remove(t, s, back, false)
	fresh := user("u1", "Cay")
	fresh = put(t, s, fresh, "")
	if revNumber(fresh.Rev) != 5 {
		t.Errorf("a re-created document has revision %s", fresh.Rev)
	}
}

func exerciseHardDelete(t *testing.T, o opener) {
	s := o.open(t, Options{})
	a, b := user("u1", "Ann"), user("u2", "Bea")
	a.Keys, a.Index = []Key{{"number", "acme", "1001"}}, []Index{{"owner_id", "x"}}
	a, b = put(t, s, a, ""), put(t, s, b, "")
	remove(t, s, a, true)
	remove(t, s, b, false)
	gone, err := s.GetAny(t.Context(), "acme", "user", "u2")
	if err != nil {
		t.Fatal(err)
	}
	remove(t, s, gone, true)
	for _, id := range []string{"u1", "u2"} {
		_, err := s.GetAny(t.Context(), "acme", "user", id)
		wantKind(t, err, bugle.KindNotFound)
	}
	_, err = s.GetByKey(t.Context(), a.Keys[0])
	wantKind(t, err, bugle.KindNotFound)
	wantKind(t, s.Write(t.Context(), func(tx *Tx) error {
		_, err := tx.Delete("acme", "user", "u1", "", true)
		return err
	}), bugle.KindNotFound)
	a = put(t, s, a, "")
	if docs, _, err := s.List(t.Context(), Query{AccountID: "acme", Type: "user", Index: &a.Index[0]}); err != nil || len(docs) != 1 {
		t.Errorf("the re-created document is found %v, %v", ids(docs), err)
	}
}

func exerciseRollback(t *testing.T, o opener) {
	s := o.open(t, Options{})
	boom := errors.New("boom")
	var leaked *Tx
	err := s.Write(t.Context(), func(tx *Tx) error {
		leaked = tx
		d := user("u1", "Ann")
		d.Keys = []Key{{"number", "acme", "1"}}
		if err := tx.Put(&d, ""); err != nil {
			return err
		}
		if got, err := tx.GetByKey(d.Keys[0]); err != nil || got.ID != "u1" {
			t.Errorf("a transaction does not see its own write: %v", err)
		}
		return boom
	})
	if err != boom {
		t.Fatalf("Write returned %v", err)
	}
	late := user("u2", "Bea")
	if err := leaked.Put(&late, ""); err == nil {
		t.Error("a transaction that has ended still writes")
	}
	wantEmpty(t, s)
}

func wantEmpty(t *testing.T, s *Store) {
	t.Helper()
	n, err := s.Count(t.Context(), Query{Type: "user"})
	changes, err2 := s.Changes(t.Context(), 0, 0)
	_, err3 := s.GetByKey(t.Context(), Key{"number", "acme", "1"})
	if n != 0 || len(changes) != 0 || err != nil || err2 != nil || bugle.KindOf(err3) != bugle.KindNotFound {
		t.Errorf("left behind: %d documents, changes %v, %v, %v, %v", n, changes, err, err2, err3)
	}
}

func exercisePanic(t *testing.T, o opener) {
	s := o.open(t, Options{})
	func() {
		defer func() {
			if recover() != "boom" {
				t.Error("the panic did not arrive")
			}
		}()
		_ = s.Write(t.Context(), func(tx *Tx) error {
			d := user("u1", "Ann")
			d.Keys = []Key{{"number", "acme", "1"}}
			if err := tx.Put(&d, ""); err != nil {
				t.Error(err)
			}
			panic("boom")
		})
	}()
	wantEmpty(t, s)
	put(t, s, user("u1", "Ann"), "")
}
