package clients

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
)

// TestRingCentral: programs that use RingCentral's own packages, unmodified, log in, list, search, subscribe over webhook and
// WebSocket, are told, renew, come back after a cut, and revoke.
func TestRingCentral(t *testing.T) {
	t.Parallel()
	api := account(t, "RingCentral")
	dir := node(t, "ringcentral.mjs")
	make := func(path string, doc map[string]any) (made struct {
		ID     string `json:"id"`
		Secret string `json:"client_secret"`
		JWT    string `json:"jwt"`
	}) {
		t.Helper()
		if err := api.Do(t.Context(), "PUT", api.Account(path), doc, &made); err != nil {
			t.Fatal(err)
		}
		return made
	}
	ann := make("users", map[string]any{"first_name": "Ann", "last_name": "Archer"})
	bob := make("users", map[string]any{"first_name": "Bob", "last_name": "Baker"})
	app := make("oauth_apps", map[string]any{"name": "CRM"})
	credential := make("users/"+ann.ID+"/jwt_credentials", map[string]any{"name": "test"})
	out := run(t, dir, []string{"BUGLE_URL=http://" + serving.HTTP, "BUGLE_TOKEN=" + api.Token(), "BUGLE_ACCOUNT=" + api.AccountID, "BUGLE_USER=" + bob.ID,
		"CLIENT_ID=" + app.ID, "CLIENT_SECRET=" + app.Secret, "JWT=" + credential.JWT}, "node", "ringcentral.mjs")
	for _, want := range []string{"sdk: ok", "extensible: ok"} {
		if !strings.Contains(out, want) {
			t.Errorf("%s", out)
		}
	}
}

// TestSignIn: a person signs in on the page of the RingCentral API, in Chromium, with scripts and without.
func TestSignIn(t *testing.T) {
	t.Parallel()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("chromium is missing: make peers installs it")
	}
	api := account(t, "Sign in")
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, `<!DOCTYPE html><title>Back</title><link rel="icon" href="data:,">`)
	}))
	defer site.Close()
	back := site.URL + "/back"
	for path, doc := range map[string]map[string]any{"users": {"first_name": "Ann", "username": "ann", "email": "ann.signin@example.com", "password": "correct horse"},
		"oauth_apps": {"id": strings.Repeat("0a", 16), "name": "CRM", "public": true, "redirect_uris": []any{back}}} {
		if err := api.Do(t.Context(), "PUT", api.Account(path), doc, nil); err != nil {
			t.Fatal(err)
		}
	}
	out := run(t, node(t, "signin.mjs"), []string{"BUGLE_URL=http://" + serving.HTTP, "BACK=" + back, "CHROMIUM=" + chromium, "CLIENT_ID=" + strings.Repeat("0a", 16)},
		"node", "signin.mjs")
	if !strings.Contains(out, "sign-in: ok") {
		t.Errorf("%s", out)
	}
}
