package ringcentral

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coder/websocket"

	"bugle"
	"bugle/internal/contact"
)

// meta is the first element of each message.
type meta struct {
	Type      string            `json:"type"`
	MessageID string            `json:"messageId"`
	Method    string            `json:"method,omitempty"`
	Path      string            `json:"path,omitempty"`
	Query     map[string]any    `json:"query,omitempty"`
	Headers   map[string]string `json:"headers,omitempty"`
	Status    int               `json:"status,omitempty"`
	WSC       *wsc              `json:"wsc,omitempty"`
}

type wsc struct {
	Token    string `json:"token"`
	Sequence int64  `json:"sequence"`
}

// send writes a message with the place that the client has reached by it.
func (k *socket) send(kind, messageID string, status int, headers map[string]string, body any) error {
	return k.sendAt(kind, messageID, status, headers, body, "", 0)
}

// sendAt is send of an event of a subscription: the place moves with the message that tells it, never before. errReplaced: the socket has
// another subscription by now.
func (k *socket) sendAt(kind, messageID string, status int, headers map[string]string, body any, subscription string, cursor int64) error {
	k.writing.Lock()
	defer k.writing.Unlock()
	k.mu.Lock()
	if subscription != "" {
		if k.sub != subscription {
			k.mu.Unlock()
			return errReplaced
		}
		k.cursor = cursor
	}
	k.seq++
	at := place{Session: k.session, Subscription: k.sub, Cursor: k.cursor, Sequence: k.seq}
	k.mu.Unlock()
	token, err := k.server.sealPlace(at)
	if err != nil {
		return err
	}
	if headers == nil {
		headers = map[string]string{"RCRequestId": bugle.NewID()}
	}
	return k.write(meta{Type: kind, MessageID: messageID, Status: status, Headers: headers, WSC: &wsc{token, at.Sequence}}, body)
}

func (k *socket) write(m meta, body any) error {
	parts := []any{m}
	if body != nil {
		parts = append(parts, body)
	}
	text, err := json.Marshal(parts)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), socketWrite) // a reader that stands still is not waited for
	defer cancel()
	return k.conn.Write(ctx, websocket.MessageText, text)
}

var errReplaced = errors.New("ringcentral: the socket has another subscription")

// fail tells an error and closes the socket.
func (k *socket) fail(code, message string) {
	k.writing.Lock()
	defer k.writing.Unlock()
	_ = k.write(meta{Type: "Error", MessageID: bugle.NewID()}, map[string]string{"errorCode": code, "message": message})
	_ = k.conn.Close(websocket.StatusPolicyViolation, code)
}

// read takes the client's messages until the socket ends.
func (k *socket) read(ctx context.Context) {
	for {
		kind, text, err := k.conn.Read(ctx)
		if err != nil {
			return
		}
		select {
		case k.heard <- struct{}{}:
		default:
		}
		m, body, ok := parseFrame(text)
		if kind != websocket.MessageText || !ok {
			k.fail("WSG-400", "A message is a JSON array of an object with type and messageId, and a body")
			return
		}
		switch m.Type {
		case "Heartbeat":
			if k.send("Heartbeat", m.MessageID, 0, nil, nil) != nil {
				return
			}
		case "ClientRequest":
			select {
			case k.active <- struct{}{}:
				k.running.Go(func() { k.request(ctx, m, body) })
			default:
				f := &fault{status: http.StatusTooManyRequests, code: "CMN-301", message: "There are ten requests under way"}
				if k.send("ClientRequest", m.MessageID, f.status, map[string]string{"Retry-After": "1"}, json.RawMessage(f.body())) != nil {
					return
				}
			}
		default:
			k.fail("WSG-400", "The type of a message must be ClientRequest or Heartbeat")
			return
		}
	}
}

func parseFrame(text []byte) (m meta, body []byte, ok bool) {
	var parts []json.RawMessage
	if json.Unmarshal(text, &parts) != nil || len(parts) < 1 || len(parts) > 2 || json.Unmarshal(parts[0], &m) != nil ||
		m.MessageID == "" || len(m.MessageID) > 256 {
		return m, nil, false
	}
	if len(parts) == 2 && string(parts[1]) != "null" {
		body = parts[1]
	}
	return m, body, true
}

// request answers a call of the API over the socket, and gives its place among the active ones back before: a client that has read the
// answer may ask again.
func (k *socket) request(ctx context.Context, m meta, body []byte) {
	header := http.Header{}
	status, answered := http.StatusBadRequest, []byte(nil)
	r, err := k.httpRequest(ctx, m)
	if err != nil {
		answered = refuse(status, "CMN-104", "The request cannot be understood: method and path are wrong").body()
	} else {
		c := &call{server: k.server, http: r, header: header, ctx: ctx, id: bugle.NewID(), body: body, socket: k}
		status, answered = c.answer()
	}
	headers := make(map[string]string, len(header))
	for name, values := range header {
		if !strings.HasPrefix(name, "Access-Control-") {
			headers[name] = strings.Join(values, ", ")
		}
	}
	var shown any
	if len(answered) > 0 && status != http.StatusNotModified {
		shown = json.RawMessage(answered)
	}
	<-k.active
	if k.send("ClientRequest", m.MessageID, status, headers, shown) != nil {
		k.end()
	}
}

func (k *socket) httpRequest(ctx context.Context, m meta) (*http.Request, error) {
	target, err := url.ParseRequestURI(m.Path)
	if err != nil || target.Host != "" || !strings.HasPrefix(m.Path, "/") {
		return nil, errors.New("ringcentral: no path")
	}
	q := target.Query()
	for name, value := range m.Query {
		list, many := value.([]any)
		if !many {
			list = []any{value}
		}
		for _, one := range list {
			q.Add(name, fmt.Sprint(one))
		}
	}
	target.RawQuery = q.Encode()
	r, err := http.NewRequestWithContext(ctx, m.Method, target.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	for name, value := range m.Headers {
		r.Header.Set(name, value)
	}
	r.Host, r.TLS, r.RemoteAddr = k.http.Host, k.http.TLS, k.http.RemoteAddr
	return r, nil
}

// watch pings, and ends a socket whose client says nothing for too long, or may no longer have it.
func (k *socket) watch(ctx context.Context) {
	times := k.server.opts.Sockets
	idle, absolute := time.NewTimer(times.Idle), time.NewTimer(times.Absolute)
	ping, renew := time.NewTicker(times.Ping), time.NewTicker(socketRenew)
	defer idle.Stop()
	defer absolute.Stop()
	defer ping.Stop()
	defer renew.Stop()
	defer k.end()
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.heard:
			idle.Reset(times.Idle)
		case <-idle.C:
			k.fail("WSG-902", "Idle timeout: nothing was said for too long")
			return
		case <-absolute.C: // not by the context: a socket whose context ends can be told nothing any more
			k.fail("WSG-903", "Absolute timeout: open a new connection")
			return
		case <-ping.C:
			wait, cancel := context.WithTimeout(ctx, times.Pong)
			err := k.conn.Ping(wait)
			cancel()
			if err != nil {
				return
			}
		case <-renew.C:
			if _, err := k.allowed(ctx); errors.Is(err, errEnded) {
				return
			}
			if err := k.extend(ctx, socketExpiry); err != nil && ctx.Err() == nil {
				k.server.opts.Log.Warn("ringcentral: the subscription of a socket was not renewed", "error", err)
			}
		}
	}
}

var errEnded = errors.New("ringcentral: the session of a socket has ended")

// allowed is who has the socket; errEnded when the session has ended: then the socket does too.
func (k *socket) allowed(ctx context.Context) (*login, error) {
	who, err := k.server.judge(ctx, k.session)
	if err == nil && !who.may(permSocket) {
		err = noPermission("SUB-528", permSocket)
	}
	if f := faultOf(err); err != nil && f.status < http.StatusInternalServerError {
		k.fail(f.code, f.message)
		k.end()
		return nil, errEnded
	}
	return who, err
}

// tell sends what happens in the directory.
func (k *socket) tell(ctx context.Context) {
	nudge, stop := k.server.opts.Contacts.Subscribe()
	defer stop()
	look := time.NewTicker(lookPause)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-nudge:
		case <-k.wake:
		case <-look.C:
		}
		if err := k.advance(ctx); err != nil {
			if ctx.Err() == nil {
				k.server.opts.Log.Info("ringcentral: a socket could not be told", "error", err)
			}
			if bugle.KindOf(err) != bugle.KindUnavailable {
				k.end()
				return
			}
		}
	}
}

// advance tells what the client has not been told, one change in a message: so a change has the same uuid when a client that came
// back is told again.
func (k *socket) advance(ctx context.Context) error {
	k.mu.Lock()
	id, cursor, wait := k.sub, k.cursor, time.Until(k.settled)
	k.mu.Unlock()
	if id == "" {
		return nil
	}
	if wait > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
	u, err := k.server.opts.Store.Subscription(ctx, id)
	if err != nil && bugle.KindOf(err) == bugle.KindNotFound {
		if k.subscription() == id {
			k.follow("", 0)
		}
		return nil
	}
	if err != nil {
		return err
	}
	last, _, err := k.server.opts.Contacts.State(ctx, u.AccountID)
	if err != nil || last <= cursor {
		return err
	}
	who, err := k.allowed(ctx)
	if errors.Is(err, errEnded) {
		return nil
	}
	if err != nil {
		return err
	}
	if !u.Follows || !who.may(permReadAccounts) { // when it does later, it is told what happens from then on
		k.mu.Lock()
		if k.sub == id {
			k.cursor = last
		}
		k.mu.Unlock()
		return nil
	}
	t, err := termsOf(&u)
	if err != nil {
		return err
	}
	owner, err := k.server.extensionID(ctx, u.AccountID, u.UserID)
	if err != nil {
		return err
	}
	for {
		events, err := k.server.opts.Contacts.Events(ctx, u.AccountID, cursor, eventsPage)
		if errors.Is(err, contact.ErrGone) {
			k.fail("WSG-1005", "What happened since is not kept any more: read the directory and subscribe anew")
			return err
		}
		if err != nil || len(events) == 0 {
			return err
		}
		for i := range events {
			cursor = events[i].Cursor
			// Of the change, not of now: who is told again reads the same bytes.
			n := notice{UUID: eventUUID(id, cursor), Event: t.Directory, Timestamp: stamp(events[i].At), SubscriptionID: id, OwnerID: owner,
				Body: k.server.told(events[i:i+1], &t)}
			if err := k.sendAt("ServerNotification", n.UUID, http.StatusOK, nil, n, id, cursor); errors.Is(err, errReplaced) {
				return nil
			} else if err != nil {
				return err
			}
		}
	}
}

// eventUUID is the id of the notification of one event to one subscription, always the same; RFC 9562 §5.8.
func eventUUID(subscription string, cursor int64) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d", subscription, cursor))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}
