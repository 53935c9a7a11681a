package sipua

import (
	"cmp"
	"context"
	"crypto/rand"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"bugle"
	"bugle/internal/sip"
)

func itoa(n int) string { return strconv.Itoa(n) }

// randomToken returns 128 random bits as text, for tags and for the password that nobody has.
func randomToken() string { return strings.ToLower(rand.Text()) }

// identity is who sent a request, proven.
type identity struct {
	account bugle.Account
	device  bugle.Device
}

// authenticate finds out who sent a request: by its digest, or, for a call from the address of a device of sip.method
// "ip", by where it came from. When it is false the request has been answered, or will be after a delay.
//
// Whoever asks cannot tell a user that does not exist from a wrong password, neither by the answer nor by the work
// that is done for it. Only responses to a nonce of ours that was given to the same address count as failures.
func (a *Agent) authenticate(ctx context.Context, tx *sip.ServerTransaction, req *sip.Message) (identity, bool) {
	addr := tx.Source().Remote.Addr().Unmap()
	c, found, fresh := a.credentialsOf(req, addr)
	if !fresh {
		// An old or foreign nonce says stale without a look at the response, so that it tells nothing about the password.
		return a.byAddress(ctx, tx, req, c, found)
	}
	realm := strings.ToLower(c.realm)
	pair := penaltyKey{c.username + "@" + realm, addr}
	if a.penalties.refused(pair) {
		a.reply(tx, req, 403, "Too Many Wrong Passwords", header{"Retry-After", itoa(int(penaltyRefused.Seconds()))})
		return identity{}, false
	}
	password := ""
	account, device, err := a.opts.Directory.DeviceByUsername(ctx, lookupRealm(realm), c.username)
	if err == nil && device.SIP.Method != "ip" {
		password, err = a.opts.Directory.Password(device)
	}
	known := err == nil && password != ""
	if err != nil && bugle.KindOf(err) != bugle.KindNotFound {
		a.lookupFailed(tx, req, err)
		return identity{}, false
	}
	if !known {
		password = a.dummy
	}
	count, counted := c.nonceCount()
	right := c.verify(string(req.Method()), password, req.Body())
	if !right || !known || !counted || !slices.Contains(algorithms(a.policy(account, device)), c.algorithmName()) {
		a.wrong(tx, req, c, pair)
		return identity{}, false
	}
	if !a.nonces.use(c.nonce, count) {
		a.challenge(ctx, tx, req, c.realm, c.username, true)
		return identity{}, false
	}
	a.penalties.succeeded(pair)
	return a.permitted(tx, req, identity{account, device})
}

// credentialsOf returns the digest of a request: of several, as proxies add theirs, the one that answers a challenge of
// ours to this address. fresh says that it does.
func (a *Agent) credentialsOf(req *sip.Message, addr netip.Addr) (c credentials, found, fresh bool) {
	for value := range req.Headers("Authorization") {
		one, ok := parseCredentials(value)
		if !ok {
			continue
		}
		if a.nonces.fresh(one.nonce, one.realm, addr) {
			return one, true, true
		}
		if !found {
			c, found = one, true
		}
	}
	return c, found, false
}

// byAddress knows the sender of a request without credentials of ours by its address, or challenges it. A REGISTER always
// needs a digest.
func (a *Agent) byAddress(ctx context.Context, tx *sip.ServerTransaction, req *sip.Message, c credentials, found bool) (identity, bool) {
	if req.Method() != sip.REGISTER {
		account, device, err := a.opts.Directory.DeviceByIP(ctx, tx.Source().Remote.Addr().Unmap())
		if err == nil {
			return a.permitted(tx, req, identity{account, device})
		}
		if bugle.KindOf(err) != bugle.KindNotFound {
			a.lookupFailed(tx, req, err)
			return identity{}, false
		}
	}
	realm, user := claimedRealm(req), claimedUser(req)
	if found {
		realm, user = c.realm, c.username
	}
	a.challenge(ctx, tx, req, realm, user, found)
	return identity{}, false
}

func (a *Agent) permitted(tx *sip.ServerTransaction, req *sip.Message, id identity) (identity, bool) {
	if !id.device.Enabled || !id.account.Enabled {
		a.reply(tx, req, 403, "Disabled")
		return identity{}, false
	}
	return id, true
}

func (a *Agent) lookupFailed(tx *sip.ServerTransaction, req *sip.Message, err error) {
	a.opts.Log.Error("a device could not be looked up", "call", req.CallID(), "error", err)
	a.unavailable(tx, req)
}

// wrong answers a wrong response with a new challenge, later when there have been many.
func (a *Agent) wrong(tx *sip.ServerTransaction, req *sip.Message, c credentials, pair penaltyKey) {
	delay := a.penalties.failed(pair)
	a.opts.Log.Info("wrong digest response", "user", pair.user, "from", pair.addr, "call", req.CallID())
	answer := func() {
		ctx := &lookup{}
		defer ctx.end()
		a.challenge(ctx, tx, req, c.realm, c.username, false)
	}
	if delay == 0 || !a.holdBack(delay, answer) {
		answer()
	}
}

// holdBack runs answer after the delay; it is false when too many answers wait already.
func (a *Agent) holdBack(delay time.Duration, answer func()) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.delayed >= maxDelayed || a.closed {
		return false
	}
	a.delayed++
	a.opts.Clock.AfterFunc(delay, func() {
		defer a.recovered()
		a.mu.Lock()
		a.delayed--
		closed := a.closed
		a.mu.Unlock()
		if !closed {
			answer()
		}
	})
	return true
}

// challenge answers 401 with what the device of that name allows; for a name that nobody has, with what those of its
// account do who say nothing of their own.
func (a *Agent) challenge(ctx context.Context, tx *sip.ServerTransaction, req *sip.Message, realm, username string, stale bool) {
	lookup := lookupRealm(strings.ToLower(realm))
	account, device, err := a.opts.Directory.DeviceByUsername(ctx, lookup, username)
	if err != nil && lookup != "" {
		device = bugle.Device{}
		account, _ = a.opts.Directory.AccountByRealm(ctx, lookup)
	}
	policy := a.policy(account, device)
	nonce := a.nonces.issue(realm, tx.Source().Remote.Addr())
	headers := make([]header, 0, 2)
	for _, algorithm := range algorithms(policy) {
		headers = append(headers, header{"WWW-Authenticate", challenge(realm, nonce, algorithm, stale)})
	}
	a.reply(tx, req, 401, "", headers...)
}

// policy is which digests a device is offered.
func (a *Agent) policy(account bugle.Account, device bugle.Device) string {
	return cmp.Or(device.SIP.Digest, account.SIPDigest, a.opts.Digest)
}

// claimedRealm is the realm that a request without credentials is challenged for: the host of the address of record, which
// for a REGISTER stands in To and for others in From (RFC 3261 §10.2, §22.1).
func claimedRealm(req *sip.Message) string {
	who, err := req.From()
	if req.Method() == sip.REGISTER {
		who, err = req.To()
	}
	if err != nil {
		return ""
	}
	return strings.ToLower(quotable(who.URI.Host))
}

func claimedUser(req *sip.Message) string {
	who, err := req.From()
	if req.Method() == sip.REGISTER {
		who, err = req.To()
	}
	if err != nil {
		return ""
	}
	return who.URI.User
}

// lookupRealm is the realm that a device is looked up in: none when the phone knows the server by its address only.
func lookupRealm(realm string) string {
	if isAddress(realm) {
		return ""
	}
	return realm
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	return err == nil
}

// ownRealm says whether a device may use this host in the URI that it addresses: its account's realm, an address, or a name
// that is nobody's realm, as that of its sip.realm after the account has moved. Another account's realm is refused with 403; when that is false the request has been answered.
func (a *Agent) ownRealm(ctx context.Context, tx *sip.ServerTransaction, req *sip.Message, id identity, uri sip.URI) bool {
	host := strings.ToLower(strings.TrimSuffix(uri.Host, "."))
	if host == "" || host == strings.ToLower(id.account.Realm) || isAddress(host) {
		return true
	}
	other, err := a.opts.Directory.AccountByRealm(ctx, host)
	switch {
	case err == nil && other.ID != id.account.ID:
		a.reply(tx, req, 403, "Another Account's Realm")
		return false
	case err != nil && bugle.KindOf(err) != bugle.KindNotFound:
		a.lookupFailed(tx, req, err)
		return false
	}
	return true
}
