package sip

import "errors"

// Rejection is the answer to a request that breaks the protocol.
type Rejection struct {
	Status      int    // 0: say nothing, drop the message (an ACK or a response, which are never answered)
	Reason      string // reason phrase that says what is wrong
	Unsupported string // with 420: the option tags of the Unsupported header
}

// Rules are the expectations of Validate that depend on what the TU can do.
type Rules struct {
	Supported []string // option tags that may stand in Require
}

// Validate checks a parsed message by the default Rules: no extension may be required.
func Validate(m *Message) *Rejection { return defaultRules.Validate(m) }

var defaultRules = &Rules{}

// Validate checks a parsed message for what every element must be able to rely on, nil when nothing is wrong: the
// mandatory headers are there once, well formed and agree with each other; addresses parse; the scheme of the Request-URI is
// known; Max-Forwards is not used up; no unknown extension is required. What only a registrar or a user agent can judge
// (methods, bodies, credentials) is not its business.
func (r *Rules) Validate(m *Message) *Rejection {
	rejection := r.check(m)
	if rejection != nil && (m.status != 0 || m.method == ACK) {
		rejection.Status = 0
	}
	return rejection
}

func (r *Rules) check(m *Message) *Rejection {
	if rejection := checkMandatory(m); rejection != nil {
		return rejection
	}
	if rejection := checkAddresses(m); rejection != nil {
		return rejection
	}
	if m.status != 0 {
		return nil
	}
	if rejection := checkRequestURI(m); rejection != nil {
		return rejection
	}
	if rejection := checkNumbers(m); rejection != nil {
		return rejection
	}
	return r.checkRequire(m)
}

func reject400(reason string) *Rejection { return &Rejection{Status: 400, Reason: reason} }

// onlyOnce are the headers that may not be repeated (RFC 3261 §7.3.1) and that something depends on. Content-Length is
// among those that the parser checks.
var onlyOnce = [headerCount]bool{hFrom: true, hTo: true, hCallID: true, hCSeq: true, hMaxForwards: true, hContentType: true,
	hExpires: true, hReferTo: true, hReplaces: true, hSessionExpires: true, hRAck: true}

// checkMandatory: RFC 3261 §8.1.1. A missing Max-Forwards is forgiven, since RFC 2543 knew none.
func checkMandatory(m *Message) *Rejection {
	switch {
	case m.first[hVia] == 0 || m.get(hVia) == "":
		return &Rejection{Reason: "Missing Via"} // there is no way back
	case m.get(hFrom) == "":
		return reject400("Missing From")
	case m.get(hTo) == "":
		return reject400("Missing To")
	case m.get(hCallID) == "":
		return reject400("Missing Call-ID")
	case m.get(hCSeq) == "":
		return reject400("Missing CSeq")
	}
	for i := range m.fields {
		if id := m.fields[i].id; onlyOnce[id] && int(m.first[id]) != i+1 {
			return reject400("Repeated " + headerNames[id].name)
		}
	}
	if callID := m.get(hCallID); !isCallID(callID) {
		return reject400("Malformed Call-ID")
	}
	_, method, ok := parseCSeq(m.get(hCSeq))
	if !ok {
		return reject400("Malformed CSeq")
	}
	if m.status == 0 && method != m.method {
		return reject400("CSeq Method Does Not Match")
	}
	return checkVias(m)
}

// isCallID: RFC 3261 §25.1, word ["@" word], read as any printable text without space, since phones are inventive.
func isCallID(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] == 0x7f {
			return false
		}
	}
	return len(s) <= 512
}

func checkVias(m *Message) *Rejection {
	count := 0
	for i := m.nextField(0, hVia, ""); i >= 0; i = m.nextField(i+1, hVia, "") {
		for value := m.valueOf(&m.fields[i]); value != ""; {
			var one string
			one, value = cutList(value)
			if _, err := ParseVia(one); err != nil {
				return reject400("Malformed Via")
			}
			count++
		}
	}
	if m.status != 0 && count > 1 { // RFC 3261 §8.1.3.3
		return &Rejection{Reason: "More Than One Via"}
	}
	return nil
}

// addressHeaders hold addresses that the stack or its users rely on.
var addressHeaders = [...]headerID{hFrom, hTo, hContact, hRoute, hRecordRoute}

func checkAddresses(m *Message) *Rejection {
	for _, id := range addressHeaders {
		for i := m.nextField(0, id, ""); i >= 0; i = m.nextField(i+1, id, "") {
			if !addressesOK(m, id, m.valueOf(&m.fields[i])) {
				return reject400("Malformed " + headerNames[id].name)
			}
		}
	}
	if m.method == REGISTER {
		// RFC 3261 §10.3 step 5, RFC 4475 §3.3.4: an address of record is a SIP or SIPS URI.
		if to, err := m.To(); err != nil || to.URI.Scheme == "tel" {
			return reject400("To Is Not A SIP Address")
		}
	}
	return nil
}

func addressesOK(m *Message, id headerID, value string) bool {
	if id == hContact && value == "*" {
		return m.method == REGISTER || m.status != 0 // RFC 3261 §20.10
	}
	for {
		one, rest := value, ""
		if headerNames[id].list {
			one, rest = cutList(value)
		}
		a, err := ParseAddress(one)
		if err != nil && !errors.Is(err, ErrScheme) {
			return false
		}
		if id == hContact {
			if text, ok := a.Params.Get("expires"); ok && !secondsOrAnything(text) {
				return false
			}
		}
		if rest == "" {
			return true
		}
		value = rest
	}
}

// secondsOrAnything lets through what RFC 3261 §20.10 says to read as 3600, and refuses a number that no clock can hold.
func secondsOrAnything(text string) bool {
	n, ok := Seconds(text)
	return !ok || n != 1<<32-1 || text == "4294967295"
}

func checkRequestURI(m *Message) *Rejection {
	uri, err := ParseURI(m.uri)
	switch {
	case errors.Is(err, ErrScheme):
		return &Rejection{Status: 416, Reason: "Unsupported URI Scheme"}
	case err != nil:
		return reject400("Malformed Request-URI")
	case uri.Headers != "": // RFC 3261 §19.1.1: headers are not allowed there
		return reject400("Request-URI With Headers")
	}
	return nil
}

// checkNumbers: RFC 4475 §3.1.2.4.
func checkNumbers(m *Message) *Rejection {
	if m.first[hMaxForwards] != 0 {
		hops, ok := m.MaxForwards()
		if !ok {
			return reject400("Malformed Max-Forwards")
		}
		// A user agent need not look at it, but an INVITE becomes another call leg here, and loops must end.
		if hops == 0 && m.method == INVITE {
			return &Rejection{Status: 483, Reason: "Too Many Hops"}
		}
	}
	if text := m.get(hExpires); text != "" {
		if _, ok := number(text, 1<<32-1); !ok {
			return reject400("Malformed Expires")
		}
	}
	return nil
}

// checkRequire: RFC 3261 §8.2.2.3.
func (r *Rules) checkRequire(m *Message) *Rejection {
	if m.first[hRequire] == 0 || m.method == ACK || m.method == CANCEL {
		return nil
	}
	unsupported := ""
	for tag := range m.Headers("Require") {
		known := false
		for _, s := range r.Supported {
			known = known || equalFold(s, tag)
		}
		if !known {
			if unsupported != "" {
				unsupported += ", "
			}
			unsupported += tag
		}
	}
	if unsupported == "" {
		return nil
	}
	return &Rejection{Status: 420, Reason: "Bad Extension", Unsupported: unsupported}
}
