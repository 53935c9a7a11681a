package speech

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bugle"
	"bugle/internal/media"
)

// fetcherOf is a fetcher of what a handler gives, with a clock that the test moves.
func fetcherOf(t *testing.T, handler http.HandlerFunc) (f *HTTPFetcher, url string, clock *atomic.Int64) {
	t.Helper()
	server := httptest.NewServer(handler)
	client := server.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	t.Cleanup(func() { client.CloseIdleConnections(); server.Close() })
	clock = &atomic.Int64{}
	return NewHTTPFetcher(HTTPFetcherOptions{Client: client, Limit: 1 << 20,
		Now: func() time.Time { return time.Unix(0, clock.Load()) }}), server.URL + "/greeting.wav", clock
}

func TestFetchedAudioIsKeptAndAskedForAgain(t *testing.T) {
	t.Parallel()
	var asked, unchanged atomic.Int64
	var down atomic.Bool
	wav := toneWAV(t)
	f, url, clock := fetcherOf(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if down.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		w.Header().Set("ETag", `"1"`)
		w.Header().Set("Cache-Control", "public, max-age=60")
		if r.Header.Get("If-None-Match") == `"1"` {
			unchanged.Add(1)
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Write(wav)
	})
	fetch := func() {
		t.Helper()
		clip, err := f.Fetch(t.Context(), "acc", url)
		if err != nil || len(clip.ULaw()) != media.SampleRate {
			t.Fatalf("%v, %v", clip, err)
		}
	}
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() { _, _ = f.Fetch(t.Context(), "acc", url) })
	}
	wg.Wait()
	clock.Add(int64(59 * time.Second))
	fetch()
	if asked.Load() != 1 {
		t.Errorf("asked %d times within a minute", asked.Load())
	}
	clock.Add(int64(2 * time.Second))
	fetch()
	if asked.Load() != 2 || unchanged.Load() != 1 {
		t.Errorf("asked %d times, %d of them by ETag", asked.Load(), unchanged.Load())
	}
	// The server fails: what is known is played, and the server is left alone for a while.
	down.Store(true)
	clock.Add(int64(2 * time.Minute))
	fetch()
	fetch()
	if asked.Load() != 3 {
		t.Errorf("a failed server was asked %d times", asked.Load()-2)
	}
	down.Store(false)
	clock.Add(int64(fetchFailed))
	fetch()
	if asked.Load() != 4 || unchanged.Load() != 2 {
		t.Errorf("asked %d times, %d by ETag", asked.Load(), unchanged.Load())
	}
}

func TestFetchRefuses(t *testing.T) {
	t.Parallel()
	var status atomic.Int64
	var body atomic.Value
	f, url, clock := fetcherOf(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(int(status.Load()))
		w.Write(body.Load().([]byte))
	})
	for _, c := range []struct {
		name, url string
		status    int
		body      []byte
		kind      bugle.Kind
	}{
		{"no host", "http:///x", 200, nil, bugle.KindInvalid},
		{"another scheme", "file:///etc/passwd", 200, nil, bugle.KindInvalid},
		{"a password", strings.Replace(url, "://", "://user:secret@", 1), 200, nil, bugle.KindInvalid},
		{"missing", url, 404, nil, bugle.KindNotFound},
		{"a redirect", url, 302, nil, bugle.KindUnsupported},
		{"a failure", url, 500, nil, bugle.KindUnavailable},
		{"no audio", url, 200, []byte("<html>"), bugle.KindUnsupported},
		{"too much", url, 200, bytes.Repeat([]byte{0}, 1<<20+1), bugle.KindTooLarge},
	} {
		status.Store(int64(c.status))
		body.Store(c.body)
		clock.Add(int64(fetchFailed))
		if _, err := f.Fetch(t.Context(), "acc", c.url); bugle.KindOf(err) != c.kind {
			t.Errorf("%s: %v (%s), want %s", c.name, err, bugle.KindOf(err), c.kind)
		}
	}
}

func TestFreshness(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]time.Duration{"": fetchFresh, "max-age=10": 10 * time.Second, "no-store": 0,
		"private, max-age=999999999": time.Hour, "max-age=-1": fetchFresh, `max-age="7"`: 7 * time.Second} {
		if got := freshness(http.Header{"Cache-Control": {header}}); got != want {
			t.Errorf("%q: %v, want %v", header, got, want)
		}
	}
}
