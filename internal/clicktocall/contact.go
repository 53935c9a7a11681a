package clicktocall

import (
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"bugle"
)

// Contact is whom an attempt is to reach: a number of the account's dial plan, or a SIP URI of another host.
type Contact struct {
	Number string // as dialled, "" for a URI
	URI    string
	host   string // of URI
}

const (
	maxContact = 256 // bytes of a contact as it is sent
	allowed    = "a contact is digits (with -, ., (, ) and blanks between them), + and digits, or a SIP URI such as sip:ann@example.com"
)

var (
	numberForm = regexp.MustCompile(`^(\+\d{1,20}|[\d*#]{1,40})$`)
	userForm   = regexp.MustCompile(`^[A-Za-z0-9_.!~*'&=+$,;/%-]{1,64}$`)
	dialled    = regexp.MustCompile(`^[A-Za-z0-9_.!~*'&=+$,;/#-]{1,64}$`)
	hostForm   = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?\.?$`)
)

// ParseContact reads a contact. What stands in a URI behind its host is refused, except transport: headers would become
// those of the INVITE.
func ParseContact(account *bugle.Account, text string) (Contact, *Refusal) {
	text = strings.Trim(text, " \t")
	if text == "" {
		return Contact{}, refuse(ContactRequired, "The contact extension for this click to call has not been set")
	}
	if len(text) > maxContact {
		return Contact{}, refuse(ContactInvalid, "a contact has at most %d characters", maxContact)
	}
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return Contact{}, refuse(ContactInvalid, "a contact has no control characters and none beyond ASCII; %s", allowed)
		}
	}
	if scheme, rest, ok := strings.Cut(text, ":"); ok {
		switch strings.ToLower(scheme) {
		case "sip", "sips":
			return parseURI(account, strings.ToLower(scheme), rest)
		case "tel":
			text = rest
		}
	}
	number := strings.Map(func(r rune) rune {
		if strings.ContainsRune("-.() ", r) {
			return -1
		}
		return r
	}, text)
	if !numberForm.MatchString(number) {
		return Contact{}, refuse(ContactInvalid, "%s", allowed)
	}
	return Contact{Number: number}, nil
}

// parseURI reads what follows the scheme: user@host, a port and a transport. RFC 3261 §19.1
func parseURI(account *bugle.Account, scheme, rest string) (Contact, *Refusal) {
	at := strings.LastIndexByte(rest, '@')
	if at < 0 {
		return Contact{}, refuse(ContactInvalid, "a SIP URI needs a user before its host: sip:ann@example.com")
	}
	user, hostport := rest[:at], rest[at+1:]
	hostport, param, extra := strings.Cut(hostport, ";")
	host, port := hostport, ""
	if h, p, err := net.SplitHostPort(hostport); err == nil {
		host, port = h, p
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if n, err := strconv.ParseUint(port, 10, 16); port != "" && (err != nil || n == 0) {
		return Contact{}, refuse(ContactInvalid, "the port of a SIP URI is 1 to 65535")
	}
	param = strings.ToLower(param)
	if extra && param != "transport=udp" && param != "transport=tcp" && param != "transport=tls" {
		return Contact{}, refuse(ContactInvalid, "a SIP URI may have the parameter transport=udp, tcp or tls and no other, and no headers")
	}
	plain, err := url.PathUnescape(user)
	if err != nil || !userForm.MatchString(user) || !dialled.MatchString(plain) {
		return Contact{}, refuse(ContactInvalid, "the user of a SIP URI has 1 to 64 letters, digits and marks")
	}
	addr, notAddress := netip.ParseAddr(host)
	if notAddress != nil && !hostForm.MatchString(host) || notAddress == nil && addr.Zone() != "" {
		return Contact{}, refuse(ContactInvalid, "the host of a SIP URI is a name or an IP address")
	}
	if account.Realm != "" && strings.EqualFold(strings.TrimSuffix(host, "."), account.Realm) {
		return Contact{Number: plain}, nil
	}
	c := Contact{URI: scheme + ":" + user + "@" + strings.ToLower(hostport), host: strings.ToLower(host)}
	if extra {
		c.URI += ";" + param
	}
	return c, nil
}

// address is the IP address that the URI names, for localhost that of loopback; the zero Addr for other names.
func (c *Contact) address() netip.Addr {
	name := strings.TrimSuffix(c.host, ".")
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	addr, _ := netip.ParseAddr(name)
	return addr
}
