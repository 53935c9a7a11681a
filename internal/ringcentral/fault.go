package ringcentral

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"bugle"
)

// fault is an error in the form that RingCentral's clients expect: they branch on the code and show the message.
type fault struct {
	status  int
	code    string
	message string
	extra   map[string]any // beside code and message, at both levels
	retry   time.Duration  // Retry-After; 0 for none
	allow   string         // Allow of a 405
	oauth   string         // error of RFC 6749 §5.2, of the token endpoint
	err     error          // for the log
}

// Error formats the fault for the log.
func (f *fault) Error() string {
	text := "ringcentral: " + strconv.Itoa(f.status) + " " + f.code + " " + f.message
	if f.err != nil {
		text += ": " + f.err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (f *fault) Unwrap() error { return f.err }

func refuse(status int, code, message string) *fault {
	return &fault{status: status, code: code, message: message}
}

// badParameter: the value of a parameter is not what it may be; message says what it may be.
func badParameter(name string, value any, message string) *fault {
	f := &fault{status: http.StatusBadRequest, code: "CMN-101", message: "Parameter [" + name + "] value is invalid: " + message,
		extra: map[string]any{"parameterName": name}}
	if value != nil {
		f.extra["parameterValue"] = value
	}
	return f
}

func noResource(name string) *fault {
	return &fault{status: http.StatusNotFound, code: "CMN-102", message: "Resource for parameter [" + name + "] is not found",
		extra: map[string]any{"parameterName": name}}
}

// noPermission: the application was not given what it takes.
func noPermission(code, permission string) *fault {
	return &fault{status: http.StatusForbidden, code: code, message: "In order to call this API endpoint, application needs to have [" + permission + "] permission",
		extra: map[string]any{"permissionName": permission}}
}

// faultOf is any error as a fault.
func faultOf(err error) *fault {
	var f *fault
	if errors.As(err, &f) {
		return f
	}
	switch bugle.KindOf(err) {
	case bugle.KindUnavailable:
		return &fault{status: http.StatusServiceUnavailable, code: "CMN-201", message: "Service is temporarily unavailable, try again later",
			retry: 5 * time.Second, err: err}
	case bugle.KindLimited:
		return &fault{status: http.StatusTooManyRequests, code: "CMN-301", message: "Request rate exceeded", retry: time.Second, err: err}
	case bugle.KindConflict:
		return &fault{status: http.StatusTooManyRequests, code: "CMN-304", message: "The same is changed by another request at this moment, try again",
			retry: time.Second, err: err}
	}
	return &fault{status: http.StatusInternalServerError, code: "CMN-203", message: "Internal error", err: err}
}

// inDirectory is the fault by the codes that the calls of the directory have of their own.
func (f *fault) inDirectory() *fault {
	code := map[string]string{"CMN-101": "ADG-121", "CMN-103": "ADG-112", "CMN-104": "ADG-112", "CMN-110": "ADG-111", "CMN-201": "ADG-000", "CMN-203": "ADG-001"}[f.code]
	switch f.status {
	case http.StatusMethodNotAllowed:
		code = "ADG-102"
	case http.StatusUnsupportedMediaType:
		code = "ADG-115"
	}
	if code == "" {
		return f
	}
	own := *f
	own.code = code
	return &own
}

// body is the fault as JSON: the old form at the top, the new one in errors.
func (f *fault) body() []byte {
	one := map[string]any{"errorCode": f.code, "message": f.message}
	for key, value := range f.extra {
		one[key] = value
	}
	all := map[string]any{"errors": []any{one}}
	for key, value := range one {
		all[key] = value
	}
	if f.oauth != "" {
		all["error"], all["error_description"] = f.oauth, f.message
	}
	text, err := json.Marshal(all)
	if err != nil { // strings and numbers
		panic(err)
	}
	return text
}
