package crossbar

import (
	"bytes"
	"context"
	"image"
	"io"
	"net/http"
	"os"
	"strings"

	"bugle"
	"bugle/internal/store"
)

var photoTypes = []string{"image/jpeg", "image/png"}

// personShapes describe the photo and the card of the documents of a schema.
func personShapes(document string) map[string]shape {
	return map[string]shape{"GET {id}/vcard": {summary: "The person as a vCard (RFC 6350)", gives: map[string]any{}},
		"GET {id}/photo":    {summary: "Download the photo", gives: map[string]any{}},
		"POST {id}/photo":   {summary: "Upload the photo: JPEG or PNG", gives: refTo(document), revised: true},
		"PUT {id}/photo":    {summary: "Upload the photo: JPEG or PNG", gives: refTo(document), revised: true},
		"DELETE {id}/photo": {summary: "Remove the photo", gives: refTo(document), revised: true}}
}

const etagLength = 32 // of the hash of a photo

const photoAllowed = "a photo is a JPEG or PNG of at most 5 MB and 40 megapixels"

// photoEndpoint is the photo of a person.
func photoEndpoint(r *resource) endpoint {
	upload := operation{run: func(req *request) (*reply, error) { return req.uploadPhoto(r) }, upload: true, uploads: photoTypes}
	return endpoint{path: "{id}/photo", ops: map[string]operation{
		http.MethodGet:    {run: func(req *request) (*reply, error) { return req.downloadPhoto(r) }, produces: photoTypes},
		http.MethodPost:   upload,
		http.MethodPut:    upload,
		http.MethodDelete: {run: func(req *request) (*reply, error) { return req.setPhoto(r, nil) }},
	}}
}

func (req *request) uploadPhoto(res *resource) (*reply, error) {
	if len(req.body) == 0 {
		return nil, oneError("file", "required", "The body must be the photo itself; "+photoAllowed, nil)
	}
	if len(req.body) > maxPhoto {
		return nil, tooLarge(maxPhoto)
	}
	config, kind, err := image.DecodeConfig(bytes.NewReader(req.body))
	switch {
	case err != nil:
		return nil, unsupported("the body is no picture that is taken; " + photoAllowed)
	case int64(config.Width)*int64(config.Height) > maxPhotoPixels:
		return nil, unsupported("the picture has too many pixels; " + photoAllowed)
	case strings.HasPrefix(req.contentType, "image/") && req.contentType != "image/"+kind && req.contentType != "image/jpg":
		return nil, unsupported("the body is " + kind + " and not " + clip(req.contentType, 100) + "; " + photoAllowed)
	}
	if req.api.opts.Blobs == nil {
		return nil, unavailable(nil)
	}
	if _, err := req.atPath(res); err != nil {
		return nil, err
	}
	small, err := req.api.darkroom.develop(req.ctx, req.body, kind)
	if err != nil {
		return nil, err
	}
	blob, err := req.api.opts.Blobs.Put(req.ctx, req.account.id, bytes.NewReader(small), maxPhoto)
	if err != nil {
		return nil, err
	}
	return req.setPhoto(res, map[string]any{PrivateBlob: blob.SHA256, "type": "image/" + kind})
}

// atPath is the document that the path names.
func (req *request) atPath(res *resource) (store.Document, error) {
	id := req.route.arg()
	d, err := req.api.get(req.ctx, req.account.id, res.typ, id)
	if err != nil {
		return d, req.missing(err, id)
	}
	return d, req.inParent(res, &d)
}

// setPhoto writes which photo a person has, nil for none, and answers with the document.
func (req *request) setPhoto(res *resource, photo map[string]any) (*reply, error) {
	return req.amend(res, func(d *store.Document, private map[string]any) error {
		if _, had := private[PrivatePhoto]; photo == nil && !had {
			return badIdentifier(d.ID)
		}
		if delete(private, PrivatePhoto); photo != nil {
			private[PrivatePhoto] = photo
		}
		if res.typ != TypeUser {
			return nil
		}
		doc, err := parseObject(d.Body)
		if err != nil {
			return err
		}
		showImage(doc, private)
		d.Body = appendTree(nil, doc)
		return nil
	})
}

// showImage writes into a user document which photo there is: that is how a change of it comes into the change log.
func showImage(doc, private map[string]any) {
	delete(doc, "profile_image")
	if sum := stringAt(private, PrivatePhoto+"."+PrivateBlob); len(sum) >= etagLength {
		doc["profile_image"] = map[string]any{"etag": sum[:etagLength], "content_type": stringAt(private, PrivatePhoto+".type")}
	}
}

func (req *request) downloadPhoto(res *resource) (*reply, error) {
	d, err := req.atPath(res)
	if err != nil {
		return nil, err
	}
	content, kind, sum, err := req.api.photo(req.ctx, &d)
	if err != nil {
		return nil, req.missing(err, d.ID)
	}
	return &reply{status: http.StatusOK, revision: sum, file: &file{contentType: kind, name: d.ID + "." + strings.TrimPrefix(kind, "image/"),
		content: content}}, nil
}

// photo opens the picture of a document; KindNotFound when it has none.
func (a *API) photo(ctx context.Context, d *store.Document) (content *os.File, kind, sum string, err error) {
	private, err := parseObject(orEmpty(d.Private))
	if err != nil {
		return nil, "", "", err
	}
	sum, kind = stringAt(private, PrivatePhoto+"."+PrivateBlob), stringAt(private, PrivatePhoto+".type")
	if len(sum) < etagLength {
		return nil, "", "", &bugle.Error{Op: "crossbar.photo", Kind: bugle.KindNotFound, Message: "there is no photo"}
	}
	if a.opts.Blobs == nil {
		return nil, "", "", unavailable(nil)
	}
	content, err = a.opts.Blobs.Open(ctx, d.AccountID, sum)
	return content, kind, sum, err
}

// Photo returns the picture of a user, which the caller closes, and the etag that profile_image tells; KindNotFound when there is none.
func (a *API) Photo(ctx context.Context, accountID, userID string) (content io.ReadCloser, contentType, etag string, err error) {
	d, err := a.get(ctx, accountID, TypeUser, userID)
	if err != nil {
		return nil, "", "", err
	}
	opened, kind, sum, err := a.photo(ctx, &d)
	if err != nil {
		return nil, "", "", err
	}
	return opened, kind, sum[:etagLength], nil
}
