package clients

import (
	"context"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"bugle/internal/bugletest"
)

// TestButton: the button of a click-to-call, on a page of another origin and on its own page, in Chromium, with phones at the
// other end: what visitors see is what happens to their call.
func TestButton(t *testing.T) {
	t.Parallel()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("chromium is missing: make peers installs it")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	o := newButtonOffice(t, ctx)
	site := httptest.NewServer(o)
	defer site.Close()
	stranger := o.sipp()
	public := func(name string, more map[string]any) string {
		doc := map[string]any{"name": name, "extension": "1001", "auth_required": false, "origins": []string{site.URL}, "whitelist": []string{"100.", "sip:.*"}}
		for key, value := range more {
			doc[key] = value
		}
		return o.create("clicktocall", doc)
	}
	hour := func(d time.Duration) string { return time.Now().UTC().Add(d).Format("15:04") }
	environment := []string{"BUGLE_URL=http://" + serving.HTTP, "SITE=" + site.URL, "CHROMIUM=" + chromium, "SIPP=" + stranger, "SHOTS=" + shots(t),
		"SALES=" + public("Sales & more", nil), "VISITOR_FIRST=" + public("Support", map[string]any{"dial_first": "contact"}),
		"BRIEF=" + public("Brief", map[string]any{"timeout": 2}), "THROTTLED=" + public("Throttled", map[string]any{"throttle": 3600}),
		"QUIET=" + public("Quiet", map[string]any{"quiet_hours": map[string]any{"from": hour(-time.Hour), "to": hour(time.Hour), "timezone": "UTC"}}),
		"STRANGE=" + public("Strange", map[string]any{"origins": []string{"https://www.example.com"}}),
		"OPEN=" + public("Open", map[string]any{"whitelist": []string{"1002"}, "extension": "1009"}),
		"ANYBODY=" + public("Anybody", map[string]any{"whitelist": []string{}}),
		"PRIVATE=" + o.create("clicktocall", map[string]any{"name": "Private", "extension": "1001"})}
	out := run(t, node(t, "button.mjs"), environment, "node", "button.mjs")
	if !strings.Contains(out, "button: ok") {
		t.Errorf("%s", out)
	}
}

// shots is where screenshots go.
func shots(t *testing.T) string {
	if given := os.Getenv("BUGLE_SHOTS"); given != "" {
		return given
	}
	return t.TempDir()
}

// buttonOffice is an account with two phones, which obey the browser's script over HTTP; the same server is the web site that
// has the button.
type buttonOffice struct {
	*http.ServeMux
	t      *testing.T
	ctx    context.Context
	api    *bugletest.API
	phones map[string]*bugletest.Phone
	calls  map[string]*bugletest.PhoneCall
}

func newButtonOffice(t *testing.T, ctx context.Context) *buttonOffice {
	t.Helper()
	o := &buttonOffice{ServeMux: http.NewServeMux(), t: t, ctx: ctx, api: account(t, "Button"), phones: map[string]*bugletest.Phone{},
		calls: map[string]*bugletest.PhoneCall{}}
	realm := "button.clients.example"
	if err := o.api.Patch(ctx, "/accounts/"+o.api.AccountID, map[string]any{"realm": realm}); err != nil {
		t.Fatal(err)
	}
	for name, number := range map[string]string{"office": "1001", "visitor": "1002"} {
		device := o.create("devices", map[string]any{"name": name, "sip": map[string]any{"username": name, "password": "secret-of-" + name}})
		o.create("callflows", map[string]any{"numbers": []string{number},
			"flow": map[string]any{"module": "device", "data": map[string]any{"id": device, "timeout": 60}, "children": map[string]any{}}})
		phone, err := bugletest.New(bugletest.Options{Server: serving.SIP, Realm: realm, Username: name, Password: "secret-of-" + name})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := phone.Close(); err != nil {
				t.Error(err)
			}
		})
		if err := phone.Register(ctx); err != nil {
			t.Fatal(err)
		}
		o.phones[name] = phone
	}
	o.create("callflows", map[string]any{"numbers": []string{"1009"}, "flow": map[string]any{"module": "hangup", "data": map[string]any{}}})
	o.HandleFunc("POST /phones/{phone}/{verb}", o.obey)
	o.HandleFunc("GET /pages/{id}", o.page)
	return o
}

func (o *buttonOffice) create(kind string, doc map[string]any) string {
	o.t.Helper()
	id, err := o.api.Create(o.ctx, o.api.Account(kind), doc)
	if err != nil {
		o.t.Fatal(err)
	}
	return id
}

// obey does with a phone what the script asks for. One order comes after another.
func (o *buttonOffice) obey(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("phone")
	var err error
	switch call := o.calls[name]; r.PathValue("verb") {
	case "incoming":
		select {
		case o.calls[name] = <-o.phones[name].Incoming():
		case <-r.Context().Done():
		}
	case "none":
		select {
		case <-o.phones[name].Incoming():
			err = fmt.Errorf("%s is called", name)
		default:
		}
	case "ring":
		err = call.Ring()
	case "answer":
		if err = call.Answer(r.Context()); err == nil {
			call.SayTone(440)
		}
	case "hear":
		_, err = call.WaitTone(r.Context(), 440)
	case "reject":
		err = call.Reject(486)
	case "hangup":
		err = call.Hangup(r.Context())
	case "over":
		select {
		case <-call.Done():
		case <-r.Context().Done():
		}
	default:
		err = fmt.Errorf("no such verb")
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// hostile is a page whose style would break a button that is part of it.
var hostile = template.Must(template.New("").Parse(`<!doctype html>
<html lang="{{.Get "lang"}}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Our shop</title>
<style>
* { box-sizing: content-box; letter-spacing: 0.3em; text-transform: uppercase; }
html { color-scheme: {{or (.Get "scheme") "light"}}; font-size: 62.5%; }
body { margin: 2rem; line-height: 0.5; background: Canvas; color: CanvasText; }
section, form, label, input, button, p { display: none !important; color: red; }
{{if .Get "theme"}}bugle-call { --c2c-accent: #146c2e; --c2c-radius: 2em; --c2c-size: 20px; }{{end}}
</style></head>
<body><main><h1>Our shop</h1><div id="here"></div>
<script src="{{.Get "src"}}" {{with .Get "label"}}data-label="{{.}}"{{end}} {{with .Get "button"}}data-lang="{{.}}"{{end}}
{{with .Get "target"}}data-target="{{.}}"{{end}}></script></main></body></html>`))

func (o *buttonOffice) page(w http.ResponseWriter, r *http.Request) {
	values := r.URL.Query()
	values.Set("src", "http://"+serving.HTTP+"/c2c/"+r.PathValue("id")+".js")
	// The strictest policy that lets the button in.
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; script-src http://"+serving.HTTP+"; connect-src http://"+serving.HTTP+
		"; require-trusted-types-for 'script'")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if err := hostile.Execute(w, values); err != nil {
		o.t.Error(err)
	}
}

// sipp is a SIP phone of another host, which answers each call. It returns its address.
func (o *buttonOffice) sipp() string {
	o.t.Helper()
	path, err := exec.LookPath("sipp")
	if err != nil {
		o.t.Fatal("sipp is missing: make peers installs it")
	}
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		o.t.Fatal(err)
	}
	port := socket.LocalAddr().(*net.UDPAddr).Port
	socket.Close()
	cmd := exec.CommandContext(o.ctx, path, "-sn", "uas", "-i", "127.0.0.1", "-mi", "127.0.0.1", "-p", strconv.Itoa(port), "-nostdin", "-rtp_echo")
	cmd.Dir, cmd.Env = o.t.TempDir(), append(os.Environ(), "TERM=dumb")
	if err := cmd.Start(); err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return "sip:service@127.0.0.1:" + strconv.Itoa(port)
}
