package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"bugle"
	"bugle/internal/call"
	"bugle/internal/callflow"
	"bugle/internal/callflow/module"
	"bugle/internal/crossbar"
	"bugle/internal/egress"
	"bugle/internal/event"
	"bugle/internal/event/kazoo"
	"bugle/internal/event/socket"
	"bugle/internal/event/webhook"
	"bugle/internal/media"
	"bugle/internal/registrar"
	"bugle/internal/ringcentral"
	"bugle/internal/sip"
	"bugle/internal/sipua"
	"bugle/internal/speech"
	"bugle/internal/store"
)

const (
	masterAccount = "master"
	adminUser     = "admin"
)

// server is the running phone system: every room, wired. start makes it, stop ends it.
type server struct {
	settings
	sipAddr, httpAddr, adminAddr string

	meters    *meters
	draining  atomic.Bool
	store     *store.Store
	documents *documents
	registrar *registrar.Registrar
	calls     *call.Registry
	agent     *sipua.Agent
	flows     *callflow.Engine
	stack     *sip.Stack
	speaker   *speech.Speaker
	records   *callRecords
	contacts  *event.Contacts
	failed    chan error // what ended a listener on its own

	node      string // of this run, as its envelopes and webhooks name it
	hooks     *kazoo.Hooks
	sockets   *socket.Server
	sender    *webhook.Sender
	edge      atomic.Pointer[ringcentral.Server] // nil until the API is open
	deliverer *webhook.Engine
	crossbar  atomic.Pointer[crossbar.API] // nil until it is open

	closers []func(context.Context) // run last to first
}

// start wires the rooms and listens. When it fails everything it started has ended.
func start(ctx context.Context, s settings) (_ *server, err error) {
	v := &server{settings: s, node: bugle.NewID(), meters: newMeters(), failed: make(chan error, 3)}
	defer func() {
		if err != nil {
			v.close(context.WithoutCancel(ctx))
		}
	}()
	sealer, err := v.openStore(ctx)
	if err != nil {
		return nil, err
	}
	cache := store.NewCache(v.store, store.CacheOptions{Stale: s.outage})
	v.closing(func(context.Context) { cache.Close() })
	if err := cache.Warm(ctx, crossbar.TypeAccount, crossbar.TypeCallflow, crossbar.TypeUser, crossbar.TypeDevice,
		crossbar.TypeDirectory, crossbar.TypeMenu, crossbar.TypeMedia, crossbar.TypeGroup, crossbar.TypeMailbox); err != nil {
		return nil, err
	}
	v.documents = &documents{v.store, cache}
	blobs, err := s.place.blobs()
	if err != nil {
		return nil, err
	}
	v.records = &callRecords{store: v.store, log: v.log}
	v.background(v.records.follow)
	v.background(func(ctx context.Context) { sweepBlobs(ctx, v.store, blobs, v.log) })
	v.background(func(ctx context.Context) { sweepCalls(ctx, v.store, s.keepCalls, v.log) })
	if err := v.openRegistrar(ctx); err != nil {
		return nil, err
	}
	directories, err := v.followDirectories(ctx)
	if err != nil {
		return nil, err
	}
	v.contacts = v.openContacts()
	guard := egress.New(s.egress)
	v.openSpeech(cache, blobs, guard)
	if err := v.openWebhooks(ctx, cache, guard); err != nil {
		return nil, err
	}
	v.openWebSockets()
	boxes, err := v.openVoicemail(cache, blobs, sealer)
	if err != nil {
		return nil, err
	}
	modules := module.All(module.Services{Documents: v.documents, Locator: v.registrar, Speech: v.speaker,
		Directories: directories, Mailboxes: boxes})
	if err := v.openSIP(ctx, modules, guard, &devices{v.documents, sealer}); err != nil {
		return nil, err
	}
	if err := v.openAPI(ctx, modules, sealer, blobs, cache, guard); err != nil {
		return nil, err
	}
	v.gauges(cache)
	if s.admin != "" {
		v.adminAddr, err = v.listenHTTP(ctx, "admin", s.admin, adminHandler(v.meters, &v.draining, v.store.Ping), nil)
	}
	return v, err
}

func (v *server) closing(f func(context.Context)) { v.closers = append(v.closers, f) }

func (v *server) close(ctx context.Context) {
	for i := len(v.closers) - 1; i >= 0; i-- {
		v.closers[i](ctx)
	}
	v.closers = nil
}

// background runs f until the server closes.
func (v *server) background(f func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { f(ctx) })
	v.closing(func(context.Context) {
		cancel()
		running.Wait()
	})
}

func (v *server) openStore(ctx context.Context) (sealer *store.Sealer, err error) {
	if err := os.MkdirAll(v.dataDir, 0o700); err != nil {
		return nil, fmt.Errorf("--data-dir: %w", err)
	}
	v.store, sealer, err = v.place.open(ctx, v.keyFile, store.Options{Log: v.log, OnPanic: v.meters.onPanic("store")})
	if err != nil {
		return nil, err
	}
	v.closing(func(context.Context) { _ = v.store.Close() })
	return sealer, nil
}

func (v *server) openRegistrar(ctx context.Context) error {
	v.registrar = registrar.New(registrar.Options{Log: bindings{v.store}, Logger: v.log, OnPanic: v.meters.onPanic("registrar"),
		SaveWithin: saveBindingsWithin, RefreshWithin: refreshBindingsWithin})
	v.closing(func(context.Context) { v.registrar.Close() })
	return v.registrar.Load(ctx)
}

// followDirectories loads everybody's names before the first call and keeps them current. The same follower ends the
// registrations of devices that were deleted or disabled.
func (v *server) followDirectories(ctx context.Context) (*event.Directories, error) {
	directories := event.NewDirectories(v.store, v.log, v.meters.onPanic("directory"))
	position, err := directories.Load(ctx)
	if err != nil {
		return nil, err
	}
	follower := event.Follow(event.Options{Log: v.store, After: position, Name: "directories", Logger: v.log,
		Handle: func(ctx context.Context, changes []bugle.Change) error {
			v.flushDevices(changes)
			return directories.Apply(ctx, changes)
		},
		Lost: directories.Load, IsLost: func(err error) bool { return errors.Is(err, store.ErrSwept) },
		OnPanic: v.meters.onPanic("event")})
	v.closing(func(context.Context) { follower.Close() })
	return directories, nil
}

func (v *server) flushDevices(changes []bugle.Change) {
	for _, change := range changes {
		if change.Type != "device" {
			continue
		}
		if change.After != nil {
			if device, err := bugle.ParseDevice(change.ID, change.After); err != nil || device.Enabled {
				continue
			}
		}
		v.registrar.FlushDevice(change.ID, func(_ int, err error) {
			if err != nil {
				v.log.Warn("registrations of a device stayed", "device", change.ID, "error", err)
			}
		})
	}
}

func (v *server) openSIP(ctx context.Context, modules map[string]callflow.Module, guard *egress.Guard, known *devices) error {
	listen, err := netip.ParseAddrPort(v.sip)
	if err != nil {
		return fmt.Errorf("--sip: %w", err)
	}
	engine, err := media.NewEngine(media.Options{Ports: v.rtp, LocalIP: listen.Addr(), ExternalIP: v.external, Loop: v.loop,
		Log: v.log, OnPanic: v.meters.onPanic("media")})
	if err != nil {
		return err
	}
	v.closing(func(context.Context) { engine.Close() })
	v.calls = call.NewRegistry(v.maxCalls)
	calls := &call.Settings{Registry: v.calls, Log: v.log, Ringback: []*media.Clip{media.Ringback()}, OnEnd: v.callEnded,
		Loopbacks: call.Sessions{Engine: engine}, Busy: []*media.Clip{media.Busy()}, OnStep: v.onStep, OnLeg: v.legMoved, OnPanic: v.meters.onPanic("call")}
	v.flows = callflow.New(callflow.Options{Calls: calls, Modules: modules, Documents: v.documents, Audio: v.speaker, Log: v.log,
		OnPanic: v.meters.onPanic("callflow")})
	calls.HoldMusic, calls.HoldTone = v.flows.HoldMusic, []*media.Clip{media.Hold()}
	v.agent = sipua.New(sipua.Options{Media: engine, Registrar: v.registrar, Directory: known, Egress: guard, Log: v.log,
		OnPanic: v.meters.onPanic("sipua"), Digest: v.digest, MaxCalls: v.maxCalls,
		Invites: sipua.InviteHandlerFunc(func(in sipua.Incoming) call.Sink {
			return v.flows.Handle(callflow.Inbound{Leg: in.Leg, AccountID: in.Account.ID, DeviceID: in.Device.ID,
				UserID: in.Device.OwnerID, Realm: in.Realm, Dialed: in.Dialed, CallID: in.CallID})
		})})
	calls.Originator = v.agent
	v.stack = sip.New(sip.Options{Log: v.log, OnRequest: v.agent.HandleRequest, OnACK: v.agent.HandleACK,
		OnStray2xx: v.agent.HandleStray2xx, Dial: func(ctx context.Context, peer netip.AddrPort) (net.Conn, error) {
			return guard.DialContext(ctx, "tcp", peer.String())
		},
		OnPanic: v.meters.onPanic("sip"), ExternalIP: v.external, Supported: sipua.Extensions(), Server: "bugle"})
	v.agent.Attach(v.stack)
	v.closing(func(ctx context.Context) {
		v.agent.Close()
		_ = v.stack.Close(ctx)
	})
	return v.listenSIP(ctx, listen)
}

// listenSIP opens UDP and TCP on one port, also when the system chooses it.
func (v *server) listenSIP(ctx context.Context, listen netip.AddrPort) error {
	bound, err := v.listenUDP(ctx, listen)
	if err != nil {
		return fmt.Errorf("--sip: UDP: %w", err)
	}
	if _, err := v.stack.ListenTCP(ctx, bound.String()); err != nil {
		return fmt.Errorf("--sip: TCP: %w", err)
	}
	v.sipAddr = bound.String()
	return nil
}

// listenUDP opens UDP on a port that TCP has free too: the system's choice for one may be taken for the other.
func (v *server) listenUDP(ctx context.Context, listen netip.AddrPort) (bound netip.AddrPort, err error) {
	if listen.Port() != 0 {
		return v.stack.ListenUDP(ctx, listen.String())
	}
	for range 20 {
		var reserved net.Listener
		if reserved, err = (&net.ListenConfig{}).Listen(ctx, "tcp", listen.String()); err != nil {
			return bound, err
		}
		port := reserved.Addr().(*net.TCPAddr).AddrPort().Port()
		bound, err = v.stack.ListenUDP(ctx, netip.AddrPortFrom(listen.Addr(), port).String())
		_ = reserved.Close()
		if err == nil {
			return bound, nil
		}
	}
	return bound, err
}

func (v *server) openAPI(ctx context.Context, modules map[string]callflow.Module, sealer *store.Sealer, blobs *store.Blobs,
	cache *store.Cache, guard *egress.Guard) error {
	checker, err := callflow.NewChecker(modules)
	if err != nil {
		return err
	}
	if v.place.Store != "" {
		cache = nil // another server may have written what a client reads next: the API has its premises proven
	}
	mailer, err := v.api.mailer()
	if err != nil {
		return err
	}
	api, err := crossbar.New(crossbar.Options{Store: v.store, Node: v.node, Cache: cache, Sealer: sealer, Blobs: blobs, Contacts: v.contacts, SubscriptionTerms: describeSubscription,
		ClickToCall: v.openClickToCall(guard), Quickcall: originator{v.flows},
		Egress: guard, Flows: flowChecker{checker}, Classifiers: classifiers(), Channels: channels{v.calls, v.documents}, Sockets: sockets{v.sockets}, Registrations: registrations{v.registrar, v.agent, v.log}, ReadAudio: media.ReadWAV, Say: v.say, Log: v.log,
		PublicURL: v.publicURL, Limits: v.api.limits, TrustedProxies: v.api.proxies, Mail: mailer, UIURLs: v.api.uiURLs, Version: version(), OnPanic: v.meters.onPanic("crossbar")})
	if err != nil {
		return err
	}
	v.closing(func(context.Context) { api.Close() })
	v.crossbar.Store(api)
	if err := v.ensureMaster(ctx, api); err != nil {
		return err
	}
	v.httpAddr, err = v.listenHTTP(ctx, "http", v.http, v.withWebSockets(v.openRingCentral(api, sealer)), v.openTLS)
	v.closing(func(context.Context) { api.EndStreams() }) // before the server waits for its requests
	if err != nil {
		return err
	}
	return v.listenWebSockets(ctx)
}

// listenHTTP serves handler on address and returns the address that it is bound to. secure, unless nil, gives the TLS of
// the port that was bound, and what begins once it is served.
func (v *server) listenHTTP(ctx context.Context, name, address string, handler http.Handler,
	secure func(port int) (*tls.Config, func(context.Context) error, error)) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return "", fmt.Errorf("--%s: %w", name, err)
	}
	var config *tls.Config
	var begin func(context.Context) error
	if secure != nil {
		if config, begin, err = secure(listener.Addr().(*net.TCPAddr).Port); err != nil {
			_ = listener.Close()
			return "", err
		}
	}
	web := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute,
		WriteTimeout: 5 * time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(v.log.Handler(), slog.LevelDebug)}
	serve := func() error { return web.Serve(listener) }
	if config != nil {
		web.TLSConfig = config
		serve = func() error { return web.ServeTLS(listener, "", "") }
	}
	go func() {
		if err := serve(); !errors.Is(err, http.ErrServerClosed) {
			v.failed <- fmt.Errorf("--%s: %w", name, err)
		}
	}()
	v.closing(func(ctx context.Context) {
		if web.Shutdown(ctx) != nil {
			_ = web.Close()
		}
	})
	if begin != nil {
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		v.closing(func(context.Context) { cancel() })
		if err := begin(ctx); err != nil {
			return "", err
		}
	}
	return listener.Addr().String(), nil
}

func (v *server) gauges(cache *store.Cache) {
	v.meters.gauge("bugle_calls", "Calls that are up.", func() float64 { return float64(v.calls.Count()) })
	v.meters.gauge("bugle_registrations", "Contacts that are registered.", func() float64 { return float64(v.registrar.Count("")) })
	v.meters.gauge("bugle_legs", "Legs of calls, those included that are being ended.", func() float64 { return float64(v.agent.Legs()) })
	v.meters.gauge("bugle_sip_transactions", "SIP transactions.", func() float64 { return float64(v.stack.Stats().Transactions) })
	v.meters.counter("bugle_sip_received_total", "SIP messages that were parsed.", func() float64 { return float64(v.stack.Stats().Received) })
	v.meters.counter("bugle_sip_malformed_total", "Messages that broke the protocol.", func() float64 { return float64(v.stack.Stats().Malformed) })
	v.meters.counter("bugle_sip_refused_total", "Requests answered 503 for overload.", func() float64 { return float64(v.stack.Stats().Refused) })
	v.meters.gauge("bugle_webhooks_waiting", "Deliveries of webhooks that wait and are loaded.", func() float64 { return float64(v.deliverer.Stats().Waiting) })
	v.meters.gauge("bugle_webhooks_oldest_seconds", "Age of the oldest delivery that waits.", func() float64 { return v.deliverer.Stats().Oldest.Seconds() })
	v.meters.gauge("bugle_websockets", "KAZOO WebSockets that are open.", func() float64 { return float64(v.sockets.Stats().Sessions) })
	v.meters.counter("bugle_websocket_events_total", "Events that were handed to KAZOO WebSockets.", func() float64 { return float64(v.sockets.Stats().Told) })
	v.meters.counter("bugle_websockets_slow_total", "KAZOO WebSockets that were ended because their clients did not read.", func() float64 { return float64(v.sockets.Stats().Slow) })
	v.meters.counter("bugle_websocket_events_lost_total", "Events of calls that came faster than KAZOO WebSockets could be told.", func() float64 { return float64(v.sockets.Stats().Lost) })
	v.meters.counter("bugle_webhooks_lost_total", "Events of calls that were not enqueued for webhooks.", func() float64 { return float64(v.hooks.Lost()) })
	v.meters.counter("bugle_cache_stale_total", "Documents given from memory while the database did not answer.",
		func() float64 { return float64(cache.Stats().Stale) })
}

// stop takes no new calls, lets live ones go on for the drain time, and ends everything.
func (v *server) stop(ctx context.Context) {
	v.draining.Store(true)
	v.stack.Drain()
	drain, cancel := context.WithTimeout(ctx, v.drain)
	defer cancel()
	if cut := v.calls.Drain(drain); cut > 0 {
		v.log.Warn("calls were cut off at the end of --drain", "calls", cut)
	}
	select { // the last BYE and its answer
	case <-v.agent.Drain():
	case <-time.After(2 * time.Second):
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	v.close(end)
}
