package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kong"

	"bugle/internal/bugletest"
	"bugle/internal/crossbar"
	"bugle/internal/store"
)

// administerCommand manages accounts, users and API keys from the shell.
type administerCommand struct {
	officeFlags
	Accounts struct {
		List   listAccounts  `cmd:"" help:"List all accounts."`
		Create createAccount `cmd:"" help:"Create an account."`
		Delete deleteAccount `cmd:"" help:"Delete an account."`
	} `cmd:"" help:"Accounts."`
	Users struct {
		List     listUsers    `cmd:"" help:"List the users of an account."`
		Create   createUser   `cmd:"" help:"Create a user."`
		Password userPassword `cmd:"" help:"Give a user a new password; all logins of the user end."`
		Delete   deleteUser   `cmd:"" help:"Delete a user."`
	} `cmd:"" help:"Users."`
	Keys struct {
		Show  showKey  `cmd:"" help:"Show the API key of an account."`
		Renew renewKey `cmd:"" help:"Give an account a new API key; the old one and all that logged in with it end."`
	} `cmd:"" help:"API keys."`
}

// Help is shown by bugle admin --help.
func (*administerCommand) Help() string {
	return `With --url it speaks to a running server, with the API key of --api-key-file or of BUGLE_API_KEY. Without, it opens the data
directory of a server that is not running (or, with --store, its database) and needs no key: whoever may read the directory
owns it.
An account is named by its id, its name or its realm, a user by id or user name.`
}

// officeFlags say which system is administered. They are those of a group of commands, before or behind the name of one, and
// each is handed them.
type officeFlags struct {
	URL           string `name:"url" env:"BUGLE_URL" help:"API of a running server: http://127.0.0.1:8000."`
	APIKeyFile    string `name:"api-key-file" env:"BUGLE_API_KEY_FILE" type:"existingfile" help:"File with the API key of the master account or of another one; first-credentials will do."`
	SecretKeyFile string `env:"BUGLE_SECRET_KEY_FILE" help:"Key that seals secrets; DATA-DIR/key by default." type:"path"`
	placeFlags
}

// AfterApply is kong's: what was read is given to the command.
func (f *officeFlags) AfterApply(c *kong.Context) error {
	c.Bind(f)
	return nil
}

// office opens the system; the caller closes it.
func (f *officeFlags) office(ctx context.Context) (*bugletest.API, func(), error) {
	if f.URL != "" {
		if u, err := url.Parse(f.URL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return nil, nil, &exitError{2, fmt.Errorf("--url: %q is not a URL such as http://127.0.0.1:8000", f.URL)}
		}
		key, err := f.apiKey()
		if err != nil {
			return nil, nil, err
		}
		api := bugletest.NewAPI(f.URL, nil)
		return api, func() {}, api.LoginKey(ctx, key)
	}
	if _, err := os.Stat(f.DataDir); err != nil {
		return nil, nil, &exitError{2, fmt.Errorf("--data-dir: there is no directory %s; --url speaks to a running server", f.DataDir)}
	}
	s, sealer, err := f.open(ctx, cmp.Or(f.SecretKeyFile, filepath.Join(f.DataDir, "key")), store.Options{})
	if err != nil {
		return nil, nil, fmt.Errorf("%w; while a server runs on it, use --url", err)
	}
	done := func() { _ = s.Close() }
	direct, err := crossbar.New(crossbar.Options{Store: s, Sealer: sealer, SubscriptionTerms: describeSubscription, Version: version()})
	if err != nil {
		done()
		return nil, nil, err
	}
	key, err := direct.MasterKey(ctx)
	if err != nil {
		done()
		return nil, nil, err
	}
	api := bugletest.NewAPI("http://bugle", &http.Client{Transport: inProcess{direct}})
	if err := api.LoginKey(ctx, key); err != nil {
		done()
		return nil, nil, err
	}
	return api, done, nil
}

func (f *officeFlags) apiKey() (string, error) {
	if f.APIKeyFile == "" {
		if key := os.Getenv("BUGLE_API_KEY"); key != "" {
			return key, nil
		}
		return "", &exitError{2, errors.New("--url needs an API key: --api-key-file FILE, or BUGLE_API_KEY in the environment")}
	}
	text, err := os.ReadFile(f.APIKeyFile)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) { // a line of first-credentials, or the key alone
		if name, value, found := strings.Cut(line, ":"); found && name == "API key" {
			return strings.TrimSpace(value), nil
		}
	}
	return strings.TrimSpace(string(text)), nil
}

// inProcess carries requests to a handler without a network.
type inProcess struct{ handler http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	r.RemoteAddr = "127.0.0.1:0"
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, r)
	return w.Result(), nil
}

// in runs what a command does.
func (f *officeFlags) in(ctx context.Context, do func(*bugletest.API) error) error {
	api, done, err := f.office(ctx)
	if err != nil {
		return err
	}
	defer done()
	return do(api)
}

// accountArgument names the account that a command is about.
type accountArgument struct {
	Account string `arg:"" help:"Id, name or realm of the account."`
}

// inAccount runs what a command does in its account.
func (c *accountArgument) inAccount(ctx context.Context, office *officeFlags, do func(one *bugletest.API) error) error {
	return office.in(ctx, func(api *bugletest.API) error {
		one, err := account(ctx, api, c.Account)
		if err != nil {
			return err
		}
		return do(one)
	})
}

// row is what lists tell of an account or a user.
type row struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Realm    string `json:"realm"`
	Username string `json:"username"`
	First    string `json:"first_name"`
	Last     string `json:"last_name"`
	Email    string `json:"email"`
	Level    string `json:"priv_level"`
}

func rows(ctx context.Context, api *bugletest.API, path string) ([]row, error) {
	raw, err := api.List(ctx, path)
	if err != nil {
		return nil, err
	}
	out := make([]row, len(raw))
	for i := range raw {
		if err := json.Unmarshal(raw[i], &out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// accounts are the account of the key and all below it.
func accounts(ctx context.Context, api *bugletest.API) ([]row, error) {
	var own row
	if err := api.Do(ctx, http.MethodGet, api.Account(), nil, &own); err != nil {
		return nil, err
	}
	below, err := rows(ctx, api, api.Account("descendants"))
	return append([]row{own}, below...), err
}

// account finds the account that a word means, and returns the client for it.
func account(ctx context.Context, api *bugletest.API, word string) (*bugletest.API, error) {
	all, err := accounts(ctx, api)
	if err != nil {
		return nil, err
	}
	var found []row
	for _, a := range all {
		if word == a.ID || strings.EqualFold(word, a.Name) || strings.EqualFold(word, a.Realm) {
			found = append(found, a)
		}
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("%d accounts have the id, name or realm %q; bugle admin accounts list shows them", len(found), word)
	}
	return api.For(found[0].ID), nil
}

// userID finds the user that a word means.
func userID(ctx context.Context, api *bugletest.API, word string) (string, error) {
	all, err := rows(ctx, api, api.Account("users"))
	if err != nil {
		return "", err
	}
	for _, u := range all {
		if word == u.ID || strings.EqualFold(word, u.Username) {
			return u.ID, nil
		}
	}
	return "", fmt.Errorf("no user has the id or user name %q; bugle admin users list shows them", word)
}

func printTable(heading string, lines [][]string) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, heading)
	for _, line := range lines {
		fmt.Fprintln(w, strings.Join(line, "\t"))
	}
	return w.Flush()
}
