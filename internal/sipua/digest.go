package sipua

import (
	"crypto/md5" // RFC 8760 keeps it for phones that know nothing else
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
)

// The values of sip.digest and --sip-digest.
const (
	DigestMD5    = "md5"
	DigestSHA256 = "sha-256"
	DigestBoth   = "both"
)

const (
	maxCredentials      = 2048 // bytes of one Authorization value
	maxCredentialParams = 32
)

// credentials is the Authorization header of a request (RFC 7616 §3.4).
type credentials struct {
	username, realm, nonce, uri, response, algorithm, cnonce, qop, nc string
}

// parseCredentials reads the value of an Authorization header; it is false for another scheme and for a value that RFC
// 7616 does not allow: a parameter twice, one that is required missing, one that is not closed.
func parseCredentials(value string) (credentials, bool) {
	var c credentials
	scheme, rest, ok := strings.Cut(strings.TrimSpace(value), " ")
	if !ok || !strings.EqualFold(scheme, "Digest") || len(value) > maxCredentials {
		return c, false
	}
	seen := make([]string, 0, maxCredentialParams)
	for rest != "" {
		var name, text string
		name, text, rest, ok = cutAuthParam(rest)
		if !ok || len(seen) == maxCredentialParams || slices.Contains(seen, name) {
			return c, false
		}
		seen = append(seen, name)
		switch name {
		case "username":
			c.username = text
		case "realm":
			c.realm = text
		case "nonce":
			c.nonce = text
		case "uri":
			c.uri = text
		case "response":
			c.response = text
		case "algorithm":
			c.algorithm = text
		case "cnonce":
			c.cnonce = text
		case "qop":
			c.qop = text
		case "nc":
			c.nc = text
		}
	}
	if c.username == "" || c.nonce == "" || c.uri == "" || c.response == "" {
		return c, false
	}
	// RFC 7616 §3.4: cnonce and nc come with qop, and only with it.
	if c.qop != "" && (c.cnonce == "" || len(c.nc) != 8) {
		return c, false
	}
	return c, true
}

// cutAuthParam takes one name=value, quoted or not, from a comma-separated list.
func cutAuthParam(list string) (name, value, rest string, ok bool) {
	name, rest, ok = strings.Cut(list, "=")
	name = strings.ToLower(strings.Trim(name, " \t\r\n"))
	rest = strings.TrimLeft(rest, " \t\r\n")
	if !ok || name == "" {
		return "", "", "", false
	}
	if !strings.HasPrefix(rest, `"`) {
		value, rest, _ = strings.Cut(rest, ",")
		return name, strings.Trim(value, " \t\r\n"), strings.TrimLeft(rest, " \t\r\n"), true
	}
	// Hardly any value has a backslash: then it is part of the list, and nothing is copied.
	if end := strings.IndexAny(rest[1:], `"\\`) + 1; end > 0 && rest[end] == '"' {
		value, rest = rest[1:end], rest[end+1:]
		rest, ok = cutComma(rest)
		return name, value, rest, ok
	}
	var b strings.Builder
	for i := 1; i < len(rest); i++ {
		switch rest[i] {
		case '\\':
			if i++; i < len(rest) {
				b.WriteByte(rest[i])
			}
		case '"':
			rest, ok = cutComma(rest[i+1:])
			return name, b.String(), rest, ok
		default:
			b.WriteByte(rest[i])
		}
	}
	return "", "", "", false
}

// cutComma takes the comma after a parameter; it is false when something else stands there.
func cutComma(rest string) (string, bool) {
	rest = strings.TrimLeft(rest, " \t\r\n")
	after, comma := strings.CutPrefix(rest, ",")
	return strings.TrimLeft(after, " \t\r\n"), comma || rest == ""
}

// nonceCount returns the nc parameter, 1 for a client without qop, which may use a nonce only once here.
func (c *credentials) nonceCount() (uint32, bool) {
	if c.qop == "" {
		return 1, true
	}
	n, err := strconv.ParseUint(c.nc, 16, 32)
	return uint32(n), err == nil && n > 0
}

// algorithmName returns the algorithm in the spelling of a challenge, "" for one that is not known here.
func (c *credentials) algorithmName() string {
	switch {
	case c.algorithm == "" || strings.EqualFold(c.algorithm, "MD5"):
		return "MD5"
	case strings.EqualFold(c.algorithm, "SHA-256"):
		return "SHA-256"
	}
	return ""
}

// algorithms returns what a policy offers, the stronger first (RFC 8760 §2.3).
func algorithms(policy string) []string {
	switch policy {
	case DigestSHA256:
		return []string{"SHA-256"}
	case DigestBoth:
		return []string{"SHA-256", "MD5"}
	}
	return []string{"MD5"}
}

// verify says whether the response was made with the password (RFC 7616 §3.4.1). It takes the same time whichever
// character is wrong.
func (c *credentials) verify(method, password string, body []byte) bool {
	hash := md5Hex
	if c.algorithmName() == "SHA-256" {
		hash = sha256Hex
	}
	ha1 := hash(c.username + ":" + c.realm + ":" + password)
	a2 := method + ":" + c.uri
	var want string
	switch {
	case c.qop == "":
		want = hash(ha1 + ":" + c.nonce + ":" + hash(a2))
	case strings.EqualFold(c.qop, "auth"):
		want = hash(ha1 + ":" + c.nonce + ":" + c.nc + ":" + c.cnonce + ":" + c.qop + ":" + hash(a2))
	case strings.EqualFold(c.qop, "auth-int"): // not offered, and no weaker
		want = hash(ha1 + ":" + c.nonce + ":" + c.nc + ":" + c.cnonce + ":" + c.qop + ":" + hash(a2+":"+hash(string(body))))
	default:
		return false
	}
	return subtle.ConstantTimeCompare([]byte(want), []byte(strings.ToLower(c.response))) == 1
}

func md5Hex(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

func sha256Hex(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// challenge is the value of one WWW-Authenticate header.
func challenge(realm, nonce, algorithm string, stale bool) string {
	s := `Digest realm="` + quotable(realm) + `", nonce="` + nonce + `", algorithm=` + algorithm + `, qop="auth"`
	if stale {
		s += ", stale=true"
	}
	return s
}

// quotable makes text fit to stand between quotation marks.
func quotable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '"' || r == '\\' || r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
}
