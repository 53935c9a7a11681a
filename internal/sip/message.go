package sip

import (
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"bugle"
)

// Message is a SIP request or response, parsed from the wire or built. It is a table of offsets into one buffer; header
// values are parsed when they are asked for. It is not safe for use by several goroutines while one of them changes it.
type Message struct {
	buf    []byte             // holds every header line, and the body of a parsed message
	fields []field            // in wire order
	first  [headerCount]uint8 // 1 + index of the first field of this id, 0 for none
	method Method             // of a request
	uri    string
	status int // of a response, 0 for a request
	reason string
	body   []byte

	source Source
	at     time.Time    // when it arrived
	refs   atomic.Int32 // holders that have not released it; 0 in the pool
	pooled bool         // buf is the message's own
	store  []byte       // memory kept for the next use of this message
}

// field is one header field. Its line, without the line end, is buf[line:end].
type field struct {
	id                             headerID
	line, nameEnd, value, valueEnd uint32
}

var messagePool = sync.Pool{New: func() any { return &Message{fields: make([]field, 0, 32)} }}

// newMessage takes an empty message with one holder from the pool.
func newMessage() *Message {
	m := messagePool.Get().(*Message)
	m.refs.Store(1)
	m.pooled = true
	m.buf = m.store[:0]
	return m
}

func (m *Message) retain() *Message {
	m.refs.Add(1)
	return m
}

// Release gives the caller's hold on the message up; when the stack has done with it too, its memory is used again. It
// must be called at most once by its holder, and nothing taken from the message may be used afterwards. Not calling it is
// always safe.
func (m *Message) Release() {
	if m == nil || m.refs.Add(-1) != 0 {
		return
	}
	if !m.pooled || cap(m.buf) > 16<<10 {
		return
	}
	m.store = m.buf[:0]
	if poisonReleased {
		poison(m.store[:cap(m.store)])
	}
	m.reset()
	messagePool.Put(m)
}

func (m *Message) reset() {
	m.buf, m.fields, m.first = nil, m.fields[:0], [headerCount]uint8{}
	m.method, m.uri, m.status, m.reason, m.body = "", "", 0, "", nil
	m.source, m.at = Source{}, time.Time{}
}

// IsRequest says whether the message is a request.
func (m *Message) IsRequest() bool { return m.status == 0 }

// Method returns the method of a request, and for a response that of its CSeq.
func (m *Message) Method() Method {
	if m.status != 0 {
		_, method := m.CSeq()
		return method
	}
	return m.method
}

// RequestURI returns the Request-URI as it stands, "" for a response.
func (m *Message) RequestURI() string { return m.uri }

// URI parses the Request-URI.
func (m *Message) URI() (URI, error) { return ParseURI(m.uri) }

// StatusCode returns the status of a response, 0 for a request.
func (m *Message) StatusCode() int { return m.status }

// Reason returns the reason phrase of a response as it stands.
func (m *Message) Reason() string { return m.reason }

// Source returns where the message came from; it is the zero Source for a message that was built.
func (m *Message) Source() Source { return m.source }

func (m *Message) text(from, to uint32) string { return view(m.buf[from:to]) }

func (m *Message) valueOf(f *field) string { return m.text(f.value, f.valueEnd) }

// get returns the whole value of the first field of this id.
func (m *Message) get(id headerID) string {
	if i := m.first[id]; i != 0 {
		return m.valueOf(&m.fields[i-1])
	}
	return ""
}

// nextField returns the index of the first field from index on that has the id, or the name when the id is unknown; -1
// when there is none.
func (m *Message) nextField(from int, id headerID, name string) int {
	if id != unknownHeader && from == 0 {
		return int(m.first[id]) - 1
	}
	for i := from; i < len(m.fields); i++ {
		f := &m.fields[i]
		if f.id == id && (id != unknownHeader || equalFold(m.text(f.line, f.nameEnd), name)) {
			return i
		}
	}
	return -1
}

// Header returns the first value of the named header field, "" when there is none. The name may be in its long or
// compact form, in any case. Of a header that is a list by its grammar (Via, Route, Contact, Supported, ...) it is the first
// element.
func (m *Message) Header(name string) string {
	for v := range m.Headers(name) {
		return v
	}
	return ""
}

// Has says whether the message has a header field of this name, be it empty.
func (m *Message) Has(name string) bool { return m.nextField(0, headerIDOf(name), name) >= 0 }

// Headers iterates over the values of the named header fields in order, with comma-separated lists taken apart where the
// header's grammar is a list. Values that only hold commas (WWW-Authenticate, Date, Subject, unknown names) stay whole.
func (m *Message) Headers(name string) iter.Seq[string] {
	return func(yield func(string) bool) { m.eachValue(name, yield) } // so short that it is inlined, and a loop allocates nothing
}

func (m *Message) eachValue(name string, yield func(string) bool) {
	id := headerIDOf(name)
	for i := m.nextField(0, id, name); i >= 0; i = m.nextField(i+1, id, name) {
		value := m.valueOf(&m.fields[i])
		if !headerNames[id].list {
			if !yield(value) {
				return
			}
			continue
		}
		for value != "" {
			var one string
			if one, value = cutList(value); one != "" && !yield(one) {
				return
			}
		}
	}
}

// All iterates over name and whole value of every header field in order, as they stand.
func (m *Message) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for i := range m.fields {
			f := &m.fields[i]
			if !yield(m.text(f.line, f.nameEnd), m.valueOf(f)) {
				return
			}
		}
	}
}

// ListHas says whether the named list header holds the token, compared without case: ListHas("Supported", "100rel").
func (m *Message) ListHas(name, token string) bool {
	for v := range m.Headers(name) {
		if equalFold(v, token) {
			return true
		}
	}
	return false
}

func missing(header string) error {
	return &bugle.Error{Op: "sip.Message", Kind: bugle.KindNotFound, Field: header, Message: "the message has no " + header}
}

func (m *Message) address(id headerID) (Address, error) {
	value := m.get(id)
	if value == "" {
		return Address{}, missing(headerNames[id].name)
	}
	return ParseAddress(value)
}

// From parses the From header field.
func (m *Message) From() (Address, error) { return m.address(hFrom) }

// To parses the To header field.
func (m *Message) To() (Address, error) { return m.address(hTo) }

// FromTag returns the tag of From, "" for none.
func (m *Message) FromTag() string { return tagOf(m.get(hFrom)) }

// ToTag returns the tag of To, "" for none.
func (m *Message) ToTag() string { return tagOf(m.get(hTo)) }

// Contact parses the first Contact value; the error is of KindNotFound when there is none.
func (m *Message) Contact() (Address, error) {
	value := m.get(hContact)
	if value == "" {
		return Address{}, missing("Contact")
	}
	one, _ := cutList(value)
	return ParseAddress(one)
}

// Addresses parses every value of the named header: Contact, Route, Record-Route, Path, P-Asserted-Identity.
func (m *Message) Addresses(name string) ([]Address, error) {
	var list []Address
	for v := range m.Headers(name) {
		a, err := ParseAddress(v)
		if err != nil {
			return list, err
		}
		list = append(list, a)
	}
	return list, nil
}

// CSeq returns number and method of CSeq; the method is "" when the header is missing or malformed.
func (m *Message) CSeq() (uint32, Method) {
	number, method, _ := parseCSeq(m.get(hCSeq))
	return number, method
}

// CallID returns the Call-ID.
func (m *Message) CallID() string { return m.get(hCallID) }

// TopVia parses the first Via value.
func (m *Message) TopVia() (Via, error) {
	one, _ := cutList(m.get(hVia))
	if one == "" {
		return Via{}, missing("Via")
	}
	return ParseVia(one)
}

// Body returns the body, nil for none.
func (m *Message) Body() []byte { return m.body }

// ContentType returns the media type of the body in the sender's case and without parameters, "" for none.
func (m *Message) ContentType() string {
	value := m.get(hContentType)
	for i := 0; i < len(value); i++ {
		if value[i] == ';' {
			return trimSpace(value[:i])
		}
	}
	return value
}

// MaxForwards returns Max-Forwards; ok is false when it is missing or malformed.
func (m *Message) MaxForwards() (hops int, ok bool) {
	n, ok := number(m.get(hMaxForwards), 255)
	return int(n), ok
}

// Expires returns the Expires header in seconds; ok is false when it is missing or malformed. A number above 2^32-1 is
// taken as that (RFC 3261 §20.19).
func (m *Message) Expires() (seconds uint32, ok bool) { return Seconds(m.get(hExpires)) }

// Seconds parses a delta-seconds; a number too large for 32 bits counts as the largest.
func Seconds(text string) (seconds uint32, ok bool) {
	if text == "" {
		return 0, false
	}
	for i := 0; i < len(text); i++ {
		if text[i] < '0' || text[i] > '9' {
			return 0, false
		}
	}
	n, fits := number(text, 1<<32-1)
	if !fits {
		return 1<<32 - 1, true
	}
	return uint32(n), true
}
