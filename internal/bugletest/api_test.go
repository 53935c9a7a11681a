package bugletest

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
)

// answers is a server that checks one request after the other.
func answers(t *testing.T, steps ...func(w http.ResponseWriter, r *http.Request)) *API {
	t.Helper()
	n := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n >= len(steps) {
			t.Errorf("one request too many: %s %s", r.Method, r.URL)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		steps[n](w, r)
		n++
	}))
	t.Cleanup(func() {
		server.Close()
		if n != len(steps) {
			t.Errorf("%d of %d requests came", n, len(steps))
		}
	})
	return NewAPI(server.URL, server.Client())
}

func sent(t *testing.T, r *http.Request) map[string]any {
	t.Helper()
	var body struct {
		Data map[string]any `json:"data"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		t.Errorf("%s %s: %v", r.Method, r.URL, err)
	}
	return body.Data
}

func TestTheClientLogsInCreatesAndLists(t *testing.T) {
	t.Parallel()
	api := answers(t,
		func(w http.ResponseWriter, r *http.Request) {
			// md5 of "admin:secret"
			data := sent(t, r)
			if r.Method != "PUT" || r.URL.Path != "/v2/user_auth" || data["account_name"] != "master" ||
				data["credentials"] != "2d1e4f91dae49cd08eaba2293e422273" {
				t.Errorf("log in: %s %s %v", r.Method, r.URL, data)
			}
			w.WriteHeader(201)
			_, _ = w.Write([]byte(`{"status":"success","auth_token":"T","data":{"account_id":"A"}}`))
		},
		func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Auth-Token") != "T" || r.URL.Path != "/v2/accounts/A/users" || sent(t, r)["first_name"] != "Ann" {
				t.Errorf("create: %s %s %v", r.Method, r.URL, r.Header)
			}
			w.WriteHeader(201)
			_, _ = w.Write([]byte(`{"status":"success","data":{"id":"U","first_name":"Ann"}}`))
		},
		func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte(`{"status":"success","data":[{"id":"1"},{"id":"2"}],"next_start_key":"a b"}`))
		},
		func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("start_key") != "a b" || r.URL.Query().Get("page_size") != "2" {
				t.Errorf("second page: %s", r.URL)
			}
			_, _ = w.Write([]byte(`{"status":"success","data":[{"id":"3"}]}`))
		})
	ctx := t.Context()
	if err := api.LoginUser(ctx, "master", "admin", "secret"); err != nil {
		t.Fatal(err)
	}
	id, err := api.Create(ctx, api.Account("users"), map[string]string{"first_name": "Ann"})
	if err != nil || id != "U" {
		t.Fatalf("created %q, %v", id, err)
	}
	rows, err := api.List(ctx, api.Account("users")+"?page_size=2")
	if err != nil || len(rows) != 3 || string(rows[2]) != `{"id":"3"}` {
		t.Fatalf("listed %s, %v", rows, err)
	}
}

func TestARefusalIsAnErrorWithWhatTheServerSaid(t *testing.T) {
	t.Parallel()
	api := answers(t,
		func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(400)
			_, _ = w.Write([]byte(`{"status":"error","error":"400","message":"validation error","data":{"name":{"required":{}}}}`))
		},
		func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte("<html>"))
		},
		func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte(`{"status":"error","message":"odd"}`))
		})
	err := api.Do(t.Context(), "PUT", "/accounts/A/directories", map[string]any{}, nil)
	refusal, ok := errors.AsType[*APIError](err)
	if !ok || refusal.Status != 400 || refusal.Message != "validation error" || string(refusal.Data) != `{"name":{"required":{}}}` {
		t.Errorf("refused with %v", err)
	}
	for range 2 {
		if err := api.Do(t.Context(), "GET", "/x", nil, nil); err == nil {
			t.Error("an answer that is no success was taken for one")
		}
	}
}
