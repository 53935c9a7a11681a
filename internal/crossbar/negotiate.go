package crossbar

import (
	"net/http"
	"strconv"
	"strings"
)

const (
	typeJSON = "application/json"
	typeCSV  = "text/csv"
)

// jsonTypes are the names under which a client may ask for an envelope.
var jsonTypes = [...]string{typeJSON, "application/x-json", "text/json", "application/javascript", "text/plain"}

// negotiate finds the representation of a GET: the parameter accept ("csv", "pdf" or a media type) before the header,
// and an envelope when the parameter asks for what is not offered. Every list is offered as CSV; whether the answer is a
// list is known when there is one. RFC 9110 §12.5.1
func (req *request) negotiate(op operation) error {
	req.accepts = typeJSON
	if req.verb != http.MethodGet {
		return nil
	}
	if wanted, ok := req.outerParam("accept"); ok && wanted != "" {
		switch wanted = strings.ToLower(strings.TrimSpace(wanted)); wanted {
		case "csv":
			wanted = typeCSV
		case "pdf":
			wanted = "application/pdf"
		}
		for _, offered := range op.offers() {
			if wanted == offered {
				req.accepts = offered
			}
		}
		return nil
	}
	best := 0.0
	ranges := accepted(req.http.Header.Values("Accept"))
	for _, offered := range op.offers() {
		if quality := ranges.quality(offered); quality > best {
			req.accepts, best = offered, quality
		}
	}
	if best == 0 {
		return notAcceptable(op.produces)
	}
	for _, name := range jsonTypes {
		if req.accepts == name {
			req.accepts = typeJSON
		}
	}
	return nil
}

func notAcceptable(produces []string) *fault {
	return &fault{status: http.StatusNotAcceptable, message: "not_acceptable",
		data: say("this path answers with " + strings.Join(append([]string{typeJSON}, produces...), ", "))}
}

// offers are the media types of a GET, the preferred first.
func (op operation) offers() []string {
	out := append(jsonTypes[:len(jsonTypes):len(jsonTypes)], op.produces...)
	return append(out, typeCSV)
}

// mediaRange is one member of an Accept header.
type mediaRange struct {
	major, minor string
	quality      float64
}

type mediaRanges []mediaRange

const maxRanges = 50

// accepted reads Accept. What is malformed is passed over; a header that says nothing takes everything.
func accepted(headers []string) mediaRanges {
	var out mediaRanges
	for _, member := range strings.Split(strings.Join(headers, ","), ",") {
		name, params, _ := strings.Cut(member, ";")
		major, minor, ok := strings.Cut(strings.ToLower(strings.TrimSpace(name)), "/")
		if major == "*" && !ok {
			minor = "*"
		}
		if major == "" || minor == "" || len(out) == maxRanges {
			continue
		}
		r := mediaRange{major, minor, 1}
		for _, param := range strings.Split(params, ";") {
			key, value, _ := strings.Cut(strings.TrimSpace(param), "=")
			if !strings.EqualFold(strings.TrimSpace(key), "q") {
				continue
			}
			if q, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil && q >= 0 && q <= 1 {
				r.quality = q
			}
		}
		out = append(out, r)
	}
	if len(out) == 0 && strings.TrimSpace(strings.Join(headers, "")) == "" {
		return mediaRanges{{"*", "*", 1}}
	}
	return out
}

// quality is that of the most specific range that takes the type.
func (ranges mediaRanges) quality(mediaType string) float64 {
	major, minor, _ := strings.Cut(mediaType, "/")
	quality, specific := 0.0, 0
	for _, r := range ranges {
		level := 0
		switch {
		case r.major == major && r.minor == minor:
			level = 3
		case r.major == major && r.minor == "*":
			level = 2
		case r.major == "*" && r.minor == "*":
			level = 1
		}
		if level > specific || level == specific && level > 0 && r.quality > quality {
			quality, specific = r.quality, level
		}
	}
	return quality
}

// onlyCSV refuses, after the fact, CSV of what is no list to a client that takes nothing else.
func (req *request) onlyCSV(op operation) bool {
	if req.accepts != typeCSV {
		return false
	}
	if _, asked := req.outerParam("accept"); asked {
		return false
	}
	ranges := accepted(req.http.Header.Values("Accept"))
	for _, name := range jsonTypes {
		if ranges.quality(name) > 0 {
			return false
		}
	}
	for _, name := range op.produces {
		if name == typeCSV {
			return false
		}
	}
	return true
}
