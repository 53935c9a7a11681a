package crossbar

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"
	"sync"

	"bugle/internal/store"
)

// basic identifies who sends, with every request, the account's id and the hash that user_auth takes, or the MD5 of the
// account's API key, as a name and password of HTTP. RFC 7617 §2
func (req *request) basic(encoded string) (*identity, error) {
	text, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, invalidCredentials()
	}
	accountID, given, _ := strings.Cut(string(text), ":")
	given = strings.ToLower(given)
	raw, err := hex.DecodeString(given)
	if err != nil || len(raw) != 16 && len(raw) != 20 || len(accountID) != 32 {
		return nil, invalidCredentials()
	}
	if who, err := req.api.known.find(req.ctx, req.api, accountID, given); who != nil || err != nil {
		return who, err
	}
	attempt, err := req.api.failures.begin("basic", accountID, req.client)
	if err != nil {
		return nil, err
	}
	defer attempt.end()
	acc, err := req.api.account(req.ctx, accountID)
	if f, ok := err.(*fault); ok && f.status == http.StatusNotFound {
		return nil, attempt.fail()
	}
	if err != nil {
		return nil, err
	}
	owner, hashed := "", ""
	if key, err := req.api.opts.Sealer.Open(stringAt(acc.private, "api_key"), acc.id, "api_key"); err != nil {
		return nil, err
	} else if sum := md5.Sum([]byte(key)); subtle.ConstantTimeCompare(raw, sum[:]) == 0 {
		if hashed, err = req.api.hasher.hash(req.ctx, given, []byte(stringAt(acc.private, "salt"))); err != nil {
			return nil, err
		}
		d, err := req.api.opts.Store.GetByKey(req.ctx, store.Key{Space: credentialSpace(given), Scope: acc.id, Value: hashed})
		if isMissing(err) {
			return nil, attempt.fail()
		}
		if err != nil {
			return nil, err
		}
		owner = d.ID
	}
	who, _, err := req.api.signer(req.ctx, acc.id, owner)
	if f, ok := err.(*fault); ok && f.status == http.StatusUnauthorized {
		return nil, attempt.fail()
	}
	if err != nil {
		return nil, err
	}
	attempt.succeed()
	who.method = "basic"
	req.api.known.remember(accountID, given, knownLogin{owner, hashed, stringAt(who.private, "api_key_hash")})
	return who, nil
}

// credentialSpace is where the hash of what a client presented is looked up: MD5 has 32 digits, SHA-1 40.
func credentialSpace(given string) string {
	if len(given) == 32 {
		return KeyCredentialMD5
	}
	return KeyCredentialSHA
}

// knownLogins remembers which Basic credentials were good, so that each request does not cost a slow hash. An entry holds
// as long as what it was judged by is still there.
type knownLogins struct {
	mu    sync.Mutex
	byKey map[[32]byte]knownLogin
}

type knownLogin struct {
	owner  string // user, "" for an API key
	hashed string // the user's credential, as stored
	apiKey string // the account's api_key_hash
}

const maxKnownLogins = 4096

func knownKey(accountID, given string) [32]byte {
	return sha256.Sum256([]byte(accountID + ":" + given))
}

// find returns nil for credentials that have to be judged.
func (k *knownLogins) find(ctx context.Context, a *API, accountID, given string) (*identity, error) {
	k.mu.Lock()
	known, ok := k.byKey[knownKey(accountID, given)]
	k.mu.Unlock()
	if !ok {
		return nil, nil
	}
	who, _, err := a.signer(ctx, accountID, known.owner)
	if f := faultOf(err); err != nil && f.status >= http.StatusInternalServerError {
		return nil, err
	}
	form := "credentials.md5"
	if credentialSpace(given) == KeyCredentialSHA {
		form = "credentials.sha"
	}
	switch {
	case err != nil:
	case known.owner == "" && stringAt(who.private, "api_key_hash") == known.apiKey,
		known.owner != "" && stringAt(who.private, form) == known.hashed:
		who.method = "basic"
		return who, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.byKey, knownKey(accountID, given))
	return nil, nil
}

func (k *knownLogins) remember(accountID, given string, known knownLogin) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.byKey == nil || len(k.byKey) >= maxKnownLogins {
		k.byKey = map[[32]byte]knownLogin{}
	}
	k.byKey[knownKey(accountID, given)] = known
}
