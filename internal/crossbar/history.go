package crossbar

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"bugle"
	"bugle/internal/store"
)

// masked stands for a secret in a history.
const masked, maskedChanged = "********", "******** (changed)"

// history answers GET on a document's history: what the change log has of it, newest first, also after it was deleted.
func (req *request) history(res *resource) (*reply, error) {
	id := req.route.arg()
	accountID := req.accountOf(res, id)
	return req.historyOf(res, accountID, id, func() error {
		_, err := req.api.opts.Store.GetAny(req.ctx, accountID, res.typ, id)
		return err
	})
}

// historyOf tells what the change log has of an id; exists is asked when that is nothing.
func (req *request) historyOf(res *resource, accountID, id string, exists func() error) (*reply, error) {
	p := &page{}
	size, err := req.pageSize(p)
	if err != nil {
		return nil, err
	}
	place := listPlace(store.Query{AccountID: accountID, Type: res.typ, Index: &store.Index{Name: "history", Value: id}})
	before := int64(0)
	if p.startKey != "" {
		key, err := openStartKey(place, p.startKey)
		if err == nil {
			before, err = strconv.ParseInt(string(key), 10, 64)
		}
		if err != nil || before <= 0 {
			return nil, faultyRequest("invalid start key")
		}
	}
	changes, more, err := req.changesOf(accountID, res.typ, id, before, size)
	if err != nil {
		return nil, err
	}
	if len(changes) == 0 && before == 0 { // retention may have taken all of it
		if err := exists(); err != nil {
			return nil, req.missing(err, id)
		}
	}
	if more {
		if p.whole {
			return nil, &fault{status: http.StatusRequestedRangeNotSatisfiable, message: "range not satisfiable",
				data: say("the history is too long to be sent in whole, use pages")}
		}
		p.after = sealStartKey(place, strconv.AppendInt(nil, changes[len(changes)-1].Position, 10))
	}
	p.size = len(changes)
	rows := make([]any, len(changes))
	for i := range changes {
		if rows[i], err = historyRow(res, &changes[i]); err != nil {
			return nil, err
		}
	}
	return req.listReply(appendTree(nil, rows), p), nil
}

// changesOf reads up to size changes below a position, and whether there are more.
func (req *request) changesOf(accountID, typ, id string, before int64, size int) (out []bugle.Change, more bool, err error) {
	for {
		want := min(size+1-len(out), storePage)
		changes, err := req.api.opts.Store.History(req.ctx, accountID, typ, id, before, want)
		if err != nil {
			return nil, false, err
		}
		out = append(out, changes...)
		if len(out) > size {
			return out[:size], true, nil
		}
		if len(changes) < want {
			return out, false, nil
		}
		before = out[len(out)-1].Position
	}
}

// hiddenNames are the words of a history for keys of the private part; "" for what only follows from another.
var hiddenNames = map[string]string{"credentials": "password", "api_key_hash": "api_key", "token_secret": "tokens", "revoked": "tokens",
	"reset": "recovery", "secret_hash": "client_secret", "tree": "parents", PrivateBlob: "audio", "milliseconds": "audio"}

func historyRow(res *resource, c *bugle.Change) (map[string]any, error) {
	action := string(c.Kind)
	if c.Kind == bugle.Created && c.BeforeDead {
		action = "restored"
	}
	before, after, err := maskedBodies(res, c)
	if err != nil {
		return nil, err
	}
	also := map[string]bool{}
	for key := range c.Hidden {
		if name, known := hiddenNames[key]; known {
			key = name
		}
		if key != "" {
			also[key] = true
		}
	}
	row := map[string]any{"action": action, "also_changed": slices.Sorted(maps.Keys(also)), "sequence": c.Sequence, "revision": c.Rev, "timestamp": gregorian(c.At),
		"iso_8601": c.At.UTC().Format(time.RFC3339Nano), "before": before, "after": after,
		"by": map[string]any{"method": "server"}} // from the shell, or by the program itself
	if moved := c.Hidden["tree"]; moved != nil {
		if row["parents"], err = parseTree(moved); err != nil {
			return nil, err
		}
	}
	if who := c.By; who != nil {
		by := map[string]any{"account_id": who.AccountID, "method": who.Method}
		for key, value := range map[string]string{"user_id": who.UserID, "impersonated_by": who.ImpersonatedBy} {
			if value != "" {
				by[key] = value
			}
		}
		row["by"], row["request_id"], row["client_ip"] = by, who.RequestID, who.Address
	}
	return row, nil
}

// maskedBodies are the document before and after a change, nil where there was none. A secret that changed is shown to
// have changed; it is sealed anew only then.
func maskedBodies(res *resource, c *bugle.Change) (before, after any, err error) {
	read := func(body json.RawMessage) (map[string]any, error) {
		if body == nil {
			return nil, nil
		}
		return parseObject(body)
	}
	old, err := read(c.Before)
	if err != nil {
		return nil, nil, err
	}
	now, err := read(c.After)
	if err != nil {
		return nil, nil, err
	}
	was := map[string]string{} // as they were sealed
	for _, path := range res.secretsIn(old) {
		if was[path] = stringAt(old, path); was[path] != "" {
			setAt(old, path, masked)
		}
	}
	for _, path := range res.secretsIn(now) {
		switch is := stringAt(now, path); {
		case is == "":
		case was[path] == "" || was[path] == is:
			setAt(now, path, masked)
		default:
			setAt(now, path, maskedChanged)
		}
	}
	if old != nil {
		before = old
	}
	if now != nil {
		after = now
	}
	return before, after, nil
}

// signed puts the request's writes down to whom its token stands for.
func (req *request) signed() {
	who := bugle.Actor{AccountID: req.identity.account.id, UserID: req.identity.userID, Method: req.identity.method,
		ImpersonatedBy: req.identity.claims.ImpersonatedBy, RequestID: req.id}
	if req.client.IsValid() {
		who.Address = req.client.String()
	}
	req.ctx = store.WithActor(req.ctx, who)
}
