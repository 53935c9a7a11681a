package crossbar

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"bugle"
	"bugle/internal/store"
)

const (
	maxBody      = 8_000_000  // bytes of a JSON body
	maxUpload    = 11_534_336 // bytes of an uploaded file, 11 MB
	maxAnonymous = 64 << 10   // bytes of a body before anybody is known: the token may be inside
)

// request is one request on its way through the API.
type request struct {
	api     *API
	http    *http.Request
	writer  http.ResponseWriter
	ctx     context.Context
	id      string
	started time.Time
	client  netip.Addr
	verb    string // the HTTP method, or the one that was tunnelled in a POST

	query       url.Values
	envelope    map[string]any // keys beside data, in lower snake case
	data        any            // tree; an empty object when there was no body
	contentType string
	body        []byte // a body that is not JSON
	bodied      bool   // there was a body, if only {}
	needsBody   bool   // what is asked for is to write the body: there has to be one

	route    route
	token    string    // as presented
	identity *identity // nil without a token
	account  *account  // of the path; nil when the path names none
	accepts  string    // media type of the answer to a GET

	premises *store.Premises // of accounts and users in memory; nil where a cache answers for them
	received bool            // readBody was called
	badBody  error           // what it returned

	asked  asked  // documents that the answer names
	issued string // a secret that the answer shows, this once
	pages  *pages // the web pages that may read the answer; nil for all

	charged        bool // a token of a bucket was asked for
	consumed, left int  // tokens, as the envelope tells
}

func (a *API) newRequest(w http.ResponseWriter, r *http.Request) *request {
	req := &request{api: a, http: r, writer: w, ctx: r.Context(), started: a.opts.Now(), verb: r.Method,
		query: r.URL.Query(), data: map[string]any{}}
	req.id = bugle.NewID()
	if id := r.Header.Get("X-Request-Id"); validRequestID(id) {
		req.id = id
	}
	req.client = a.clientAddress(r)
	return req
}

// validRequestID keeps what a client sends out of logs and headers unless it is a plain word.
func validRequestID(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for i := range len(id) {
		if c := id[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// clientAddress is the peer, or whom a trusted proxy names as its peer: the last address of X-Forwarded-For that is not
// a trusted proxy itself.
func (a *API) clientAddress(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	peer, _ := netip.ParseAddr(host)
	peer = peer.Unmap()
	if !a.trusted(peer) {
		return peer
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		if peer = hop.Unmap(); !a.trusted(peer) {
			break
		}
	}
	return peer
}

func (a *API) trusted(addr netip.Addr) bool {
	for _, p := range a.opts.TrustedProxies {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// again makes the request one that nothing was done for yet, except that its body was read and a token was taken for it.
func (req *request) again() {
	req.ctx, req.premises = req.http.Context(), nil
	req.route, req.token, req.identity, req.account, req.accepts, req.asked, req.pages = route{}, "", nil, nil, "", asked{}, nil
}

// receive is readBody, once.
func (req *request) receive(limit int64) error {
	if !req.received {
		req.received, req.badBody = true, req.readBody(limit)
	}
	return req.badBody
}

// readBody reads and, when it is JSON or a form, takes apart the body.
func (req *request) readBody(limit int64) error {
	req.contentType = ""
	var params map[string]string
	if header := req.http.Header.Get("Content-Type"); header != "" {
		parsed, given, err := mime.ParseMediaType(header)
		if params = given; err == nil {
			req.contentType = parsed
		} else {
			req.contentType = strings.ToLower(strings.TrimSpace(header))
		}
	}
	if req.http.ContentLength > limit {
		return tooLarge(limit)
	}
	body, err := io.ReadAll(http.MaxBytesReader(req.writer, req.http.Body, limit))
	if err != nil {
		var over *http.MaxBytesError
		if errors.As(err, &over) {
			return tooLarge(limit)
		}
		return invalidBody("The body did not arrive in whole")
	}
	if req.bodied = len(body) > 0; !req.bodied {
		return nil
	}
	switch {
	case isJSON(req.contentType):
		return req.parseEnvelope(body)
	case req.contentType == "application/x-www-form-urlencoded":
		return req.parseForm(body)
	case strings.HasPrefix(req.contentType, "multipart/"):
		return req.parseMultipart(body, params["boundary"])
	}
	req.body = body
	return nil
}

func isJSON(contentType string) bool {
	return contentType == "" || contentType == "application/json" || contentType == "application/x-json"
}

func (req *request) parseEnvelope(body []byte) error {
	v, err := parseTree(body)
	if err != nil {
		return invalidBody(err.Error())
	}
	o, ok := v.(map[string]any)
	if !ok {
		return invalidBody("The body must be an object that holds data")
	}
	req.envelope = make(map[string]any, len(o))
	data, given := o["data"]
	for k, v := range o {
		if k != "data" {
			req.envelope[snakeCase(k)] = v
		}
	}
	errs := fieldErrors{}
	if !given {
		errs.add("data", "required", map[string]any{"message": "Field is required but missing"})
		return errs.fault()
	}
	switch data.(type) {
	case map[string]any, []any:
	default:
		errs.add("data", "type", map[string]any{"message": "Value did not match type(s): object, array",
			"target": "object, array", "value": data})
		return errs.fault()
	}
	req.data = data
	return nil
}

// parseForm reads a form. curl -d sends JSON under the type of a form: a single bare key is tried as JSON.
func (req *request) parseForm(body []byte) error {
	if trimmed := strings.TrimSpace(string(body)); strings.HasPrefix(trimmed, "{") || strings.HasPrefix(trimmed, "[") {
		return req.parseEnvelope(body)
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return invalidBody("The body is no valid form")
	}
	if len(values) == 1 {
		for key, v := range values {
			if len(v) == 1 && v[0] == "" {
				return req.parseEnvelope([]byte(key))
			}
		}
	}
	data := make(map[string]any, len(values))
	for k, v := range values {
		data[k] = v[len(v)-1]
	}
	req.data = data
	return nil
}

// maxParts is how many parts a multipart body may have.
const maxParts = 100

// parseMultipart reads a form with files: a JSON part is the envelope, a field without a file is a key of data, and the
// file, of which there is one at most, is the body.
func (req *request) parseMultipart(body []byte, boundary string) error {
	if boundary == "" {
		return invalidBody("The body's Content-Type names no boundary")
	}
	reader := multipart.NewReader(bytes.NewReader(body), boundary)
	fields := map[string]any{}
	for n := 0; ; n++ {
		part, err := reader.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil || n == maxParts {
			return invalidBody("The body is no valid multipart of at most " + strconv.Itoa(maxParts) + " parts")
		}
		content, err := io.ReadAll(part)
		if err != nil {
			return invalidBody("The body is no valid multipart")
		}
		contentType, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type"))
		switch {
		case contentType == "application/json" || contentType == "application/x-json":
			if err := req.parseEnvelope(content); err != nil {
				return err
			}
		case part.FileName() != "" || contentType != "" && contentType != "text/plain":
			if req.body != nil {
				return invalidBody("The body holds more than one file")
			}
			req.body, req.contentType = content, contentType
		case part.FormName() != "" && utf8.Valid(content):
			fields[part.FormName()] = string(content)
		}
	}
	if data, ok := req.data.(map[string]any); ok {
		for key, value := range fields {
			if _, given := data[key]; !given {
				data[key] = value
			}
		}
	}
	return nil
}

// snakeCase is an envelope key as KAZOO normalises it: Auth-Token and authToken are auth_token.
func snakeCase(key string) string {
	var b strings.Builder
	for i, r := range key {
		switch {
		case r == '-' || r == ' ':
			b.WriteByte('_')
		case r >= 'A' && r <= 'Z':
			if i > 0 && b.Len() > 0 && !strings.HasSuffix(b.String(), "_") && key[i-1] >= 'a' && key[i-1] <= 'z' {
				b.WriteByte('_')
			}
			b.WriteRune(r + 'a' - 'A')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// param looks a request parameter up in data, then the query string, then the envelope.
func (req *request) param(name string) (string, bool) {
	if data, ok := req.data.(map[string]any); ok {
		if s, ok := scalar(data[name]); ok {
			return s, true
		}
	}
	return req.outerParam(name)
}

// outerParam is param without data, for what a document may hold as a key of its own: verb, accept, auth_token.
func (req *request) outerParam(name string) (string, bool) {
	if v, ok := req.query[name]; ok && len(v) > 0 {
		return v[0], true
	}
	return scalar(req.envelope[name])
}

func scalar(v any) (string, bool) {
	switch v := v.(type) {
	case nil, map[string]any, []any:
		return "", false
	case string:
		return v, true
	default:
		return string(appendTree(nil, v)), true
	}
}

// flag is a boolean parameter.
func (req *request) flag(name string, otherwise bool) bool {
	s, ok := req.outerParam(name)
	if !ok {
		return otherwise
	}
	switch strings.ToLower(s) {
	case "true", "1", "yes":
		return true
	case "false", "0", "no":
		return false
	}
	return otherwise
}

// document is the data of a write that is nothing without it: when there is no body at all, the edit is refused together
// with what else is wrong with it. An empty document is one.
func (req *request) document() (map[string]any, error) {
	req.needsBody = true
	return req.object()
}

// object is the data of a write.
func (req *request) object() (map[string]any, error) {
	o, ok := req.data.(map[string]any)
	if !ok {
		errs := fieldErrors{}
		errs.add("data", "type", map[string]any{"message": "Value did not match type(s): object", "target": "object"})
		return nil, errs.fault()
	}
	return o, nil
}
