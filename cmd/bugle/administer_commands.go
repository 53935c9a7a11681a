package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"strings"

	"bugle/internal/bugletest"
)

type listAccounts struct{}

// Run is the command.
func (c *listAccounts) Run(ctx context.Context, office *officeFlags) error {
	return office.in(ctx, func(api *bugletest.API) error {
		all, err := accounts(ctx, api)
		if err != nil {
			return err
		}
		var lines [][]string
		for _, a := range all {
			lines = append(lines, []string{a.ID, a.Name, a.Realm})
		}
		return printTable("ID\tNAME\tREALM", lines)
	})
}

type createAccount struct {
	Name     string `arg:"" help:"Name of the new account."`
	Realm    string `help:"SIP realm, such as sip.example.com; made up when absent."`
	Parent   string `help:"Account that the new one is made under; that of the key when absent."`
	Timezone string `help:"Time zone, such as Europe/Berlin."`
	Language string `help:"Language of prompts, such as en-us."`
}

// Run is the command.
func (c *createAccount) Run(ctx context.Context, office *officeFlags) error {
	return office.in(ctx, func(api *bugletest.API) error {
		if c.Parent != "" {
			parent, err := account(ctx, api, c.Parent)
			if err != nil {
				return err
			}
			api = parent
		}
		doc := given(map[string]string{"name": c.Name, "realm": c.Realm, "timezone": c.Timezone, "language": c.Language})
		var made row
		if err := api.Do(ctx, http.MethodPut, api.Account(), doc, &made); err != nil {
			return err
		}
		return printTable("ID\tNAME\tREALM", [][]string{{made.ID, made.Name, made.Realm}})
	})
}

type deleteAccount struct{ accountArgument }

// Run is the command.
func (c *deleteAccount) Run(ctx context.Context, office *officeFlags) error {
	return c.inAccount(ctx, office, func(one *bugletest.API) error {
		return one.Delete(ctx, one.Account())
	})
}

type listUsers struct{ accountArgument }

// Run is the command.
func (c *listUsers) Run(ctx context.Context, office *officeFlags) error {
	return c.inAccount(ctx, office, func(one *bugletest.API) error {
		all, err := rows(ctx, one, one.Account("users"))
		if err != nil {
			return err
		}
		var lines [][]string
		for _, u := range all {
			lines = append(lines, []string{u.ID, cmp.Or(u.Username, "-"), strings.TrimSpace(u.First + " " + u.Last), u.Level, u.Email})
		}
		return printTable("ID\tUSER\tNAME\tLEVEL\tEMAIL", lines)
	})
}

type createUser struct {
	accountArgument
	passwordFlag
	Username  string `arg:"" help:"User name to log in with."`
	FirstName string `help:"Given name." required:""`
	LastName  string `help:"Family name."`
	Email     string `help:"E-mail address."`
	Admin     bool   `help:"The user administers the account."`
}

// Run is the command.
func (c *createUser) Run(ctx context.Context, office *officeFlags) error {
	return c.inAccount(ctx, office, func(one *bugletest.API) error {
		password, made, err := c.password()
		if err != nil {
			return err
		}
		doc := given(map[string]string{"username": c.Username, "password": password, "first_name": c.FirstName,
			"last_name": c.LastName, "email": c.Email, "priv_level": "user"})
		if c.Admin {
			doc["priv_level"] = "admin"
		}
		id, err := one.Create(ctx, one.Account("users"), doc)
		if err != nil {
			return err
		}
		return told(id, c.Username, password, made)
	})
}

type userPassword struct {
	accountArgument
	passwordFlag
	User string `arg:"" help:"Id or user name of the user."`
}

// Run is the command.
func (c *userPassword) Run(ctx context.Context, office *officeFlags) error {
	return c.inAccount(ctx, office, func(one *bugletest.API) error {
		id, err := userID(ctx, one, c.User)
		if err != nil {
			return err
		}
		password, made, err := c.password()
		if err != nil {
			return err
		}
		if err := one.Patch(ctx, one.Account("users", id), map[string]any{"password": password}); err != nil {
			return err
		}
		return told(id, c.User, password, made)
	})
}

type deleteUser struct {
	accountArgument
	User string `arg:"" help:"Id or user name of the user."`
}

// Run is the command.
func (c *deleteUser) Run(ctx context.Context, office *officeFlags) error {
	return c.inAccount(ctx, office, func(one *bugletest.API) error {
		id, err := userID(ctx, one, c.User)
		if err != nil {
			return err
		}
		return one.Delete(ctx, one.Account("users", id))
	})
}

type showKey struct{ accountArgument }

// Run is the command.
func (c *showKey) Run(ctx context.Context, office *officeFlags) error {
	return c.inAccount(ctx, office, func(one *bugletest.API) error { return key(ctx, one, http.MethodGet) })
}

type renewKey struct{ accountArgument }

// Run is the command.
func (c *renewKey) Run(ctx context.Context, office *officeFlags) error {
	return c.inAccount(ctx, office, func(one *bugletest.API) error { return key(ctx, one, http.MethodPut) })
}

func key(ctx context.Context, one *bugletest.API, method string) error {
	var answer struct {
		Key string `json:"api_key"`
	}
	if err := one.Do(ctx, method, one.Account("api_key"), nil, &answer); err != nil {
		return err
	}
	fmt.Println(answer.Key)
	return nil
}

// passwordFlag takes a password without it being an argument.
type passwordFlag struct {
	PasswordFile string `type:"existingfile" placeholder:"FILE" help:"File whose first line is the password; without it BUGLE_PASSWORD of the environment, else one is made up and shown."`
}

// password returns the password, and whether it was made up.
func (f *passwordFlag) password() (string, bool, error) {
	if f.PasswordFile == "" {
		if given := os.Getenv("BUGLE_PASSWORD"); given != "" {
			return given, false, nil
		}
		return rand.Text(), true, nil
	}
	file, err := os.Open(f.PasswordFile)
	if err != nil {
		return "", false, err
	}
	defer file.Close()
	line := bufio.NewScanner(file)
	if !line.Scan() || line.Text() == "" {
		return "", false, fmt.Errorf("--password-file: the first line of %s is empty", f.PasswordFile)
	}
	return line.Text(), false, nil
}

// told prints what the operator must know of a user. A password that was given is not repeated.
func told(id, username, password string, made bool) error {
	if made {
		return printTable("ID\tUSER\tPASSWORD", [][]string{{id, username, password}})
	}
	return printTable("ID\tUSER", [][]string{{id, username}})
}

// given is a document of the keys that have a value.
func given(values map[string]string) map[string]any {
	doc := map[string]any{}
	for key, value := range values {
		if value != "" {
			doc[key] = value
		}
	}
	return doc
}
