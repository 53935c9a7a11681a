package speech

import (
	"context"
	"strconv"
	"strings"

	"bugle/internal/media"
)

// scales are the words for the groups of three digits, from the right.
var scales = [...]string{"", "num.thousand", "num.million", "num.billion"}

// Number says a whole number: "two hundred seven". One of a million million or more is said digit by digit.
func (c *Catalogue) Number(ctx context.Context, account, language string, n int64) []*media.Clip {
	return c.Prompts(ctx, account, language, numberPrompts(n)...)
}

func numberPrompts(n int64) []string {
	var ids []string
	digits := strconv.FormatInt(n, 10)
	if digits, ok := strings.CutPrefix(digits, "-"); ok {
		return append([]string{"num.minus"}, positivePrompts(digits)...)
	}
	return append(ids, positivePrompts(digits)...)
}

func positivePrompts(digits string) []string {
	if len(digits) > 3*len(scales) {
		return digitPrompts(digits)
	}
	n, _ := strconv.ParseUint(digits, 10, 64) // at most twelve digits
	if n == 0 {
		return []string{"num.0"}
	}
	var groups []uint64
	for ; n > 0; n /= 1000 {
		groups = append(groups, n%1000)
	}
	var ids []string
	for i := len(groups) - 1; i >= 0; i-- {
		if groups[i] == 0 {
			continue
		}
		ids = appendGroup(ids, groups[i])
		if scales[i] != "" {
			ids = append(ids, scales[i])
		}
	}
	return ids
}

// appendGroup appends a number from 1 to 999.
func appendGroup(ids []string, n uint64) []string {
	say := func(n uint64) { ids = append(ids, "num."+strconv.FormatUint(n, 10)) }
	if n >= 100 {
		say(n / 100)
		ids = append(ids, "num.hundred")
		n %= 100
	}
	switch {
	case n == 0:
	case n <= 20 || n%10 == 0:
		say(n)
	default:
		say(n - n%10)
		say(n % 10)
	}
	return ids
}

// Digits says the digits of an extension or a telephone number one by one; *, # and + have names, other characters are
// passed over.
func (c *Catalogue) Digits(ctx context.Context, account, language, digits string) []*media.Clip {
	return c.Prompts(ctx, account, language, digitPrompts(digits)...)
}

func digitPrompts(digits string) []string {
	var ids []string
	for _, r := range digits[:min(len(digits), maxSpelled)] {
		switch {
		case r >= '0' && r <= '9':
			ids = append(ids, "num."+string(r))
		case r == '*':
			ids = append(ids, "gen.star")
		case r == '#':
			ids = append(ids, "gen.pound")
		case r == '+':
			ids = append(ids, "num.plus")
		}
	}
	return ids
}

// NumberPrompts are the ids of the prompts that say a whole number.
func NumberPrompts(n int64) []string { return numberPrompts(n) }

// TimePrompts are the ids of the prompts that say a time of day: "three oh five P M", "noon".
func TimePrompts(hour, minute int) []string {
	if minute == 0 && hour%12 == 0 {
		return []string{[]string{"time.midnight", "time.noon"}[hour/12]}
	}
	half, on := "time.am", (hour+11)%12+1
	if hour >= 12 {
		half = "time.pm"
	}
	ids := numberPrompts(int64(on))
	switch {
	case minute == 0:
	case minute < 10:
		ids = append(append(ids, "num.oh"), numberPrompts(int64(minute))...)
	default:
		ids = append(ids, numberPrompts(int64(minute))...)
	}
	return append(ids, half)
}
