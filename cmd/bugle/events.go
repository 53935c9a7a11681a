package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"bugle/internal/bugletest"
)

// eventsCommand is for people who are told of events, and for those who write what is told.
type eventsCommand struct {
	officeFlags
	Tail          tailEvents         `cmd:"" help:"Follow the changes of an account's company directory, one line for each."`
	Subscriptions listSubscriptions  `cmd:"" help:"List who is told of an account's events: webhooks and RingCentral's subscriptions."`
	Deliveries    listDeliveries     `cmd:"" help:"List what was to be sent, the latest first, or show one delivery with its bytes and attempts."`
	Resend        resendDeliveries   `cmd:"" help:"Send deliveries again: some by id, those of a time, or all that failed."`
	Pause         pauseSubscription  `cmd:"" help:"Send nothing to a webhook or subscription, and keep all until it is resumed."`
	Resume        resumeSubscription `cmd:"" help:"End a pause: what waited is sent, in order."`
	Receive       receiveEvents      `cmd:"" help:"Be a receiver: answer the handshake, check signatures, print what comes."`
}

// Help is shown by bugle events --help.
func (*eventsCommand) Help() string {
	return `All but receive speak to a running server as bugle admin does: with --url and the API key of --api-key-file or of BUGLE_API_KEY, which may be the
account's own key. Without --url they open the data directory of a server that is not running, except tail. An account is named by its id, its name or its
realm.

  bugle events tail Acme --url http://127.0.0.1:8000 --api-key-file bugle-data/first-credentials
  bugle events deliveries Acme --failed --since 24h
  bugle events resend Acme --failed
  bugle events receive --listen 127.0.0.1:8400`
}

// moment is a time on the command line: 2026-11-22T10:00:00Z, or how long ago.
type moment struct{ time.Time }

// UnmarshalText reads a time.
func (m *moment) UnmarshalText(text []byte) error {
	if ago, err := time.ParseDuration(string(text)); err == nil && ago >= 0 {
		m.Time = time.Now().Add(-ago)
		return nil
	}
	at, err := time.Parse(time.RFC3339, string(text))
	if err != nil || at.Year() < 1970 || at.Year() > 9999 {
		return fmt.Errorf("%q is neither a time such as 2026-11-22T10:00:00Z nor how long ago, such as 36h or 15m", text)
	}
	m.Time = at
	return nil
}

// gregorian are the seconds that the API counts in.
func (m moment) gregorian() int64 { return m.Unix() + 62167219200 }

// rangeFlags are a time and whose deliveries.
type rangeFlags struct {
	Subscription string `placeholder:"ID" help:"Only of this webhook or subscription."`
	Since        moment `placeholder:"TIME" help:"Only what was enqueued since: 2026-11-22T10:00:00Z, or how long ago, 36h."`
	Until        moment `placeholder:"TIME" help:"Only what was enqueued until then."`
	Failed       bool   `help:"Only what was given up."`
}

// path is the list of deliveries.
func (f *rangeFlags) path(one *bugletest.API, more ...string) string {
	if f.Subscription != "" {
		return one.Account(append([]string{"subscriptions", url.PathEscape(f.Subscription), "deliveries"}, more...)...)
	}
	return one.Account(append([]string{"subscriptions", "deliveries"}, more...)...)
}

// whose puts what the API says of a wrong id into words.
func (f *rangeFlags) whose(err error) error {
	return unknownID(err, f.Subscription, "webhook or subscription; bugle events subscriptions shows them")
}

// unknownID tells what to look at when there is no such thing.
func unknownID(err error, id, what string) error {
	if failure, ok := errors.AsType[*bugletest.APIError](err); ok && failure.Status == http.StatusNotFound && id != "" {
		return fmt.Errorf("%q is no %s", id, what)
	}
	return err
}

// subscriptionRow is one of who is told.
type subscriptionRow struct {
	ID      string   `json:"id"`
	Kind    string   `json:"kind"`
	Status  string   `json:"status"`
	Name    string   `json:"name"`
	User    string   `json:"user_name"`
	App     string   `json:"app_name"`
	Address string   `json:"address"`
	Trans   string   `json:"transport"`
	Filters []string `json:"filters"`
	Waiting int      `json:"waiting"`
	Oldest  string   `json:"oldest"`
	Dead    int      `json:"dead"`
	Reason  string   `json:"reason"`
}

type listSubscriptions struct {
	accountArgument
	JSON bool `name:"json" help:"Print one JSON object for each, as the API has it."`
}

// Run is the command.
func (c *listSubscriptions) Run(ctx context.Context, office *officeFlags) error {
	return c.inAccount(ctx, office, func(one *bugletest.API) error {
		raw, err := one.List(ctx, one.Account("subscriptions"))
		if err != nil || c.JSON {
			return cmp.Or(err, printRaw(raw))
		}
		lines := make([][]string, len(raw))
		for i := range raw {
			var s subscriptionRow
			if err := json.Unmarshal(raw[i], &s); err != nil {
				return err
			}
			oldest := "-"
			if at, err := time.Parse(time.RFC3339, s.Oldest); err == nil {
				oldest = time.Since(at).Round(time.Second).String()
			}
			who := cmp.Or(strings.Trim(s.User+" by "+s.App, " by"), s.Name, "-")
			lines[i] = []string{s.ID, s.Kind, s.Status, strconv.Itoa(s.Waiting), oldest, strconv.Itoa(s.Dead), harmlessText(who), harmlessText(cmp.Or(s.Address, s.Trans)),
				harmlessText(strings.Join(s.Filters, " ")), harmlessText(s.Reason)}
		}
		return printTable("ID\tKIND\tSTATUS\tWAITING\tOLDEST\tDEAD\tWHO\tADDRESS\tFILTERS\tREASON", lines)
	})
}

func printRaw(raw []json.RawMessage) error {
	for _, r := range raw {
		if _, err := fmt.Println(string(r)); err != nil {
			return err
		}
	}
	return nil
}

// deliveryLine is a delivery in a list.
type deliveryLine struct {
	ID           string `json:"id"`
	At           string `json:"iso_8601"`
	State        string `json:"state"`
	Tries        int    `json:"tries"`
	Status       int    `json:"resp_status_code"`
	Event        string `json:"event"`
	Subscription string `json:"subscription_id"`
	Reason       string `json:"reason"`
	Due          string `json:"due"`
}

type listDeliveries struct {
	accountArgument
	Delivery string `arg:"" optional:"" help:"Id of one delivery, to be shown with its bytes and attempts."`
	rangeFlags
	State []string `enum:"waiting,delivered,dead,dropped" help:"Only in these states: waiting, delivered, dead (given up), dropped (its subscription is gone)."`
	Limit int      `default:"50" help:"How many at most, the latest; 0 for all."`
	JSON  bool     `name:"json" help:"Print one JSON object for each, as the API has it."`
}

// Run is the command.
func (c *listDeliveries) Run(ctx context.Context, office *officeFlags) error {
	if c.Limit < 0 || c.Limit > 10_000 {
		return &exitError{2, fmt.Errorf("--limit: %d; 1 to 10000, or 0 for all", c.Limit)}
	}
	return c.inAccount(ctx, office, func(one *bugletest.API) error {
		if c.Delivery != "" {
			var d json.RawMessage
			if err := one.Do(ctx, http.MethodGet, c.path(one, url.PathEscape(c.Delivery)), nil, &d); err != nil {
				return unknownID(err, c.Delivery, "delivery of "+cmp.Or(c.Subscription, "this account")+"; bugle events deliveries shows them")
			}
			if c.JSON {
				return printRaw([]json.RawMessage{d})
			}
			return printDelivery(d)
		}
		query := url.Values{}
		if c.Failed {
			c.State = append(c.State, "dead")
		}
		if len(c.State) > 0 {
			slices.Sort(c.State)
			query.Set("state", strings.Join(slices.Compact(c.State), ","))
		}
		for name, at := range map[string]moment{"created_from": c.Since, "created_to": c.Until} {
			if !at.IsZero() {
				query.Set(name, strconv.FormatInt(at.gregorian(), 10))
			}
		}
		var raw []json.RawMessage
		var err error
		if c.Limit == 0 {
			query.Set("page_size", "1000")
			raw, err = one.List(ctx, c.path(one)+"?"+query.Encode())
		} else {
			query.Set("page_size", strconv.Itoa(c.Limit))
			err = one.Do(ctx, http.MethodGet, c.path(one)+"?"+query.Encode(), nil, &raw)
		}
		if err != nil || c.JSON {
			return cmp.Or(c.whose(err), printRaw(raw))
		}
		lines := make([][]string, len(raw))
		for i := range raw {
			var d deliveryLine
			if err := json.Unmarshal(raw[i], &d); err != nil {
				return err
			}
			status := "-"
			if d.Status != 0 {
				status = strconv.Itoa(d.Status)
			}
			lines[i] = []string{d.ID, d.At, d.State, strconv.Itoa(d.Tries), status, harmlessText(d.Event), d.Subscription, harmlessText(d.Reason)}
		}
		return printTable("ID\tTIME\tSTATE\tTRIES\tSTATUS\tEVENT\tSUBSCRIPTION\tREASON", lines)
	})
}

// printDelivery shows one delivery: what was sent, and what was answered to each attempt.
func printDelivery(raw json.RawMessage) error {
	var d struct {
		deliveryLine
		URI      string            `json:"uri"`
		Method   string            `json:"method"`
		Headers  map[string]string `json:"req_headers"`
		Body     string            `json:"req_body"`
		Attempts []struct {
			Try    int    `json:"try"`
			At     string `json:"iso_8601"`
			Took   int    `json:"duration_ms"`
			Result string `json:"result"`
			Status int    `json:"resp_status_code"`
			Reason string `json:"reason"`
			Answer string `json:"resp_body"`
			Retry  string `json:"retry_at"`
		} `json:"attempts"`
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		return err
	}
	fmt.Printf("%s  %s  %s\n%s %s\n", d.ID, d.State, d.At, strings.ToUpper(d.Method), harmlessText(d.URI))
	for _, name := range slices.Sorted(maps.Keys(d.Headers)) {
		fmt.Printf("%s: %s\n", harmlessText(name), harmlessText(d.Headers[name]))
	}
	fmt.Printf("\n%s\n\n", harmlessText(d.Body))
	lines := make([][]string, len(d.Attempts))
	for i, a := range d.Attempts {
		status := "-"
		if a.Status != 0 {
			status = strconv.Itoa(a.Status)
		}
		lines[i] = []string{strconv.Itoa(a.Try), a.At, strconv.Itoa(a.Took) + " ms", a.Result, status, harmlessText(strings.ReplaceAll(cmp.Or(a.Reason, a.Answer), "\n", " ")), cmp.Or(a.Retry, "-")}
	}
	return printTable("TRY\tTIME\tTOOK\tRESULT\tSTATUS\tREASON OR ANSWER\tNEXT", lines)
}

type resendDeliveries struct {
	accountArgument
	Delivery []string `arg:"" optional:"" help:"Ids of deliveries."`
	rangeFlags
}

// Run is the command.
func (c *resendDeliveries) Run(ctx context.Context, office *officeFlags) error {
	bounded := c.Failed || !c.Since.IsZero() || !c.Until.IsZero()
	switch {
	case len(c.Delivery) > 0 && bounded:
		return &exitError{2, errors.New("ids of deliveries, or --failed, --since and --until: not both")}
	case len(c.Delivery) == 0 && !bounded:
		return &exitError{2, errors.New("say which: ids of deliveries, --failed for all that failed, or --since and --until for those of a time")}
	}
	return c.inAccount(ctx, office, func(one *bugletest.API) error {
		sent := 0
		for _, id := range c.Delivery {
			var answer struct{ Resent int }
			if err := one.Do(ctx, http.MethodPut, c.path(one, url.PathEscape(id)), map[string]any{"action": "resend"}, &answer); err != nil {
				if failure, ok := errors.AsType[*bugletest.APIError](err); ok && failure.Status == http.StatusConflict {
					return fmt.Errorf("%s cannot be sent again: its webhook or subscription is gone", id)
				}
				return unknownID(err, id, "delivery of "+cmp.Or(c.Subscription, "this account")+"; bugle events deliveries shows them")
			}
			sent += answer.Resent
		}
		if bounded {
			body := map[string]any{"action": "resend"}
			if c.Failed {
				body["state"] = "dead"
			}
			for name, at := range map[string]moment{"created_from": c.Since, "created_to": c.Until} {
				if !at.IsZero() {
					body[name] = at.gregorian()
				}
			}
			var answer struct{ Resent int }
			if err := one.Do(ctx, http.MethodPut, c.path(one), body, &answer); err != nil {
				return c.whose(err)
			}
			sent = answer.Resent
		}
		_, err := fmt.Println(sent, "sent again")
		return err
	})
}

type pauseSubscription struct {
	accountArgument
	Subscription string `arg:"" help:"Id of the webhook or subscription."`
}

// Run is the command.
func (c *pauseSubscription) Run(ctx context.Context, office *officeFlags) error {
	return c.act(ctx, office, "pause")
}

func (c *pauseSubscription) act(ctx context.Context, office *officeFlags, action string) error {
	return c.inAccount(ctx, office, func(one *bugletest.API) error {
		var s subscriptionRow
		err := one.Do(ctx, http.MethodPut, one.Account("subscriptions", url.PathEscape(c.Subscription)), map[string]any{"action": action}, &s)
		if err != nil {
			return unknownID(err, c.Subscription, "webhook or subscription; bugle events subscriptions shows them")
		}
		_, err = fmt.Fprintf(os.Stdout, "%s is %s, %d waiting\n", s.ID, s.Status, s.Waiting)
		return err
	})
}

type resumeSubscription struct{ pauseSubscription }

// Run is the command.
func (c *resumeSubscription) Run(ctx context.Context, office *officeFlags) error {
	return c.act(ctx, office, "resume")
}

// harmlessText is text of others without what a terminal would obey.
func harmlessText(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '\uFFFD'
		}
		return r
	}, text)
}
