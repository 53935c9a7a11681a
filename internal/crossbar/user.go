package crossbar

import (
	"cmp"
	"net/http"
	"strings"

	"bugle/internal/store"
)

func users() *resource {
	r := &resource{noun: "users", typ: TypeUser, schema: "users",
		about: "A user needs `first_name` or `last_name`. `username` and `password` go together; the password is never returned, " +
			"and changing it ends the user's tokens. A user with `priv_level` `user` edits the own document and devices, reads " +
			"names and directories, and nothing else. `vcard` is the user as text/vcard. `photo` takes a JPEG or PNG of at most 5 MB and 40 megapixels, which is made " +
			"upright and at most 640 pixels wide and high; `profile_image` tells that there is one.\n\nWhat the company directory shows " +
			"of a user: names, `department`, `email`, `site_id`, `mobile_number`, `contact_numbers`, `call_forward.number` while it is on, the numbers of the " +
			"callflows that lead to the user, and a status: `NotActivated` while `activation` is `pending`, else `Disabled` or " +
			"`Enabled`. `contact_list.exclude` keeps a user out of it.",
		summary: summariseUser,
		summaryKeys: []string{"username", "email", "first_name", "last_name", "priv_level", "feature_level", "presence_id",
			"timezone", "call_recording", "service", "flags", "call_forward", "caller_id", "do_not_disturb", "hotdesk",
			"music_on_hold", "vm_to_email_enabled"},
		copied: []string{"username", "email", "first_name", "last_name", "priv_level", "feature_level", "presence_id",
			"timezone", "call_recording", "service"},
		derive: deriveUser,
		order: func(e *edit) []byte {
			return e.collated(stringAt(e.doc, "last_name") + " " + stringAt(e.doc, "first_name"))
		},
		prepare:    prepareUser,
		complete:   completeUser,
		check:      checkUser,
		keys:       userKeys,
		index:      func(e *edit) []store.Index { return append(memberIndex(e.doc), emailIndex(e.doc)...) },
		along:      deleteCredentials,
		references: memberReferences("site_id", "music_on_hold.media_id", "pronounced_name.media_id", "media.name"),
		detach:     leaveDirectory,
		secrets:    []string{"hotdesk.pin"},
		computed:   []string{"profile_image"},
		self: &selfService{list: true, summary: []string{"first_name", "last_name", "presence_id"},
			paths: []string{"{id}/vcard", "{id}/photo", "{id}/quickcall/{number}"},
			owned: func(d *store.Document, userID string) bool { return d.ID == userID },
			fixed: []string{"priv_level", "username", "enabled", "presence_id", "caller_id", "caller_id_options", "call_restriction", "hotdesk.id",
				"department", "site_id", "activation"}},
		taken: func(key store.Key, _ *store.Document) (string, map[string]any) {
			if key.Space == KeyHotdesk {
				return "hotdesk.id", map[string]any{"message": "Hotdesk ID is not unique for this account", "cause": key.Value}
			}
			return "username", map[string]any{"message": "Username is not unique for this account", "cause": key.Value}
		},
	}
	r.endpoints = []endpoint{photoEndpoint(r), vcardEndpoint(r, func(c *card, req *request, doc map[string]any) error {
		company, err := parseObject(req.account.doc.Body)
		c.user(doc, cmp.Or(stringAt(company, "org"), req.account.view.Name))
		return err
	}), quickcalls(TypeUser)}
	r.shapes = personShapes("users.document")
	r.shapes["GET {id}/quickcall/{number}"], r.shapes["POST {id}/quickcall/{number}"] = quickcallShape(http.MethodGet), quickcallShape(http.MethodPost)
	return r
}

// userFeatures are what a user has of which the list tells that it is there: a key, and when its value is a feature. What is
// empty is none.
var userFeatures = [...]struct {
	name, key string
	on        func(v any) bool // nil: when it is not empty
}{
	{"call_forward", "call_forward", func(v any) bool { return boolAt(v, "enabled", false) }},
	{"caller_id", "caller_id", nil},
	{"do_not_disturb", "do_not_disturb", func(v any) bool { return boolAt(v, "enabled", false) }},
	{"hotdesk", "hotdesk", func(v any) bool { return boolAt(v, "enabled", false) }},
	{"music_on_hold", "music_on_hold", func(v any) bool { return stringAt(v, "media_id") != "" }},
	{"vm_to_email", "vm_to_email_enabled", func(v any) bool { return v == true }},
}

func summariseUser(doc map[string]any) map[string]any {
	row := picking("username", "email", "first_name", "last_name", "priv_level", "feature_level", "presence_id", "timezone",
		"call_recording", "service")(doc)
	features := []any{}
	for _, f := range userFeatures {
		if v := doc[f.key]; !empty(v) && (f.on == nil || f.on(v)) {
			features = append(features, f.name)
		}
	}
	row["features"] = features
	return row
}

// deriveUser is summariseUser of the keys that are not copied.
func deriveUser(rest, cells []cell) []cell {
	features, flags := []string{}, cell{key: "flags", text: []byte("[]")}
	for _, f := range userFeatures {
		for _, c := range rest {
			if c.key != f.key || emptyText(c.text) {
				continue
			}
			if f.on != nil {
				if v, err := parseUpTo(c.text, len(c.text)); err != nil || !f.on(v) {
					continue
				}
			}
			features = append(features, f.name)
		}
	}
	for _, c := range rest {
		if c.key == "flags" && c.text[0] == '[' {
			flags = c
		}
	}
	return append(cells, flags, cell{key: "features", tree: features})
}

func treeAt(v any, path string) any {
	found, _ := lookUp(v, path)
	return found
}

// login is what a password of a request becomes.
type login struct {
	username string // with which it was hashed
	md5, sha string
}

// prepareUser hashes a new password outside the transaction, which the hash would hold up.
func prepareUser(req *request, id string, how mode, data map[string]any) (any, error) {
	password := stringAt(data, "password")
	if password == "" {
		return nil, nil
	}
	if len(password) > 1024 {
		return nil, oneError("password", "maxLength", "String must not be more than 1024 characters", nil)
	}
	username := strings.ToLower(stringAt(data, "username"))
	if _, given := data["username"]; !given && how == merging {
		d, err := req.api.opts.Store.Get(req.ctx, req.account.id, TypeUser, id)
		if err != nil {
			return nil, req.missing(err, id)
		}
		stored, err := parseObject(d.Body)
		if err != nil {
			return nil, err
		}
		username = stringAt(stored, "username")
	}
	md5Form, shaForm := credentialForms(username, password)
	salt := []byte(stringAt(req.account.private, "salt"))
	out := login{username: username}
	var err error
	if out.md5, err = req.api.hasher.hash(req.ctx, md5Form, salt); err != nil {
		return nil, err
	}
	out.sha, err = req.api.hasher.hash(req.ctx, shaForm, salt)
	return out, err
}

func completeUser(e *edit) error {
	showImage(e.doc, e.private)
	if username, ok := e.doc["username"].(string); ok {
		e.doc["username"] = strings.ToLower(username)
	}
	username := stringAt(e.doc, "username")
	if v, given := e.doc["password"]; given {
		if _, ok := v.(string); !ok {
			e.errs.add("password", "type", map[string]any{"message": "Value did not match type(s): string", "target": "string"})
		}
		delete(e.doc, "password") // never stored, never returned
	}
	if stringAt(e.private, "token_secret") == "" {
		secret, err := e.req.api.newTokenSecret(e.id)
		if err != nil {
			return err
		}
		e.private["token_secret"] = secret
	}
	made, hashed := e.prepared.(login)
	switch {
	case hashed && username == "":
		e.errs.add("username", "required", map[string]any{"message": "The username must be set when setting a password"})
	case hashed && made.username != username:
		return errAgain
	case hashed:
		e.private["credentials"] = map[string]any{"md5": made.md5, "sha": made.sha}
		delete(e.private, "reset")
		delete(e.private, "revoked") // no token that was made before is good any more
		if boolAt(e.before, "require_password_update", false) && e.req.identity.userID == e.id {
			e.doc["require_password_update"] = false
		}
		secret, err := e.req.api.newTokenSecret(e.id)
		if err != nil {
			return err
		}
		e.private["token_secret"] = secret
	case username == "":
		delete(e.private, "credentials")
	case e.before == nil || stringAt(e.before, "username") != username:
		e.errs.add("password", "required", map[string]any{"message": "The password must be provided when updating the username"})
	}
	return nil
}

// checkUser: a person needs a name, but not two of them as KAZOO wants.
func checkUser(e *edit) error {
	if strings.TrimSpace(stringAt(e.doc, "first_name")+stringAt(e.doc, "last_name")) == "" {
		for _, key := range [...]string{"first_name", "last_name"} {
			e.errs.add(key, "required", map[string]any{"message": "Field is required but missing: a user needs first_name or last_name"})
		}
	}
	checkMembership(e)
	return nil
}

// checkMembership judges directories: {directory id: callflow id}. Ids that do not exist are accepted, since clients
// save in any order.
func checkMembership(e *edit) {
	listed, ok := e.doc["directories"].(map[string]any)
	if !ok {
		return
	}
	for id, callflow := range listed {
		if text, ok := callflow.(string); !ok || text == "" || len(text) > 128 || id == "" || len(id) > 128 {
			e.errs.add(fieldPath("directories", id), "type", map[string]any{
				"message": "Value must be the id of the callflow that calls for this entry take", "target": "string", "value": shown(callflow)})
		}
	}
	if len(listed) > 1000 {
		e.errs.add("directories", "maxProperties", map[string]any{"message": "The object must have at most 1000 keys", "target": 1000})
	}
}

func userKeys(e *edit) []store.Key {
	var keys []store.Key
	if desk := stringAt(e.doc, "hotdesk.id"); desk != "" {
		keys = append(keys, store.Key{Space: KeyHotdesk, Scope: e.owner.id, Value: desk})
	}
	username := stringAt(e.doc, "username")
	if username == "" {
		return keys
	}
	keys = append(keys, store.Key{Space: KeyUsername, Scope: e.owner.id, Value: username})
	if h := stringAt(e.private, "credentials.md5"); h != "" {
		keys = append(keys, store.Key{Space: KeyCredentialMD5, Scope: e.owner.id, Value: h})
	}
	if h := stringAt(e.private, "credentials.sha"); h != "" {
		keys = append(keys, store.Key{Space: KeyCredentialSHA, Scope: e.owner.id, Value: h})
	}
	if h := stringAt(e.private, "reset.hash"); h != "" {
		keys = append(keys, store.Key{Space: KeyReset, Value: h})
	}
	return keys
}

// memberIndex lists the directories that a user or device is in.
func memberIndex(doc map[string]any) []store.Index {
	listed, _ := doc["directories"].(map[string]any)
	var out []store.Index
	for id := range listed {
		out = append(out, store.Index{Name: IndexDirectory, Value: id})
	}
	return out
}
