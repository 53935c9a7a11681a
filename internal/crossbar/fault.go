package crossbar

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"bugle"
)

// fault is an error in the form that a client of KAZOO expects: a status, a short text and a detail object.
type fault struct {
	status  int
	message string
	data    any           // tree; nil for {}
	retry   time.Duration // Retry-After; 0 for none
	allow   []string      // Allow of a 405
	err     error         // for the log
}

func (f *fault) Error() string {
	text := "crossbar: " + strconv.Itoa(f.status) + " " + f.message
	if f.err != nil {
		text += ": " + f.err.Error()
	}
	return text
}

func (f *fault) Unwrap() error { return f.err }

func say(message string) map[string]any { return map[string]any{"message": message} }

func badIdentifier(cause any) *fault {
	return &fault{status: http.StatusNotFound, message: "bad_identifier",
		data: map[string]any{"message": "bad identifier", "cause": cause}}
}

func notFound() *fault {
	return &fault{status: http.StatusNotFound, message: "not_found", data: say("not found")}
}

func faultyRequest(message string) *fault {
	return &fault{status: http.StatusNotFound, message: "faulty_request", data: say(message)}
}

func forbidden() *fault {
	return &fault{status: http.StatusForbidden, message: "forbidden", data: say("forbidden")}
}

func invalidCredentials() *fault {
	return &fault{status: http.StatusUnauthorized, message: "invalid_credentials", data: say("invalid credentials")}
}

// staleToken refuses a token that was presented and is not, or no longer, good.
func staleToken() *fault {
	return &fault{status: http.StatusUnauthorized, message: "invalid credentials"}
}

func tooMany(retry time.Duration) *fault {
	return &fault{status: http.StatusTooManyRequests, message: "too_many_requests", data: say("too many requests"),
		retry: retry}
}

func unsupported(reason string) *fault {
	return &fault{status: http.StatusUnsupportedMediaType, message: "unsupported_media_type", data: say(reason)}
}

// tooLarge refuses a body over the limit.
func tooLarge(limit int64) *fault {
	message := "Body is too large"
	if limit == maxAnonymous {
		message = "Without a token in a header or the query string a body may have up to " + strconv.Itoa(maxAnonymous) + " bytes"
	}
	errs := fieldErrors{}
	errs.add("file", "maxSize", map[string]any{"message": message, "target": limit})
	return &fault{status: http.StatusRequestEntityTooLarge, message: "validation error", data: errs.tree()}
}

// invalidBody refuses a body that is no JSON.
func invalidBody(reason string) *fault {
	errs := fieldErrors{}
	errs.add("json", "invalid", map[string]any{"message": reason, "target": "body"})
	return errs.fault()
}

// faultOf is the one place where kinds of errors become HTTP.
func faultOf(err error) *fault {
	var f *fault
	if errors.As(err, &f) {
		return f
	}
	var e *bugle.Error
	if !errors.As(err, &e) {
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return unavailable(err)
		}
		e = &bugle.Error{Kind: bugle.KindInternal}
	}
	message := e.Message
	if message == "" {
		message = e.Kind.String()
	}
	switch e.Kind {
	case bugle.KindInvalid:
		if e.Field == "start_key" {
			return faultyRequest("invalid start key")
		}
		return &fault{status: http.StatusBadRequest, message: "invalid data", data: say(message), err: err}
	case bugle.KindUnauthorized:
		return invalidCredentials()
	case bugle.KindForbidden:
		return &fault{status: http.StatusForbidden, message: "forbidden", data: say(message), err: err}
	case bugle.KindNotFound:
		return &fault{status: http.StatusNotFound, message: "bad_identifier", data: say("bad identifier"), err: err}
	case bugle.KindConflict:
		return &fault{status: http.StatusConflict, message: "datastore_conflict", data: say("conflicting documents"), err: err}
	case bugle.KindUnique:
		errs := fieldErrors{}
		errs.add(e.Field, "unique", map[string]any{"message": message})
		return errs.fault()
	case bugle.KindTooLarge:
		errs := fieldErrors{}
		errs.add("file", "maxSize", map[string]any{"message": message})
		return &fault{status: http.StatusRequestEntityTooLarge, message: "validation error", data: errs.tree(), err: err}
	case bugle.KindUnsupported:
		return unsupported(message)
	case bugle.KindLimited:
		return tooMany(time.Second)
	case bugle.KindUnavailable:
		return unavailable(err)
	}
	return &fault{status: http.StatusInternalServerError, message: "unspecified_fault", data: say("internal error"),
		err: err}
}

func unavailable(err error) *fault {
	return &fault{status: http.StatusServiceUnavailable, message: "datastore_unreachable",
		data: say("the datastore does not answer, try again later"), retry: 5 * time.Second, err: err}
}

// fieldErrors collects what is wrong with a body: path, code, detail. KAZOO keeps one code for each path; here all
// survive. What a code of a path says a second time, of another number for instance, stands under "also" of the first.
type fieldErrors map[string]map[string]map[string]any

// maxAlso is how often one code of one path is said.
const maxAlso = 100

func (e fieldErrors) add(path, code string, detail map[string]any) {
	codes := e[path]
	if codes == nil {
		codes = map[string]map[string]any{}
		e[path] = codes
	}
	first, said := codes[code]
	if !said {
		codes[code] = detail
		return
	}
	also, _ := first["also"].([]any)
	same := func(other map[string]any) bool {
		return other["message"] == detail["message"] && sameTree(other["cause"], detail["cause"])
	}
	if same(first) || len(also) == maxAlso || slices.ContainsFunc(also, func(v any) bool { return same(v.(map[string]any)) }) {
		return
	}
	first["also"] = append(also, detail)
}

func sameTree(x, y any) bool { return string(appendTree(nil, x)) == string(appendTree(nil, y)) }

func (e fieldErrors) tree() map[string]any {
	out := make(map[string]any, len(e))
	for path, codes := range e {
		byCode := make(map[string]any, len(codes))
		for code, detail := range codes {
			byCode[code] = detail
		}
		out[path] = byCode
	}
	return out
}

func (e fieldErrors) fault() *fault {
	return &fault{status: http.StatusBadRequest, message: "validation error", data: e.tree()}
}

// err is nil when there is nothing to complain about.
func (e fieldErrors) err() error {
	if len(e) == 0 {
		return nil
	}
	return e.fault()
}

// anyFlow stands in for a FlowChecker that was not given.
type anyFlow struct{}

func (anyFlow) CheckFlow(json.RawMessage) []FlowProblem               { return nil }
func (anyFlow) CheckPattern(string) (string, error)                   { return "", nil }
func (anyFlow) NormaliseNumber(_ bugle.Account, number string) string { return number }
func (anyFlow) ModuleSchemas() map[string]json.RawMessage             { return nil }
