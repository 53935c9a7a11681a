package crossbar

import (
	"net/http"
)

// resources is the table: one row for each noun. Routes, validation and lists follow from it.
func resources() []*resource {
	rows := []*resource{
		accounts(),
		users(),
		devices(),
		callflows(),
		directories(),
		companyDirectory(),
		menus(),
		mediaFiles(),
		phoneNumbers(),
		groups(),
		sites(),
		temporalRules(),
		temporalRulesSets(),
		conferences(),
		blacklists(),
		contactLists(),
		listEntries(),
		mailboxes(),
		faxboxes(),
		clickToCalls(),
		trunks(),
		webhooks(),
		subscriptions(),
		websockets(),
		oauthApps(),
		jwtCredentials(),
		metaflows(),
		parkedCalls(),
		searches(),
		registrations(),
		channels(),
		cdrs(),
		schemaResource(),
	}
	return append(rows, authResources()...)
}

func menus() *resource {
	return &resource{noun: "menus", typ: TypeMenu, schema: "menus", summary: picking("name"),
		summaryKeys: []string{"name", "flags"}, order: byName,
		references: refersTo("media.greeting", "media.exit_media", "media.invalid_media", "media.transfer_media"),
		secrets:    []string{"record_pin"}}
}

func sites() *resource {
	return &resource{noun: "sites", typ: TypeSite, schema: "sites", summary: picking("name", "code"),
		summaryKeys: []string{"name", "code", "flags"}, order: byName, self: &selfService{list: true, read: true},
		about: "The places of a company. A user is at one by `site_id`, or at the main site without. Renaming a site is a change of every " +
			"contact of the company directory that is there; deleting it puts them at the main site."}
}

// schemaResource shows the schemas, and validates against them without storing. It needs no token.
func schemaResource() *resource {
	return &resource{noun: "schemas", leading: true, greedy: true, endpoints: []endpoint{
		{path: "", ops: map[string]operation{http.MethodGet: {open: true, run: func(req *request) (*reply, error) {
			ids := req.api.schemas.ids()
			return req.listReply(appendTree(nil, ids), &page{whole: true}), nil
		}}}},
		{path: "{id}", ops: map[string]operation{http.MethodGet: {open: true, run: func(req *request) (*reply, error) {
			tree := req.api.schemas.tree[req.route.arg()]
			if tree == nil {
				return nil, badIdentifier(req.route.arg())
			}
			shown := cloneTree(tree).(map[string]any)
			shown["id"] = req.route.arg()
			return &reply{status: http.StatusOK, data: appendTree(nil, shown)}, nil
		}}}},
		{path: "{id}/validation", ops: map[string]operation{http.MethodPut: {open: true, run: validateOnly}}},
	}}
}

func validateOnly(req *request) (*reply, error) {
	if req.api.schemas.tree[req.route.arg()] == nil {
		return nil, badIdentifier(req.route.arg())
	}
	doc, err := req.object()
	if err != nil {
		return nil, err
	}
	dropPrivate(doc)
	if err := req.api.schemas.apply(req.route.arg(), doc).err(); err != nil {
		return nil, err
	}
	return &reply{status: http.StatusOK, data: appendTree(nil, doc)}, nil
}
