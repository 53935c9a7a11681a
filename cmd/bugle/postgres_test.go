package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"bugle/internal/bugletest"
	"bugle/internal/store/pgtest"
)

// TestOnPostgres: a company is made through the API, phones call each other, a second server on the database knows it,
// and after a restart all is as it was. The password comes from a file and stands in no output.
func TestOnPostgres(t *testing.T) {
	t.Parallel()
	const password = "a: hush\\hush of it"
	url := pgtest.Secretive(t, pgtest.URL(t), password)
	dir := t.TempDir()
	passfile, data := filepath.Join(dir, "pgpass"), filepath.Join(dir, "data")
	if err := os.WriteFile(passfile, []byte(`*:*:*:*:`+strings.NewReplacer(`\`, `\\`, `:`, `\:`).Replace(password)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	arguments := []string{"--store", url + "&passfile=" + passfile, "--blob-dir", filepath.Join(dir, "blobs")}
	o := openOffice(t, data, arguments...)
	ann := o.phone(t, "1001", bugletest.Behaviour{})
	o.phone(t, "1002", bugletest.Answering(0, calleeTone))
	if err := o.talk(t, ann, "1002").Hangup(within(t)); err != nil {
		t.Fatal(err)
	}
	// The other server has the key, and a data directory of its own.
	other := serve(t, filepath.Join(dir, "other"), chosen, append(arguments, "--secret-key-file", filepath.Join(data, "key"))...)
	path := "/accounts/" + o.company.accountID + "/users"
	api := other.api(t)
	for _, name := range []string{"Zoë", "Yves"} {
		var made struct{ ID string }
		var read struct {
			FirstName string `json:"first_name"`
		}
		if err := o.api.Do(within(t), "PUT", path, object{"first_name": name, "last_name": "Zimmer"}, &made); err != nil {
			t.Fatal(err)
		}
		if err := api.Do(within(t), "GET", path+"/"+made.ID, nil, &read); err != nil || read.FirstName != name {
			t.Errorf("the other server reads %q, %v", read.FirstName, err)
		}
		if err := api.Do(within(t), "PATCH", path+"/"+made.ID, object{"first_name": "Zara"}, nil); err != nil {
			t.Fatal(err)
		}
		if err := o.api.Do(within(t), "GET", path+"/"+made.ID, nil, &read); err != nil || read.FirstName != "Zara" {
			t.Errorf("the first server reads %q, %v", read.FirstName, err)
		}
	}
	o.end(t, syscall.SIGTERM)
	log := o.Log() + other.Log()
	o.program = serve(t, data, chosen, append(arguments, "--sip", o.SIP.String())...)
	if err := o.talk(t, ann, "1002").Hangup(within(t)); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(log+o.Log(), "hush") {
		t.Errorf("the log tells the password:\n%s", log)
	}
	if _, err := os.Stat(filepath.Join(data, "bugle.db")); err == nil {
		t.Error("there is an SQLite database too")
	}
}

// TestStoreIsRefused: what cannot work ends serve before it listens, with the reason and without the password.
func TestStoreIsRefused(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	wrong := pgtest.Secretive(t, url, "right")
	for name, c := range map[string]struct{ store, blobs, want string }{
		"no directory for audio":  {url, "", "--blob-dir"},
		"not a URL of PostgreSQL": {"mysql://u:hush@h/d", "b", "--store: not the URL of a PostgreSQL"},
		"malformed":               {"postgres://u:hush@h:port/d", "b", "malformed"},
		"a wrong password":        {strings.Replace(wrong, "@", ":hush@", 1), "b", "password authentication failed"},
		"nobody answers":          {"postgres://u:hush@localhost:1/d", "b", "cannot be opened"},
		"a size out of bounds":    {url + "&pool_max_conns=1", "b", "from 2 to 1000"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			dir := t.TempDir()
			arguments := []string{"serve", "--data-dir", dir, "--sip", "127.0.0.1:0", "--http", "127.0.0.1:0", "--admin", ""}
			if c.blobs != "" {
				arguments = append(arguments, "--blob-dir", filepath.Join(dir, c.blobs))
			}
			out := make(chan string, 1)
			cmd := bugleCommand(t, []string{"BUGLE_STORE=" + c.store}, arguments...)
			go func() {
				text, err := cmd.CombinedOutput()
				if err == nil {
					text = append(text, "it ended well"...)
				}
				out <- string(text)
			}()
			select {
			case text := <-out:
				if !strings.Contains(text, c.want) || strings.Contains(text, "hush") || strings.Contains(text, "it ended well") {
					t.Errorf("the output is %s\nwant %q in it", text, c.want)
				}
			case <-ctx.Done():
				t.Fatal("serve goes on")
			}
		})
	}
}
