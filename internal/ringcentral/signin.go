package ringcentral

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"bugle"
	"bugle/internal/store"
)

const signInStyle = `body{font:16px/1.5 system-ui,sans-serif;margin:0;background:#f4f5f7;color:#1c2430}
main{max-width:22rem;margin:10vh auto;padding:2rem;background:#fff;border-radius:8px;box-shadow:0 1px 4px #0003}
h1{font-size:1.3rem;margin:0 0 1rem}label{display:block;margin:.8rem 0 .2rem}
input{width:100%;box-sizing:border-box;font:inherit;padding:.5rem;border:1px solid #8a93a0;border-radius:4px}
button{margin-top:1.2rem;width:100%;font:inherit;padding:.6rem;border:0;border-radius:4px;background:#0b57d0;color:#fff}
[role=alert]{color:#a30d0d}`

// signInPage needs no script. Everything in it is escaped by html/template.
var signInPage = template.Must(template.New("").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Sign in</title>
<style>` + signInStyle + `</style></head><body><main>
{{if .Broken}}<h1>This link does not work</h1><p role="alert">{{.Broken}}</p>{{else}}<h1>Sign in to {{.App}}</h1>
{{if .Wrong}}<p role="alert">{{.Wrong}}</p>{{end}}<form method="post" action="/restapi/oauth/authorize">
{{range $name, $value := .Hidden}}<input type="hidden" name="{{$name}}" value="{{$value}}">
{{end}}<label for="username">E-mail, or phone number*extension</label>
<input id="username" name="username" autocomplete="username" required maxlength="320" value="{{.Username}}">
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required maxlength="1024">
<button>Sign in</button></form>{{end}}
</main></body></html>
`))

type signInShown struct {
	App, Broken, Wrong, Username string
	Hidden                       map[string]string
}

// authorization is what an authorization request asks for, RFC 6749 §4.1.1.
type authorization struct {
	app       App
	redirect  *url.URL
	uri       string // redirect as it was given
	state     string
	challenge string
}

// asked reads an authorization request. A message is for the person and no redirect is to be trusted; a fault is for the
// application, by redirect.
func (c *call) asked(q url.Values) (a authorization, broken string, wrong *fault, err error) {
	for name, values := range q {
		if len(values) > 1 {
			return a, "The parameter " + name + " is there more than once.", nil, nil
		}
	}
	a.app, err = c.server.opts.People.App(c.ctx, q.Get("client_id"))
	if err != nil && bugle.KindOf(err) == bugle.KindUnauthorized {
		return a, "The application that sent you here is not known, or was disabled.", nil, nil
	}
	if err != nil {
		return a, "", nil, err
	}
	if a.uri = q.Get("redirect_uri"); a.uri == "" && len(a.app.RedirectURIs) == 1 {
		a.uri = a.app.RedirectURIs[0]
	}
	if !slices.Contains(a.app.RedirectURIs, a.uri) {
		return a, "The application wants you to be sent back to an address that is not registered for it.", nil, nil
	}
	if a.redirect, err = url.Parse(a.uri); err != nil {
		return a, "The address that you would be sent back to is malformed.", nil, nil
	}
	a.state, a.challenge = q.Get("state"), q.Get("code_challenge")
	refused := func(name, message string) (authorization, string, *fault, error) {
		return a, "", refuseToken(http.StatusBadRequest, "OAU-109", name, message), nil
	}
	method := q.Get("code_challenge_method")
	raw, bad := base64.RawURLEncoding.DecodeString(a.challenge)
	switch {
	case len(a.state) > 2048:
		a.state = ""
		return refused("invalid_request", "state is longer than 2048 characters")
	case q.Get("response_type") != "code":
		return refused("unsupported_response_type", "response_type must be code")
	case a.challenge == "" && (a.app.Public || method != ""):
		return refused("invalid_request", "code_challenge is required: this application has no secret, or names a method")
	case a.challenge != "" && (method != "S256" || bad != nil || len(raw) != sha256.Size):
		return refused("invalid_request", "code_challenge_method must be S256, and code_challenge the base64url of a SHA-256")
	}
	return a, "", nil, nil
}

// back is where the person is sent, with the answer for the application.
func (a *authorization) back(answer map[string]string) string {
	to := *a.redirect
	q := to.Query()
	for name, value := range answer {
		q.Set(name, value)
	}
	if a.state != "" {
		q.Set("state", a.state)
	}
	to.RawQuery = q.Encode()
	return to.String()
}

func (c *call) sendBack(a *authorization, result map[string]string) (*answer, error) {
	c.pageHeaders(a)
	c.header.Set("Location", a.back(result))
	return &answer{status: http.StatusSeeOther}, nil
}

// pageHeaders let the page load nothing, run nothing, stand in no frame, and send its form nowhere but here and, by redirect, back.
func (c *call) pageHeaders(a *authorization) {
	style := sha256.Sum256([]byte(signInStyle))
	targets := "'self'"
	if a.redirect != nil {
		if targets += " " + a.redirect.Scheme + ":"; a.redirect.Host != "" {
			targets += "//" + a.redirect.Host
		}
	}
	c.header.Set("Content-Security-Policy", "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(style[:])+
		"'; form-action "+targets+"; base-uri 'none'; frame-ancestors 'none'")
	c.header.Set("X-Frame-Options", "DENY")
	c.header.Set("Referrer-Policy", "no-referrer")
	c.header.Del("Access-Control-Allow-Origin") // a page for people
	c.header.Set("Content-Type", "text/html; charset=utf-8")
}

func (c *call) showPage(status int, a *authorization, shown signInShown) (*answer, error) {
	c.pageHeaders(a)
	var page bytes.Buffer
	if err := signInPage.Execute(&page, shown); err != nil {
		return nil, err
	}
	return &answer{status: status, page: page.Bytes()}, nil
}

// signIn answers GET with the page.
func (c *call) signIn() (*answer, error) {
	return c.authorize(c.http.URL.Query(), func(a *authorization) (*answer, error) { return c.showForm(http.StatusOK, a, "", "") })
}

func (c *call) showForm(status int, a *authorization, wrong, username string) (*answer, error) {
	hidden := map[string]string{"client_id": a.app.ID, "redirect_uri": a.uri, "response_type": "code"}
	if a.state != "" {
		hidden["state"] = a.state
	}
	if a.challenge != "" {
		hidden["code_challenge"], hidden["code_challenge_method"] = a.challenge, "S256"
	}
	return c.showPage(status, a, signInShown{App: a.app.Name, Wrong: wrong, Username: username, Hidden: hidden})
}

func (c *call) authorize(q url.Values, good func(a *authorization) (*answer, error)) (*answer, error) {
	a, broken, wrong, err := c.asked(q)
	switch {
	case err != nil:
		return nil, err
	case broken != "":
		return c.showPage(http.StatusBadRequest, &authorization{}, signInShown{Broken: broken})
	case wrong != nil:
		return c.sendBack(&a, map[string]string{"error": wrong.oauth, "error_description": wrong.message})
	}
	return good(&a)
}

// signedIn answers the page's form: with a code for the application, or with the page again.
func (c *call) signedIn() (*answer, error) {
	// Another site could have the form sent, and the person signed in as somebody else.
	if err := http.NewCrossOriginProtection().Check(c.http); err != nil {
		return c.showPage(http.StatusForbidden, &authorization{}, signInShown{Broken: "The form was sent by another site."})
	}
	// Failures are counted by name; whoever tries many names is stopped by address.
	if err := c.server.counters.take(c.header, "sign in "+c.server.opts.People.Client(c.http).String(), light); err != nil {
		return nil, err
	}
	form, err := c.form()
	if err != nil {
		return nil, err
	}
	username, password := strings.TrimSpace(form.Get("username")), form.Get("password")
	form.Del("username")
	form.Del("password")
	return c.authorize(form, func(a *authorization) (*answer, error) {
		p, err := c.byPassword(username, "", password)
		if f := faultOf(err); err != nil {
			if f.status >= http.StatusInternalServerError {
				return nil, err
			}
			return c.showForm(f.status, a, f.message+".", username)
		}
		if !a.app.Serves(p) {
			return c.showForm(http.StatusForbidden, a, "This application does not serve your company.", username)
		}
		code := newSecret()
		detail, err := json.Marshal(codeDetail{Account: p.AccountID, User: p.UserID, App: a.app.ID, Stamp: p.Stamp, Redirect: a.uri, Challenge: a.challenge})
		if err != nil {
			return nil, err
		}
		now := c.server.opts.Now()
		err = c.server.opts.Store.Write(c.ctx, func(tx *store.Tx) error {
			return tx.AddOAuthTokens(store.OAuthToken{Hash: hashOf(code), Kind: tokenCode, Expires: now.Add(codeLife), Detail: detail})
		})
		if err != nil {
			return nil, err
		}
		return c.sendBack(a, map[string]string{"code": code})
	})
}
