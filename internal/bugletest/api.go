package bugletest

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// answerLimit bounds what is read of one answer.
const answerLimit = 16 << 20

// API is a client of the HTTP API, as small as it can be: envelopes, tokens and errors. It is safe for concurrent use
// once it is logged in.
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

// Error reads "PUT /accounts/...: 400 validation error {...}".
func (e *APIError) Error() string {
	return fmt.Sprintf("%s %s: %d %s %s", e.Method, e.Path, e.Status, e.Message, e.Data)
}

// NewAPI makes a client of the server at base, "http://127.0.0.1:8000". client may be nil.
func NewAPI(base string, client *http.Client) *API {
	if client == nil {
		client = &http.Client{Timeout: 30 * time.Second}
	}
	return &API{base: strings.TrimSuffix(base, "/") + "/v2", http: client}
}

// envelope is what surrounds every answer.
type envelope struct {
	Status       string          `json:"status"`
	Message      string          `json:"message"`
	AuthToken    string          `json:"auth_token"`
	NextStartKey json.RawMessage `json:"next_start_key"`
	Data         json.RawMessage `json:"data"`
}

// LoginKey authenticates with an account's API key.
func (a *API) LoginKey(ctx context.Context, key string) error {
	return a.login(ctx, "/api_auth", map[string]string{"api_key": key})
}

// LoginUser authenticates as a user of an account by the account's name.
func (a *API) LoginUser(ctx context.Context, account, username, password string) error {
	sum := md5.Sum([]byte(username + ":" + password)) // what user_auth is defined on
	return a.login(ctx, "/user_auth", map[string]string{"account_name": account,
		"credentials": hex.EncodeToString(sum[:])})
}

func (a *API) login(ctx context.Context, path string, data map[string]string) error {
	answer, err := a.send(ctx, http.MethodPut, path, data)
	if err != nil {
		return err
	}
	var who struct {
		AccountID string `json:"account_id"`
	}
	if err := json.Unmarshal(answer.Data, &who); err != nil || answer.AuthToken == "" {
		return fmt.Errorf("PUT %s: no token in the answer", path)
	}
	a.token, a.AccountID = answer.AuthToken, who.AccountID
	return nil
}

// Token returns what the last login gave.
func (a *API) Token() string { return a.token }

// Account returns the path of something that belongs to the account of the token: Account("users") is
// "/accounts/ID/users".
func (a *API) Account(parts ...string) string {
	return "/accounts/" + a.AccountID + "/" + strings.Join(parts, "/")
}

// For returns a client with the same token that works on another account, a descendant of its own.
func (a *API) For(accountID string) *API {
	other := *a
	other.AccountID = accountID
	return &other
}

// Do sends one request; body, when not nil, becomes the envelope's data, and the answer's data is decoded into out when
// that is not nil. path begins after /v2: "/accounts/...". An answer that is not a success is an *APIError.
func (a *API) Do(ctx context.Context, method, path string, body, out any) error {
	answer, err := a.send(ctx, method, path, body)
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(answer.Data, out); err != nil {
		return fmt.Errorf("%s %s: the answer's data: %w", method, path, err)
	}
	return nil
}

// Create puts a document and returns its id.
func (a *API) Create(ctx context.Context, path string, body any) (id string, err error) {
	var made struct {
		ID string `json:"id"`
	}
	if err := a.Do(ctx, http.MethodPut, path, body, &made); err != nil {
		return "", err
	}
	if made.ID == "" {
		return "", fmt.Errorf("PUT %s: no id in the answer", path)
	}
	return made.ID, nil
}

// Patch merges fields into a document.
func (a *API) Patch(ctx context.Context, path string, body any) error {
	return a.Do(ctx, http.MethodPatch, path, body, nil)
}

// Delete deletes a document.
func (a *API) Delete(ctx context.Context, path string) error {
	return a.Do(ctx, http.MethodDelete, path, nil, nil)
}

// List fetches all pages of a list and returns its entries.
func (a *API) List(ctx context.Context, path string) ([]json.RawMessage, error) {
	var all []json.RawMessage
	page := path
	for {
		answer, err := a.send(ctx, http.MethodGet, page, nil)
		if err != nil {
			return nil, err
		}
		var rows []json.RawMessage
		if err := json.Unmarshal(answer.Data, &rows); err != nil {
			return nil, fmt.Errorf("GET %s: the answer's data is not a list: %w", page, err)
		}
		all = append(all, rows...)
		var next string
		if len(answer.NextStartKey) == 0 || string(answer.NextStartKey) == "null" {
			return all, nil
		}
		if json.Unmarshal(answer.NextStartKey, &next) != nil {
			next = string(answer.NextStartKey)
		}
		separator := "?"
		if strings.Contains(path, "?") {
			separator = "&"
		}
		page = path + separator + "start_key=" + url.QueryEscape(next)
	}
}

// Upload posts a file, such as the audio of a media document.
func (a *API) Upload(ctx context.Context, path, contentType string, file []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, a.base+path, bytes.NewReader(file))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", contentType)
	_, err = a.finish(request, path)
	return err
}

// Download fetches a file, such as the audio of a media document.
func (a *API) Download(ctx context.Context, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.base+path, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("X-Auth-Token", a.token)
	answer, err := a.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	file, err := io.ReadAll(io.LimitReader(answer.Body, answerLimit))
	if err == nil && answer.StatusCode != http.StatusOK {
		err = &APIError{Method: http.MethodGet, Path: path, Status: answer.StatusCode, Data: file}
	}
	return file, err
}

// Stream opens an answer that does not end, such as server-sent events: the caller closes it, and the end of ctx ends it.
func (a *API) Stream(ctx context.Context, path, accept string) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.base+path, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("X-Auth-Token", a.token)
	request.Header.Set("Accept", accept)
	endless := *a.http
	endless.Timeout = 0
	answer, err := endless.Do(request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode == http.StatusOK {
		return answer.Body, nil
	}
	defer answer.Body.Close()
	failure := &APIError{Method: http.MethodGet, Path: path, Status: answer.StatusCode}
	var e envelope
	if text, err := io.ReadAll(io.LimitReader(answer.Body, answerLimit)); err == nil && json.Unmarshal(text, &e) == nil {
		failure.Message, failure.Data = e.Message, e.Data
	}
	return nil, failure
}

// Ready waits until the server answers its health check.
func (a *API) Ready(ctx context.Context) error {
	health := strings.TrimSuffix(a.base, "/v2") + "/healthz"
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, health, nil)
		if err != nil {
			return err
		}
		answer, err := a.http.Do(request)
		if err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
			err = fmt.Errorf("GET %s: %s", health, answer.Status)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; last: %w", ctx.Err(), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (a *API) send(ctx context.Context, method, path string, body any) (*envelope, error) {
	var payload io.Reader
	if body != nil {
		text, err := json.Marshal(map[string]any{"data": body})
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", method, path, err)
		}
		payload = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, a.base+path, payload)
	if err != nil {
		return nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	return a.finish(request, path)
}

func (a *API) finish(request *http.Request, path string) (*envelope, error) {
	request.Header.Set("Accept", "application/json")
	if a.token != "" {
		request.Header.Set("X-Auth-Token", a.token)
	}
	answer, err := a.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, answerLimit))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", request.Method, path, err)
	}
	failure := &APIError{Method: request.Method, Path: path, Status: answer.StatusCode}
	var e envelope
	kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	if len(text) > 0 && (kind != "application/json" || json.Unmarshal(text, &e) != nil) {
		failure.Message = fmt.Sprintf("not a JSON envelope but %q of %d bytes", kind, len(text))
		return nil, failure
	}
	if answer.StatusCode < 200 || answer.StatusCode > 299 || e.Status != "success" {
		failure.Message, failure.Data = e.Message, e.Data
		return nil, failure
	}
	return &e, nil
}
