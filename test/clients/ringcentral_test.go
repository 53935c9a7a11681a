package clients

import (
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
