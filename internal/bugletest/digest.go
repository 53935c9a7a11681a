package bugletest

import (
	"errors"
	"strings"
	"sync"

	"github.com/icholy/digest"

	"bugle/internal/sip"
)

// keyring answers challenges and remembers the last one, so that the next request carries credentials at once.
type keyring struct {
	username, password string

	mu        sync.Mutex
	challenge *digest.Challenge
	header    string // of the credentials: Authorization or Proxy-Authorization
	count     int    // how often the nonce was used
}

// attach adds credentials for the remembered challenge, if there is one.
func (k *keyring) attach(req *sip.Message) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.challenge == nil {
		return
	}
	k.count++
	credentials, err := digest.Digest(k.challenge, digest.Options{Method: string(req.Method()), URI: req.RequestURI(),
		Username: k.username, Password: k.password, Count: k.count})
	if err == nil {
		req.Set(k.header, credentials.String())
	}
}

// take remembers the challenge of a 401 or 407. again tells whether the request is worth repeating: not when the server
// has just refused credentials for a nonce that it does not call stale (RFC 7616 §3.3).
func (k *keyring) take(resp *sip.Message, sentCredentials bool) (again bool, err error) {
	if k.username == "" {
		return false, nil
	}
	from, to := "WWW-Authenticate", "Authorization"
	if resp.StatusCode() == 407 {
		from, to = "Proxy-Authenticate", "Proxy-Authorization"
	}
	var best *digest.Challenge
	for value := range resp.Headers(from) {
		c, err := digest.ParseChallenge(strings.Clone(value))
		if err != nil || !digest.CanDigest(c) {
			continue
		}
		// RFC 8760 §2.4: the topmost challenge that is supported.
		if best == nil {
			best = c
		}
	}
	if best == nil {
		return false, errors.New("the challenge cannot be answered: no Digest of a known algorithm")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	same := k.challenge != nil && k.challenge.Nonce == best.Nonce
	k.challenge, k.header, k.count = best, to, 0
	return !sentCredentials || best.Stale && !same, nil
}
