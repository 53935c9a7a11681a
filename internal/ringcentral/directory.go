package ringcentral

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/nyaruka/phonenumbers"

	"bugle"
	"bugle/internal/contact"
)

const (
	defaultPage = 1000
	maxPageNum  = 1 << 30
	maxPicture  = 8 << 20 // bytes; what is kept is much smaller
)

// contactTypes are what a client may ask for; those that bugle has none of find nothing.
var contactTypes = []string{"User", "Department", "Announcement", "Voicemail", "SharedLinesGroup", "PagingOnly", "IvrMenu", "ParkLocation", "Limited",
	"External", "DelegatedLinesGroup", "ApplicationExtension", "Site", "Bot", "Room", "ProxyAdmin", "GroupCallPickup"}

// ownAccount makes sure that the account of the path is the caller's: ~, its numeric id, or its own.
func (c *call) ownAccount() error {
	own, err := c.server.isOwnAccount(c.ctx, c.args[0], c.who.AccountID)
	if err == nil && !own { // the same for an account that there is and for one that there is not
		err = &fault{status: http.StatusNotFound, code: "ADG-107", message: "Account not found", extra: map[string]any{"parameterName": "accountId"}}
	}
	return err
}

func (s *Server) isOwnAccount(ctx context.Context, given, accountID string) (bool, error) {
	if given == "~" || given == accountID {
		return true, nil
	}
	_, document, err := s.opts.Contacts.Document(ctx, kindAccount, given)
	if err != nil && bugle.KindOf(err) == bugle.KindNotFound {
		return false, nil
	}
	return document == accountID, err
}

func (c *call) mayReadDirectory() error {
	if !c.who.may(permReadAccounts) {
		return noPermission("CMN-401", permReadAccounts)
	}
	return c.ownAccount()
}

func flag(q url.Values, name string, preset bool) (bool, error) {
	switch q.Get(name) {
	case "":
		return preset, nil
	case "true", "True", "1":
		return true, nil
	case "false", "False", "0":
		return false, nil
	}
	return false, badParameter(name, q.Get(name), "it must be true or false")
}

func pageOf(q url.Values) (page, perPage int, err error) {
	if page, err = positive(q.Get("page"), 1, maxPageNum); err != nil {
		return 0, 0, badParameter("page", q.Get("page"), "it must be a number from 1")
	}
	switch text := q.Get("perPage"); text {
	case "all", "max":
		perPage = contact.MaxPage
	default:
		if perPage, err = positive(text, defaultPage, contact.MaxPage); err != nil {
			return 0, 0, badParameter("perPage", text, "it must be a number from 1 to 2000, or max")
		}
	}
	return page, perPage, nil
}

func positive(text string, preset, most int) (int, error) {
	if text == "" {
		return preset, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, strconv.ErrRange
	}
	return n, nil
}

// typesOf narrows a list to types; none is true when it finds nothing.
func typesOf(names []string, group string) (types []contact.Type, none bool, err error) {
	for _, name := range names {
		if !slices.Contains(contactTypes, name) {
			return nil, false, badParameter("type", name, "it must be one of "+strings.Join(contactTypes, ", "))
		}
		types = append(types, contact.Type(name))
	}
	if group != "" && group != "User" && group != "NonUser" {
		return nil, false, badParameter("typeGroup", group, "it must be User or NonUser")
	}
	if group == "" {
		return types, false, nil
	}
	if len(types) == 0 {
		types = slices.Clone(contact.Types)
	}
	types = slices.DeleteFunc(types, func(t contact.Type) bool { return (t == contact.User) != (group == "User") })
	return types, len(types) == 0, nil
}

// entries answers the list.
func (c *call) entries() (*answer, error) {
	if err := c.mayReadDirectory(); err != nil {
		return nil, err
	}
	q := c.http.URL.Query()
	page, perPage, err := pageOf(q)
	if err != nil {
		return nil, err
	}
	types, none, err := typesOf(q["type"], q.Get("typeGroup"))
	if err != nil {
		return nil, err
	}
	federated, err := flag(q, "showFederated", true)
	if err != nil {
		return nil, err
	}
	if _, err := flag(q, "accessibleSitesOnly", true); err != nil {
		return nil, err
	}
	_, revision, err := c.server.opts.Contacts.State(c.ctx, c.who.AccountID)
	if err != nil {
		return nil, err
	}
	tag := fmt.Sprintf(`"%d-%x"`, revision, hashQuery(q, c.who.AccountID, c.who.Company, c.who.MainNumber, c.base()))
	if c.header.Set("ETag", tag); matches(c.http.Header, tag) {
		return &answer{status: http.StatusNotModified}, nil
	}
	c.header.Set("Cache-Control", "private, no-cache")
	var list contact.Page
	if !none {
		list, err = c.server.opts.Contacts.List(c.ctx, contact.Query{AccountID: c.who.AccountID, Types: types, SiteID: q.Get("siteId"),
			Skip: (page - 1) * perPage, Limit: perPage})
		if err != nil {
			return nil, err
		}
	}
	return ok(c.listing(list.Contacts, list.Total, page, perPage, federated))
}

// hashQuery is of what makes a list beside the contacts.
func hashQuery(q url.Values, beside ...string) uint64 {
	sum := fnv.New64a()
	sum.Write([]byte(strings.Join(append(beside, q.Encode()), "\x00")))
	return sum.Sum64()
}

// matches judges If-None-Match, RFC 9110 §13.1.2.
func matches(h http.Header, tag string) bool {
	for _, given := range strings.Split(strings.Join(h.Values("If-None-Match"), ","), ",") {
		if given = strings.TrimPrefix(strings.TrimSpace(given), "W/"); given == tag || given == "*" {
			return true
		}
	}
	return false
}

// listing is a page of contacts as clients read it.
func (c *call) listing(list []contact.Contact, total, page, perPage int, withAccount bool) map[string]any {
	records := make([]map[string]any, len(list))
	for i := range list {
		records[i] = c.record(&list[i], withAccount)
	}
	paging := map[string]any{"perPage": perPage, "totalPages": (total + perPage - 1) / perPage, "totalElements": total}
	if len(list) > 0 {
		first := (page - 1) * perPage
		paging["page"], paging["pageStart"], paging["pageEnd"] = page, first, first+len(list)-1
	}
	return map[string]any{"records": records, "paging": paging}
}

// record is a contact of the directory as clients read it.
func (c *call) record(e *contact.Contact, withAccount bool) map[string]any {
	out := snapshot(e, c.base())
	if out["site"] = map[string]any{"id": e.Site.NumericID, "name": e.Site.Name}; e.Site.Code != "" {
		out["site"].(map[string]any)["code"] = e.Site.Code
	}
	if e.IsPerson() {
		delete(out, "name") // of others only, in lists
		if e.JobTitle != "" {
			out["jobTitle"] = e.JobTitle
		}
	}
	if delete(out, "account"); withAccount {
		company := map[string]any{"id": e.AccountNumericID, "companyName": c.who.Company}
		if main := c.who.MainNumber; main != "" {
			company["mainNumber"] = map[string]any{"phoneNumber": main, "formattedPhoneNumber": formatted(main)}
		}
		out["account"] = company
	}
	for _, n := range out["phoneNumbers"].([]map[string]any) {
		if shown := formatted(n["phoneNumber"].(string)); shown != "" {
			n["formattedPhoneNumber"] = shown
		}
	}
	return out
}

func formatted(number string) string {
	parsed, err := phonenumbers.Parse(number, "ZZ")
	if err != nil {
		return ""
	}
	return phonenumbers.Format(parsed, phonenumbers.INTERNATIONAL)
}

// snapshot is a contact as events and lists have it; base begins its links, "" for none of them.
func snapshot(e *contact.Contact, base string) map[string]any {
	out := map[string]any{"id": e.NumericID, "type": string(e.Type), "status": string(e.Status), "account": map[string]any{"id": e.AccountNumericID},
		"site": map[string]any{"id": e.Site.NumericID, "name": e.Site.Name}}
	for key, text := range map[string]string{"firstName": e.FirstName, "lastName": e.LastName, "name": e.Name, "department": e.Department, "email": e.Email,
		"extensionNumber": e.Extension} {
		if text != "" {
			out[key] = text
		}
	}
	numbers := make([]map[string]any, len(e.PhoneNumbers))
	for i, n := range e.PhoneNumbers {
		if numbers[i] = map[string]any{"phoneNumber": n.Number, "usageType": n.Usage}; n.Type != "" {
			numbers[i]["type"] = n.Type
		}
	}
	out["phoneNumbers"] = numbers
	if e.ImageETag != "" {
		image := map[string]any{"etag": e.ImageETag}
		if out["profileImage"] = image; base != "" {
			image["uri"] = base + "/restapi/v1.0/account/" + e.AccountNumericID + "/extension/" + e.NumericID + "/profile-image"
		}
	}
	return out
}

// entry answers one contact, by either form of its id.
func (c *call) entry() (*answer, error) {
	if err := c.mayReadDirectory(); err != nil {
		return nil, err
	}
	found, err := c.server.opts.Contacts.Get(c.ctx, c.who.AccountID, c.args[1])
	if err != nil && bugle.KindOf(err) == bugle.KindNotFound {
		return nil, &fault{status: http.StatusNotFound, code: "ADG-122", message: "Contact not found", extra: map[string]any{"parameterName": "entryId"}}
	}
	if err != nil {
		return nil, err
	}
	return ok(c.record(&found, true))
}

// federation: no account of bugle is part of one.
func (c *call) federation() (*answer, error) {
	if err := c.mayReadDirectory(); err != nil {
		return nil, err
	}
	return nil, refuse(http.StatusNotFound, "ADG-105", "The account is not federated")
}

// account answers what clients ask of their own account.
func (c *call) account() (*answer, error) {
	if err := c.mayReadDirectory(); err != nil {
		return nil, err
	}
	id, err := c.server.opts.Contacts.Numeric(c.ctx, c.who.AccountID, kindAccount, c.who.AccountID)
	if err != nil {
		return nil, err
	}
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return nil, err
	}
	out := map[string]any{"uri": c.base() + "/restapi/v1.0/account/" + id, "id": n, "status": "Confirmed", "companyName": c.who.Company}
	if c.who.MainNumber != "" {
		out["mainNumber"] = c.who.MainNumber
	}
	return ok(out)
}

// extensionOfPath is the contact that the path names as an extension, ~ for one's own.
func (c *call) extensionOfPath() (contact.Contact, error) {
	id := c.args[1]
	if id == "~" {
		if id = c.who.UserID; id == "" {
			return contact.Contact{}, refuse(http.StatusUnauthorized, "CMN-405", "Login to extension required: an API key is of no extension")
		}
	}
	found, err := c.server.opts.Contacts.Get(c.ctx, c.who.AccountID, id)
	if err != nil && bugle.KindOf(err) == bugle.KindNotFound {
		err = noResource("extensionId")
	}
	return found, err
}

// profileImage answers the picture of a contact itself.
func (c *call) profileImage() (*answer, error) {
	if err := c.mayReadDirectory(); err != nil {
		return nil, err
	}
	if c.socket != nil {
		return nil, refuse(http.StatusNotImplemented, "CMN-202", "Pictures do not go over a socket")
	}
	found, err := c.extensionOfPath()
	if err != nil {
		return nil, err
	}
	content, kind, etag, err := c.server.opts.People.Photo(c.ctx, c.who.AccountID, found.ID)
	if err != nil && bugle.KindOf(err) == bugle.KindNotFound {
		return nil, noResource("extensionId")
	}
	if err != nil {
		return nil, err
	}
	defer content.Close()
	tag := `"` + etag + `"`
	c.header.Set("Cache-Control", "private, no-cache")
	if c.header.Set("ETag", tag); matches(c.http.Header, tag) {
		return &answer{status: http.StatusNotModified}, nil
	}
	picture, err := io.ReadAll(io.LimitReader(content, maxPicture))
	if err != nil {
		return nil, err
	}
	c.header.Set("Content-Type", kind)
	return &answer{status: http.StatusOK, page: picture}, nil
}

// extension answers what clients ask of the person who is logged in, or of another of the account.
func (c *call) extension() (*answer, error) {
	if err := c.mayReadDirectory(); err != nil {
		return nil, err
	}
	found, err := c.extensionOfPath()
	if err != nil {
		return nil, err
	}
	n, err := strconv.ParseInt(found.NumericID, 10, 64)
	if err != nil {
		return nil, err
	}
	out := map[string]any{"uri": c.base() + "/restapi/v1.0/account/" + found.AccountNumericID + "/extension/" + found.NumericID, "id": n,
		"extensionNumber": found.Extension, "name": found.Name, "type": string(found.Type), "status": string(found.Status),
		"account": map[string]any{"id": found.AccountNumericID}, "site": map[string]any{"id": found.Site.NumericID, "name": found.Site.Name}}
	person := map[string]any{}
	for key, text := range map[string]string{"firstName": found.FirstName, "lastName": found.LastName, "email": found.Email, "department": found.Department,
		"jobTitle": found.JobTitle} {
		if text != "" {
			person[key] = text
		}
	}
	if out["contact"] = person; found.ID == c.who.UserID {
		out["permissions"] = map[string]any{"admin": map[string]any{"enabled": c.who.Admin}}
	}
	return ok(out)
}

// compareBy compares two contacts by a field that searches sort by.
func compareBy(field string, x, y *contact.Contact) int {
	text := func(c *contact.Contact) string {
		switch field {
		case "firstName":
			return c.FirstName
		case "lastName":
			return c.LastName
		case "extensionNumber":
			return fmt.Sprintf("%03d%s", len(c.Extension), c.Extension)
		case "email":
			return c.Email
		case "jobTitle":
			return c.JobTitle
		case "department":
			return c.Department
		case "phoneNumber":
			if len(c.PhoneNumbers) > 0 {
				return c.PhoneNumbers[0].Number
			}
		}
		return ""
	}
	return cmp.Compare(contact.Fold(text(x)), contact.Fold(text(y)))
}
