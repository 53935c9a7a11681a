package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"

	"bugle"
	"bugle/internal/crossbar"
	"bugle/internal/event/kazoo"
	"bugle/internal/event/socket"
)

// webSocketFlags are the flags of KAZOO's WebSocket.
type webSocketFlags struct {
	WebSocket  string `name:"websocket" env:"BUGLE_WEBSOCKET" help:"Another address that serves KAZOO's WebSocket, at any path, beside /websocket of --http: 0.0.0.0:5555 is where KAZOO has it."`
	PerAccount int    `name:"websockets-per-account" env:"BUGLE_WEBSOCKETS_PER_ACCOUNT" default:"1000" help:"WebSockets at once with tokens of one account."`
	PerAddress int    `name:"websockets-per-address" env:"BUGLE_WEBSOCKETS_PER_ADDRESS" default:"200" help:"WebSockets at once from one address."`
}

// webSocketSettings are webSocketFlags, checked.
type webSocketSettings struct {
	address string // "" for none
	limits  socket.Limits
}

func (f *webSocketFlags) settings(secure *tlsSettings, insecure bool) (webSocketSettings, error) {
	s := webSocketSettings{address: f.WebSocket, limits: socket.Limits{PerAccount: f.PerAccount, PerAddress: f.PerAddress}}
	for _, flag := range [...]struct {
		name  string
		value int
	}{{"--websockets-per-account", f.PerAccount}, {"--websockets-per-address", f.PerAddress}} {
		if flag.value < 0 || flag.value > 1_000_000 {
			return s, fmt.Errorf("%s: %d; 1 to 1000000", flag.name, flag.value)
		}
	}
	if s.address == "" {
		return s, nil
	}
	if _, port, err := net.SplitHostPort(s.address); err != nil || !isPort(port) {
		return s, fmt.Errorf("--websocket: %q is not an address and port such as 127.0.0.1:5555", s.address)
	}
	if secure.certFile == "" && !insecure && !isLoopback(s.address) {
		return s, fmt.Errorf("--websocket %s is reached from other machines, and would be without TLS: give --tls-cert and --tls-key, or, "+
			"behind a proxy that has TLS on a network that nobody reads, --insecure-http; certificates of --acme are for %s of --http only", s.address, socket.Path)
	}
	return s, nil
}

// openWebSockets makes what tells clients of calls and changes. They are taken once the API is open.
func (v *server) openWebSockets() {
	v.sockets = socket.New(socket.Options{Changes: v.store, People: tokens{&v.crossbar}, Types: crossbar.DocumentTypes(), Node: v.node,
		Limits: v.webSocket.limits, Log: v.log, OnPanic: v.meters.onPanic("websockets")})
	v.closing(func(context.Context) { v.sockets.Close() })
}

// listenWebSockets serves them at an address of their own, when there is to be one.
func (v *server) listenWebSockets(ctx context.Context) error {
	if v.webSocket.address == "" {
		return nil
	}
	secure := v.openTLS
	if v.tls.certFile == "" {
		secure = nil
	}
	address, err := v.listenHTTP(ctx, "websocket", v.webSocket.address, v.sockets, secure)
	if err == nil {
		v.log.Info("KAZOO's WebSocket is served", "address", address)
	}
	return err
}

// withWebSockets serves them beside the API.
func (v *server) withWebSockets(api http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == socket.Path {
			v.sockets.ServeHTTP(w, r)
			return
		}
		api.ServeHTTP(w, r)
	})
}

// channelMoved is where every event of a call's leg goes out to whoever follows calls from outside.
func (v *server) channelMoved(c kazoo.Channel) {
	v.sockets.Call(c)
	if c.Event != kazoo.EventHold && c.Event != kazoo.EventResume { // which no webhook is for
		v.hooks.Channel(c)
	}
}

// tokens judge those of the API, which opens after the first call may have been made.
type tokens struct {
	api *atomic.Pointer[crossbar.API]
}

func (t tokens) open() (*crossbar.API, error) {
	if api := t.api.Load(); api != nil {
		return api, nil
	}
	return nil, &bugle.Error{Op: "tokens", Kind: bugle.KindUnavailable, Message: "the API is not open yet"}
}

func (t tokens) Holder(ctx context.Context, token string) (socket.Holder, error) {
	api, err := t.open()
	if err != nil {
		return socket.Holder{}, err
	}
	h, err := api.Holder(ctx, token)
	return socket.Holder{AccountID: h.AccountID, UserID: h.UserID, Admin: h.Admin, Ticket: h}, err
}

func (t tokens) Follows(ctx context.Context, h socket.Holder, accountID string) error {
	api, err := t.open()
	if err != nil {
		return err
	}
	held, _ := h.Ticket.(crossbar.Holder)
	return api.Follows(ctx, held, accountID)
}

func (t tokens) Client(r *http.Request) netip.Addr {
	if api := t.api.Load(); api != nil {
		return api.ClientAddress(r)
	}
	return netip.Addr{}
}

// sockets show the API who is told of events.
type sockets struct{ server *socket.Server }

func (s sockets) Bindings() map[string][]string { return s.server.Bindings() }

func (s sockets) Sockets(accountID string) []crossbar.Socket {
	var out []crossbar.Socket
	for _, k := range s.server.Sessions(accountID) {
		shown := crossbar.Socket{ID: k.ID, Name: k.Name, Metadata: k.Metadata, Client: k.Client, Opened: k.Opened}
		for _, b := range k.Bindings {
			shown.Bindings = append(shown.Bindings, crossbar.SocketBinding{AccountID: b.AccountID, Binding: b.Text})
		}
		out = append(out, shown)
	}
	return out
}
