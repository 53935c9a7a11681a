package sipua

import (
	"strconv"
	"strings"
	"time"

	"bugle/internal/sip"
)

// RFC 4028 §4, §5: no session interval may be shorter than 90 seconds.
const (
	leastSessionExpires = 90
	usualSessionExpires = 1800
)

// sessionTimer is what one dialog has agreed on by RFC 4028; seconds is 0 for no session timer.
type sessionTimer struct {
	seconds int
	refresh bool // we refresh; otherwise we end the call when the other side does not
	timer   sip.Timer
	round   int // tells a timer that was stopped too late from the current one
}

// parseSessionExpires reads a Session-Expires value, "1800;refresher=uac"; ok is false for a malformed one.
func parseSessionExpires(value string) (seconds int, refresher string, ok bool) {
	text, params, _ := strings.Cut(value, ";")
	seconds, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || seconds < 0 {
		return 0, "", false
	}
	refresher = strings.ToLower(sip.Params(";" + params).Value("refresher"))
	if refresher != "uac" && refresher != "uas" {
		refresher = ""
	}
	return seconds, refresher, true
}

// wait is how long after a refresh we act: at half of the interval when we refresh (RFC 4028 §7.2), a little before its end
// when we give up (§10).
func (t *sessionTimer) wait() time.Duration {
	interval := time.Duration(t.seconds) * time.Second
	if t.refresh {
		return interval / 2
	}
	return interval - min(32*time.Second, interval/3)
}
