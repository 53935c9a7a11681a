package ringcentral

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	reminderPath   = "/restapi/v1.0/subscription/~"
	reminderPeriod = 5 * time.Second // the least that a reminder's times may be
	maxFilters     = 20
)

// filters are what a subscription asks for, read.
type filters struct {
	list       []string // expanded, each once, as clients see them
	disabled   []string // those of list that the app may not have
	directory  string   // the filter of the directory, "" for none
	threshold  time.Duration
	interval   time.Duration // 0: no reminders
	reminder   string        // the filter, as it came
	reminderIn int           // its place in what was asked, for complaints
}

// follows: it is told of changes of the directory.
func (f *filters) follows() bool {
	return f.directory != "" && !slices.Contains(f.disabled, f.directory)
}

// readFilters judges what a client asks for. What it may not have now is disabled and does not fail the rest; what there is not, or is
// another account's, does.
func (c *call) readFilters(asked []string) (f filters, err error) {
	if len(asked) == 0 {
		return f, badParameter("eventFilters", nil, "there must be at least one")
	}
	if len(asked) > maxFilters {
		return f, badParameter("eventFilters", nil, "there are at most 20")
	}
	account, err := c.server.opts.Contacts.Numeric(c.ctx, c.who.AccountID, kindAccount, c.who.AccountID)
	if err != nil {
		return f, err
	}
	var unknown []string
	for i, text := range asked {
		kind, args := parseFilter(text)
		switch kind {
		case "reminder":
			if f.threshold, f.interval, err = reminderTimes(args); err != nil {
				return f, err
			}
			f.reminder, f.reminderIn = text, i
		case "directory":
			own, err := c.server.isOwnAccount(c.ctx, args.Get("account"), c.who.AccountID)
			if err != nil {
				return f, err
			}
			if !own {
				return f, &fault{status: http.StatusForbidden, code: "SUB-406", message: "Events of another account are not available: " + clip(text),
					extra: map[string]any{"parameterName": "eventFilters"}}
			}
			f.directory = "/restapi/v1.0/account/" + account + "/directory/entries"
			if text = f.directory; !c.who.may(permReadAccounts) && !slices.Contains(f.disabled, text) {
				f.disabled = append(f.disabled, text)
			}
		default:
			unknown = append(unknown, clip(text))
			continue
		}
		if !slices.Contains(f.list, text) {
			f.list = append(f.list, text)
		}
	}
	if len(unknown) > 0 {
		return f, &fault{status: http.StatusBadRequest, code: "SUB-508", message: "Event filters are not supported: " + strings.Join(unknown, ", "),
			extra: map[string]any{"parameterName": "eventFilters"}}
	}
	return f, nil
}

func clip(text string) string {
	if len(text) > 200 {
		return strings.ToValidUTF8(text[:200], "") + "…"
	}
	return text
}

// parseFilter tells what a filter asks for: "directory" with the account, "reminder" with its parameters, or "".
func parseFilter(text string) (kind string, args url.Values) {
	u, err := url.Parse(text)
	if err != nil || u.Host != "" || u.Scheme != "" || u.Fragment != "" || len(text) > 1024 {
		return "", nil
	}
	if u.Path == reminderPath {
		return "reminder", u.Query()
	}
	words := strings.Split(strings.Trim(u.Path, "/"), "/")
	if len(words) == 6 && words[0] == "restapi" && words[1] == "v1.0" && words[2] == "account" && words[4] == "directory" && words[5] == "entries" && u.RawQuery == "" {
		return "directory", url.Values{"account": {words[3]}}
	}
	return "", nil
}

func badReminder(message string) *fault {
	return &fault{status: http.StatusBadRequest, code: "SUB-516", message: "The reminder's times are not valid: " + message,
		extra: map[string]any{"parameterName": "eventFilters"}}
}

func reminderTimes(q url.Values) (threshold, interval time.Duration, err error) {
	times := map[string]*time.Duration{"threshold": &threshold, "interval": &interval}
	for name, to := range times {
		n, err := strconv.Atoi(q.Get(name))
		if err != nil || n < 1 || n > int(maxExpires/time.Second) {
			return 0, 0, badReminder(name + " must be a number of seconds")
		}
		*to = time.Duration(n) * time.Second
	}
	for name := range q {
		if times[name] == nil {
			return 0, 0, badReminder("there are threshold and interval and no " + clip(name))
		}
	}
	return threshold, interval, nil
}

// remindWithin judges the reminder for a lifetime.
func (f *filters) remindWithin(life time.Duration) error {
	switch {
	case f.interval == 0:
		return nil
	case f.threshold > life/2:
		return badReminder("threshold is at most half of the subscription's lifetime")
	case f.interval > f.threshold/2:
		return badReminder("interval is at most half of threshold")
	case f.interval < reminderPeriod:
		return badReminder("interval is at least 5")
	}
	return nil
}
