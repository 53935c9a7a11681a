package clicktocall

import (
	"fmt"
	"regexp"
	"time"

	"bugle"
)

// CheckQuietHours returns what is wrong with quiet hours: the key, and a text that says what is allowed; "" for nothing.
func CheckQuietHours(q bugle.QuietHours) (field, message string) {
	for _, at := range [...]struct{ field, text string }{{"from", q.From}, {"to", q.To}} {
		if _, err := minutes(at.text); err != nil {
			return at.field, "Must be a time of the day such as 22:00"
		}
	}
	if q.From == q.To {
		return "to", "Must be another time than from"
	}
	if _, err := time.LoadLocation(q.Timezone); err != nil || q.Timezone == "Local" {
		return "timezone", "Must be the name of a time zone such as Europe/Berlin"
	}
	return "", ""
}

var timeForm = regexp.MustCompile(`^([01][0-9]|2[0-3]):[0-5][0-9]$`)

// minutes are those since midnight.
func minutes(text string) (int, error) {
	if !timeForm.MatchString(text) {
		return 0, fmt.Errorf("%q is no time of the day", text)
	}
	return int(text[0]-'0')*600 + int(text[1]-'0')*60 + int(text[3]-'0')*10 + int(text[4]-'0'), nil
}

// quietUntil returns when the quiet hours that now is in end, in the time zone of the endpoint or else of the account; the
// zero time when it is not in any.
func quietUntil(account *bugle.Account, q *bugle.QuietHours, now time.Time) time.Time {
	if q == nil {
		return time.Time{}
	}
	from, err1 := minutes(q.From)
	to, err2 := minutes(q.To)
	if err1 != nil || err2 != nil || from == to {
		return time.Time{}
	}
	zone := time.UTC
	for _, name := range [...]string{q.Timezone, account.Timezone} {
		if found, err := time.LoadLocation(name); err == nil && name != "" {
			zone = found
			break
		}
	}
	local := now.In(zone)
	at, days := local.Hour()*60+local.Minute(), 0
	switch {
	case from < to && (at < from || at >= to), from > to && at < from && at >= to:
		return time.Time{}
	case from > to && at >= from:
		days = 1
	}
	return time.Date(local.Year(), local.Month(), local.Day()+days, to/60, to%60, 0, 0, zone).UTC()
}
