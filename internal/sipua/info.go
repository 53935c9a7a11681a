package sipua

import (
	"strings"
)

// digitOfInfo reads the key of an INFO body, 0 when there is none. application/dtmf-relay is "Signal=5\r\nDuration=160",
// application/dtmf the bare key; some phones write numbers above 9 for * (10), # (11) and A to D (12 to 15).
func digitOfInfo(contentType string, body []byte) (key byte, known bool) {
	kind, _, _ := strings.Cut(contentType, ";")
	text := strings.TrimSpace(string(body[:min(len(body), 256)]))
	switch strings.ToLower(strings.TrimSpace(kind)) {
	case "application/dtmf-relay":
		for line := range strings.Lines(text) {
			name, value, _ := strings.Cut(line, "=")
			if strings.EqualFold(strings.TrimSpace(name), "Signal") {
				return keyOf(strings.TrimSpace(value)), true
			}
		}
		return 0, true
	case "application/dtmf":
		return keyOf(text), true
	}
	return 0, false
}

func keyOf(s string) byte {
	switch {
	case len(s) == 1:
		switch c := s[0]; {
		case c >= '0' && c <= '9', c == '*', c == '#', c >= 'A' && c <= 'D':
			return c
		case c >= 'a' && c <= 'd':
			return c - 'a' + 'A'
		}
	case len(s) == 2 && s[0] == '1' && s[1] >= '0' && s[1] <= '5':
		return "*#ABCD"[s[1]-'0']
	}
	return 0
}
