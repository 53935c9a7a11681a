package crossbar

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"strings"

	"bugle"
	"bugle/internal/store"
)

// wavTypes are the names under which WAV is uploaded; application/octet-stream is looked into.
var wavTypes = []string{"audio/x-wav", "audio/wav", "audio/wave", "audio/vnd.wave"}

const sampleRate = 8000 // of what Options.ReadAudio returns

const uploadAllowed = "upload WAV with PCM of 8 or 16 bits, A-law or µ-law, 8 to 48 kHz, mono or stereo, of at most 11 MB"

func mediaFiles() *resource {
	r := &resource{noun: "media", typ: TypeMedia, schema: "media",
		about: "POST the audio itself to `raw`: " + uploadAllowed + ". Another format is answered with 415 and the reason. " +
			"With `prompt_id` it replaces that prompt of the account in its language, and `{language}%2F{prompt_id}` is another name of its id. " +
			"With `media_source` tts the text `tts.text` is said instead, and GET of `raw` gives the speech as WAV (503 when this server " +
			"has no synthesiser); an upload makes it an upload. `languages` and `prompts` count media, " +
			"`languages/{language}` and `prompts/{prompt}` list them.",
		alias:  (*request).promptAlias,
		shapes: mediaShapes(),
		order:  byName,
		summary: func(doc map[string]any) map[string]any {
			row := picking("name", "language", "media_source")(doc)
			row["is_prompt"] = stringAt(doc, "prompt_id") != ""
			return row
		},
		summaryKeys: []string{"name", "language", "media_source", "prompt_id", "flags"},
		complete:    completeMedia,
		keys: func(e *edit) []store.Key {
			prompt := strings.ToLower(stringAt(e.doc, "prompt_id"))
			if prompt == "" {
				return nil
			}
			return []store.Key{{Space: KeyPrompt, Scope: e.owner.id, Value: stringAt(e.doc, "language") + "/" + prompt}}
		},
		taken: func(key store.Key, holder *store.Document) (string, map[string]any) {
			return "prompt_id", map[string]any{"message": "The prompt is replaced by media " + holder.ID + " in this language already",
				"cause": key.Value}
		},
		check: func(e *edit) error {
			if prompt := stringAt(e.doc, "prompt_id"); len(prompt) > 128 || strings.ContainsRune(prompt+stringAt(e.doc, "language"), 0) {
				e.errs.add("prompt_id", "maxLength", map[string]any{"message": "String must not be more than 128 characters", "target": 128})
			}
			if language := stringAt(e.doc, "language"); len(language) > 64 {
				e.errs.add("language", "maxLength", map[string]any{"message": "String must not be more than 64 characters", "target": 64})
			}
			if isSpeech(e.doc) && strings.TrimSpace(stringAt(e.doc, "tts.text")) == "" {
				e.errs.add("tts.text", "required", map[string]any{"message": "Field is required but missing: what is said when media_source is tts"})
			}
			return nil
		},
	}
	audio := append([]string{"application/octet-stream"}, wavTypes...)
	r.endpoints = append(mediaListings(), []endpoint{{path: "{id}", ops: map[string]operation{
		http.MethodGet: {produces: audio, run: func(req *request) (*reply, error) {
			if req.accepts == typeJSON {
				return req.fetch(r)
			}
			return req.downloadMedia()
		}},
		http.MethodPost: {upload: true, run: func(req *request) (*reply, error) {
			if len(req.body) > 0 {
				return req.uploadMedia(r)
			}
			return req.change(r, replacing)
		}},
		http.MethodPatch:  {run: func(req *request) (*reply, error) { return req.change(r, merging) }},
		http.MethodDelete: {run: func(req *request) (*reply, error) { return req.remove(r) }, tries: true},
	}}, {path: "{id}/raw", ops: map[string]operation{
		http.MethodGet:  {run: (*request).downloadMedia, produces: audio},
		http.MethodPost: {run: func(req *request) (*reply, error) { return req.uploadMedia(r) }, upload: true},
		http.MethodPut:  {run: func(req *request) (*reply, error) { return req.uploadMedia(r) }, upload: true},
	}}}...)
	return r
}

// completeMedia keeps what an upload said about the audio: a client that edits the document cannot know better.
func completeMedia(e *edit) error {
	if language, ok := e.doc["language"].(string); ok {
		e.doc["language"] = strings.ToLower(language)
	}
	if e.before == nil || stringAt(e.private, PrivateBlob) == "" {
		delete(e.doc, "content_length")
		return nil
	}
	for _, key := range [...]string{"content_length", "content_type"} {
		if v, ok := e.before[key]; ok {
			e.doc[key] = v
		}
	}
	return nil
}

// uploadMedia answers POST /media/{id}/raw.
func (req *request) uploadMedia(res *resource) (*reply, error) {
	id := req.route.arg()
	if _, err := req.api.opts.Store.Get(req.ctx, req.account.id, TypeMedia, id); err != nil {
		return nil, req.missing(err, id)
	}
	audio, pcm, err := req.readAudio()
	if err != nil {
		return nil, err
	}
	blob, err := req.api.opts.Blobs.Put(req.ctx, req.account.id, bytes.NewReader(audio), maxUpload)
	if err != nil {
		return nil, err
	}
	return req.amend(res, func(d *store.Document, private map[string]any) error {
		doc, err := parseObject(d.Body)
		if err != nil {
			return err
		}
		private[PrivateBlob], private["milliseconds"] = blob.SHA256, int64(len(pcm))*1000/sampleRate
		doc["content_type"], doc["content_length"] = "audio/x-wav", len(audio)
		if isSpeech(doc) {
			doc["media_source"] = "upload" // otherwise the text would still be said
		}
		d.Body = appendTree(nil, doc)
		return nil
	})
}

// readAudio is the audio of the body, as it came and decoded.
func (req *request) readAudio() (audio []byte, pcm []int16, err error) {
	if audio, err = req.uploaded(); err != nil {
		return nil, nil, err
	}
	if req.api.opts.Blobs == nil || req.api.opts.ReadAudio == nil {
		return nil, nil, unavailable(nil)
	}
	pcm, err = req.api.opts.ReadAudio(bytes.NewReader(audio), maxUpload)
	switch {
	case bugle.KindOf(err) == bugle.KindTooLarge && err != nil:
		return nil, nil, tooLarge(maxUpload)
	case err != nil:
		return nil, nil, unsupported(errorText(err) + "; " + uploadAllowed)
	case len(pcm) == 0:
		return nil, nil, unsupported("the file holds no audio; " + uploadAllowed)
	}
	return audio, pcm, nil
}

// uploaded is the audio of the body: the bytes themselves, or a data: URI.
func (req *request) uploaded() ([]byte, error) {
	audio, contentType := req.body, req.contentType
	if contentType == "application/base64" {
		head, encoded, ok := strings.Cut(string(audio), ",")
		if !ok || !strings.HasPrefix(head, "data:") {
			head, encoded = "", string(audio)
		}
		var err error
		if audio, err = base64.StdEncoding.DecodeString(strings.TrimSpace(encoded)); err != nil {
			errs := fieldErrors{}
			errs.add("file", "encoding", map[string]any{"message": "The file is not valid base64"})
			return nil, &fault{status: http.StatusRequestEntityTooLarge, message: "validation error", data: errs.tree()}
		}
		contentType = strings.TrimSuffix(strings.TrimPrefix(head, "data:"), ";base64")
	}
	switch {
	case len(audio) == 0:
		return nil, oneError("file", "required", "The body must be the audio itself; "+uploadAllowed, nil)
	case contentType == "" || contentType == "application/octet-stream" || contentType == "application/base64":
	case !isWAV(contentType):
		return nil, unsupported(clip(contentType, 100) + " is not offered; " + uploadAllowed)
	}
	return audio, nil
}

func isWAV(contentType string) bool {
	for _, t := range wavTypes {
		if strings.EqualFold(t, contentType) {
			return true
		}
	}
	return false
}

// downloadMedia answers GET /media/{id}/raw.
func (req *request) downloadMedia() (*reply, error) {
	id := req.route.arg()
	d, err := req.api.get(req.ctx, req.account.id, TypeMedia, id)
	if err != nil {
		return nil, req.missing(err, id)
	}
	if doc, err := parseObject(d.Body); err != nil {
		return nil, err
	} else if isSpeech(doc) {
		return req.spoken(id, doc)
	}
	private, _ := parseObject(d.Private)
	name := stringAt(private, PrivateBlob)
	if name == "" {
		return nil, badIdentifier(id)
	}
	if req.api.opts.Blobs == nil {
		return nil, unavailable(nil)
	}
	content, err := req.api.opts.Blobs.Open(req.ctx, req.account.id, name)
	if err != nil {
		return nil, req.missing(err, id)
	}
	return &reply{status: http.StatusOK, revision: name, file: &file{contentType: "audio/x-wav", name: id + ".wav",
		content: content}}, nil
}
