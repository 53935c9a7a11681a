package crossbar

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/mail"
	"net/url"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"bugle"
	"bugle/internal/store"
)

const (
	resetLife     = time.Hour
	resetPause    = time.Minute      // between two mails to one user
	mailTimeout   = 30 * time.Second // of looking up, writing and sending
	maxRecoveries = 32               // at once
)

// recoveries runs what a recovery does after it was answered, so that the answer and its time are the same whether or
// not there is such a user.
type recoveries struct {
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
	slots   chan struct{}
}

func newRecoveries() *recoveries {
	ctx, cancel := context.WithCancel(context.Background())
	return &recoveries{ctx: ctx, cancel: cancel, slots: make(chan struct{}, maxRecoveries)}
}

// start runs f on its own; false when too many run already.
func (r *recoveries) start(f func(ctx context.Context)) bool {
	select {
	case r.slots <- struct{}{}:
	default:
		return false
	}
	r.running.Go(func() {
		defer func() { <-r.slots }()
		ctx, cancel := context.WithTimeout(r.ctx, mailTimeout)
		defer cancel()
		f(ctx)
	})
	return true
}

func (r *recoveries) close() {
	r.cancel()
	r.running.Wait()
}

// recover answers PUT /user_auth/recovery: a link to set a new password is mailed to the user.
func (req *request) recover() (*reply, error) {
	data, err := req.object()
	if err != nil {
		return nil, err
	}
	errs := req.api.schemas.apply("user_auth_recovery", data)
	name := firstOf(data, "account_realm", "realm", "account_name", "phone_number")
	if name == "" {
		errs.add("account_name", "required", map[string]any{"message": "account_name, account_realm or phone_number is required"})
	}
	if len(errs) > 0 {
		return nil, errs.fault()
	}
	if req.api.opts.Mail == nil {
		return nil, &fault{status: http.StatusNotImplemented, message: "not_implemented",
			data: say("this server sends no mail: its operator has set no --smtp")}
	}
	attempt, err := req.api.failures.begin("recovery", name+"/"+stringAt(data, "username"), req.client)
	if err != nil {
		return nil, err
	}
	_ = attempt.fail() // each one counts
	link, err := req.resetURL(data)
	if err != nil {
		return nil, err
	}
	if !req.api.recoveries.start(func(ctx context.Context) { req.mailReset(ctx, data, link) }) {
		return nil, tooMany(5 * time.Second)
	}
	return &reply{status: http.StatusOK, data: appendTree(nil,
		"If there is such a user with an e-mail address, a message with a link is on its way")}, nil
}

// resetURL is the page that a reset's link leads to: under one of the operator's, or of the account's ui_urls.
func (req *request) resetURL(data map[string]any) (*url.URL, error) {
	text := stringAt(data, "ui_url")
	link, err := url.Parse(text)
	if err != nil || link.Scheme != "https" && link.Scheme != "http" || link.Host == "" || link.User != nil || len(text) > 2048 ||
		strings.Contains(text, `\`) {
		return nil, oneError("ui_url", "wrong_format", "ui_url must be an absolute http or https URL", clip(text, 200))
	}
	for _, allowed := range req.api.opts.UIURLs {
		if under(link, allowed) {
			return link, nil
		}
	}
	acc, err := req.accountNamed(req.ctx, data)
	if err != nil {
		return nil, err
	}
	if acc != nil {
		body, err := parseKeys(acc.doc.Body, []string{"ui_urls"})
		if err != nil {
			return nil, err
		}
		list, _ := body["ui_urls"].([]any)
		for _, allowed := range list {
			if allowed, ok := allowed.(string); ok && under(link, allowed) {
				return link, nil
			}
		}
	}
	return nil, oneError("ui_url", "forbidden", "ui_url must be under one of the operator's --ui-urls or of the account's ui_urls",
		clip(text, 200))
}

// under reports whether a link is at an allowed URL or below its path.
func under(link *url.URL, allowed string) bool {
	base, err := url.Parse(allowed)
	if err != nil || base.Host == "" || base.Scheme != link.Scheme || !strings.EqualFold(base.Host, link.Host) {
		return false
	}
	above, at := path.Clean("/"+base.Path), path.Clean("/"+link.Path)
	return above == "/" || at == above || strings.HasPrefix(at, above+"/")
}

// mailReset looks the user up and sends the link. Nobody waits for it; what goes wrong is the log's.
func (req *request) mailReset(ctx context.Context, data map[string]any, link *url.URL) {
	acc, err := req.accountNamed(ctx, data)
	if err != nil || acc == nil || !acc.view.Enabled {
		req.notMailed("no such account", err)
		return
	}
	resetID := randomHex(32)
	address, err := req.storeReset(ctx, acc, strings.ToLower(stringAt(data, "username")), resetID)
	if err != nil || address == "" {
		req.notMailed("no such user, no e-mail address, or a mail was just sent", err)
		return
	}
	query := link.Query()
	query.Set("recovery", resetID)
	full := *link
	full.RawQuery = query.Encode()
	text := "Somebody, most likely you, asked to set a new password at " + acc.view.Name + ".\n\n" +
		"Open this link within an hour to do so; it works once:\n\n" + full.String() + "\n\n" +
		"If you did not ask, do nothing: your password stays as it is.\n"
	if err := req.api.opts.Mail.SendMail(ctx, address, "Set a new password", text); err != nil {
		req.log().Error("a recovery was not mailed", "account", acc.id, "error", err)
		return
	}
	req.log().Info("a recovery was mailed", "account", acc.id)
}

func (req *request) notMailed(reason string, err error) {
	if err != nil {
		req.log().Error("a recovery failed", "error", err)
		return
	}
	req.log().Info("a recovery was asked for in vain", "reason", reason, "client", req.client.String())
}

// storeReset notes the hash of a reset with the user and returns where the mail goes, "" for nowhere.
func (req *request) storeReset(ctx context.Context, acc *account, username, resetID string) (address string, err error) {
	err = req.api.opts.Store.Write(ctx, func(tx *store.Tx) error {
		address = ""
		d, err := tx.GetByKey(store.Key{Space: KeyUsername, Scope: acc.id, Value: username})
		if isMissing(err) {
			return nil
		}
		if err != nil {
			return err
		}
		body, private, err := userParts(&d)
		if err != nil || !boolAt(body, "enabled", true) {
			return err
		}
		to := stringAt(body, "email")
		if to == "" {
			to = username
		}
		parsed, err := mail.ParseAddress(to)
		if err != nil {
			return nil
		}
		now := req.started // when it was asked for, however long it waited since
		if sent, ok := unixAt(private, "reset.sent"); ok && now.Sub(sent) < resetPause {
			return nil
		}
		hashed := hashKey(resetID)
		private["reset"] = map[string]any{"hash": hashed, "sent": unixOf(now), "expires": unixOf(now.Add(resetLife))}
		d.Keys = append(withoutSpace(d.Keys, KeyReset), store.Key{Space: KeyReset, Value: hashed})
		d.Private = appendTree(nil, private)
		if err := tx.Put(&d, d.Rev); err != nil {
			return err
		}
		address = parsed.Address
		return nil
	})
	return address, err
}

func unixOf(t time.Time) json.Number { return json.Number(strconv.FormatInt(t.Unix(), 10)) }

func unixAt(v any, path string) (time.Time, bool) {
	found, _ := lookUp(v, path)
	n, _ := found.(json.Number)
	seconds, err := n.Int64()
	return time.Unix(seconds, 0), err == nil
}

func withoutSpace(keys []store.Key, space string) []store.Key {
	out := make([]store.Key, 0, len(keys)+1)
	for _, k := range keys {
		if k.Space != space {
			out = append(out, k)
		}
	}
	return out
}

func userParts(d *store.Document) (body, private map[string]any, err error) {
	if body, err = parseObject(d.Body); err != nil {
		return nil, nil, err
	}
	if len(d.Private) == 0 {
		return body, map[string]any{}, nil
	}
	private, err = parseObject(d.Private)
	return body, private, err
}

// redeem answers POST /user_auth/recovery: a reset_id, once and within an hour, is good for a token.
func (req *request) redeem() (*reply, error) {
	data, err := req.object()
	if err != nil {
		return nil, err
	}
	resetID := strings.ToLower(stringAt(data, "reset_id"))
	if raw, err := hex.DecodeString(resetID); err != nil || len(raw) != sha256.Size {
		return nil, oneError("reset_id", "invalid", "reset_id must be what the link in the mail has after recovery=", nil)
	}
	attempt, err := req.api.failures.begin("reset", "", req.client)
	if err != nil {
		return nil, err
	}
	defer attempt.end()
	var d store.Document
	err = req.api.opts.Store.Write(req.ctx, func(tx *store.Tx) error {
		var err error
		if d, err = tx.GetByKey(store.Key{Space: KeyReset, Value: hashKey(resetID)}); err != nil {
			return err
		}
		body, private, err := userParts(&d)
		if err != nil {
			return err
		}
		if expires, ok := unixAt(private, "reset.expires"); !ok || !req.api.opts.Now().Before(expires) {
			return &bugle.Error{Op: "crossbar.redeem", Kind: bugle.KindNotFound}
		}
		delete(private, "reset")
		body["require_password_update"] = true
		d.Keys, d.Body, d.Private = withoutSpace(d.Keys, KeyReset), appendTree(nil, body), appendTree(nil, private)
		return tx.Put(&d, d.Rev)
	})
	if isMissing(err) {
		return nil, attempt.fail()
	}
	if err != nil {
		return nil, err
	}
	acc, err := req.api.account(req.ctx, d.AccountID)
	if err != nil {
		return nil, err
	}
	answer, err := req.issue(acc, d.ID, "user_auth")
	if err != nil {
		return nil, err
	}
	attempt.succeed()
	answer.status = http.StatusOK
	req.log().Info("a recovery was redeemed", "account", acc.id, "user", d.ID)
	return answer, nil
}
