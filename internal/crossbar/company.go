package crossbar

import (
	"context"
	"encoding/csv"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"bugle"
	"bugle/internal/contact"
	"bugle/internal/store"
)

// Contacts are the company directories and the log of their changes, as *event.Contacts reads them.
type Contacts interface {
	// List returns a page of an account's contacts, ordered by name.
	List(ctx context.Context, q contact.Query) (contact.Page, error)
	// Get returns a contact by its document's id or its numeric id, else KindNotFound.
	Get(ctx context.Context, accountID, id string) (contact.Contact, error)
	// State returns the cursor of the account's last event, 0 for none, and the revision of its list.
	State(ctx context.Context, accountID string) (cursor, revision int64, err error)
	// Events returns up to limit events after a cursor; contact.ErrGone when they are not kept.
	Events(ctx context.Context, accountID string, after int64, limit int) ([]contact.Event, error)
	// Subscribe returns a channel that receives when asking for events is worth while.
	Subscribe() (nudge <-chan struct{}, stop func())
}

func companyDirectory() *resource {
	get := func(run func(req *request) (*reply, error), produces ...string) map[string]operation {
		return map[string]operation{http.MethodGet: {run: run, produces: produces}}
	}
	book := map[string]operation{http.MethodGet: {open: true, office: true, run: (*request).phoneBook, produces: []string{"text/xml"}}}
	r := &resource{noun: "directory",
		about: "The company directory: everybody, and every group, menu, unowned mailbox and parking slot that has an extension, as RingCentral's clients " +
			"see them. `contacts` is ordered by name; `type`, `site_id` (`main-site` for those without) and `search` narrow it. It is also " +
			"answered whole as CSV (`?accept=csv`) and as vCards (`Accept: text/vcard`).\n\n`changes` are what altered it, in order, each change of " +
			"a contact once: `?after=<cursor>` gives those behind a cursor, and `data.cursor` is what to ask for next. Without `after` there is only " +
			"the cursor: ask for it first, then read the list, then follow the changes. With `Accept: text/event-stream` they are sent as they " +
			"happen (server-sent events; `Last-Event-ID` or `after` says where to begin) until the token ends. Changes are kept for 35 days; " +
			"410 says that those after the cursor are gone: read the list again.\n\n`phonebook/{vendor}` is a page of the directory in the XML that " +
			"desk phones load (`yealink`, `cisco`, `snom`, `polycom`, `grandstream`), for the account's users and for its phones: by HTTP Basic with the " +
			"`sip.username` and `sip.password` of a device. See [phone books](../phonebooks.md).",
		self: &selfService{shared: []string{"contacts", "contacts/{contact}", "changes"}},
		endpoints: []endpoint{
			{path: "contacts", ops: get((*request).listContacts, typeVCard, typeCSV)},
			{path: "contacts/{contact}", ops: get((*request).oneContact)},
			{path: "changes", ops: get((*request).directoryChanges, typeEvents)},
			{path: "phonebook/{vendor}", ops: book}, {path: "phonebook/{vendor}/{file}", ops: book},
		}}
	shape1 := func(summary string, gives map[string]any) shape { return shape{summary: summary, gives: gives} }
	r.shapes = map[string]shape{
		"GET":                    {summary: "The company directory", gives: listOf(refTo("DirectoryContact")), paged: true, revised: true},
		"GET contacts/{contact}": shape1("One contact, by its id or its numeric id", refTo("DirectoryContact")),
		"GET changes": {summary: "What altered the company directory", codes: []int{http.StatusGone},
			gives: objectOf(map[string]any{"changes": listOf(refTo("DirectoryChange")), "cursor": typed("string"), "more": typed("boolean")},
				"changes", "cursor", "more")},
		"GET phonebook/{vendor}":        shape1("The company directory as a phone book of desk phones", map[string]any{}),
		"GET phonebook/{vendor}/{file}": shape1("The same, for phones that append a file's name", map[string]any{}),
	}
	return r
}

// contacts are the company directories; 503 when there are none.
func (req *request) contacts() (Contacts, error) {
	if req.api.opts.Contacts == nil {
		return nil, unavailable(nil)
	}
	return req.api.opts.Contacts, nil
}

// directoryQuery reads what narrows a list.
func (req *request) directoryQuery() (contact.Query, error) {
	q := contact.Query{AccountID: req.account.id, SiteID: req.query.Get("site_id"), Search: req.query.Get("search")}
	for _, name := range req.query["type"] {
		if !slices.Contains(contact.Types, contact.Type(name)) {
			names := make([]string, len(contact.Types))
			for i, t := range contact.Types {
				names[i] = string(t)
			}
			return q, oneError("type", "enum", "Value not found in enumerated list of values: "+strings.Join(names, ", "), clip(name, 64))
		}
		q.Types = append(q.Types, contact.Type(name))
	}
	if len(q.Search) > 128 {
		return q, oneError("search", "maxLength", "String must not be more than 128 characters", nil)
	}
	return q, nil
}

// listContacts answers with a page, or with everybody as CSV or vCards.
func (req *request) listContacts() (*reply, error) {
	from, err := req.contacts()
	if err != nil {
		return nil, err
	}
	q, err := req.directoryQuery()
	if err != nil {
		return nil, err
	}
	switch req.accepts {
	case typeCSV:
		return &reply{status: http.StatusOK, stream: &stream{typeCSV + "; charset=utf-8; header=present", "directory.csv",
			func(ctx context.Context, w io.Writer) error { return writeContactsCSV(ctx, from, q, w) }}}, nil
	case typeVCard:
		company := req.account.view.Name
		return &reply{status: http.StatusOK, stream: &stream{typeVCard + "; charset=utf-8", "directory.vcf",
			func(ctx context.Context, w io.Writer) error {
				return eachContact(ctx, from, q, func(c *contact.Contact) error {
					_, err := w.Write(contactCard(c, company))
					return err
				})
			}}}, nil
	}
	p := &page{}
	size, err := req.pageSize(p)
	if err != nil {
		return nil, err
	}
	place := listPlace(store.Query{AccountID: q.AccountID, Type: "contact", Index: &store.Index{Name: "search", Value: strings.Join([]string{q.SiteID, q.Search,
		strings.Join(req.query["type"], ",")}, "\n")}})
	if p.startKey != "" {
		if q.After, err = openStartKey(place, p.startKey); err != nil {
			return nil, faultyRequest("invalid start key")
		}
	}
	q.Limit = min(size, contact.MaxPage)
	rows := []any{}
	for {
		got, err := from.List(req.ctx, q)
		if err != nil {
			return nil, err
		}
		for i := range got.Contacts {
			rows = append(rows, contactTree(&got.Contacts[i]))
		}
		if q.After = got.Next; got.Next == nil || len(rows) >= size {
			break
		}
		q.Limit = min(size-len(rows), contact.MaxPage)
	}
	if q.After != nil {
		if p.whole {
			return nil, &fault{status: http.StatusRequestedRangeNotSatisfiable, message: "range not satisfiable",
				data: say("the directory is too long to be sent in whole, use pages")}
		}
		p.after = sealStartKey(place, q.After)
	}
	p.size = len(rows)
	return req.listReply(appendTree(nil, rows), p), nil
}

// eachContact walks all that a query finds.
func eachContact(ctx context.Context, from Contacts, q contact.Query, f func(c *contact.Contact) error) error {
	for {
		got, err := from.List(ctx, q)
		if err != nil {
			return err
		}
		for i := range got.Contacts {
			if err := f(&got.Contacts[i]); err != nil {
				return err
			}
		}
		if q.After = got.Next; got.Next == nil {
			return nil
		}
	}
}

func (req *request) oneContact() (*reply, error) {
	from, err := req.contacts()
	if err != nil {
		return nil, err
	}
	c, err := from.Get(req.ctx, req.account.id, req.route.arg())
	if err != nil {
		return nil, req.missing(err, req.route.arg())
	}
	return &reply{status: http.StatusOK, data: appendTree(nil, contactTree(&c))}, nil
}

// contactTree is a contact as the API shows it.
func contactTree(c *contact.Contact) map[string]any {
	site := map[string]any{"id": c.Site.ID, "numeric_id": c.Site.NumericID, "name": c.Site.Name}
	if c.Site.ID == "" {
		site["id"] = c.Site.NumericID
	}
	numbers := make([]any, len(c.PhoneNumbers))
	for i, n := range c.PhoneNumbers {
		number := map[string]any{"phone_number": n.Number, "usage_type": n.Usage}
		if n.Type != "" {
			number["type"] = n.Type
		}
		numbers[i] = number
	}
	out := map[string]any{"id": c.ID, "numeric_id": c.NumericID, "type": string(c.Type), "status": string(c.Status), "site": site, "phone_numbers": numbers}
	for key, text := range map[string]string{"first_name": c.FirstName, "last_name": c.LastName, "name": c.Name, "department": c.Department,
		"email": c.Email, "extension_number": c.Extension, "job_title": c.JobTitle} {
		if text != "" {
			out[key] = text
		}
	}
	if c.Site.Code != "" {
		site["code"] = c.Site.Code
	}
	if c.ImageETag != "" {
		out["profile_image"] = map[string]any{"etag": c.ImageETag, "uri": "/v2/accounts/" + c.AccountID + "/users/" + c.ID + "/photo"}
	}
	return out
}

// writeContactsCSV writes one row for each contact. RFC 4180 §2
func writeContactsCSV(ctx context.Context, from Contacts, q contact.Query, w io.Writer) error {
	rows := csv.NewWriter(w)
	rows.UseCRLF = true
	if err := rows.Write([]string{"ID", "Numeric ID", "Type", "Status", "Name", "First Name", "Last Name", "Department", "Job Title", "Email",
		"Extension", "Site", "Direct Numbers", "Fax Numbers", "Mobile", "Forwarded To", "Other Numbers"}); err != nil {
		return err
	}
	err := eachContact(ctx, from, q, func(c *contact.Contact) error {
		of := func(usage, kind string) string {
			var list []string
			for _, n := range c.PhoneNumbers {
				if n.Usage == usage && (kind == "" || n.Type == kind) {
					list = append(list, harmless(n.Number))
				}
			}
			return strings.Join(list, "; ")
		}
		row := []string{c.ID, c.NumericID, string(c.Type), string(c.Status), c.Name, c.FirstName, c.LastName, c.Department, c.JobTitle, c.Email, c.Extension,
			c.Site.Name}
		for i := range row {
			row[i] = harmless(row[i])
		}
		return rows.Write(append(row, of(contact.DirectNumber, contact.VoiceFax), of(contact.DirectNumber, contact.FaxOnly),
			of(contact.MobileNumber, ""), of(contact.ForwardedNumber, ""), of(contact.ContactNumber, "")))
	})
	if err != nil {
		return err
	}
	rows.Flush()
	return rows.Error()
}

// contactCard is a contact as a vCard. RFC 6350
func contactCard(c *contact.Contact, company string) []byte {
	card := card{}
	card.line("BEGIN", "VCARD")
	card.line("VERSION", "4.0")
	kind := "org"
	if c.IsPerson() {
		kind = "individual"
	}
	card.line("KIND", kind)
	name := c.Name
	if name == "" {
		name = "-" // FN must be there
	}
	card.text("FN", name)
	if c.IsPerson() {
		card.line("N", escaped(c.LastName)+";"+escaped(c.FirstName)+";;;")
	}
	organisation := escaped(company)
	if c.Department != "" {
		organisation += ";" + escaped(c.Department)
	}
	card.line("ORG", organisation)
	card.text("TITLE", c.JobTitle)
	card.text("EMAIL", c.Email)
	card.text("TEL;VALUE=text;TYPE=work,voice", c.Extension)
	for _, n := range c.PhoneNumbers {
		kind := "work,voice"
		switch {
		case n.Type == contact.FaxOnly:
			kind = "work,fax"
		case n.Usage == contact.MobileNumber:
			kind = "cell"
		case n.Usage == contact.ContactNumber:
			kind = "home,voice"
		}
		card.text("TEL;VALUE=text;TYPE="+`"`+kind+`"`, n.Number)
	}
	if bugle.ValidID(c.ID) {
		card.line("UID", uuidURN(c.ID))
	}
	card.line("END", "VCARD")
	return card.Bytes()
}

// uuidURN is a document's id as a URN.
func uuidURN(id string) string {
	return "urn:uuid:" + id[:8] + "-" + id[8:12] + "-" + id[12:16] + "-" + id[16:20] + "-" + id[20:]
}

// changeTree is an event as the API shows it.
func changeTree(e *contact.Event) map[string]any {
	out := map[string]any{"cursor": strconv.FormatInt(e.Cursor, 10), "event_type": string(e.Kind), "timestamp": gregorian(e.At),
		"iso_8601": e.At.UTC().Format(time.RFC3339Nano), "contact": contactTree(&e.Contact)}
	if e.Previous != nil {
		was, now := contactTree(e.Previous), map[string]any{}
		fields := make([]any, len(e.Changed))
		for i, name := range e.Changed {
			key := changedKeys[name]
			fields[i] = key
			now[key] = was[key] // null when it had none
		}
		out["changed_fields"], out["previous"] = fields, now
	}
	return out
}

// changedKeys are RingCentral's names of fields as this API writes them.
var changedKeys = map[string]string{"type": "type", "status": "status", "firstName": "first_name", "lastName": "last_name", "name": "name",
	"department": "department", "email": "email", "extensionNumber": "extension_number", "phoneNumbers": "phone_numbers", "site": "site",
	"profileImage": "profile_image"}

// contactSchemas describe contacts and what changed them.
func contactSchemas() map[string]any {
	enum := func(values ...any) map[string]any { return map[string]any{"enum": values} }
	types := make([]any, len(contact.Types))
	for i, t := range contact.Types {
		types[i] = string(t)
	}
	number := objectOf(map[string]any{"phone_number": typed("string"), "type": enum(contact.VoiceFax, contact.FaxOnly),
		"usage_type": enum(contact.DirectNumber, contact.ForwardedNumber, contact.MobileNumber, contact.ContactNumber)}, "phone_number", "usage_type")
	site := objectOf(textKeys("id", "numeric_id", "name", "code"), "id", "numeric_id", "name")
	image := objectOf(textKeys("etag", "uri"), "etag", "uri")
	return map[string]any{
		"DirectoryContact": objectOf(with(textKeys("id", "numeric_id", "first_name", "last_name", "name", "department", "email", "extension_number",
			"job_title"), map[string]any{"type": enum(types...), "site": site, "phone_numbers": listOf(number), "profile_image": image,
			"status": enum(string(contact.Enabled), string(contact.Disabled), string(contact.NotActivated))}),
			"id", "numeric_id", "type", "status", "site", "phone_numbers"),
		"DirectoryChange": objectOf(with(textKeys("cursor", "iso_8601"), map[string]any{"contact": refTo("DirectoryContact"),
			"event_type": enum(string(contact.Create), string(contact.Update), string(contact.Delete)), "timestamp": typed("integer"),
			"changed_fields": listOf(typed("string")),
			"previous":       map[string]any{"type": "object", "description": "The values of changed_fields before, null for none"}}),
			"cursor", "event_type", "timestamp", "iso_8601", "contact"),
	}
}
