package crossbar_test

import (
	"regexp"
	"strings"
	"testing"
)

// TestSite: the documentation page and what it is made of come with a policy that lets nothing else in, and are revalidated.
func TestSite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for path, contentType := range map[string]string{"/docs": "text/html", "/docs/docs.css": "text/css", "/docs/docs.js": "text/javascript"} {
		a := w.raw("GET", path, "")
		policy := a.header.Get("Content-Security-Policy")
		if a.code != 200 || !strings.HasPrefix(a.header.Get("Content-Type"), contentType) || !strings.Contains(policy, "default-src 'none'") ||
			strings.Contains(policy, "unsafe") || a.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v", path, a.code, a.header)
		}
		if again := w.raw("GET", path, "", "If-None-Match: "+a.header.Get("Etag")); again.code != 304 {
			t.Errorf("%s again: %d", path, again.code)
		}
		if head := w.raw("HEAD", path, ""); head.code != 200 || len(head.text) != 0 {
			t.Errorf("HEAD %s: %d, %d bytes", path, head.code, len(head.text))
		}
		if a := w.raw("POST", path, "{}"); a.code != 405 || a.header.Get("Allow") != "GET, HEAD" {
			t.Errorf("POST %s: %d", path, a.code)
		}
		if found := regexp.MustCompile(`(?i)<script>|\son\w+=|style="|https?://`).FindString(string(a.text)); found != "" {
			t.Errorf("%s has %q: inline code, or another server", path, found)
		}
		if len(a.text) > 60_000 {
			t.Errorf("%s has %d bytes", path, len(a.text))
		}
	}
	for _, path := range []string{"/docs/", "/docs/docs.html", "/docs/../api.go", "/docs/x", "/"} {
		if a := w.raw("GET", path, ""); a.code != 404 {
			t.Errorf("%s: %d", path, a.code)
		}
	}
}
