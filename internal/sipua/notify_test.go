package sipua

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"bugle/internal/registrar"
	"bugle/internal/sip"
)

func TestNotifyOutsideOfADialog(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	p := s.peer("ann")
	p.register(200, "Contact: <sip:ann@10.9.9.9:5070;ob>", "Path: <sip:edge.test;lr>", "Supported: path")
	b := s.registrar.Locate("ann")[0]
	told := make(chan int, 2)
	notify := func() *sip.Message {
		t.Helper()
		if err := s.agent.Notify(&b, "check-sync;reboot=true", func(status int) { told <- status }); err != nil {
			t.Fatal(err)
		}
		return p.expectRequest(sip.NOTIFY)
	}
	m := notify()
	if m.RequestURI() != "sip:ann@10.9.9.9:5070;ob" || m.Header("Event") != "check-sync;reboot=true" || m.Header("Subscription-State") != "terminated" ||
		m.Header("Route") != "<sip:edge.test;lr>" || m.Header("To") != "<sip:ann@acme.test>" || m.FromTag() == "" ||
		!strings.HasPrefix(m.Header("From"), "<sip:acme.test>;tag=") || !strings.Contains(m.Header("Contact"), s.udp.String()) {
		t.Errorf("the NOTIFY:\n%s", m)
	}
	p.respond(m, 200, "x", nil, "")
	if status := <-told; status != 200 {
		t.Errorf("status %d", status)
	}
	again := notify()
	if again.CallID() == m.CallID() {
		t.Error("two requests outside of dialogs have one Call-ID")
	}
	p.respond(again, 489, "x", nil, "")
	if status := <-told; status != 489 {
		t.Errorf("status %d", status)
	}
}

func TestNotifyThatCannotBeSent(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	nobody, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	defer nobody.Close()
	good := registrar.Binding{Contact: "sip:ann@127.0.0.1", Username: "ann", Realm: "acme.test", Transport: sip.UDP,
		Source: nobody.LocalAddr().(*net.UDPAddr).AddrPort()}
	for name, c := range map[string]struct {
		change func(b *registrar.Binding)
		event  string
	}{
		"a malformed contact": {func(b *registrar.Binding) { b.Contact = "nonsense" }, "check-sync"},
		"another scheme":      {func(b *registrar.Binding) { b.Contact = "tel:1001" }, "check-sync"},
		"two lines":           {func(*registrar.Binding) {}, "check-sync\r\nX: y"},
		"no event":            {func(*registrar.Binding) {}, ""},
	} {
		b := good
		c.change(&b)
		if err := s.agent.Notify(&b, c.event, func(int) { t.Errorf("%s: told", name) }); err == nil {
			t.Errorf("%s: sent", name)
		}
	}
	// A phone whose connection is gone is told of at once or a little later, and nothing is dialled.
	gone := good
	gone.Transport = sip.TCP
	told := make(chan int, 1)
	if err := s.agent.Notify(&gone, "check-sync", func(status int) { told <- status }); err == nil {
		if status := <-told; status != 503 {
			t.Errorf("status %d", status)
		}
	}
	s.agent.Close()
	if err := s.agent.Notify(&good, "check-sync", func(int) {}); err == nil {
		t.Error("sent by a closed agent")
	}
}
