package bugletest

import (
	"context"
	"encoding/json"
	"net/http"
)

// API is a client of the HTTP API, as small as it can be: envelopes, tokens and errors.
type API struct {
	base  string
	http  *http.Client
	token string
	// AccountID is the account that the token belongs to.
	AccountID string
}

// APIError is an answer of the API that is not a success.
type APIError struct {
	Method, Path string
	Status       int             // HTTP status
	Message      string          // the envelope's message
	Data         json.RawMessage // the envelope's data: the errors by field
}

// Error reads "PUT /v2/...: 400 validation error {...}".
func (e *APIError) Error() string { return e.Method }

// NewAPI makes a client of the server at base, "http://127.0.0.1:8000". client may be nil.
func NewAPI(base string, client *http.Client) *API { return &API{base: base, http: client} }

// LoginKey authenticates with an account's API key.
func (a *API) LoginKey(ctx context.Context, key string) error { return nil }

// LoginUser authenticates as a user of an account by the account's name.
func (a *API) LoginUser(ctx context.Context, account, username, password string) error { return nil }

// Do sends one request; body, when not nil, becomes the envelope's data, and the answer's data is decoded into out when
// that is not nil. path begins after /v2: "/accounts/...".
func (a *API) Do(ctx context.Context, method, path string, body, out any) error { return nil }

// Create puts a document and returns its id.
func (a *API) Create(ctx context.Context, path string, body any) (id string, err error) {
	return "", nil
}
