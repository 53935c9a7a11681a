package sipua

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/emiago/sipgo"
	gosip "github.com/emiago/sipgo/sip"

	"bugle/internal/call"
	"bugle/internal/sip"
)

// stranger is a phone made of sipgo, a stack that shares nothing with ours.
type stranger struct {
	ua     *sipgo.UserAgent
	client *sipgo.Client
	server *sipgo.Server
	addr   netip.AddrPort
	dials  *sipgo.DialogClientCache
	takes  *sipgo.DialogServerCache
	calls  chan *sipgo.DialogServerSession
	byes   chan string
}

func (s *server) stranger(transport string) *stranger {
	t := s.t
	t.Helper()
	silent := slog.New(slog.NewTextHandler(io.Discard, nil))
	ua, err := sipgo.NewUA(sipgo.WithUserAgent("stranger"))
	if err != nil {
		t.Fatal(err)
	}
	x := &stranger{ua: ua, calls: make(chan *sipgo.DialogServerSession, 1), byes: make(chan string, 10)}
	if x.server, err = sipgo.NewServer(ua, sipgo.WithServerLogger(silent)); err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	var closer io.Closer
	if transport == sip.UDP {
		conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
		if err != nil {
			t.Fatal(err)
		}
		x.addr, closer = conn.LocalAddr().(*net.UDPAddr).AddrPort(), conn
		go func() { defer close(served); _ = x.server.ServeUDP(conn) }()
	} else {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		x.addr, closer = l.Addr().(*net.TCPAddr).AddrPort(), l
		go func() { defer close(served); _ = x.server.ServeTCP(l) }()
	}
	options := []sipgo.ClientOption{sipgo.WithClientHostname("127.0.0.1"), sipgo.WithClientLogger(silent)}
	if transport == sip.UDP {
		options = append(options, sipgo.WithClientConnectionAddr(x.addr.String()))
	}
	if transport == sip.UDP { // it uses the socket once its pool has it
		wait(t, "sipgo does not listen", func() bool {
			c, err := ua.TransportLayer().GetConnection("udp", x.addr.String())
			return err == nil && c != nil
		})
	}
	if x.client, err = sipgo.NewClient(ua, options...); err != nil {
		t.Fatal(err)
	}
	contact := gosip.ContactHeader{Address: gosip.Uri{User: "ann", Host: "127.0.0.1", Port: int(x.addr.Port())}}
	x.dials = sipgo.NewDialogClientCache(x.client, contact)
	x.takes = sipgo.NewDialogServerCache(x.client, contact)
	x.server.OnInvite(func(req *gosip.Request, tx gosip.ServerTransaction) {
		d, err := x.takes.ReadInvite(req, tx)
		if err != nil {
			t.Errorf("sipgo refuses our INVITE: %v", err)
			return
		}
		x.calls <- d
		<-d.Context().Done()
	})
	x.server.OnAck(func(req *gosip.Request, tx gosip.ServerTransaction) { _ = x.takes.ReadAck(req, tx) })
	x.server.OnBye(func(req *gosip.Request, tx gosip.ServerTransaction) {
		if x.takes.ReadBye(req, tx) != nil && x.dials.ReadBye(req, tx) != nil {
			t.Error("sipgo finds no dialog for our BYE")
		}
		x.byes <- req.CallID().Value()
	})
	t.Cleanup(func() {
		_ = ua.Close()
		_ = closer.Close()
		<-served
	})
	return x
}

func (s *server) addrFor(transport string) netip.AddrPort {
	if transport == sip.TCP {
		return s.tcp
	}
	return s.udp
}

func tagged(tag string) gosip.HeaderParams {
	params := gosip.NewParams()
	params.Add("tag", tag)
	return params
}

// uri is a Request-URI in the realm that is sent to the server's address.
func (s *server) uri(user, transport string) gosip.Uri {
	u := gosip.Uri{User: user, Host: "127.0.0.1", Port: int(s.addrFor(transport).Port()), UriParams: gosip.NewParams()}
	if transport == sip.TCP {
		u.UriParams.Add("transport", "tcp")
	}
	return u
}

func TestAStrangerRegistersCallsAndIsCalled(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{sip.UDP, sip.TCP} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, nil)
			x := s.stranger(transport)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()

			req := gosip.NewRequest(gosip.REGISTER, s.uri("", transport))
			req.AppendHeader(&gosip.FromHeader{Address: gosip.Uri{User: "ann", Host: "acme.test"}, Params: tagged("x")})
			req.AppendHeader(&gosip.ToHeader{Address: gosip.Uri{User: "ann", Host: "acme.test"}})
			req.AppendHeader(gosip.NewHeader("Contact", fmt.Sprintf("<sip:ann@%s;transport=%s>", x.addr, transport)))
			req.AppendHeader(gosip.NewHeader("Expires", "100"))
			if transport == sip.TCP {
				req.SetTransport("TCP")
			}
			res, err := x.client.Do(ctx, req)
			if err != nil || res.StatusCode != 401 {
				t.Fatalf("%v %v", res, err)
			}
			res, err = x.client.DoDigestAuth(ctx, req, res, sipgo.DigestAuth{Username: "ann", Password: "secret"})
			if err != nil || res.StatusCode != 200 {
				t.Fatalf("%v %v", res, err)
			}
			bindings := s.registrar.Locate("ann")
			if len(bindings) != 1 || bindings[0].Transport != transport {
				t.Fatalf("bindings %+v", bindings)
			}
			s.strangerCalls(ctx, x, transport)
			s.strangerIsCalled(ctx, x, call.Target{URI: bindings[0].Contact, Hop: bindings[0].Source, Transport: transport,
				Realm: "acme.test", Caller: call.Party{Number: "1002"}})
			s.settled()
		})
	}
}

func (s *server) strangerCalls(ctx context.Context, x *stranger, transport string) {
	t := s.t
	t.Helper()
	from := &gosip.FromHeader{Address: gosip.Uri{User: "ann", Host: "acme.test"}, Params: tagged(gosip.GenerateTagN(8))}
	d, err := x.dials.Invite(ctx, s.uri("411", transport), []byte(offerSDP), from, gosip.NewHeader("Content-Type", "application/sdp"))
	if err != nil {
		t.Fatal(err)
	}
	var statuses []int
	answered := make(chan error, 1)
	go func() {
		answered <- d.WaitAnswer(ctx, sipgo.AnswerOptions{Username: "ann", Password: "secret",
			OnResponse: func(res *gosip.Response) error { statuses = append(statuses, res.StatusCode); return nil }})
	}()
	in, k := s.incoming()
	in.Leg.Ring()
	in.Leg.Answer()
	next[call.Answered](k)
	if err := <-answered; err != nil {
		t.Fatalf("%v after %v", err, statuses)
	}
	if err := d.Ack(ctx); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(d.InviteResponse.Body()), "m=audio") {
		t.Errorf("no answer in %s", d.InviteResponse)
	}
	if err := d.Bye(ctx); err != nil {
		t.Errorf("BYE: %v", err)
	}
	next[call.Ended](k)

	// Another, which it gives up.
	ringing, cancel := context.WithCancel(ctx)
	defer cancel()
	from = &gosip.FromHeader{Address: from.Address, Params: tagged(gosip.GenerateTagN(8))}
	if d, err = x.dials.Invite(ctx, s.uri("411", transport), []byte(offerSDP), from, gosip.NewHeader("Content-Type", "application/sdp")); err != nil {
		t.Fatal(err)
	}
	go func() {
		answered <- d.WaitAnswer(ringing, sipgo.AnswerOptions{Username: "ann", Password: "secret",
			OnResponse: func(res *gosip.Response) error {
				if res.StatusCode == 180 {
					cancel()
				}
				return nil
			}})
	}()
	in, k = s.incoming()
	in.Leg.Ring()
	if e := next[call.Ended](k); e.Cause != call.OriginatorCancel {
		t.Errorf("%+v", e)
	}
	if err := <-answered; !errors.Is(err, context.Canceled) {
		t.Errorf("CANCEL: %v", err)
	}
	d.Close()
}

func (s *server) strangerIsCalled(ctx context.Context, x *stranger, target call.Target) {
	t := s.t
	t.Helper()
	k := newSink(t)
	leg := s.agent.Originate("to-stranger-"+target.Transport, target, k)
	d := <-x.calls
	if err := d.Respond(180, "Ringing", nil); err != nil {
		t.Fatal(err)
	}
	next[call.Ringing](k)
	answered := make(chan error, 1)
	go func() { answered <- d.RespondSDP([]byte(offerSDP)) }()
	next[call.Answered](k)
	if err := <-answered; err != nil {
		t.Errorf("no ACK: %v", err)
	}
	leg.Hangup(call.NormalClearing)
	next[call.Ended](k)
	select {
	case <-x.byes:
	case <-ctx.Done():
		t.Error("no BYE")
	}
}
