package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestDemo runs what the README promises first: the demonstration makes its first call, stays up, and what it prints to
// try next works when it is pasted into a shell.
func TestDemo(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"sh", "curl", "sed"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("the printed lines need %s", program)
		}
	}
	cmd := bugleCommand(t, nil, "demo")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var complaints strings.Builder
	cmd.Stderr = &complaints
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan() && !strings.Contains(lines.Text(), "/metrics"); {
		text.WriteString(lines.Text() + "\n")
	}
	said := text.String()
	for _, want := range []string{"dialled 411", "heard dir-enter_person_name", "pressed", "searched 6274: 1 matched",
		"heard dir-found", "rings Conor O'Brien's phone", "heard tone 600 Hz", "heard tone 700 Hz", "hung up", "This proved"} {
		if !strings.Contains(said, want) {
			t.Errorf("the demonstration does not say %q", want)
		}
	}
	_, script, ok := strings.Cut(said, "  the API        ")
	if !ok {
		t.Fatalf("the demonstration does not say how to use the API:\n%s%s", said, &complaints)
	}
	script, _, _ = strings.Cut(script, "\n\n")
	answers, err := exec.CommandContext(t.Context(), "sh", "-eu", "-c", script).Output()
	if err != nil {
		t.Fatalf("the pasted lines fail: %v\n%s", err, script)
	}
	decoder := json.NewDecoder(strings.NewReader(string(answers)))
	for range 3 {
		var envelope struct {
			Status string          `json:"status"`
			Data   json.RawMessage `json:"data"`
		}
		if err := decoder.Decode(&envelope); err != nil || envelope.Status != "success" {
			t.Fatalf("a pasted line does not succeed: %v\n%s", err, answers)
		}
	}
	pressTheButton(t, said)
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("Ctrl-C ends the demonstration with %v\n%s", err, &complaints)
	}
	if s := complaints.String(); strings.Contains(s, "panic") || strings.Contains(s, "level=ERROR") {
		t.Errorf("the demonstration met an error:\n%s", s)
	}
	if t.Failed() {
		t.Log(said)
	}
}

// pressTheButton opens the page that the demonstration names and has its two people called, as the page does.
func pressTheButton(t *testing.T, said string) {
	t.Helper()
	_, page, _ := strings.Cut(said, "  a web page     ")
	page, _, _ = strings.Cut(page, "\n")
	ask := func(method, url, body string) string {
		req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		answer, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode >= 300 {
			t.Fatalf("%s %s: %d %s %v", method, url, answer.StatusCode, text, err)
		}
		return string(text)
	}
	if text := ask("GET", page, ""); !strings.Contains(text, "Talk to Conor") {
		t.Errorf("the page is %s", text)
	}
	var told struct{ Data struct{ ID, State string } }
	for answer := ask("POST", page+"/connect", `{"data":{"contact":"1003"}}`); told.Data.State != "bridged"; {
		if err := json.Unmarshal([]byte(answer), &told); err != nil || told.Data.State == "unanswered" || told.Data.State == "refused" {
			t.Fatalf("%v %s", err, answer)
		}
		answer = ask("GET", page+"/connect/"+told.Data.ID+"?wait=20&state="+told.Data.State, "")
	}
	ask("DELETE", page+"/connect/"+told.Data.ID, "")
}
