package crossbar

import (
	"bytes"
	"net/http"
	"slices"
	"time"

	"bugle"
	"bugle/internal/store"
)

var folders = []string{store.FolderNew, store.FolderSaved, store.FolderDeleted}

// keptFolders are those that are listed unless a client asks for another.
var keptFolders = []string{store.FolderNew, store.FolderSaved}

// messageEndpoints are the messages of a voicemail box.
func messageEndpoints() []endpoint {
	audio := append([]string{"application/octet-stream"}, wavTypes...)
	return []endpoint{
		{path: "messages", ops: map[string]operation{http.MethodGet: {run: func(req *request) (*reply, error) {
			return req.listMessages("")
		}}}},
		{path: "{id}/messages", ops: map[string]operation{
			http.MethodGet:    {run: inBox(func(req *request) (*reply, error) { return req.listMessages(req.route.arg()) })},
			http.MethodPut:    {run: inBox((*request).depositMessage), upload: true},
			http.MethodPost:   {run: inBox((*request).changeMessages)},
			http.MethodDelete: {run: inBox((*request).removeMessages)}}},
		{path: "{id}/messages/{message}", ops: map[string]operation{
			http.MethodGet: {run: inBox(func(req *request) (*reply, error) {
				m, err := req.message()
				if err != nil {
					return nil, err
				}
				return messageReply(m), nil
			})},
			http.MethodPost:   {run: inBox((*request).changeMessage)},
			http.MethodDelete: {run: inBox((*request).removeMessage)}}},
		{path: "{id}/messages/{message}/history", ops: map[string]operation{http.MethodGet: {run: inBox((*request).messageHistory)}}},
		{path: "{id}/messages/{message}/raw", ops: map[string]operation{
			http.MethodGet: {run: inBox((*request).downloadMessage), produces: audio},
			http.MethodPut: {run: inBox((*request).uploadMessage), upload: true}}},
	}
}

// inBox runs an operation when the box of the path exists.
func inBox(run func(*request) (*reply, error)) func(*request) (*reply, error) {
	return func(req *request) (*reply, error) {
		if _, err := req.api.get(req.ctx, req.account.id, TypeMailbox, req.route.arg()); err != nil {
			return nil, req.missing(err, req.route.arg())
		}
		return run(req)
	}
}

// NewMessageID is an id as KAZOO's messages have: the month, so that ids of one month are together.
func NewMessageID(at time.Time) string { return at.UTC().Format("200601") + "-" + bugle.NewID() }

// messageTree is a message as clients see it.
func messageTree(m *store.MessageRow) map[string]any {
	out := map[string]any{"media_id": m.ID, "folder": m.Folder, "timestamp": gregorian(m.Arrived),
		"length": m.Length.Milliseconds(), "call_id": m.CallID, "caller_id_name": m.FromName,
		"caller_id_number": m.FromNumber, "from": m.From, "to": m.To}
	if len(m.Transcription) > 0 {
		out["transcription"] = m.Transcription
	}
	return out
}

func messageReply(m store.MessageRow) *reply {
	return &reply{status: http.StatusOK, data: appendTree(nil, messageTree(&m))}
}

// countMessages adds to the rows of boxes how many messages are in them.
func countMessages(req *request, rows []map[string]any) error {
	ids := make([]string, 0, len(rows))
	for _, row := range rows {
		ids = append(ids, row["id"].(string))
	}
	counts, err := req.api.opts.Store.CountMessages(req.ctx, req.account.id, ids)
	if err != nil {
		return err
	}
	for i, id := range ids {
		fresh, saved := counts[id][store.FolderNew], counts[id][store.FolderSaved]
		rows[i]["new"], rows[i]["saved"], rows[i]["old"], rows[i]["messages"] = fresh, saved, saved, fresh+saved
	}
	return nil
}

// folder is the folder that a request names, "" for none.
func (req *request) folder() (string, error) {
	folder, ok := req.param("folder")
	if ok && !slices.Contains(folders, folder) {
		errs := fieldErrors{}
		errs.add("folder", "enum", map[string]any{"message": "Value not found in enumerated list of values", "target": folders,
			"value": clip(folder, 64)})
		return "", errs.fault()
	}
	return folder, nil
}

// wantedFolders are those that a list shows.
func (req *request) wantedFolders() ([]string, error) {
	folder, err := req.folder()
	if err != nil {
		return nil, err
	}
	if folder == "" {
		folder = req.query.Get("filter_folder")
	}
	if slices.Contains(folders, folder) {
		return []string{folder}, nil
	}
	return keptFolders, nil
}

// listMessages lists the messages of a box, the latest first, or for "" of all boxes, each under the id of its box.
func (req *request) listMessages(boxID string) (*reply, error) {
	p := &page{}
	size, err := req.pageSize(p)
	if err != nil {
		return nil, err
	}
	q := store.MessageQuery{AccountID: req.account.id, BoxID: boxID}
	if q.Folders, err = req.wantedFolders(); err != nil {
		return nil, err
	}
	q.Ascending = req.flag("ascending", false) || !req.flag("descending", true)
	place := listPlace(store.Query{AccountID: q.AccountID, Type: "message/" + boxID, Descending: !q.Ascending})
	if p.startKey != "" {
		if q.After, err = openStartKey(place, p.startKey); err != nil {
			return nil, err
		}
	}
	keep, err := req.filters(req.route.resource)
	if err != nil {
		return nil, err
	}
	rows := []any{}
	for more := true; more && len(rows) < size; more = q.After != nil {
		q.Limit = min(size-len(rows), storePage)
		var messages []store.MessageRow
		if messages, q.After, err = req.api.opts.Store.Messages(req.ctx, q); err != nil {
			return nil, err
		}
		for i := range messages {
			row := messageTree(&messages[i])
			if keep != nil && !keep(&store.Document{ID: messages[i].ID, Body: appendTree(nil, row), Created: messages[i].Arrived,
				Modified: messages[i].Changed}) {
				continue
			}
			if boxID == "" {
				row = map[string]any{messages[i].BoxID: row}
			}
			rows = append(rows, row)
		}
	}
	if q.After != nil {
		if p.whole {
			return nil, &fault{status: http.StatusRequestedRangeNotSatisfiable, message: "range not satisfiable",
				data: say("the list is too long to be sent in whole, use pages")}
		}
		p.after = sealStartKey(place, q.After)
	}
	p.size = len(rows)
	return req.listReply(appendTree(nil, rows), p), nil
}

// message is the one that the path names.
func (req *request) message() (store.MessageRow, error) {
	id := req.route.args[1]
	m, err := req.api.opts.Store.GetMessage(req.ctx, req.account.id, id)
	if err == nil && m.BoxID != req.route.arg() {
		err = badIdentifier(id)
	}
	return m, req.missing(err, id)
}

// depositMessage answers PUT: what is known of a message as data, its audio as the body or as a part beside data.
func (req *request) depositMessage() (*reply, error) {
	data, err := req.object()
	if err != nil {
		return nil, err
	}
	data = cloneTree(data).(map[string]any)
	for _, key := range [...]string{"caller_id_name", "caller_id_number", "folder", "from", "to", "call_id"} {
		if text, ok := req.param(key); ok && data[key] == nil {
			data[key] = text
		}
	}
	if err := req.api.schemas.apply("mailbox_message", data).err(); err != nil {
		return nil, err
	}
	now := req.api.opts.Now()
	m := store.MessageRow{AccountID: req.account.id, BoxID: req.route.arg(), Folder: stringAt(data, "folder"), Arrived: now,
		CallID: stringAt(data, "call_id"), FromName: stringAt(data, "caller_id_name"),
		FromNumber: stringAt(data, "caller_id_number"), From: stringAt(data, "from"), To: stringAt(data, "to")}
	if at := int64(intAt(data, "timestamp")); at > 0 {
		m.Arrived = time.Unix(at-gregorian(time.Unix(0, 0)), 0).UTC()
		if m.Arrived.Year() < 1971 || m.Arrived.After(now.Add(24*time.Hour)) {
			return nil, oneError("timestamp", "invalid", "Must be Gregorian seconds between 1971 and now", data["timestamp"])
		}
	}
	if spoken, ok := data["transcription"].(map[string]any); ok {
		m.Transcription = appendTree(nil, spoken)
	}
	m.ID = NewMessageID(m.Arrived)
	if len(req.body) > 0 {
		if err := req.storeAudio(&m); err != nil {
			return nil, err
		}
	}
	err = req.api.opts.Store.Write(req.ctx, func(tx *store.Tx) error {
		if _, err := tx.Get(req.account.id, TypeMailbox, m.BoxID); err != nil {
			return req.missing(err, m.BoxID)
		}
		return putMessage(tx, nil, &m)
	})
	if err != nil {
		return nil, err
	}
	answer := messageReply(m)
	answer.status = http.StatusCreated
	answer.location = "/v2/accounts/" + req.account.id + "/vmboxes/" + m.BoxID + "/messages/" + m.ID
	return answer, nil
}

// storeAudio keeps the audio of the body for a message.
func (req *request) storeAudio(m *store.MessageRow) error {
	audio, pcm, err := req.readAudio()
	if err != nil {
		return err
	}
	blob, err := req.api.opts.Blobs.Put(req.ctx, req.account.id, bytes.NewReader(audio), maxUpload)
	if err != nil {
		return err
	}
	m.Blob, m.ContentType, m.Size = blob.SHA256, "audio/x-wav", int64(len(audio))
	m.Length = time.Duration(len(pcm)) * time.Second / sampleRate
	return nil
}

// uploadMessage replaces the audio of a message.
func (req *request) uploadMessage() (*reply, error) {
	m, err := req.message()
	if err != nil {
		return nil, err
	}
	if err := req.storeAudio(&m); err != nil {
		return nil, err
	}
	stored := m
	err = req.editMessages(func(tx *store.Tx) error {
		now, err := req.messageIn(tx, m.ID)
		if err != nil {
			return err
		}
		m = now
		m.Blob, m.ContentType, m.Size, m.Length = stored.Blob, stored.ContentType, stored.Size, stored.Length
		return putMessage(tx, &now, &m)
	})
	if err != nil {
		return nil, err
	}
	return messageReply(m), nil
}

func (req *request) downloadMessage() (*reply, error) {
	m, err := req.message()
	if err != nil {
		return nil, err
	}
	if m.Blob == "" {
		return nil, badIdentifier(m.ID)
	}
	if req.api.opts.Blobs == nil {
		return nil, unavailable(nil)
	}
	content, err := req.api.opts.Blobs.Open(req.ctx, req.account.id, m.Blob)
	if err != nil {
		return nil, req.missing(err, m.ID)
	}
	return &reply{status: http.StatusOK, revision: m.Blob, file: &file{contentType: m.ContentType, name: m.ID + ".wav",
		content: content}}, nil
}
