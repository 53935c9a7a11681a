package crossbar

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
	"time"
)

//go:embed site
var siteFiles embed.FS

// sitePolicy lets the documentation page load nothing but its own files, and talk to nobody but this server.
const sitePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; " +
	"form-action 'none'; frame-ancestors 'none'"

// site answers what stands beside the API itself: /healthz, /openapi.json and the documentation page at /docs. It
// reports false for any other path.
func (a *API) site(w http.ResponseWriter, r *http.Request) bool {
	switch r.URL.Path {
	case "/healthz":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		fmt.Fprintln(w, "ok")
	case "/openapi.json":
		w.Header().Set("Access-Control-Allow-Origin", "*")
		serveStatic(w, r, "openapi.json", a.openAPI())
	case "/docs":
		a.page(w, r, "docs.html")
	case "/docs/docs.css", "/docs/docs.js":
		a.page(w, r, path.Base(r.URL.Path))
	default:
		return false
	}
	return true
}

func (a *API) page(w http.ResponseWriter, r *http.Request, name string) {
	text, err := siteFiles.ReadFile("site/" + name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	a.sitePage(w, r, name, text)
}

// sitePage is a page with its policy, or what it is made of.
func (a *API) sitePage(w http.ResponseWriter, r *http.Request, name string, text []byte) {
	w.Header().Set("Content-Security-Policy", sitePolicy)
	w.Header().Set("Referrer-Policy", "no-referrer")
	serveStatic(w, r, name, text)
}

func serveStatic(w http.ResponseWriter, r *http.Request, name string, text []byte) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "this path takes GET and HEAD only", http.StatusMethodNotAllowed)
		return
	}
	sum := sha256.Sum256(text)
	w.Header().Set("ETag", `"`+hex.EncodeToString(sum[:16])+`"`)
	if w.Header().Get("Cache-Control") == "" {
		w.Header().Set("Cache-Control", "no-cache")
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(text))
}
