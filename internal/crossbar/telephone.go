package crossbar

import (
	"context"
	"net/http"
	"net/url"

	"bugle"
	"bugle/internal/store"
)

// What owners of mailboxes set by telephone is written as an administrator's request would write it: through the schema, the
// checks and the sealing of secrets.

// byTelephone is a request that no HTTP client has made.
func (a *API) byTelephone(ctx context.Context, accountID string) (*request, error) {
	acc, err := a.account(ctx, accountID)
	if err != nil {
		return nil, err
	}
	return &request{api: a, http: &http.Request{Header: http.Header{}, URL: &url.URL{}}, ctx: ctx, account: acc, id: bugle.NewID(),
		identity: &identity{account: acc, admin: true}}, nil
}

// SetByTelephone merges keys into a document of an account; nil removes one. noun is the resource's: "vmboxes", "users".
func (a *API) SetByTelephone(ctx context.Context, accountID, noun, id string, keys map[string]any) error {
	req, err := a.byTelephone(ctx, accountID)
	if err != nil {
		return err
	}
	_, err = req.write(a.resources[noun], id, merging, keys)
	return err
}

// KeepRecording makes the recording of a blob (WAV of so many bytes and milliseconds) a media document and returns its id. A
// document that is one of these recordings already, mediaID, is given the new audio instead.
func (a *API) KeepRecording(ctx context.Context, accountID, mediaID, name string, blob store.Blob, bytes, milliseconds int64) (id string, err error) {
	req, err := a.byTelephone(ctx, accountID)
	if err != nil {
		return "", err
	}
	res := a.resources["media"]
	if id = mediaID; !a.isRecording(ctx, accountID, mediaID) {
		id = bugle.NewID()
		if _, err := req.write(res, id, creating, map[string]any{"name": clip(name, 128), "media_source": "recording", "streamable": true}); err != nil {
			return "", err
		}
	}
	return id, a.opts.Store.Write(ctx, func(tx *store.Tx) error {
		d, err := tx.Get(accountID, TypeMedia, id)
		if err != nil {
			return err
		}
		private, err := parseObject(orEmpty(d.Private))
		if err != nil {
			return err
		}
		doc, err := parseObject(d.Body)
		if err != nil {
			return err
		}
		private[PrivateBlob], private["milliseconds"] = blob.SHA256, milliseconds
		doc["content_type"], doc["content_length"] = "audio/x-wav", bytes
		d.Body, d.Private = appendTree(nil, doc), appendTree(nil, private)
		return tx.Put(&d, d.Rev)
	})
}

// isRecording tells whether a media document is a recording that was made by telephone, and not a file that somebody has
// chosen.
func (a *API) isRecording(ctx context.Context, accountID, id string) bool {
	if id == "" {
		return false
	}
	d, err := a.opts.Store.Get(ctx, accountID, TypeMedia, id)
	if err != nil {
		return false
	}
	doc, err := parseObject(d.Body)
	return err == nil && stringAt(doc, "media_source") == "recording"
}
