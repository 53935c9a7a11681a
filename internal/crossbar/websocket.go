package crossbar

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strings"

	"bugle"
)

// DocumentTypes are the types of the documents that the API writes, in order.
func DocumentTypes() []string {
	var out []string
	for _, r := range resources() {
		for _, typ := range []string{r.typ, r.top.documentType()} {
			if typ != "" && !slices.Contains(out, typ) {
				out = append(out, typ)
			}
		}
	}
	slices.Sort(out)
	return out
}

func (r *resource) documentType() string {
	if r == nil {
		return ""
	}
	return r.typ
}

// websockets shows which sockets listen to events.
func websockets() *resource {
	session := objectOf(map[string]any{"id": typed("string"), "websocket_session_id": typed("string"), "name": typed("string"),
		"metadata": typed("object"), "source": typed("string"), "destination": typed("string"), "timestamp": typed("integer"),
		"bindings": listOf(typed("string")), "account_ids": listOf(typed("string"))}, "id", "websocket_session_id", "bindings", "timestamp")
	return &resource{noun: "websockets",
		about: "`GET /v2/websockets` lists what can be subscribed to, without a token. An account's list has the sockets that are " +
			"open at the server that is asked, and that a token of the account has subscribed with: `bindings` as the client wrote them, and " +
			"`account_ids`, whose events it is told of (`*`: everybody's). See docs/websockets.md.",
		endpoints: []endpoint{
			{path: "", ops: map[string]operation{http.MethodGet: {run: func(req *request) (*reply, error) {
				rows := []any{}
				for _, s := range req.sockets() {
					rows = append(rows, req.socketRow(&s))
				}
				return req.listReply(appendTree(nil, rows), &page{whole: true}), nil
			}}}},
			{path: "{id}", ops: map[string]operation{http.MethodGet: {run: func(req *request) (*reply, error) {
				for _, s := range req.sockets() {
					if s.ID == req.route.arg() { // in a list, as KAZOO has it
						return &reply{status: http.StatusOK, data: appendTree(nil, []any{req.socketRow(&s)})}, nil
					}
				}
				return nil, badIdentifier(req.route.arg())
			}}}}},
		shapes: map[string]shape{"GET": {summary: "List the WebSockets that are open", gives: listOf(session)},
			"GET {id}": {summary: "One WebSocket, as a list of one", gives: listOf(session)}},
		top: &resource{noun: "websockets", endpoints: []endpoint{
			{path: "", ops: map[string]operation{http.MethodGet: {open: true, run: func(req *request) (*reply, error) {
				offered := map[string]any{}
				if s := req.api.opts.Sockets; s != nil {
					for family, bindings := range s.Bindings() {
						offered[family] = bindings
					}
				}
				return &reply{status: http.StatusOK, data: appendTree(nil, offered)}, nil
			}}}}},
			shapes: map[string]shape{"GET": {summary: "What a WebSocket can subscribe to, by family", gives: objectOf(nil)}}},
	}
}

func (req *request) sockets() []Socket {
	if req.api.opts.Sockets == nil {
		return nil
	}
	return req.api.opts.Sockets.Sockets(req.account.id)
}

func (req *request) socketRow(s *Socket) map[string]any {
	bindings, accounts := []any{}, []any{}
	for _, b := range s.Bindings {
		bindings = append(bindings, b.Binding)
		if !slices.Contains(accounts, any(b.AccountID)) {
			accounts = append(accounts, b.AccountID)
		}
	}
	row := map[string]any{"id": s.ID, "websocket_session_id": s.ID, "bindings": bindings, "account_ids": accounts,
		"source": s.Client.String(), "destination": req.api.opts.Node, "timestamp": gregorian(s.Opened)}
	if s.Name != "" {
		row["name"] = s.Name
	}
	if metadata, err := parseObject(s.Metadata); err == nil && len(s.Metadata) > 0 {
		row["metadata"] = metadata
	}
	return row
}

// Holder is whom a token stands for, as an edge that keeps connections open needs it. Two are equal when they may do the same.
type Holder struct {
	AccountID, UserID string // UserID is "" for an API key
	Admin, Master     bool   // Admin: everybody but a user without priv_level admin
	tokenID, stamp    string
}

// Holder judges a token, with or without the word Bearer before it. KindUnauthorized: it is no good.
func (a *API) Holder(ctx context.Context, token string) (Holder, error) {
	if scheme, rest, ok := strings.Cut(token, " "); ok && strings.EqualFold(scheme, "Bearer") {
		token = strings.TrimSpace(rest)
	}
	who, err := a.verify(ctx, token)
	if err != nil {
		return Holder{}, outcast(err)
	}
	_, secret, err := a.signer(ctx, who.account.id, who.userID)
	if err != nil {
		return Holder{}, outcast(err)
	}
	return who.holder(secret), nil
}

func (who *identity) holder(secret []byte) Holder {
	stamp := sha256.Sum256(secret)
	return Holder{AccountID: who.account.id, UserID: who.userID, Admin: who.admin, Master: who.account.master, tokenID: who.claims.ID,
		stamp: hex.EncodeToString(stamp[:16])}
}

// AnyAccount stands for all accounts where Follows is asked.
const AnyAccount = "*"

// Follows judges whether the holder of a token may go on being told what happens in an account, AnyAccount for all: the account is the
// holder's or one below it; the token was not ended, though its hour may be over; whom it stands for is there, enabled, has the
// same password and may do the same. It asks the database, so what was committed before counts. KindUnauthorized: the holder is out;
// KindForbidden: the account is not the holder's to see.
func (a *API) Follows(ctx context.Context, h Holder, accountID string) error {
	d, err := a.opts.Store.Get(ctx, h.AccountID, TypeAccount, h.AccountID)
	if err != nil {
		return outcast(err)
	}
	acc, err := readAccount(d)
	if err != nil {
		return err
	}
	var u *user
	if h.UserID != "" {
		if d, err = a.opts.Store.Get(ctx, h.AccountID, TypeUser, h.UserID); err != nil {
			return outcast(err)
		}
		if u, err = readUser(d); err != nil {
			return err
		}
	}
	who, secret, err := a.signs(acc, h.UserID, u)
	if err != nil {
		return outcast(err)
	}
	who.claims.ID = h.tokenID
	if who.revoked(h.tokenID) || who.holder(secret) != h {
		return errUnknown
	}
	outside := &bugle.Error{Op: "crossbar.Follows", Kind: bugle.KindForbidden, Message: "the account is neither the token's nor below it"}
	switch {
	case accountID == AnyAccount && h.Master && h.Admin:
		return nil
	case accountID == AnyAccount:
		return outside
	case accountID == h.AccountID:
		return nil
	case !h.Admin || !bugle.ValidID(accountID):
		return outside
	}
	if d, err = a.opts.Store.Get(ctx, accountID, TypeAccount, accountID); isMissing(err) {
		return outside
	} else if err != nil {
		return outcast(err)
	}
	if acc, err = readAccount(d); err == nil && !h.Master && !slices.Contains(acc.tree, h.AccountID) {
		err = outside
	}
	return err
}

// outcast is an error of authentication as another edge knows it.
func outcast(err error) error {
	if f := (*fault)(nil); errors.As(err, &f) && f.status < http.StatusInternalServerError || isMissing(err) {
		return errUnknown
	}
	return err
}
