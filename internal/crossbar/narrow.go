package crossbar

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"bugle/internal/store"
)

// byDatabase lets the database pass over documents that cannot pass the request's filters: reading one costs far more than
// looking into it. The filters still judge each of the others.
func (req *request) byDatabase(q store.Query) store.Query {
	for name, values := range req.query {
		for _, value := range values {
			q.Contains = append(q.Contains, necessary(name, value)...)
		}
	}
	slices.SortFunc(q.Contains, func(x, y string) int { return cmp.Or(len(y)-len(x), strings.Compare(x, y)) }) // the rarest first
	q.Contains = slices.Compact(q.Contains)
	q.Contains = q.Contains[:min(len(q.Contains), 3)]
	q.Times = req.times()
	return q
}

// necessary are texts that stand in every stored document which passes a filter.
func necessary(name, value string) []string {
	switch {
	case name == "has_key", name == "has_value":
		key := value[strings.LastIndexByte(value, '.')+1:]
		if _, err := strconv.Atoi(key); err == nil || topKey(value) == "id" || key == "" || plainRun(key) != key {
			return nil // a member of an array; what is not stored; what may be written in several ways
		}
		return []string{`"` + key + `"`}
	case !strings.HasPrefix(name, "filter_"), strings.HasPrefix(name, "filter_not_"), topKey(name[len("filter_"):]) == "id",
		value == "", value[0] == '[', value[0] == '{': // no value, one of several, an object
		return nil
	}
	if run := plainRun(value); len(run) > 1 {
		return []string{run}
	}
	return nil
}

// plainRun is the longest part of a text that every encoder of JSON writes as it is.
func plainRun(text string) string {
	longest, from := "", 0
	for i := 0; i <= len(text); i++ {
		if i < len(text) && text[i] >= ' ' && text[i] < 0x7f && !strings.ContainsRune(`"\<>&'`, rune(text[i])) {
			continue
		}
		if i-from > len(longest) {
			longest = text[from:i]
		}
		from = i + 1
	}
	return longest
}

// times are the bounds of the filters by time, nil for none. What is no number was refused before.
func (req *request) times() *store.Times {
	const never = math.MaxInt64/1_000_000 - 1 // seconds that still are microseconds
	given := false
	bound := func(name string, otherwise int64, tighter func(x, y int64) int64) time.Time {
		at := otherwise
		for _, value := range req.query[name] {
			if n, err := strconv.ParseInt(value, 10, 64); err == nil {
				at, given = tighter(at, max(n, -never)-gregorian(time.Unix(0, 0))), true
			}
		}
		return time.Unix(max(-never, min(never, at)), 0)
	}
	earliest := func(name string) time.Time {
		return bound(name, -never, func(x, y int64) int64 { return max(x, y) })
	}
	latest := func(name string) time.Time { // in whole seconds, so that all of the last one is meant
		return bound(name, never, func(x, y int64) int64 { return min(x, y) }).Add(time.Second - time.Microsecond)
	}
	t := &store.Times{CreatedFrom: earliest("created_from"), CreatedTo: latest("created_to"),
		ModifiedFrom: earliest("modified_from"), ModifiedTo: latest("modified_to")}
	if !given {
		return nil
	}
	return t
}
