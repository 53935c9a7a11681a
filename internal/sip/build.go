package sip

import (
	"hash/maphash"
	"strconv"
	"strings"
)

// NewRequest starts a request. The stack adds Via and Max-Forwards when they are missing, and Content-Length always.
func NewRequest(method Method, uri string) *Message {
	m := newMessage()
	m.method, m.uri = method, uri
	return m
}

// NewResponse starts the response to a request with what RFC 3261 §8.2.6 copies: all Via values (the first with received
// and rport), From, To, Call-ID, CSeq, for a dialog-forming response Record-Route, and for a 100 Timestamp. A To without
// a tag gets one, except in a 100; it is the same for every response to one request. An empty reason is replaced by the
// standard phrase.
func NewResponse(req *Message, status int, reason string) *Message {
	m := newMessage()
	if reason == "" {
		reason = ReasonPhrase(status)
	}
	m.status, m.reason = status, reason
	m.addVias(req)
	if dialogForming(req.method, status) {
		m.copyField(req, hRecordRoute)
	}
	m.copyField(req, hFrom)
	if to := req.get(hTo); req.first[hTo] != 0 {
		m.startField(hTo, "To")
		m.buf = append(m.buf, to...)
		if status > 100 && tagOf(to) == "" {
			m.buf = append(m.buf, ";tag="...)
			m.buf = appendToTag(m.buf, req)
		}
		m.endField()
	}
	m.copyField(req, hCallID)
	m.copyField(req, hCSeq)
	if status == 100 {
		m.copyField(req, hTimestamp)
	}
	return m
}

// dialogForming: RFC 3261 §12.1.1, RFC 6665 §4.2.1, RFC 3515 §2.4.4.
func dialogForming(method Method, status int) bool {
	return status > 100 && status < 300 && (method == INVITE || method == SUBSCRIBE || method == REFER || method == NOTIFY ||
		method == UPDATE)
}

// tagSeed makes the To-tags of this process unguessable.
var tagSeed = maphash.MakeSeed()

// appendToTag appends the tag that this process gives to a request without one. RFC 3261 §8.2.7 wants it to be the same
// for each retransmission even where no transaction is kept.
func appendToTag(dst []byte, req *Message) []byte {
	var h maphash.Hash
	h.SetSeed(tagSeed)
	via, _ := cutList(req.get(hVia))
	h.WriteString(via)
	h.WriteByte(0)
	h.WriteString(req.get(hCallID))
	h.WriteByte(0)
	h.WriteString(req.get(hFrom))
	h.WriteByte(0)
	h.WriteString(req.get(hCSeq))
	return strconv.AppendUint(dst, h.Sum64(), 36)
}

func (m *Message) addVias(req *Message) {
	top := true
	for i := req.nextField(0, hVia, ""); i >= 0; i = req.nextField(i+1, hVia, "") {
		m.startField(hVia, "Via")
		value := req.valueOf(&req.fields[i])
		if top && req.source.Remote.IsValid() {
			one, rest := cutList(value)
			m.buf = appendReceived(m.buf, one, req.source)
			if rest = trimSpace(rest); rest != "" {
				m.buf = append(append(m.buf, ", "...), rest...)
			}
		} else {
			m.buf = append(m.buf, value...)
		}
		m.endField()
		top = false
	}
}

// appendReceived appends a Via value with received and rport as RFC 3261 §18.2.1 and RFC 3581 §4 ask.
func appendReceived(dst []byte, via string, source Source) []byte {
	semi := strings.IndexByte(via, ';')
	head, params := via, ""
	if semi >= 0 {
		head, params = via[:semi], via[semi:]
	}
	dst = append(dst, trimSpace(head)...)
	rport := false
	for rest := params; rest != ""; {
		var one string
		one, rest = cutParam(rest)
		name, _, _ := strings.Cut(one, "=")
		switch name = trimSpace(name); {
		case name == "" || equalFold(name, "received"):
		case equalFold(name, "rport"):
			rport = true
		default:
			dst = append(append(dst, ';'), trimSpace(one)...)
		}
	}
	addr := source.Remote.Addr().Unmap()
	if !rport && sentByIs(head, source) {
		return dst
	}
	dst = append(dst, ";received="...)
	dst = addr.AppendTo(dst)
	if rport {
		dst = append(dst, ";rport="...)
		dst = strconv.AppendUint(dst, uint64(source.Remote.Port()), 10)
	}
	return dst
}

// sentByIs says whether the sent-by at the end of head is the numeric address that the message came from.
func sentByIs(head string, source Source) bool {
	sentBy := trimSpace(head)
	if i := strings.LastIndexAny(sentBy, " \t"); i >= 0 {
		sentBy = sentBy[i+1:]
	}
	host, _, problem := parseHostPort(sentBy)
	if problem != "" {
		return false
	}
	var text [48]byte
	return host == string(source.Remote.Addr().Unmap().AppendTo(text[:0]))
}

// startField begins a field at the end of the buffer; the caller appends its value and calls endField.
func (m *Message) startField(id headerID, name string) {
	f := field{id: id, line: uint32(len(m.buf))}
	m.buf = append(m.buf, name...)
	f.nameEnd = uint32(len(m.buf))
	m.buf = append(m.buf, ": "...)
	f.value = uint32(len(m.buf))
	m.fields = append(m.fields, f)
	if m.first[id] == 0 && len(m.fields) < 256 {
		m.first[id] = uint8(len(m.fields))
	}
}

func (m *Message) endField() {
	f := &m.fields[len(m.fields)-1]
	f.valueEnd = uint32(len(m.buf))
	for i := f.value; i < f.valueEnd; i++ { // a line end in a value would start a header field of its own
		if c := m.buf[i]; c == '\r' || c == '\n' {
			m.buf[i] = ' '
		}
	}
}

// copyField copies every field of this id from another message.
func (m *Message) copyField(from *Message, id headerID) {
	for i := from.nextField(0, id, ""); i >= 0; i = from.nextField(i+1, id, "") {
		m.startField(id, headerNames[id].name)
		m.buf = append(m.buf, from.valueOf(&from.fields[i])...)
		m.endField()
	}
}

// Copy appends every field of the named header of another message.
func (m *Message) Copy(from *Message, name string) {
	id := headerIDOf(name)
	for i := from.nextField(0, id, name); i >= 0; i = from.nextField(i+1, id, name) {
		m.Add(name, from.valueOf(&from.fields[i]))
	}
}

// Add appends a header field. Line ends in the value become spaces.
func (m *Message) Add(name, value string) {
	m.startField(headerIDOf(name), name)
	m.buf = append(m.buf, value...)
	m.endField()
}

// AddAddress appends a header field that is one address.
func (m *Message) AddAddress(name string, a Address) {
	m.startField(headerIDOf(name), name)
	m.buf = a.AppendTo(m.buf)
	m.endField()
}

// AddInt appends a header field that is a number.
func (m *Message) AddInt(name string, n int) {
	m.startField(headerIDOf(name), name)
	m.buf = strconv.AppendInt(m.buf, int64(n), 10)
	m.endField()
}

// AddCSeq appends CSeq.
func (m *Message) AddCSeq(number uint32, method Method) {
	m.startField(hCSeq, "CSeq")
	m.buf = strconv.AppendUint(m.buf, uint64(number), 10)
	m.buf = append(append(m.buf, ' '), method...)
	m.endField()
}

// Set replaces every field of this name by one, at the place of the first.
func (m *Message) Set(name, value string) {
	id := headerIDOf(name)
	at := m.nextField(0, id, name)
	if at < 0 {
		m.Add(name, value)
		return
	}
	m.Add(name, value)
	last := len(m.fields) - 1
	m.fields[at] = m.fields[last]
	m.fields = m.fields[:last]
	kept := at + 1
	for i := at + 1; i < len(m.fields); i++ {
		if f := m.fields[i]; f.id != id || id == unknownHeader && !equalFold(m.text(f.line, f.nameEnd), name) {
			m.fields[kept] = f
			kept++
		}
	}
	m.fields = m.fields[:kept]
	m.reindex()
}

// Remove takes every field of this name away.
func (m *Message) Remove(name string) {
	id := headerIDOf(name)
	kept := 0
	for _, f := range m.fields {
		if f.id != id || id == unknownHeader && !equalFold(m.text(f.line, f.nameEnd), name) {
			m.fields[kept] = f
			kept++
		}
	}
	m.fields = m.fields[:kept]
	m.reindex()
}

// Prepend puts a header field before all others, as a Via, Route or Record-Route of one's own must be.
func (m *Message) Prepend(name, value string) {
	m.Add(name, value)
	m.lastToFront()
}

func (m *Message) lastToFront() {
	last := m.fields[len(m.fields)-1]
	copy(m.fields[1:], m.fields[:len(m.fields)-1])
	m.fields[0] = last
	m.reindex()
}

func (m *Message) reindex() {
	m.first = [headerCount]uint8{}
	for i := min(len(m.fields), 255) - 1; i >= 0; i-- {
		m.first[m.fields[i].id] = uint8(i + 1)
	}
	m.first[unknownHeader] = 0
}

// SetRequestURI replaces the Request-URI of a request.
func (m *Message) SetRequestURI(uri string) { m.uri = uri }

// SetBody sets the body and its Content-Type; an empty type and body take both away. The body is not copied and must stay
// unchanged until the message has been given to the stack.
func (m *Message) SetBody(contentType string, body []byte) {
	m.body = body
	if contentType == "" {
		m.Remove("Content-Type")
		return
	}
	m.Set("Content-Type", contentType)
}

// AppendTo appends the message as it goes on the wire, with the right Content-Length.
func (m *Message) AppendTo(dst []byte) []byte {
	if m.status == 0 {
		dst = append(append(append(dst, m.method...), ' '), m.uri...)
		dst = append(dst, " SIP/2.0\r\n"...)
	} else {
		dst = append(dst, "SIP/2.0 "...)
		dst = strconv.AppendInt(dst, int64(m.status), 10)
		dst = append(append(append(dst, ' '), m.reason...), "\r\n"...)
	}
	for i := range m.fields {
		if f := &m.fields[i]; f.id != hContentLength {
			dst = append(append(dst, m.buf[f.line:f.valueEnd]...), "\r\n"...)
		}
	}
	dst = append(dst, "Content-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(m.body)), 10)
	dst = append(dst, "\r\n\r\n"...)
	return append(dst, m.body...)
}

// Bytes returns the message as it goes on the wire.
func (m *Message) Bytes() []byte { return m.AppendTo(make([]byte, 0, len(m.buf)+len(m.body)+128)) }

// String returns the message as it goes on the wire, for logs and tests.
func (m *Message) String() string { return string(m.Bytes()) }

// Clone returns a copy that shares nothing with m.
func (m *Message) Clone() *Message {
	c := newMessage()
	c.buf = append(c.buf, m.buf...)
	c.fields = append(c.fields[:0], m.fields...)
	c.first, c.method, c.status = m.first, Method(strings.Clone(string(m.method))), m.status
	c.uri, c.reason = strings.Clone(m.uri), strings.Clone(m.reason)
	c.body = append([]byte(nil), m.body...)
	c.source, c.at = m.source, m.at
	return c
}
