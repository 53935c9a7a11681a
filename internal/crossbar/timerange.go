package crossbar

import (
	"strconv"
	"time"
)

// KAZOO keeps what happened by months and refuses to look further at once; the hour is for clients that count from one
// summer to the other winter.
const (
	defaultRange = 31 * 24 * time.Hour
	maxRange     = defaultRange + time.Hour
)

// timeRange reads created_from and created_to, Gregorian seconds both included: until now, and as far back as one look
// may reach, when they are left out.
func (req *request) timeRange() (from, until time.Time, err error) {
	until, _, err = req.timeParam("created_to", req.api.opts.Now())
	if err != nil {
		return from, until, err
	}
	var given bool
	if from, given, err = req.timeParam("created_from", until.Add(-defaultRange)); err != nil {
		return from, until, err
	}
	switch length := until.Sub(from); {
	case given && length < 0:
		err = oneError("created_from", "date_range", "created_from is after created_to", gregorian(from))
	case length > maxRange:
		err = oneError("created_from", "date_range", "created_to is more than "+strconv.Itoa(int(maxRange/time.Second))+
			" seconds (31 days and an hour) after created_from", gregorian(from))
	}
	return from, until, err
}

// timeParam reads a time in Gregorian seconds.
func (req *request) timeParam(name string, otherwise time.Time) (at time.Time, given bool, err error) {
	text, given := req.param(name)
	if !given {
		return otherwise, false, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > 1<<40 {
		return time.Time{}, true, oneError(name, "date_range", "A time is a number of Gregorian seconds", clip(text, 64))
	}
	return time.Unix(n-gregorian(time.Unix(0, 0)), 0).UTC(), true, nil
}
