package crossbar

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// reply is what a request is answered with.
type reply struct {
	status   int
	data     []byte // JSON; nil for {}
	message  string // of an error
	revision string
	tag      string // entity tag, when it is not the revision
	location string // path of a created resource
	token    string // a new token
	list     *page  // of a list
	file     *file  // instead of the envelope
	stream   *stream
	retry    time.Duration
	allow    []string
}

// page is what the envelope tells of a list.
type page struct {
	size            int
	startKey, after string
	endKey          string
	chunk           int  // rows of a chunk of the transfer, 0 for one piece
	whole           bool // paginate=false: the envelope has none of it
}

// file is a body that is not an envelope.
type file struct {
	contentType, name string
	content           io.ReadSeekCloser
}

// stream is a body that is written while it is made.
type stream struct {
	contentType, name string
	// write makes the body. An error before the first byte becomes an envelope; after it the connection is broken off, so
	// that nobody takes a part for the whole.
	write func(ctx context.Context, w io.Writer) error
}

// firstByte calls begin before the first byte is written.
type firstByte struct {
	io.Writer
	begin func()
	begun bool
}

func (f *firstByte) Write(p []byte) (int, error) {
	if !f.begun {
		f.begun = true
		f.begin()
	}
	return f.Writer.Write(p)
}

func (a *API) respondStream(w http.ResponseWriter, req *request, r *reply) {
	begin := func() {
		h := w.Header()
		h.Set("Content-Type", r.stream.contentType)
		if r.stream.name != "" {
			h.Set("Content-Disposition", `attachment; filename="`+safeName(r.stream.name)+`"`)
		}
		w.WriteHeader(r.status)
	}
	if req.http.Method == http.MethodHead {
		begin()
		return
	}
	out := &firstByte{Writer: w, begin: begin}
	err := r.stream.write(req.ctx, out)
	switch {
	case err == nil && !out.begun:
		begin()
	case err == nil:
	case !out.begun:
		a.respond(w, req, req.refuse(err))
	default:
		req.log().Warn("an answer was broken off", "path", req.http.URL.Path, "error", err)
		panic(http.ErrAbortHandler)
	}
}

func (req *request) refuse(err error) *reply {
	f := faultOf(err)
	if f.status >= 500 {
		req.api.opts.Log.LogAttrs(req.ctx, slog.LevelError, "request failed", slog.String("request", req.id),
			slog.String("method", req.http.Method), slog.String("path", req.http.URL.Path), slog.Int("status", f.status),
			slog.String("error", f.Error()))
	}
	data := f.data
	if data == nil {
		data = map[string]any{}
	}
	return &reply{status: f.status, message: f.message, data: appendTree(nil, data), retry: f.retry, allow: f.allow}
}

// respond writes the answer. A failure to write is the client's to notice.
func (a *API) respond(w http.ResponseWriter, req *request, r *reply) {
	h := w.Header()
	req.cors(h)
	if len(r.allow) > 0 {
		h.Set("Allow", strings.Join(r.allow, ", "))
	}
	if r.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(int((r.retry+time.Second-1)/time.Second)))
	}
	if r.location != "" {
		h.Set("Location", a.opts.PublicURL+r.location)
	}
	if r.revision != "" {
		h.Set("ETag", `"`+cmp.Or(r.tag, r.revision)+`"`)
	}
	switch {
	case r.file != nil:
		defer r.file.content.Close()
		if size, err := r.file.content.Seek(0, io.SeekEnd); err == nil && outside(req.http.Header, size) {
			h.Set("Content-Range", "bytes */"+strconv.FormatInt(size, 10))
			r = req.refuse(&fault{status: http.StatusRequestedRangeNotSatisfiable, message: "range not satisfiable",
				data: say("the file has " + strconv.FormatInt(size, 10) + " bytes")})
			break
		}
		h.Set("Content-Type", r.file.contentType)
		if r.file.name != "" {
			h.Set("Content-Disposition", `attachment; filename="`+safeName(r.file.name)+`"`)
		}
		http.ServeContent(w, req.http, "", time.Time{}, r.file.content)
		return
	case r.stream != nil:
		a.respondStream(w, req, r)
		return
	case req.http.Method == http.MethodOptions, r.status == http.StatusNotModified:
		w.WriteHeader(r.status)
		return
	case r.list != nil && r.status == http.StatusOK && req.accepts == typeCSV:
		if text, err := csvOf(r.data); err == nil {
			req.respondCSV(w, r, text)
			return
		}
	}
	body := req.envelopeOf(r)
	contentType := "application/json"
	if pretty, _ := req.outerParam("pretty_print"); pretty == "true" || req.http.Header.Get("X-Pretty-Print") == "true" {
		var b bytes.Buffer
		if json.Indent(&b, body, "", "  ") == nil {
			b.WriteByte('\n')
			body = b.Bytes()
		}
	}
	if fn, ok := req.outerParam("jsonp"); ok && validCallback(fn) {
		contentType = "application/javascript"
		body = append(append([]byte(fn+"("), body...), ");"...)
	}
	h.Set("Content-Type", contentType)
	if r.list != nil && r.list.chunk > 0 && r.list.size > r.list.chunk {
		w.WriteHeader(r.status)
		writeChunks(w, body, r.list.size/r.list.chunk+1)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(r.status)
	_, _ = w.Write(body)
}

// writeChunks sends a long list in pieces, about a chunk of rows each: the same JSON, of a length not told before.
func writeChunks(w http.ResponseWriter, body []byte, pieces int) {
	flusher := http.NewResponseController(w)
	each := len(body)/pieces + 1
	for len(body) > 0 {
		n := min(each, len(body))
		if _, err := w.Write(body[:n]); err != nil {
			return
		}
		_ = flusher.Flush() // a writer that cannot flush sends it all in the end
		body = body[n:]
	}
}

// respondCSV writes a list as CSV. What the envelope would tell of further pages is in a header.
func (req *request) respondCSV(w http.ResponseWriter, r *reply, text []byte) {
	h := w.Header()
	h.Set("Content-Type", typeCSV+"; charset=utf-8; header=present")
	h.Set("Content-Disposition", `attachment; filename="`+req.csvName()+`"`)
	h.Set("Content-Length", strconv.Itoa(len(text)))
	if !r.list.whole && r.list.after != "" {
		h.Set("X-Next-Start-Key", r.list.after)
	}
	w.WriteHeader(r.status)
	_, _ = w.Write(text)
}

// envelopeOf writes the envelope, its keys in order.
func (req *request) envelopeOf(r *reply) []byte {
	data := r.data
	if data == nil {
		data = []byte("{}")
	}
	b := make([]byte, 0, len(data)+len(req.token)+len(r.token)+1024)
	b = append(b, '{')
	member := func(key, value string) {
		b = append(b, '"')
		b = append(b, key...)
		b = append(b, `":`...)
		b = appendString(b, value)
		b = append(b, ',')
	}
	if r.token != "" {
		member("auth_token", r.token)
	} else if req.identity != nil && req.token != "" {
		member("auth_token", req.token)
	}
	b = append(b, `"data":`...)
	b = append(b, data...)
	b = append(b, ',')
	if r.status >= 400 {
		member("error", strconv.Itoa(r.status))
		member("message", r.message)
	}
	if p := r.list; p != nil && !p.whole {
		if p.after != "" {
			member("next_start_key", p.after)
		}
		if p.startKey != "" {
			member("start_key", p.startKey)
		}
		b = append(b, `"page_size":`...)
		b = strconv.AppendInt(b, int64(p.size), 10)
		b = append(b, ',')
	}
	member("node", req.api.opts.Node)
	member("request_id", req.id)
	if r.revision != "" {
		member("revision", r.revision)
	}
	if r.status >= 400 {
		member("status", "error")
	} else {
		member("status", "success")
	}
	member("timestamp", req.started.UTC().Format("2006-01-02T15:04:05Z"))
	b = append(b, `"tokens":{"consumed":`...)
	b = strconv.AppendInt(b, int64(req.consumed), 10)
	b = append(b, `,"remaining":`...)
	b = strconv.AppendInt(b, int64(req.left), 10)
	b = append(b, "},"...)
	if (req.identity != nil || r.token != "") && req.api.opts.Version != "" {
		member("version", req.api.opts.Version)
	}
	b[len(b)-1] = '}'
	return b
}

// outside reports whether a Range begins behind the end of a file. One of several parts, or a malformed one, is dropped,
// which makes the answer the whole file. RFC 9110 §14.2
func outside(h http.Header, size int64) bool {
	given := h.Get("Range")
	if given == "" || h.Get("If-Range") != "" {
		return false
	}
	spec, ok := strings.CutPrefix(given, "bytes=")
	from, to, dash := strings.Cut(strings.TrimSpace(spec), "-")
	if from == "" {
		n, err := strconv.ParseUint(to, 10, 63)
		if ok = ok && dash && err == nil; ok {
			return n == 0
		}
	} else {
		first, err := strconv.ParseUint(from, 10, 63)
		ok = ok && dash && err == nil
		if to != "" && ok {
			last, err := strconv.ParseUint(to, 10, 63)
			ok = err == nil && last >= first
		}
		if ok {
			return int64(first) >= size
		}
	}
	h.Del("Range")
	return false
}

const corsRequestHeaders = "content-type, depth, user-agent, x-http-method-override, x-file-size, x-requested-with, " +
	"if-modified-since, x-file-name, cache-control, x-auth-token, x-kazoo-cluster-id, if-match, if-none-match, " +
	"authorization, x-request-id, x-pretty-print, idempotency-key"

// cors allows every origin, unless the request is for pages that are listed: a client proves who it is by a token, never by a
// cookie.
func (req *request) cors(h http.Header) {
	in := req.http.Header
	if in.Get("Origin") == "" && in.Get("Access-Control-Request-Method") == "" &&
		in.Get("Access-Control-Request-Headers") == "" {
		return
	}
	allowed := "*"
	if req.pages != nil {
		h.Add("Vary", "Origin")
		if allowed = in.Get("Origin"); !req.pages.list(allowed) {
			return
		}
	}
	h.Set("Access-Control-Allow-Origin", allowed)
	h.Set("Access-Control-Allow-Methods", strings.Join(req.route.methods(), ", "))
	h.Set("Access-Control-Allow-Headers", corsRequestHeaders)
	h.Set("Access-Control-Expose-Headers",
		"content-type, x-auth-token, x-request-id, x-kazoo-cluster-id, location, etag, retry-after, x-next-start-key")
	h.Set("Access-Control-Max-Age", "86400")
}

// validCallback takes a dotted JavaScript name and nothing else.
func validCallback(fn string) bool {
	for i := range len(fn) {
		c := fn[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '$' ||
			i > 0 && (c >= '0' && c <= '9' || c == '.') {
			continue
		}
		return false
	}
	return fn != "" && len(fn) <= 128
}

func safeName(name string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == '"' || r == '\\' || r == '/' || r > 0x7e {
			return '_'
		}
		return r
	}, name)
}
