package crossbar

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"bugle"
	"bugle/internal/store"
)

// oauthApps are the programs that may use the RingCentral API. The id of an app's document is its client id.
func oauthApps() *resource {
	r := &resource{noun: "oauth_apps", typ: TypeOAuthApp, schema: "oauth_apps",
		about: "Programs that use the RingCentral API, for people of the account and of those below. The `id` is the client id. The answer " +
			"to PUT has `client_secret`, this once; PUT on `secret` makes a new one and ends the old. An app with `public` true has none. " +
			"See docs/ringcentral.md.",
		summary:     picking("name", "public", "enabled"),
		summaryKeys: []string{"name", "public", "enabled", "flags"}, order: byName,
		computed: []string{"client_secret"},
		complete: func(e *edit) error {
			public := boolAt(e.doc, "public", false)
			if public {
				delete(e.private, "secret_hash")
			} else if stringAt(e.private, "secret_hash") == "" {
				e.req.issued = randomHex(32)
				e.private["secret_hash"] = hashKey(e.req.issued)
			}
			return nil
		},
		check: func(e *edit) error {
			list, _ := e.doc["redirect_uris"].([]any)
			for i, v := range list {
				if text, ok := v.(string); !ok || !redirectable(text) {
					e.errs.add(fieldPath("redirect_uris", strconv.Itoa(i)), "wrong_format", map[string]any{
						"message": "A redirect URI is absolute, has no fragment, and is https, http at localhost, or of a scheme of its own such as com.example.app:/signed-in",
						"value":   shown(v)})
				}
			}
			return nil
		},
		keys:    func(e *edit) []store.Key { return []store.Key{{Space: KeyOAuthApp, Value: e.id}} },
		compose: showIssued("client_secret"),
	}
	r.endpoints = []endpoint{{path: "{id}/secret", ops: map[string]operation{
		http.MethodPut: {run: func(req *request) (*reply, error) { return req.renewAppSecret(r) }, proves: true}}}}
	r.shapes = map[string]shape{"PUT {id}/secret": {summary: "A new client secret, shown once; the old one ends", gives: refTo("oauth_apps.document"), revised: true}}
	return r
}

// redirectable: RFC 8252 §7 has apps of phones and desktops redirect to a scheme of their own or to loopback.
func redirectable(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || strings.Contains(text, "#") || u.User != nil || strings.ContainsAny(text, "\\\r\n\t ;,'\"") {
		return false
	}
	switch u.Scheme {
	case "https":
		return u.Host != ""
	case "http":
		return u.Hostname() == "localhost" || u.Hostname() == "127.0.0.1" || u.Hostname() == "::1"
	}
	return strings.Contains(u.Scheme, ".") && u.Opaque == ""
}

// renewAppSecret has the edit that complete makes when there is no secret.
func (req *request) renewAppSecret(res *resource) (*reply, error) {
	id := req.route.arg()
	err := req.api.opts.Store.Write(req.ctx, func(tx *store.Tx) error {
		d, err := tx.Get(req.account.id, TypeOAuthApp, id)
		if err != nil {
			return req.missing(err, id)
		}
		body, private, err := userParts(&d)
		if err != nil {
			return err
		}
		if boolAt(body, "public", false) {
			return oneError("public", "invalid", "A public app has no secret", true)
		}
		req.issued = randomHex(32)
		private["secret_hash"] = hashKey(req.issued)
		d.Private = appendTree(nil, private)
		return tx.Put(&d, d.Rev)
	})
	if err != nil {
		return nil, err
	}
	return req.fetch(res)
}

// showIssued shows under a key the secret that was made for this request, which is not kept in a readable form.
func showIssued(key string) func(req *request, d *store.Document, doc map[string]any) error {
	return func(req *request, _ *store.Document, doc map[string]any) error {
		if delete(doc, key); req.issued != "" {
			doc[key] = req.issued
		}
		return nil
	}
}

// jwtCredentials are what programs log in with in the place of a user.
func jwtCredentials() *resource {
	r := &resource{noun: "jwt_credentials", typ: TypeJWTCredential, schema: "jwt_credentials",
		about: "What a program logs in with at the RingCentral API in the place of a user, by the grant " +
			"`urn:ietf:params:oauth:grant-type:jwt-bearer`. The answer to PUT has `jwt`, this once; deleting the credential ends what " +
			"was got by it. See docs/ringcentral.md.",
		within: map[string]string{"users": IndexOwner}, nested: true, parentKey: "owner_id",
		summary:     picking("name", "expires"),
		summaryKeys: []string{"name", "expires"}, order: byName,
		computed: []string{"jwt"},
		complete: func(e *edit) error {
			if e.how != creating {
				return nil
			}
			// It is known by its hash. The form is that of a JWT because programs look into it; the key that signed it is not kept.
			token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iss": "bugle", "sub": e.req.route.parentID,
				"iat": e.req.started.Unix(), "jti": e.id}).SignedString([]byte(randomHex(32)))
			e.req.issued, e.private["hash"] = token, hashSecret(token)
			return err
		},
		keys: func(e *edit) []store.Key { return []store.Key{{Space: KeyJWT, Value: stringAt(e.private, "hash")}} },
		index: func(e *edit) []store.Index {
			return []store.Index{{Name: IndexOwner, Value: stringAt(e.doc, "owner_id")}}
		},
		compose: showIssued("jwt"),
	}
	r.endpoints = []endpoint{{path: "", ops: map[string]operation{
		http.MethodGet: {run: func(req *request) (*reply, error) { return req.list(r) }},
		http.MethodPut: {run: func(req *request) (*reply, error) { return req.create(r) }}}}}
	return r
}

// deleteCredentials removes what logs in as a user who is deleted.
func deleteCredentials(e *edit) error {
	if e.how != deleting {
		return nil
	}
	return deleteIndexed(e.tx, e.owner.id, TypeJWTCredential, store.Index{Name: IndexOwner, Value: e.id})
}

// emailIndex finds a user by e-mail address over all accounts; a user name that is one counts where there is no other.
func emailIndex(doc map[string]any) []store.Index {
	address := stringAt(doc, "email")
	if address == "" {
		if address = stringAt(doc, "username"); !strings.Contains(address, "@") {
			return nil
		}
	}
	return []store.Index{{Name: IndexEmail, Value: strings.ToLower(address)}}
}

var errUnknown = &bugle.Error{Op: "crossbar", Kind: bugle.KindUnauthorized, Message: "invalid credentials"}
