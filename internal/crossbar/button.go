package crossbar

import (
	"bytes"
	"context"
	"encoding/json"
	"html/template"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"golang.org/x/text/language"

	"bugle"
	"bugle/internal/clicktocall"
)

// The button of a public click-to-call stands at /c2c/{id}.js, its page at /c2c/{id}, and what both ask at
// /c2c/{id}/connect, which is connect of the API without the account in its path. Nobody learns here whether another id
// exists.

// buttonText is the script that all buttons are, without indentation and comments: visitors load it with every page.
var buttonText = sync.OnceValue(func() []byte {
	text, err := siteFiles.ReadFile("site/button.js")
	if err != nil {
		panic(err) // it is embedded
	}
	return regexp.MustCompile(`(?m)^ */[/*].*\n|^ +`).ReplaceAll(text, nil)
})

var buttonPage = sync.OnceValue(func() *template.Template { return template.Must(template.ParseFS(siteFiles, "site/c2c.html")) })

// pageLanguages are those that the button speaks, with what its page says where there are no scripts.
var (
	pageLanguages = language.NewMatcher([]language.Tag{language.English, language.Spanish, language.German, language.French})
	withoutScript = [...]struct{ code, text string }{{"en", "This page needs JavaScript to make a call."}, {"es", "Esta página necesita JavaScript para llamar."},
		{"de", "Diese Seite braucht JavaScript, um anzurufen."}, {"fr", "Cette page a besoin de JavaScript pour appeler."}}
)

var documentID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// pagesFaster is how many times as many scripts and pages as requests of the API an address may ask for: an office has one.
const pagesFaster = 10

// button answers /c2c/…. What it does not answer itself it returns, for the API.
func (a *API) button(w http.ResponseWriter, r *http.Request) *http.Request {
	rest := strings.TrimPrefix(r.URL.Path, "/c2c/")
	if rest == "c2c.css" {
		a.page(w, r, rest)
		return nil
	}
	id, below, deeper := strings.Cut(rest, "/")
	id, isScript := strings.CutSuffix(id, ".js")
	if _, retry := a.pages.take(bucketKey{client: clientNetwork(a.clientAddress(r))}, a.opts.Now()); retry > 0 && !deeper {
		w.Header().Set("Retry-After", decimal(int64(retry.Seconds())+1))
		http.Error(w, "too many requests", http.StatusTooManyRequests)
		return nil
	}
	endpoint, accountID, err := a.publicEndpoint(r.Context(), id)
	if err != nil {
		a.opts.Log.Error("a click-to-call cannot be read", "error", err)
		http.Error(w, "the database does not answer, try again later", http.StatusServiceUnavailable)
		return nil
	}
	switch {
	case deeper && !isScript:
		// An unknown id becomes a path that the API does not know.
		inner := *r
		inner.URL = &url.URL{Path: "/v2/c2c", RawQuery: r.URL.RawQuery}
		if endpoint != nil && (below == "connect" || strings.HasPrefix(below, "connect/")) {
			inner.URL.Path = "/v2/accounts/" + accountID + "/clicktocall/" + id + "/" + below
		}
		return &inner
	case deeper || endpoint == nil:
		w.Header().Set("Cache-Control", "no-store")
		http.NotFound(w, r)
	case isScript:
		a.buttonScript(w, r, endpoint)
	default:
		a.buttonPage(w, r, endpoint)
	}
	return nil
}

// publicEndpoint is the public click-to-call of an id, nil for none. Each id that is none costs the same: one document is
// asked for, and one read.
func (a *API) publicEndpoint(ctx context.Context, id string) (endpoint *bugle.ClickToCall, accountID string, err error) {
	if !documentID.MatchString(id) {
		return nil, "", nil
	}
	d, err := a.opts.Store.Find(ctx, TypeClickToCall, id)
	missing := isMissing(err)
	if err != nil && !missing {
		return nil, "", err
	}
	if missing {
		d.Body = []byte(`{"name":"None","extension":"0","auth_required":true}`)
	}
	e, err := bugle.ParseClickToCall(id, d.Body)
	if err != nil || missing || e.AuthRequired {
		return nil, "", err
	}
	return &e, d.AccountID, nil
}

func (a *API) buttonScript(w http.ResponseWriter, r *http.Request, e *bugle.ClickToCall) {
	first, second := "ours", "yours"
	if e.ContactFirst {
		first, second = second, first
	}
	// Which words are said of a state or a refusal, where they do not have its name.
	words := map[string]string{string(clicktocall.Ringing): first, string(clicktocall.Answered): "starting", string(clicktocall.SecondRinging): second,
		string(clicktocall.Refused): "off"}
	for like, reasons := range map[clicktocall.Reason][]clicktocall.Reason{
		clicktocall.ContactInvalid:  {clicktocall.ContactRequired},
		clicktocall.ReasonWhitelist: {clicktocall.ReasonExtension, clicktocall.ReasonAddress},
		clicktocall.ReasonEmergency: {clicktocall.ReasonPremium, clicktocall.ReasonAbroad},
		"off":                       {clicktocall.ReasonOrigin, clicktocall.ReasonDisabled},
	} {
		for _, reason := range reasons {
			words[string(reason)] = string(like)
		}
	}
	about, err := json.Marshal(map[string]any{"id": e.ID, "name": e.Name, "words": words}) // which leaves nothing that would end a script
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Cache-Control", "public, max-age=300")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("X-Robots-Tag", "noindex")
	h.Add("Vary", "Origin")
	if origin := r.Header.Get("Origin"); a.ownPage(r, origin) || (&pages{e.Origins}).list(origin) {
		h.Set("Access-Control-Allow-Origin", origin)
	}
	serveStatic(w, r, "button.js", bytes.Replace(buttonText(), []byte("(ABOUT)"), []byte("("+string(about)+")"), 1))
}

func (a *API) buttonPage(w http.ResponseWriter, r *http.Request, e *bugle.ClickToCall) {
	_, i := language.MatchStrings(pageLanguages, r.URL.Query().Get("lang"), r.Header.Get("Accept-Language"))
	var text bytes.Buffer
	if err := buttonPage().Execute(&text, map[string]string{"ID": e.ID, "Name": e.Name, "Language": withoutScript[i].code,
		"WithoutScript": withoutScript[i].text}); err != nil {
		a.opts.Log.Error("the page of a click-to-call cannot be made", "error", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("X-Robots-Tag", "noindex")
	h.Add("Vary", "Accept-Language")
	a.sitePage(w, r, "c2c.html", text.Bytes())
}
