package bugletest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// DirectoryFilter is the event filter of the caller's own company directory.
const DirectoryFilter = "/restapi/v1.0/account/~/directory/entries"

// RingCentral is a client of the RingCentral API, as small as it can be. It is safe for concurrent use once it is logged in.
type RingCentral struct {
	base  string
	http  *http.Client
	token string
}

// NewRingCentral makes a client of the server at base, "http://127.0.0.1:8000". client may be nil.
func NewRingCentral(base string, client *http.Client) *RingCentral {
	if client == nil {
		client = &http.Client{Timeout: 30 * time.Second}
	}
	return &RingCentral{base: strings.TrimSuffix(base, "/"), http: client}
}

// At is the same login at another address of the server, as after a restart.
func (r *RingCentral) At(base string) *RingCentral {
	other := *r
	other.base = strings.TrimSuffix(base, "/")
	return &other
}

// NewSubscriber makes an app and a JWT credential of a user over the KAZOO API, and logs in with them; nothing else is
// needed to subscribe.
func (r *RingCentral) NewSubscriber(ctx context.Context, api *API, userID string) error {
	var app struct {
		ID     string `json:"id"`
		Secret string `json:"client_secret"`
	}
	var credential struct {
		JWT string `json:"jwt"`
	}
	if err := api.Do(ctx, http.MethodPut, api.Account("oauth_apps"), map[string]any{"name": "subscriber"}, &app); err != nil {
		return err
	}
	if err := api.Do(ctx, http.MethodPut, api.Account("users", userID, "jwt_credentials"), map[string]any{"name": "subscriber"}, &credential); err != nil {
		return err
	}
	return r.LoginJWT(ctx, app.ID, app.Secret, credential.JWT)
}

// LoginJWT logs in with a JWT credential; the access token lives for an hour.
func (r *RingCentral) LoginJWT(ctx context.Context, client, secret, jwt string) error {
	form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {jwt}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.base+"/restapi/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	request.SetBasicAuth(client, secret)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var out struct {
		Token string `json:"access_token"`
	}
	if err := r.finish(request, &out); err != nil {
		return err
	}
	r.token = out.Token
	return nil
}

// Do sends one request; body, when not nil, is sent as JSON, and the answer is decoded into out when that is not nil. An answer
// that is not a success is an *APIError with the whole body as its Data.
func (r *RingCentral) Do(ctx context.Context, method, path string, body, out any) error {
	var payload io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
		payload = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, r.base+path, payload)
	if err != nil {
		return err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	request.Header.Set("Authorization", "Bearer "+r.token)
	return r.finish(request, out)
}

func (r *RingCentral) finish(request *http.Request, out any) error {
	answer, err := r.http.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, answerLimit))
	if err != nil {
		return fmt.Errorf("%s %s: %w", request.Method, request.URL.Path, err)
	}
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return &APIError{Method: request.Method, Path: request.URL.Path, Status: answer.StatusCode, Data: text}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("%s %s: %w", request.Method, request.URL.Path, err)
	}
	return nil
}

// Entries reads the whole company directory, page by page.
func (r *RingCentral) Entries(ctx context.Context) ([]map[string]any, error) {
	var all []map[string]any
	for page := 1; ; page++ {
		var out struct {
			Records []map[string]any
			Paging  struct{ TotalPages, TotalElements int }
		}
		if err := r.Do(ctx, http.MethodGet, fmt.Sprintf("%s?perPage=2000&page=%d", DirectoryFilter, page), nil, &out); err != nil {
			return nil, err
		}
		if all = append(all, out.Records...); page >= out.Paging.TotalPages {
			if len(all) != out.Paging.TotalElements {
				return nil, fmt.Errorf("the pages have %d entries, there are %d", len(all), out.Paging.TotalElements)
			}
			return all, nil
		}
	}
}

// Hook subscribes a webhook to the directory and returns the subscription's id.
func (r *RingCentral) Hook(ctx context.Context, address string) (id string, err error) {
	var made struct{ ID string }
	err = r.Do(ctx, http.MethodPost, "/restapi/v1.0/subscription", map[string]any{"eventFilters": []string{DirectoryFilter},
		"deliveryMode": map[string]any{"transportType": "WebHook", "address": address}}, &made)
	return made.ID, err
}
