package crossbar_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"bugle/internal/crossbar"
	"bugle/internal/store"
)

// cheapHash keeps the many logins of tests, whose subject is not what a hash costs, from being most of what they cost:
// under the race detector one hash of the default cost takes a third of a second. TestHashCost has the default.
var cheapHash = crossbar.HashCost{Passes: 1, Memory: 64}

// beginning is a database in which there are the master account and Acme, and nothing else: migrated once, copied for each
// test.
var beginning struct {
	sync.Once
	err     error
	file    []byte
	master  crossbar.Credentials
	account string
}

// begun puts a copy of the beginning at path and returns who is in it.
func begun(t testing.TB, path string) (master crossbar.Credentials, account string) {
	t.Helper()
	beginning.Do(func() { beginning.err = begin(t.TempDir()) })
	if beginning.err != nil {
		t.Fatal(beginning.err)
	}
	if err := os.WriteFile(path, beginning.file, 0o600); err != nil {
		t.Fatal(err)
	}
	return beginning.master, beginning.account
}

func begin(dir string) error {
	ctx, path := context.Background(), filepath.Join(dir, "bugle.db")
	at := clock{at: testStart}
	sealer, err := store.NewSealer(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		return err
	}
	s, err := store.OpenSQLite(ctx, path, store.Options{Now: at.now})
	if err != nil {
		return err
	}
	defer s.Close()
	api, err := crossbar.New(crossbar.Options{Store: s, Sealer: sealer, Now: at.now, HashCost: cheapHash})
	if err != nil {
		return err
	}
	defer api.Close()
	if beginning.master, _, err = api.EnsureMaster(ctx, testPassword, testAPIKey, nil); err != nil {
		return err
	}
	ask := func(verb, path, token, data string) (a struct {
		AuthToken string `json:"auth_token"`
		Data      struct {
			ID string `json:"id"`
		} `json:"data"`
	}, err error) {
		r := httptest.NewRequest(verb, path, strings.NewReader(`{"data":`+data+`}`))
		r.Header.Set("X-Auth-Token", token)
		rec := httptest.NewRecorder()
		api.ServeHTTP(rec, r)
		return a, json.Unmarshal(rec.Body.Bytes(), &a)
	}
	login, err := ask("PUT", "/v2/api_auth", "", `{"api_key":"`+testAPIKey+`"}`)
	if err != nil {
		return err
	}
	made, err := ask("PUT", "/v2/accounts", login.AuthToken, `{"name":"Acme","realm":"acme.example.com"}`)
	if err != nil {
		return err
	}
	beginning.account = made.Data.ID
	if err := s.Close(); err != nil { // the whole of it is in one file then
		return err
	}
	beginning.file, err = os.ReadFile(path)
	return err
}
