package crossbar

import (
	"bytes"
	"crypto/subtle"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"bugle"
	"bugle/internal/contact/phonebook"
	"bugle/internal/store"
)

// phoneBook answers a desk phone, or a user, with a page of the company directory in the form of the phone's vendor.
func (req *request) phoneBook() (*reply, error) {
	if err := req.mayReadBook(); err != nil {
		return nil, err
	}
	from, err := req.contacts()
	if err != nil {
		return nil, err
	}
	vendor, ok := phonebook.Of(req.route.arg())
	if !ok {
		var names []string
		for _, v := range phonebook.Vendors {
			names = append(names, v.Name)
		}
		return nil, &fault{status: http.StatusNotFound, message: "bad_identifier", data: map[string]any{"cause": clip(req.route.arg(), 64),
			"message": "no such vendor; there are " + strings.Join(names, ", ")}}
	}
	title := req.account.view.Name
	if _, asked := req.query["form"]; asked && vendor.Forms {
		text, err := vendor.Form(title, req.bookURL(nil))
		return xmlReply(text), err
	}
	q, err := req.directoryQuery()
	if err != nil {
		return nil, err
	}
	page, size := 1, vendor.PageSize
	for name, value := range map[string]*int{"page": &page, "page_size": &size} {
		if given := req.query.Get(name); given != "" {
			n, err := strconv.Atoi(given)
			if err != nil || n < 1 || n > 1_000_000 || name == "page_size" && n > vendor.MaxPage {
				return nil, oneError(name, "invalid", "Must be a number from 1; page_size is at most "+strconv.Itoa(vendor.MaxPage), clip(given, 64))
			}
			*value = n
		}
	}
	q.Limit, q.Skip = size, (page-1)*size
	got, err := from.List(req.ctx, q)
	if err != nil {
		return nil, err
	}
	book := phonebook.Book{Title: title, Page: page, Pages: max(1, (got.Total+size-1)/size), Contacts: got.Contacts}
	other := func(page int) string { return req.bookURL(url.Values{"page": {strconv.Itoa(page)}}) }
	if page < book.Pages {
		book.Next = other(page + 1)
		req.writer.Header().Set("Link", "<"+book.Next+`>; rel="next"`) // RFC 8288 §3
	}
	if page > 1 {
		book.Previous = other(page - 1)
	}
	if vendor.Forms {
		book.Search = req.bookURL(url.Values{"form": {"1"}})
	}
	text, err := vendor.Write(book)
	return xmlReply(text), err
}

func xmlReply(text []byte) *reply {
	return &reply{status: http.StatusOK, file: &file{contentType: phonebook.ContentType, content: memoryFile{bytes.NewReader(text)}}}
}

// bookURL is the phone book's own URL with other parameters: more, and of those that narrow it what was asked for.
func (req *request) bookURL(more url.Values) string {
	base := req.api.opts.PublicURL
	if base == "" {
		if base = "http://" + req.http.Host; req.http.TLS != nil {
			base = "https://" + req.http.Host
		}
	}
	values := url.Values{}
	for _, key := range [...]string{"type", "site_id", "page_size", phonebook.SearchParameter} {
		// The form that searches puts its own search behind.
		if given := req.query[key]; len(given) > 0 && (key != phonebook.SearchParameter || more.Has("page")) {
			values[key] = given
		}
	}
	for key, value := range more {
		values[key] = value
	}
	out := base + req.http.URL.EscapedPath()
	if len(values) > 0 {
		out += "?" + values.Encode()
	}
	return out
}

// mayReadBook: who may read the directory, and the account's phones, each by its own SIP credentials. RFC 7617 §2
func (req *request) mayReadBook() error {
	if req.identity != nil {
		if !req.allowed() || !req.identity.admin && req.identity.account.id != req.account.id {
			return forbidden()
		}
		return nil
	}
	err := req.phoneLogsIn()
	if f := faultOf(err); err != nil && f.status == http.StatusUnauthorized {
		if _, _, asked := req.http.BasicAuth(); asked { // who guesses has no more than any other without a token
			if _, retry := req.api.anonymous.take(bucketKey{client: clientNetwork(req.client)}, req.started); retry > 0 {
				return tooMany(retry)
			}
		}
		req.writer.Header().Set("WWW-Authenticate", `Basic realm="`+safeName(req.account.view.Realm)+`", charset="UTF-8"`)
	}
	return err
}

// phoneLogsIn judges HTTP Basic with a device's sip.username, or username@realm, and sip.password.
func (req *request) phoneLogsIn() error {
	name, password, ok := req.http.BasicAuth()
	name = strings.TrimSuffix(name, "@"+req.account.view.Realm)
	if !ok || name == "" || len(name) > 128 || len(password) > 128 {
		return invalidCredentials()
	}
	attempt, err := req.api.failures.begin("phonebook", req.account.id+" "+name, req.client)
	if err != nil {
		return err
	}
	defer attempt.end()
	d, err := req.api.opts.Store.GetByKey(req.ctx, store.Key{Space: KeySIPUsername, Scope: req.account.id, Value: name})
	if isMissing(err) {
		return attempt.fail()
	}
	if err != nil {
		return err
	}
	device, err := bugle.ParseDevice(d.ID, d.Body)
	if err != nil {
		return err
	}
	body, err := parseObject(d.Body)
	if err != nil {
		return err
	}
	sealed := stringAt(body, "sip.password")
	if sealed == "" || !device.Enabled || !req.account.view.Enabled {
		return attempt.fail()
	}
	plain, err := req.api.opts.Sealer.Open(sealed, d.ID, "sip.password")
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare([]byte(plain), []byte(password)) == 0 {
		return attempt.fail()
	}
	attempt.succeed()
	return nil
}
