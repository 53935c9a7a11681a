package bugletest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/coder/websocket"
)

// Socket is a client's end of a WebSocket of the RingCentral API. One goroutine may use it at a time.
type Socket struct {
	// Place is the wsc token of the last message that was read: from there another socket goes on.
	Place string
	// Recovery is the recoveryState of the beginning: "Successful", "Failed" with a code, or "" for a new one.
	Recovery string

	conn *websocket.Conn
	sent int
}

// Frame is a message of a Socket.
type Frame struct {
	Type      string `json:"type"`
	MessageID string `json:"messageId"`
	Status    int    `json:"status"`
	WSC       struct {
		Token string `json:"token"`
	} `json:"wsc"`
	Body json.RawMessage `json:"-"`
}

// Dial opens a socket with a fresh token; place is that of one that ended, or "".
func (r *RingCentral) Dial(ctx context.Context, place string) (*Socket, error) {
	var given struct {
		Token string `json:"ws_access_token"`
	}
	if err := r.Do(ctx, http.MethodPost, "/restapi/oauth/wstoken", nil, &given); err != nil {
		return nil, err
	}
	query := url.Values{"access_token": {given.Token}}
	if place != "" {
		query.Set("wsc", place)
	}
	// Not the uri of the answer: a restarted server may be at another port.
	conn, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(r.base, "http")+"/ws?"+query.Encode(), nil) //nolint:bodyclose // the library does
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(answerLimit)
	s := &Socket{conn: conn}
	hello, err := s.Next(ctx)
	var details struct{ RecoveryState, RecoveryErrorCode string }
	if err == nil && (hello.Type != "ConnectionDetails" || json.Unmarshal(hello.Body, &details) != nil) {
		err = fmt.Errorf("a socket begins with %s %s", hello.Type, hello.Body)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	s.Recovery = strings.TrimSpace(details.RecoveryState + " " + details.RecoveryErrorCode)
	return s, nil
}

// Close cuts the connection.
func (s *Socket) Close() { _ = s.conn.CloseNow() }

// Next reads a message.
func (s *Socket) Next(ctx context.Context) (f Frame, err error) {
	_, text, err := s.conn.Read(ctx)
	if err != nil {
		return f, err
	}
	var parts []json.RawMessage
	if err := json.Unmarshal(text, &parts); err != nil || len(parts) == 0 {
		return f, fmt.Errorf("no message: %s", text)
	}
	if err := json.Unmarshal(parts[0], &f); err != nil {
		return f, err
	}
	if len(parts) > 1 {
		f.Body = parts[1]
	}
	if f.WSC.Token != "" {
		s.Place = f.WSC.Token
	}
	return f, nil
}

// Ask sends a request and reads its answer; it is for when nothing else is on its way.
func (s *Socket) Ask(ctx context.Context, method, path string, body any) (Frame, error) {
	s.sent++
	id := fmt.Sprint("request-", s.sent)
	message := []any{map[string]any{"type": "ClientRequest", "messageId": id, "method": method, "path": path}}
	if body != nil {
		message = append(message, body)
	}
	text, err := json.Marshal(message)
	if err != nil {
		return Frame{}, err
	}
	if err := s.conn.Write(ctx, websocket.MessageText, text); err != nil {
		return Frame{}, err
	}
	f, err := s.Next(ctx)
	if err == nil && (f.MessageID != id || f.Status < 200 || f.Status > 299) {
		err = fmt.Errorf("%s %s over a socket: %s %d %s", method, path, f.Type, f.Status, f.Body)
	}
	return f, err
}

// Subscribe subscribes the socket to the directory.
func (s *Socket) Subscribe(ctx context.Context) error {
	_, err := s.Ask(ctx, http.MethodPost, "/restapi/v1.0/subscription", map[string]any{"eventFilters": []string{DirectoryFilter},
		"deliveryMode": map[string]any{"transportType": "WebSocket"}})
	return err
}
