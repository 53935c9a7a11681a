package egress_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"bugle"
	"bugle/internal/egress"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func guard(t *testing.T, networks string) *egress.Guard {
	t.Helper()
	allowed, err := egress.ParseNetworks(networks)
	if err != nil {
		t.Fatal(err)
	}
	return egress.New(allowed)
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		allow, addr string
		ok          bool
	}{
		{"", "8.8.8.8", true},
		{"", "2606:4700:4700::1111", true},
		{"", "127.0.0.1", false},
		{"", "127.8.9.10", false},
		{"", "0.0.0.0", false},
		{"", "10.1.2.3", false},
		{"", "172.16.0.1", false},
		{"", "192.168.1.1", false},
		{"", "100.64.0.1", false},
		{"", "169.254.169.254", false},
		{"", "224.0.0.1", false},
		{"", "255.255.255.255", false},
		{"", "::1", false},
		{"", "::", false},
		{"", "fe80::1", false},
		{"", "fe80::1%eth0", false},
		{"", "fc00::1", false},
		{"", "fd00:ec2::254", false}, // metadata of one large cloud
		{"", "ff02::1", false},
		{"", "::ffff:127.0.0.1", false},
		{"", "::ffff:169.254.169.254", false},
		{"", "::ffff:8.8.8.8", true},
		{"", "64:ff9b::169.254.169.254", false},
		{"", "64:ff9b::127.0.0.1", false},
		{"", "64:ff9b::8.8.8.8", true},
		{"", "64:ff9b:1::10.0.0.1", false},
		{"", "2002:a9fe:a9fe::1", false}, // 6to4 of 169.254.169.254
		{"", "2002:7f00:1::1", false},
		{"", "2001:0:0:0:0:0:5601:5601", false}, // Teredo of 169.254.169.254
		{"", "2606:4700::5efe:10.0.0.1", false}, // ISATAP
		{"", "::10.0.0.1", false},
		{"10.0.0.0/8", "10.1.2.3", true},
		{"10.0.0.0/8", "11.1.2.3", true},
		{"10.0.0.0/8", "192.168.1.1", false},
		{"10.0.0.0/8", "::ffff:10.1.2.3", true},
		{"10.0.0.0/8", "64:ff9b::10.1.2.3", true},
		{"::ffff:10.0.0.0/104", "10.1.2.3", true},
		{"127.0.0.1", "127.0.0.1", true},
		{"127.0.0.1", "127.0.0.2", false},
		{"::1", "::1", true},
		{"fd00::/8, 192.168.0.0/16", "fd12::1", true},
		{"fd00::/8, 192.168.0.0/16", "192.168.3.4", true},
		{"0.0.0.0/0", "169.254.169.254", true},
	} {
		err := guard(t, tt.allow).Check(netip.MustParseAddr(tt.addr))
		if (err == nil) != tt.ok {
			t.Errorf("allow %q: Check(%s) = %v, want ok %v", tt.allow, tt.addr, err, tt.ok)
		}
		if err != nil && bugle.KindOf(err) != bugle.KindForbidden {
			t.Errorf("Check(%s): kind %v", tt.addr, bugle.KindOf(err))
		}
	}
	if guard(t, "").Check(netip.Addr{}) == nil {
		t.Error("the zero address passed")
	}
}

func TestCheckAllowed(t *testing.T) {
	t.Parallel()
	for addr, ok := range map[string]bool{"10.1.2.3": true, "::ffff:10.1.2.3": true, "8.8.8.8": false, "127.0.0.1": false} {
		g := guard(t, "10.0.0.0/8")
		if err := g.CheckAllowed(netip.MustParseAddr(addr)); (err == nil) != ok || err != nil && bugle.KindOf(err) != bugle.KindForbidden {
			t.Errorf("%s: %v", addr, err)
		}
		if err := g.ControlAllowed("tcp", netip.AddrPortFrom(netip.MustParseAddr(addr), 80).String(), nil); (err == nil) != ok {
			t.Errorf("dialling %s: %v", addr, err)
		}
	}
	if guard(t, "10.0.0.0/8").ControlAllowed("tcp", "name:80", nil) == nil {
		t.Error("a name passed")
	}
}

func TestParseNetworksRefusesWords(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"localhost", "10.0.0.0/33", "10.0.0", "fe80::1%eth0"} {
		if _, err := egress.ParseNetworks(bad); bugle.KindOf(err) != bugle.KindInvalid || err == nil {
			t.Errorf("ParseNetworks(%q) = %v", bad, err)
		}
	}
}

func TestClientDialsNoLoopbackUnlessAllowed(t *testing.T) {
	t.Parallel()
	hits := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits++
		http.Redirect(w, r, "/again", http.StatusFound)
	}))
	defer server.Close()

	refused := guard(t, "").Client(time.Second)
	defer refused.CloseIdleConnections()
	if _, err := refused.Get(server.URL); err == nil || hits != 0 {
		t.Fatalf("a request reached loopback: %v, %d hits", err, hits)
	} else if bugle.KindOf(err) != bugle.KindForbidden {
		t.Errorf("kind %v of %v", bugle.KindOf(err), err)
	}

	allowed := guard(t, "127.0.0.0/8").Client(0)
	defer allowed.CloseIdleConnections()
	res, err := allowed.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusFound || hits != 1 {
		t.Errorf("status %d after %d hits: a redirect was followed", res.StatusCode, hits)
	}
}

// zone is a resolver from a table; a name may lead to any address, as an attacker's does.
type zone struct {
	hosts map[string][]string
	srv   map[string][]*net.SRV
}

func (z zone) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	var out []netip.Addr
	for _, s := range z.hosts[host] {
		out = append(out, netip.MustParseAddr(s))
	}
	if out == nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return out, nil
}

func (z zone) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	if records := z.srv["_"+service+"._"+proto+"."+name]; records != nil {
		return "", records, nil
	}
	return "", nil, errors.New("none")
}

func TestResolve(t *testing.T) {
	t.Parallel()
	z := zone{
		hosts: map[string][]string{"carrier.test": {"8.8.8.8", "2606:4700::1"}, "rebind.test": {"127.0.0.1", "169.254.169.254"},
			"mixed.test": {"10.0.0.1", "8.8.4.4"}, "a.carrier.test": {"1.1.1.1"}, "inside.test": {"192.168.0.9"}},
		srv: map[string][]*net.SRV{
			"_sip._udp.srv.test":  {{Target: "inside.test.", Port: 5060}, {Target: "a.carrier.test.", Port: 5070}},
			"_sips._tcp.srv.test": {{Target: "a.carrier.test.", Port: 5071}},
			"_sip._udp.evil.test": {{Target: "inside.test.", Port: 5060}}},
	}
	for _, tt := range []struct {
		host      string
		port      int
		transport string
		want      []string
		kind      bugle.Kind
	}{
		{"8.8.8.8", 0, "udp", []string{"8.8.8.8:5060"}, 0},
		{"8.8.8.8", 5080, "udp", []string{"8.8.8.8:5080"}, 0},
		{"[2606:4700::1]", 0, "tls", []string{"[2606:4700::1]:5061"}, 0},
		{"127.0.0.1", 5060, "udp", nil, bugle.KindForbidden},
		{"carrier.test", 0, "udp", []string{"8.8.8.8:5060", "[2606:4700::1]:5060"}, 0},
		{"carrier.test.", 5090, "tcp", []string{"8.8.8.8:5090", "[2606:4700::1]:5090"}, 0},
		{"rebind.test", 0, "udp", nil, bugle.KindForbidden},
		{"mixed.test", 0, "udp", []string{"8.8.4.4:5060"}, 0},
		{"srv.test", 0, "udp", []string{"1.1.1.1:5070"}, 0},
		{"srv.test", 0, "tls", []string{"1.1.1.1:5071"}, 0},
		{"srv.test", 0, "tcp", nil, bugle.KindUnavailable},
		{"evil.test", 0, "udp", nil, bugle.KindForbidden},
		{"nothing.test", 0, "udp", nil, bugle.KindUnavailable},
		{"", 0, "udp", nil, bugle.KindInvalid},
		{"carrier.test", 70000, "udp", nil, bugle.KindInvalid},
	} {
		got, err := guard(t, "").ResolveWith(t.Context(), z, tt.host, tt.port, tt.transport)
		var have []string
		for _, a := range got {
			have = append(have, a.String())
		}
		if diff := cmp.Diff(tt.want, have, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s:%d %s: %s", tt.host, tt.port, tt.transport, diff)
		}
		if (err != nil) != (tt.want == nil) || err != nil && bugle.KindOf(err) != tt.kind {
			t.Errorf("%s:%d %s: %v, want kind %v", tt.host, tt.port, tt.transport, err, tt.kind)
		}
	}
}

// TestRefusalNamesTheAddress: a refusal names the address that was asked for, also when it is the one inside that is forbidden.
func TestRefusalNamesTheAddress(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"::1", "64:ff9b::7f00:1", "10.0.0.1"} {
		err := egress.New(nil).Check(netip.MustParseAddr(text))
		if err == nil || !strings.Contains(err.Error(), "connections to "+text+" are") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
