package sip

import (
	"bytes"
	"fmt"
	"strings"
)

// Limits on one message.
const (
	MaxDatagram      = 65507    // bytes of a UDP datagram
	MaxStreamMessage = 64 << 10 // bytes of a message on a stream, body included
	MaxHeaderLine    = 8 << 10  // bytes of one header field, folded lines included, and of the start line
	MaxHeaderFields  = 128
)

// ParseError says why a message could not be parsed and what to answer.
type ParseError struct {
	Status int    // of the response to send; 0 when nothing should be answered (a response, an ACK, no SIP at all)
	Reason string // reason phrase that says what is wrong
}

// Error returns status and reason.
func (e *ParseError) Error() string {
	if e.Status == 0 {
		return "sip: " + e.Reason
	}
	return fmt.Sprintf("sip: %d %s", e.Status, e.Reason)
}

// Parse parses one datagram. The message keeps data, which must not be changed afterwards; line ends inside folded header
// fields are overwritten by spaces. The error is a *ParseError. With an error whose Status is not 0 the message is there
// too, as far as it could be read, so that it can be answered.
func Parse(data []byte) (*Message, error) {
	m := &Message{fields: make([]field, 0, 24)}
	m.refs.Store(1)
	if err := m.parse(data); err != nil {
		if err.Status == 0 {
			return nil, err
		}
		return m, err
	}
	return m, nil
}

// Parse replaces the message by what stands in data, as the function Parse does, without allocating.
func (m *Message) Parse(data []byte) error {
	m.reset()
	m.pooled = false
	if err := m.parse(data); err != nil {
		return err
	}
	return nil
}

// parse returns the first problem that it finds, but reads on as far as it can.
func (m *Message) parse(data []byte) *ParseError {
	for len(data) > 0 && (data[0] == '\r' || data[0] == '\n') { // RFC 3261 §7.5
		data = data[1:]
	}
	m.buf = data
	line, next, ok := nextLine(data, 0)
	if !ok {
		return &ParseError{Reason: "no line end"}
	}
	problem, isSIP := m.parseStartLine(line)
	if !isSIP {
		return problem
	}
	bodyStart, headProblem := m.parseHeaders(next)
	if problem == nil {
		problem = headProblem
	}
	if bodyStart >= 0 {
		if p := m.cutBody(bodyStart); problem == nil {
			problem = p
		}
	}
	if problem != nil && (m.status != 0 || m.method == ACK) {
		return &ParseError{Reason: problem.Reason} // RFC 3261 §18.3, §17.1.1.3: neither is ever answered
	}
	return problem
}

// nextLine returns the line that starts at from, without its line end, and where the next one starts. Only CRLF ends a
// line: elements that differ about a lone LF would read different messages in the same bytes.
func nextLine(data []byte, from int) (line []byte, next int, ok bool) {
	for at := from; ; {
		i := bytes.IndexByte(data[at:], '\n')
		if i < 0 {
			return nil, 0, false
		}
		if at += i + 1; at-2 >= from && data[at-2] == '\r' {
			return data[from : at-2], at, true
		}
	}
}

func badRequest(reason string) *ParseError { return &ParseError{Status: 400, Reason: reason} }

// parseStartLine reads Request-Line or Status-Line (RFC 3261 §7.1, §7.2). isSIP is false for what is not SIP at all.
func (m *Message) parseStartLine(line []byte) (problem *ParseError, isSIP bool) {
	text := view(line)
	if len(line) > MaxHeaderLine {
		return &ParseError{Reason: "start line too long"}, false
	}
	if len(text) >= 4 && equalFold(text[:4], "SIP/") {
		return m.parseStatusLine(text)
	}
	method, rest, ok := strings.Cut(text, " ")
	if !ok || !isToken(method) {
		return &ParseError{Reason: "not a SIP start line"}, false
	}
	last := len(rest) - len("SIP/")
	for last >= 0 && !equalFold(rest[last:last+len("SIP/")], "SIP/") {
		last--
	}
	if last < 0 {
		return &ParseError{Reason: "not a SIP start line"}, false
	}
	m.method = methodOf(method)
	uri, version := rest[:last], rest[last:]
	m.uri = strings.TrimRight(uri, " ")
	if len(uri) != len(m.uri)+1 || m.uri == "" || strings.ContainsAny(m.uri, " \t\r\n\x00") {
		return badRequest("Malformed Request-Line"), true
	}
	major, minor, dot := strings.Cut(version[4:], ".")
	if _, ok := number(major, 1<<32); !ok || !dot {
		return badRequest("Malformed SIP Version"), true
	}
	if _, ok := number(minor, 1<<32); !ok {
		return badRequest("Malformed SIP Version"), true
	}
	if major != "2" || minor != "0" {
		return &ParseError{Status: 505, Reason: "Version Not Supported"}, true
	}
	return nil, true
}

func (m *Message) parseStatusLine(text string) (*ParseError, bool) {
	version, rest, _ := strings.Cut(text, " ")
	code, reason, _ := strings.Cut(rest, " ")
	if strings.ContainsAny(reason, "\r\n") {
		return &ParseError{Reason: "malformed Status-Line"}, false
	}
	status, ok := number(code, 699)
	if !ok || len(code) != 3 || status < 100 || !equalFold(version, "SIP/2.0") {
		return &ParseError{Reason: "malformed Status-Line"}, false
	}
	m.status, m.reason = int(status), reason
	return nil, true
}

// parseHeaders fills the table of fields and returns where the body starts, -1 when the header part does not end.
func (m *Message) parseHeaders(at int) (bodyStart int, problem *ParseError) {
	data := m.buf
	for {
		start := at
		line, next, ok := nextLine(data, at)
		if !ok {
			return -1, badRequest("Header Without End")
		}
		if len(line) == 0 {
			return next, problem
		}
		end := start + len(line)
		for next < len(data) && (data[next] == ' ' || data[next] == '\t') { // RFC 3261 §7.3.1: folding
			more, after, ok := nextLine(data, next)
			if !ok {
				return -1, badRequest("Header Without End")
			}
			if len(bytes.TrimLeft(more, " \t")) == 0 {
				// A line of nothing but space would end the fold for some readers and the header part for others.
				problem = firstOf(problem, badRequest("Folded Line Is Empty"))
			}
			for i := end; i < next || data[i] == '\t'; i++ {
				data[i] = ' '
			}
			end, next = next+len(more), after
		}
		problem = firstOf(problem, m.addParsed(start, end))
		at = next
		if len(m.fields) > MaxHeaderFields {
			m.fields = m.fields[:MaxHeaderFields]
			m.reindex()
			return -1, badRequest("Too Many Header Fields")
		}
	}
}

func firstOf(a, b *ParseError) *ParseError {
	if a != nil {
		return a
	}
	return b
}

// addParsed adds the header field that stands in buf[start:end].
func (m *Message) addParsed(start, end int) *ParseError {
	line := m.buf[start:end]
	if len(line) > MaxHeaderLine {
		return badRequest("Header Field Too Long")
	}
	if nul := bytes.IndexByte(line, 0); nul == 0 || nul > 0 && line[nul-1] != '\\' || bytes.IndexByte(line, '\r') >= 0 ||
		bytes.IndexByte(line, '\n') >= 0 {
		return badRequest("Control Character In Header") // RFC 3261 §25.1 allows NUL only as a quoted pair
	}
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 {
		return badRequest("Header Line Without Colon")
	}
	nameEnd := colon
	for nameEnd > 0 && (line[nameEnd-1] == ' ' || line[nameEnd-1] == '\t') {
		nameEnd--
	}
	name := view(line[:nameEnd])
	id := headerIDOf(name)
	if id == unknownHeader && !isToken(name) {
		return badRequest("Malformed Header Name")
	}
	value, valueEnd := colon+1, len(line)
	for value < valueEnd && (line[value] == ' ' || line[value] == '\t') {
		value++
	}
	for valueEnd > value && (line[valueEnd-1] == ' ' || line[valueEnd-1] == '\t') {
		valueEnd--
	}
	m.fields = append(m.fields, field{id: id, line: uint32(start), nameEnd: uint32(start + nameEnd),
		value: uint32(start + value), valueEnd: uint32(start + valueEnd)})
	if m.first[id] == 0 && id != unknownHeader {
		m.first[id] = uint8(len(m.fields))
	}
	return nil
}

// cutBody takes as many bytes of what follows the header part as Content-Length says, all of it without one.
// RFC 3261 §18.3: a datagram may be longer than its message, never shorter.
func (m *Message) cutBody(start int) *ParseError {
	rest := m.buf[start:]
	i := m.nextField(0, hContentLength, "")
	if i < 0 {
		m.setBody(rest)
		return nil
	}
	if m.nextField(i+1, hContentLength, "") >= 0 {
		return badRequest("Repeated Content-Length")
	}
	n, ok := number(m.valueOf(&m.fields[i]), 1<<31)
	if !ok {
		return badRequest("Malformed Content-Length")
	}
	if n > uint64(len(rest)) {
		return badRequest("Body Shorter Than Content-Length")
	}
	m.setBody(rest[:n])
	m.buf = m.buf[:start+int(n)]
	return nil
}

func (m *Message) setBody(b []byte) {
	if len(b) > 0 {
		m.body = b
	}
}

// parseCSeq parses "number method". RFC 3261 §8.1.1.5: the number is less than 2^31.
func parseCSeq(value string) (uint32, Method, bool) {
	digits := 0
	for digits < len(value) && '0' <= value[digits] && value[digits] <= '9' {
		digits++
	}
	method := trimSpace(value[digits:])
	n, ok := number(value[:digits], 1<<31-1)
	if !ok || len(method) == len(value)-digits || !isToken(method) {
		return 0, "", false
	}
	return uint32(n), methodOf(method), true
}

// tagOf finds the tag parameter of a From or To value without parsing the rest.
func tagOf(value string) string {
	if strings.HasPrefix(value, `"`) {
		if end := endOfQuoted(value); end > 0 {
			value = value[end:]
		}
	}
	if i := strings.IndexByte(value, '>'); i >= 0 {
		value = value[i+1:]
	}
	semi := strings.IndexByte(value, ';')
	if semi < 0 {
		return ""
	}
	return Params(value[semi:]).Value("tag")
}
