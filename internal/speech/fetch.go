package speech

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"

	"bugle"
	"bugle/internal/media"
)

const (
	fetchTimeout  = 5 * time.Second // a caller hears nothing meanwhile
	fetchFresh    = 5 * time.Minute // of audio whose server says nothing
	fetchFreshMax = time.Hour
	fetchFailed   = 15 * time.Second // how long a failure is believed, so that not every call waits for a dead server
	fetchKept     = 64 << 20         // bytes of audio in memory
)

// HTTPFetcherOptions say how an HTTPFetcher works.
type HTTPFetcherOptions struct {
	Client *http.Client // passes the egress guard and follows no redirect; required
	Limit  int64        // bytes of one file; more is refused
	Now    func() time.Time
	Log    *slog.Logger
}

// HTTPFetcher is a Fetcher of WAV files. What it got is kept while it is fresh (RFC 9111 §4.2: Cache-Control's max-age, at most
// an hour), then asked for again by its ETag, and played on when its server does not answer. It is safe for concurrent use.
type HTTPFetcher struct {
	options HTTPFetcherOptions
	kept    *lru[*fetched]
	flights singleflight.Group
}

// fetched is what a URL gave: a clip, or an error and no clip. It is replaced, never changed.
type fetched struct {
	clip  *media.Clip
	err   error
	etag  string
	until time.Time // fresh up to here
}

// NewHTTPFetcher returns a fetcher.
func NewHTTPFetcher(options HTTPFetcherOptions) *HTTPFetcher {
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	return &HTTPFetcher{options: options, kept: newLRU[*fetched](fetchKept, nil)}
}

// Fetch returns the audio of a URL, a WAV file of a format that media.ReadWAV reads. Errors: KindInvalid when it is no URL,
// KindForbidden when the egress guard does not allow its address, KindUnsupported, KindTooLarge, KindNotFound,
// KindUnavailable.
func (f *HTTPFetcher) Fetch(ctx context.Context, account, address string) (*media.Clip, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
		return nil, fetchError(bugle.KindInvalid, "a URL of audio is http:// or https:// with a host and without a password", nil)
	}
	key := account + "\n" + u.String()
	known, ok := f.kept.get(key)
	if ok && f.options.Now().Before(known.until) {
		return known.clip, known.err
	}
	flight := f.flights.DoChan(key, func() (any, error) {
		return f.renew(context.WithoutCancel(ctx), key, u, known), nil
	})
	select {
	case result := <-flight:
		fresh := result.Val.(*fetched)
		return fresh.clip, fresh.err
	case <-ctx.Done():
		return nil, fetchError(bugle.KindUnavailable, "the caller did not wait", ctx.Err())
	}
}

// renew asks the server and keeps what it says. An older clip outlives a failure.
func (f *HTTPFetcher) renew(ctx context.Context, key string, u *url.URL, known *fetched) *fetched {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	fresh, err := f.get(ctx, u, known)
	if err != nil {
		f.options.Log.Warn("audio was not fetched", "url", u.Redacted(), "error", err)
		fresh = &fetched{err: err, until: f.options.Now().Add(fetchFailed)}
		if known != nil && known.clip != nil {
			fresh.clip, fresh.etag, fresh.err = known.clip, known.etag, nil
		}
	}
	cost := int64(len(key) + 200)
	if fresh.clip != nil {
		cost += 2 * int64(len(fresh.clip.ULaw()))
	}
	f.kept.put(key, fresh, cost)
	return fresh
}

func (f *HTTPFetcher) get(ctx context.Context, u *url.URL, known *fetched) (*fetched, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fetchError(bugle.KindInvalid, "the URL cannot be asked for", err)
	}
	req.Header.Set("Accept", "audio/wav, audio/x-wav, audio/*;q=0.5")
	if known != nil && known.clip != nil && known.etag != "" {
		req.Header.Set("If-None-Match", known.etag)
	}
	resp, err := f.options.Client.Do(req)
	if err != nil {
		kind := bugle.KindUnavailable
		var refused *bugle.Error
		if errors.As(err, &refused) {
			kind = refused.Kind
		}
		return nil, fetchError(kind, "the server was not reached", err)
	}
	defer resp.Body.Close()
	fresh := &fetched{etag: resp.Header.Get("ETag"), until: f.options.Now().Add(freshness(resp.Header))}
	switch {
	case resp.StatusCode == http.StatusNotModified && known != nil && known.clip != nil:
		fresh.clip, fresh.etag = known.clip, known.etag
		return fresh, nil
	case resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusGone:
		return nil, fetchError(bugle.KindNotFound, "there is nothing at the URL: "+resp.Status, nil)
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return nil, fetchError(bugle.KindUnsupported, "the URL leads elsewhere ("+resp.Status+"), and redirects are not followed", nil)
	case resp.StatusCode != http.StatusOK:
		return nil, fetchError(bugle.KindUnavailable, "the server answered "+resp.Status, nil)
	case resp.ContentLength > f.options.Limit:
		return nil, fetchError(bugle.KindTooLarge, fmt.Sprintf("the file has %d bytes; at most %d are taken", resp.ContentLength, f.options.Limit), nil)
	}
	pcm, err := media.ReadWAV(io.LimitReader(resp.Body, f.options.Limit+1), f.options.Limit)
	if err != nil {
		return nil, err
	}
	fresh.clip = media.NewClip(u.Redacted(), pcm)
	return fresh, nil
}

// freshness is Cache-Control's max-age within bounds. no-cache and no-store are a max-age of 0: asked for at every call.
func freshness(header http.Header) time.Duration {
	for directive := range strings.SplitSeq(strings.ToLower(strings.Join(header.Values("Cache-Control"), ",")), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch name {
		case "no-cache", "no-store":
			return 0
		case "max-age":
			if seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31); err == nil {
				return min(time.Duration(seconds)*time.Second, fetchFreshMax)
			}
		}
	}
	return fetchFresh
}

func fetchError(kind bugle.Kind, message string, err error) error {
	return &bugle.Error{Op: "speech.Fetch", Kind: kind, Message: message, Err: err}
}
