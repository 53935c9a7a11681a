package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"bugle/internal/bugletest"
)

const (
	tailSilence = 45 * time.Second // without a sign of life, of which there is one every 15 s: the connection is made anew
	tailLine    = 4 << 20          // bytes of one change
	tailPause   = 30 * time.Second // at most between two connections
)

type tailEvents struct {
	accountArgument
	After string `placeholder:"CURSOR" help:"Begin behind this cursor, the first word of an earlier line; without it from now on. 0: from the first, as long as that is kept."`
	Count int    `placeholder:"N" help:"End after so many changes."`
	JSON  bool   `name:"json" help:"Print each change as the API has it, one JSON object a line."`
}

// Run is the command.
func (c *tailEvents) Run(ctx context.Context, office *officeFlags) error {
	if office.URL == "" {
		return &exitError{2, errors.New("tail follows a running server: --url http://127.0.0.1:8000")}
	}
	if c.Count < 0 {
		return &exitError{2, fmt.Errorf("--count: %d; 1 or more", c.Count)}
	}
	cursor, seen, connected := c.After, 0, false
	for pause := time.Second; ; {
		before := cursor
		err := c.inAccount(ctx, office, func(one *bugletest.API) error {
			if cursor == "" { // before the stream begins, so that a first connection that is cut loses nothing
				var now struct{ Cursor string }
				if err := one.Do(ctx, http.MethodGet, one.Account("directory", "changes"), nil, &now); err != nil {
					return err
				}
				cursor = now.Cursor
			}
			return c.follow(ctx, one, &cursor, &seen, &connected)
		})
		switch {
		case ctx.Err() != nil || c.Count > 0 && seen >= c.Count:
			return nil
		case errors.Is(err, errWriting):
			return err
		case err != nil && (!connected || !passing(err)):
			return explained(err, cursor)
		case err != nil:
			fmt.Fprintf(os.Stderr, "the connection is lost (%v); again behind cursor %s\n", err, cursor)
		}
		if cursor != before {
			pause = time.Second
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		pause = min(2*pause, tailPause)
	}
}

// passing reports whether an error may be gone at the next try.
func passing(err error) bool {
	failure, ok := errors.AsType[*bugletest.APIError](err)
	return !ok || failure.Status == http.StatusUnauthorized || failure.Status == http.StatusTooManyRequests || failure.Status >= 500
}

func explained(err error, cursor string) error {
	failure, ok := errors.AsType[*bugletest.APIError](err)
	switch {
	case ok && failure.Status == http.StatusGone:
		return fmt.Errorf("changes behind cursor %s are not kept any more: read the directory (/directory/contacts), then tail without --after", cursor)
	case ok && failure.Status == http.StatusBadRequest:
		return fmt.Errorf("--after: %q is no cursor; the first word of a line of tail is one", cursor)
	}
	return err
}

var errWriting = errors.New("standard output is closed")

// follow prints changes until the connection ends.
func (c *tailEvents) follow(ctx context.Context, one *bugletest.API, cursor *string, seen *int, connected *bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	body, err := one.Stream(ctx, one.Account("directory", "changes")+"?after="+*cursor, "text/event-stream")
	if err != nil {
		return err
	}
	defer body.Close()
	*connected = true
	silence := time.AfterFunc(tailSilence, cancel)
	defer silence.Stop()
	lines := bufio.NewScanner(body)
	lines.Buffer(make([]byte, 0, 64<<10), tailLine)
	var id, event, data string
	for lines.Scan() {
		silence.Reset(tailSilence)
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "id":
			id = value
		case "event":
			event = value
		case "data":
			data = value
		case "":
			if lines.Text() != "" || data == "" { // a comment, or nothing
				continue
			}
			if event == "gone" {
				return &bugletest.APIError{Method: http.MethodGet, Path: "directory/changes", Status: http.StatusGone}
			}
			if err := c.print(data); err != nil {
				return errors.Join(errWriting, err)
			}
			*cursor, id, event, data = cmp.Or(id, *cursor), "", "", ""
			if *seen++; *seen == c.Count {
				return nil
			}
		}
	}
	return cmp.Or(lines.Err(), io.EOF)
}

// print writes one change as a line.
func (c *tailEvents) print(data string) error {
	if c.JSON {
		_, err := fmt.Println(data)
		return err
	}
	var change struct {
		Cursor  string   `json:"cursor"`
		Kind    string   `json:"event_type"`
		At      string   `json:"iso_8601"`
		Changed []string `json:"changed_fields"`
		Contact struct {
			ID        string `json:"id"`
			Type      string `json:"type"`
			Extension string `json:"extension_number"`
			Name      string `json:"name"`
			First     string `json:"first_name"`
			Last      string `json:"last_name"`
		} `json:"contact"`
	}
	if err := json.Unmarshal([]byte(data), &change); err != nil {
		return err
	}
	who := &change.Contact
	line := fmt.Sprintf("%s  %s  %-6s  %s  %s  %s  %s", change.Cursor, change.At, change.Kind, who.Type, cmp.Or(who.Extension, "-"),
		cmp.Or(strings.TrimSpace(who.First+" "+who.Last), who.Name, "-"), who.ID)
	if len(change.Changed) > 0 {
		line += "  changed: " + strings.Join(change.Changed, ", ")
	}
	_, err := fmt.Println(harmlessText(line))
	return err
}
