package ringcentral

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"bugle/internal/contact"
)

// searchFields are what a search looks into and sorts by.
var searchFields = []string{"firstName", "lastName", "extensionNumber", "phoneNumber", "email", "jobTitle", "department"}

type searchRequest struct {
	SearchString      string   `json:"searchString"`
	SearchFields      []string `json:"searchFields"`
	ShowFederated     *bool    `json:"showFederated"`
	ExtensionType     string   `json:"extensionType"`
	ExtensionTypes    []string `json:"extensionTypes"`
	ExtensionStatuses []string `json:"extensionStatuses"`
	SiteID            string   `json:"siteId"`
	SiteIDs           []string `json:"siteIds"`
	Department        string   `json:"department"`
	OrderBy           []order  `json:"orderBy"`
	Page              *int     `json:"page"`
	PerPage           *int     `json:"perPage"`
}

type order struct {
	Index     *int   `json:"index"`
	FieldName string `json:"fieldName"`
	Direction string `json:"direction"`
}

const maxSearch = 200 // characters

func (r *searchRequest) check() error {
	if len(r.SearchString) > maxSearch {
		return badParameter("searchString", nil, "it has at most 200 characters")
	}
	for _, field := range r.SearchFields {
		if !slices.Contains(searchFields, field) {
			return badParameter("searchFields", field, "it must be one of "+strings.Join(searchFields, ", "))
		}
	}
	if len(r.OrderBy) > len(searchFields) {
		return badParameter("orderBy", nil, "there are at most seven")
	}
	for i, by := range r.OrderBy {
		at := "orderBy[" + strconv.Itoa(i) + "]"
		switch {
		case !slices.Contains(searchFields, by.FieldName):
			return badParameter(at+".fieldName", by.FieldName, "it must be one of "+strings.Join(searchFields, ", "))
		case by.Direction != "" && by.Direction != "Asc" && by.Direction != "Desc":
			return badParameter(at+".direction", by.Direction, "it must be Asc or Desc")
		case by.Index == nil && len(r.OrderBy) > 1, by.Index != nil && *by.Index < 1:
			return badParameter(at+".index", nil, "it must be a number from 1")
		}
	}
	for _, status := range r.ExtensionStatuses {
		if !slices.Contains([]string{"Enabled", "Disabled", "NotActivated", "Frozen", "Unassigned"}, status) {
			return badParameter("extensionStatuses", status, "it must be Enabled, Disabled, NotActivated, Frozen or Unassigned")
		}
	}
	if r.Page != nil && (*r.Page < 1 || *r.Page > maxPageNum) {
		return badParameter("page", *r.Page, "it must be a number from 1")
	}
	if r.PerPage != nil && (*r.PerPage < 1 || *r.PerPage > contact.MaxPage) {
		return badParameter("perPage", *r.PerPage, "it must be a number from 1 to 2000")
	}
	return nil
}

// search answers POST …/entries/search.
func (c *call) search() (*answer, error) {
	if err := c.mayReadDirectory(); err != nil {
		return nil, err
	}
	var r searchRequest
	if err := c.object(&r, true); err != nil {
		return nil, err
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	names := r.ExtensionTypes
	if r.ExtensionType != "" {
		names = append(names, r.ExtensionType)
	}
	types, _, err := typesOf(names, "")
	if err != nil {
		return nil, err
	}
	page, perPage := 1, defaultPage
	if r.Page != nil {
		page = *r.Page
	}
	if r.PerPage != nil {
		perPage = *r.PerPage
	}
	q := contact.Query{AccountID: c.who.AccountID, Types: types, SiteID: r.SiteID, Search: r.SearchString, Fields: r.SearchFields}
	federated := r.ShowFederated == nil || *r.ShowFederated
	if len(r.OrderBy)+len(r.ExtensionStatuses)+len(r.SiteIDs) == 0 && r.Department == "" {
		q.Skip, q.Limit = (page-1)*perPage, perPage
		found, err := c.server.opts.Contacts.List(c.ctx, q)
		if err != nil {
			return nil, err
		}
		return ok(c.listing(found.Contacts, found.Total, page, perPage, federated))
	}
	all, err := c.server.whole(c.ctx, q)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(e contact.Contact) bool {
		return len(r.ExtensionStatuses) > 0 && !slices.Contains(r.ExtensionStatuses, string(e.Status)) ||
			len(r.SiteIDs) > 0 && !slices.Contains(r.SiteIDs, e.Site.NumericID) && (e.Site.ID == "" || !slices.Contains(r.SiteIDs, e.Site.ID)) ||
			r.Department != "" && contact.Fold(e.Department) != contact.Fold(r.Department)
	})
	r.sort(all)
	first := min((page-1)*perPage, len(all))
	return ok(c.listing(all[first:min(first+perPage, len(all))], len(all), page, perPage, federated))
}

func (r *searchRequest) sort(list []contact.Contact) {
	by := slices.Clone(r.OrderBy)
	slices.SortStableFunc(by, func(x, y order) int {
		if x.Index == nil || y.Index == nil {
			return 0
		}
		return cmp.Compare(*x.Index, *y.Index)
	})
	slices.SortStableFunc(list, func(x, y contact.Contact) int {
		for _, b := range by {
			n := compareBy(b.FieldName, &x, &y)
			if b.Direction == "Desc" {
				n = -n
			}
			if n != 0 {
				return n
			}
		}
		return 0
	})
}

// whole is all that a query finds.
func (s *Server) whole(ctx context.Context, q contact.Query) (all []contact.Contact, err error) {
	for {
		page, err := s.opts.Contacts.List(ctx, q)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Contacts...)
		if page.Next == nil {
			return all, nil
		}
		q.After = page.Next
	}
}
