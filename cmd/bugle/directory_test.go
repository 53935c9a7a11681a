package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestDirectoryChangesSurviveAKill: the program is killed right after it has taken changes, and tells each of them once when it
// is back; whoever follows by an event stream does not keep it from ending.
func TestDirectoryChangesSurviveAKill(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	p := serve(t, data, chosen)
	api := p.api(t)
	path := func(rest string) string { return api.Account("directory", rest) }
	var state struct{ Cursor string }
	p.until(t, "the administrator is in the directory", func() bool {
		list, err := api.List(t.Context(), path("contacts"))
		return err == nil && len(list) == 1
	})
	if err := api.Do(t.Context(), http.MethodGet, path("changes"), nil, &state); err != nil {
		t.Fatal(err)
	}
	const people = 25
	for i := range people {
		if _, err := api.Create(t.Context(), api.Account("users"), map[string]any{"first_name": fmt.Sprint("Person", i)}); err != nil {
			t.Fatal(err)
		}
	}
	p.end(t, syscall.SIGKILL)
	p = serve(t, data, chosen)
	api = p.api(t)
	var told struct {
		Changes []struct {
			Event   string `json:"event_type"`
			Contact struct {
				Name string
			}
		}
	}
	p.until(t, "the changes are told", func() bool {
		err := api.Do(t.Context(), http.MethodGet, path("changes")+"?after="+state.Cursor, nil, &told)
		return err == nil && len(told.Changes) >= people
	})
	for i, c := range told.Changes {
		if c.Event != "Create" || c.Contact.Name != fmt.Sprint("Person", i) {
			t.Errorf("change %d is %s of %s", i, c.Event, c.Contact.Name)
		}
	}
	if len(told.Changes) != people {
		t.Errorf("%d changes are told, there were %d", len(told.Changes), people)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.HTTP+"/v2"+path("changes")+"?after="+state.Cursor, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+api.Token())
	request.Header.Set("Accept", "text/event-stream")
	stream, err := http.DefaultClient.Do(request)
	if err != nil || stream.StatusCode != http.StatusOK {
		t.Fatal(stream, err)
	}
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	defer stream.Body.Close()
	lines := bufio.NewReader(stream.Body)
	for line := ""; !strings.HasPrefix(line, "id: "); {
		if line, err = lines.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	if state := p.end(t, syscall.SIGTERM); state.ExitCode() != 0 {
		t.Error(state)
	}
	if took := time.Since(began); took > 4*time.Second { // the server gives requests five seconds
		t.Errorf("an event stream held the server up for %v", took)
	}
	if _, err := io.Copy(io.Discard, lines); err != nil {
		t.Errorf("the stream was cut off: %v", err)
	}
}
