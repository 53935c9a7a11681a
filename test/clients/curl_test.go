package clients

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"bugle/internal/bugletest"
)

// TestCurl runs the lines of KAZOO's published pages, in testdata, against the server: their typing errors are mended
// and their place holders filled in, nothing else. "#= 200 data.name" says what is expected: the status, and a path of
// the answer or the beginning of its bytes.
func TestCurl(t *testing.T) {
	t.Parallel()
	for _, page := range []string{"directories", "callflows", "clicktocall"} {
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			api := account(t, "Curl "+page)
			values := company(t, api)
			lines, err := os.ReadFile("testdata/" + page + ".sh")
			if err != nil {
				t.Fatal(err)
			}
			if err := api.Do(t.Context(), "GET", api.Account(page), nil, nil); err != nil {
				if missing := (*bugletest.APIError)(nil); errors.As(err, &missing) && missing.Message == "not_found" {
					t.Skipf("the server does not offer %s yet", page)
				}
				t.Fatal(err)
			}
			ran := 0
			for _, block := range strings.Split(string(lines), "\n\n") {
				_, rest, found := strings.Cut("\n"+block, "\n#= ")
				if !found {
					continue
				}
				want, line, _ := strings.Cut(rest, "\n")
				if note, later := strings.CutPrefix(want, "later: "); later {
					t.Logf("not run, %s:\n%s", note, line)
					continue
				}
				ran++
				made := curl(t, fill(want, values), fill(line, values))
				if id, ok := at(made, "data.id").(string); ok && page == "clicktocall" && values["{C2C_ID}"] == "" {
					values["{C2C_ID}"] = id
				}
			}
			if ran < 5 {
				t.Errorf("only %d lines were run", ran)
			}
		})
	}
}

// company is what the place holders of the pages stand for.
func company(t *testing.T, api *bugletest.API) map[string]string {
	t.Helper()
	create := func(path string, doc map[string]any) string {
		t.Helper()
		id, err := api.Create(t.Context(), api.Account(path), doc)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	user := create("users", map[string]any{"first_name": "Ann", "last_name": "Lee"})
	named := create("directories", map[string]any{"name": "SmartPBX Directory"})
	flow := create("callflows", map[string]any{"numbers": []string{"1001"},
		"flow": map[string]any{"module": "user", "data": map[string]any{"id": user}}})
	var token struct {
		AuthToken string `json:"auth_token"`
	}
	login, err := http.NewRequestWithContext(t.Context(), "PUT", "http://"+serving.HTTP+"/v2/api_auth",
		strings.NewReader(`{"data":{"api_key":"`+key(t, api)+`"}}`))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(login)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(&token); err != nil || token.AuthToken == "" {
		t.Fatal(err, token)
	}
	return map[string]string{"{AUTH_TOKEN}": token.AuthToken, "{SERVER}:8000": serving.HTTP, "{ACCOUNT_ID}": api.AccountID,
		"{USER_ID}": user, "{DIRECTORY_ID}": named, "77dfb38ff2353624e35bf4df91acda94": named, "{CALLFLOW_ID}": flow,
		"{NAME}": "Call us", "{EXTENSION}": "1001", "{CONTACT}": "4158867900"}
}

func fill(text string, values map[string]string) string {
	for name, value := range values {
		text = strings.ReplaceAll(text, name, value)
	}
	return text
}

// curl runs one line in a shell and returns the answer's envelope.
func curl(t *testing.T, want, line string) map[string]any {
	t.Helper()
	status, path, _ := strings.Cut(want, " ")
	file := filepath.Join(t.TempDir(), "answer")
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `curl() { command curl -s -o "$ANSWER" -w '%{http_code}' "$@"; }`+"\n"+line)
	cmd.Env = append(os.Environ(), "ANSWER="+file)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	code, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", line, err, stderr.String())
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(code) != status {
		t.Errorf("%s: %s, want %s\n%s", line, code, status, text)
		return nil
	}
	var envelope map[string]any
	if !strings.HasPrefix(path, "data") {
		if !strings.HasPrefix(string(text), path) {
			t.Errorf("%s answered %.80q", line, text)
		}
		return nil
	}
	if err := json.Unmarshal(text, &envelope); err != nil {
		t.Errorf("%s: %v\n%s", line, err, text)
	}
	if at(envelope, path) == nil {
		t.Errorf("%s: no %s in %s", line, path, text)
	}
	return envelope
}

// at is the value at a dotted path.
func at(v any, path string) any {
	for _, key := range strings.Split(path, ".") {
		switch in := v.(type) {
		case map[string]any:
			v = in[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(in) {
				return nil
			}
			v = in[i]
		default:
			return nil
		}
	}
	return v
}
