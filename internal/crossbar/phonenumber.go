package crossbar

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/nyaruka/phonenumbers"

	"bugle"
	"bugle/internal/store"
)

// The states that a number can be in here. The others of KAZOO's belong to carriers and porting.
const (
	stateInService = "in_service"
	stateReserved  = "reserved"
)

// usedByCallflow is what used_by says of a number that a callflow has.
const usedByCallflow = "callflow"

// phoneNumbers: the id of a document is the number in E.164, so the store keeps it unique in the whole system. A released
// number leaves nothing behind: anybody may add it again.
func phoneNumbers() *resource {
	r := &resource{noun: "phone_numbers", typ: TypePhoneNumber, schema: "phone_numbers", final: true,
		idForm: `^\+[1-9][0-9]+$`, shapes: numberShapes(),
		about: "PUT on a number adds it; it is written as it is dialled or with `+` and the country code, and kept in E.164. A number belongs " +
			"to one account of the whole system (409 `number_exists`), and no other account's callflows may have it. The list is an " +
			"object: `cascade_quantity` (numbers of the accounts below) and `numbers`, by number. `used_by` follows the callflows; " +
			"`fix` computes it anew. DELETE releases the number. `collection` does the same to many (`{\"numbers\": []}`) and answers " +
			"`{\"success\": {}, \"error\": {}}`, with 400 when none succeeded. Searching for numbers to buy (`?prefix=`, `prefix`, `check`, also without an account) and " +
			"porting need a carrier and are answered with 501.",
		computed: []string{"state", "used_by", "assigned_to", "features", "created", "updated"},
		summary: func(doc map[string]any) map[string]any {
			row := pick(doc, "state", "used_by", "assigned_to", "features", "created", "updated")
			if _, used := row["used_by"]; !used {
				row["used_by"] = ""
			}
			return row
		},
		summaryKeys: []string{"state", "used_by", "assigned_to", "features", "created", "updated"},
		complete:    completeNumber,
		keys: func(e *edit) []store.Key {
			return []store.Key{{Space: KeyPhoneNumber, Value: e.id}}
		},
	}
	search := map[string]operation{http.MethodGet: {run: needsCarrier, open: true}}
	r.top = &resource{noun: r.noun, endpoints: []endpoint{{path: "", ops: search}, {path: "prefix", ops: search}},
		shapes: map[string]shape{"GET": notBought(), "GET prefix": notBought()}}
	each := func(act func(req *request, number string) (*reply, error)) operation {
		return operation{run: func(req *request) (*reply, error) {
			number, err := req.numberOf(req.route.arg())
			if err != nil {
				return nil, err
			}
			req.route.args = []string{number}
			return act(req, number)
		}}
	}
	many := func(status int, act func(req *request, number string) (*reply, error)) operation {
		return operation{run: func(req *request) (*reply, error) { return req.eachNumber(status, act) }}
	}
	create := func(req *request, number string) (*reply, error) { return req.createNumber(r, number) }
	fetch := func(req *request, _ string) (*reply, error) { return req.fetch(r) }
	replace := func(req *request, _ string) (*reply, error) { return req.change(r, replacing) }
	merge := func(req *request, _ string) (*reply, error) { return req.change(r, merging) }
	release := func(req *request, _ string) (*reply, error) { return req.remove(r) }
	activate := func(req *request, number string) (*reply, error) {
		return req.setNumberState(r, number, stateInService)
	}
	reserve := func(req *request, number string) (*reply, error) { return req.setNumberState(r, number, stateReserved) }
	tried := func(op operation) operation {
		op.tries = true
		return op
	}
	put := http.MethodPut
	r.endpoints = []endpoint{
		{path: "", ops: map[string]operation{http.MethodGet: {run: func(req *request) (*reply, error) { return req.listNumbers(r) }}}},
		{path: "{id}", ops: map[string]operation{http.MethodGet: each(fetch), put: each(create), http.MethodPost: each(replace),
			http.MethodPatch: each(merge), http.MethodDelete: tried(each(release))}},
		{path: "{id}/activate", ops: map[string]operation{put: each(activate)}},
		{path: "{id}/reserve", ops: map[string]operation{put: each(reserve)}},
		{path: "{id}/port", ops: map[string]operation{put: {run: needsCarrier}}},
		{path: "{id}/identify", ops: map[string]operation{http.MethodGet: each((*request).identifyNumber)}},
		{path: "collection", ops: map[string]operation{put: many(http.StatusCreated, create), http.MethodPost: many(http.StatusOK, replace),
			http.MethodPatch: many(http.StatusOK, merge), http.MethodDelete: tried(many(http.StatusOK, release))}},
		{path: "collection/activate", ops: map[string]operation{put: many(http.StatusOK, activate)}},
		{path: "collection/reserve", ops: map[string]operation{put: many(http.StatusOK, reserve)}},
		{path: "classifiers", ops: map[string]operation{http.MethodGet: {run: (*request).listClassifiers}}},
		{path: "classifiers/{number}", ops: map[string]operation{http.MethodGet: {run: (*request).classifyNumber}}},
		{path: "prefix", ops: map[string]operation{http.MethodGet: {run: needsCarrier}}},
		{path: "check", ops: map[string]operation{http.MethodPost: {run: needsCarrier}}},
		{path: "fix", ops: map[string]operation{http.MethodPost: {run: func(req *request) (*reply, error) { return req.fixNumbers(r) }}}},
	}
	return r
}

// numberShapes describe what is not a document's own.
func numberShapes() map[string]shape {
	document := refTo("phone_numbers.document")
	one := shape{gives: document, revised: true}
	bulk := shape{takes: objectOf(map[string]any{"numbers": listOf(typed("string"))}, "numbers"),
		gives:   objectOf(map[string]any{"success": typed("object"), "error": typed("object")}, "success", "error"),
		example: map[string]any{"numbers": []any{"+14155550199"}}}
	carrier := notBought()
	class := objectOf(textKeys("friendly_name", "regex"))
	list := shape{summary: "List phone numbers", paged: true, revised: true, codes: []int{http.StatusNotImplemented},
		gives: objectOf(map[string]any{"cascade_quantity": typed("integer"), "numbers": map[string]any{"type": "object",
			"additionalProperties": map[string]any{"type": "object"}}}, "cascade_quantity", "numbers")}
	fix := list
	fix.summary, fix.paged, fix.revised, fix.codes = "Compute used_by anew", false, true, nil
	create := one
	create.status, create.document, create.takes = http.StatusCreated, true, refTo("phone_numbers")
	create.example = map[string]any{"create_with_state": stateInService}
	out := map[string]shape{"GET": list, "POST fix": fix, "PUT {id}": create, "PUT {id}/activate": one, "PUT {id}/reserve": one,
		"PUT {id}/port": carrier, "GET prefix": carrier, "POST check": carrier,
		"GET {id}/identify": {summary: "Whose the number is", gives: objectOf(textKeys("account_id", "number"), "account_id", "number")},
		"GET classifiers":   {summary: "The classes of numbers, by name", gives: map[string]any{"type": "object", "additionalProperties": class}},
		"GET classifiers/{number}": {summary: "The class of a number",
			gives: objectOf(textKeys("friendly_name", "regex", "name", "number", "e164"), "name", "number", "e164")}}
	for path, does := range map[string]string{"PUT collection": "Add", "POST collection": "Replace", "PATCH collection": "Merge into",
		"DELETE collection": "Release", "PUT collection/activate": "Put in service", "PUT collection/reserve": "Reserve"} {
		s := bulk
		s.summary = does + " many numbers"
		if path == "PUT collection" {
			s.status = http.StatusCreated
		}
		out[path] = s
	}
	for path, does := range map[string]string{"PUT {id}": "Add: phone number", "PUT {id}/activate": "Put in service: phone number",
		"PUT {id}/reserve": "Reserve: phone number"} {
		s := out[path]
		s.summary = does
		out[path] = s
	}
	return out
}

func notBought() shape {
	return shape{summary: "Not offered: it needs a carrier", gives: map[string]any{}, codes: []int{http.StatusNotImplemented}}
}

func needsCarrier(*request) (*reply, error) {
	return nil, &fault{status: http.StatusNotImplemented, message: "not_implemented",
		data: say("this needs a carrier that sells numbers, and none is connected; add a number that you have with PUT phone_numbers/{number}")}
}

// numberOf is a number of a path or a list in E.164.
func (req *request) numberOf(text string) (string, error) {
	bare := strings.NewReplacer(" ", "", "-", "", ".", "", "(", "", ")", "", "/", "").Replace(clip(text, 64))
	if bare != "" {
		bare = req.api.opts.Flows.NormaliseNumber(req.account.view, bare)
	}
	if strings.HasPrefix(bare, "+") {
		if number, err := phonenumbers.Parse(bare, phonenumbers.UNKNOWN_REGION); err == nil && phonenumbers.IsPossibleNumber(number) {
			return phonenumbers.Format(number, phonenumbers.E164), nil
		}
	}
	return "", &fault{status: http.StatusNotFound, message: "not_reconcilable", data: map[string]any{"cause": clip(text, 64),
		"message": "not a telephone number: write it with + and the country code"}}
}

func completeNumber(e *edit) error {
	now := gregorian(e.req.api.opts.Now())
	state, created := stateInService, any(now)
	if wanted := stringAt(e.doc, "create_with_state"); e.before != nil {
		state, created = stringAt(e.before, "state"), e.before["created"]
	} else if wanted == stateReserved {
		state = wanted
	}
	delete(e.doc, "used_by")
	used, err := e.numberUsed(e.id)
	if err != nil {
		return err
	}
	if used {
		e.doc["used_by"] = usedByCallflow
	}
	features := []any{}
	for _, f := range [...]struct {
		name string
		on   bool
	}{
		{"e911", !empty(treeAt(e.doc, "e911"))},
		{"inbound_cnam", boolAt(e.doc, "cnam.inbound_lookup", false)},
		{"outbound_cnam", stringAt(e.doc, "cnam.display_name") != ""},
	} {
		if f.on {
			features = append(features, f.name)
		}
	}
	e.doc["state"], e.doc["created"], e.doc["updated"] = state, created, now
	e.doc["assigned_to"], e.doc["features"] = e.owner.id, features
	return nil
}

// numberUsed reports whether a callflow of the account has the number.
func (e *edit) numberUsed(number string) (bool, error) {
	_, err := e.tx.GetByKey(store.Key{Space: KeyNumber, Scope: e.owner.id, Value: number})
	if isMissing(err) {
		return false, nil
	}
	return err == nil, err
}

// createNumber answers PUT on a number.
func (req *request) createNumber(res *resource, number string) (*reply, error) {
	data, err := req.object()
	if err != nil {
		return nil, err
	}
	e, err := req.write(res, number, creating, data)
	var taken *fault
	if errors.As(err, &taken) && treeAt(taken.data, "id.unique") != nil {
		return nil, &fault{status: http.StatusConflict, message: "number_exists", data: map[string]any{"cause": number, "code": 409,
			"error": "number_exists", "message": "number " + number + " already exists"}}
	}
	if err != nil {
		return nil, err
	}
	answer, err := e.answer()
	if err != nil {
		return nil, err
	}
	answer.status, answer.location = http.StatusCreated, req.createdPath(res, strings.ReplaceAll(number, "+", "%2B"))
	return answer, nil
}

// setNumberState answers activate and reserve.
func (req *request) setNumberState(res *resource, number, state string) (*reply, error) {
	var d store.Document
	err := req.api.opts.Store.Write(req.ctx, func(tx *store.Tx) error {
		var err error
		if d, err = tx.Get(req.account.id, TypePhoneNumber, number); err != nil {
			return req.missing(err, number)
		}
		if err := req.precondition(d.Rev); err != nil {
			return err
		}
		doc, err := parseObject(d.Body)
		if err != nil {
			return err
		}
		switch stringAt(doc, "state") {
		case state:
			return nil
		case stateInService:
			return &fault{status: http.StatusBadRequest, message: "invalid_state_transition", data: map[string]any{"cause": number,
				"code": 400, "error": "invalid_state_transition", "message": "a number in service cannot be reserved; release it with DELETE"}}
		}
		doc["state"], doc["updated"] = state, gregorian(req.api.opts.Now())
		d.Body = appendTree(nil, doc)
		return tx.Put(&d, d.Rev)
	})
	if err != nil {
		return nil, err
	}
	return req.documentOrNotModified(res, &d)
}

// identifyNumber tells whose a number is, to those who may reach that account.
func (req *request) identifyNumber(number string) (*reply, error) {
	d, err := req.api.opts.Store.GetByKey(req.ctx, store.Key{Space: KeyPhoneNumber, Value: number})
	if err != nil {
		return nil, req.missing(err, number)
	}
	holder, err := req.api.account(req.ctx, d.AccountID)
	if err != nil {
		return nil, err
	}
	who := req.identity.account
	if !who.master && who.id != holder.id && !slices.Contains(holder.tree, who.id) {
		return nil, badIdentifier(number)
	}
	return &reply{status: http.StatusOK, data: appendTree(nil, map[string]any{"account_id": holder.id, "number": number})}, nil
}

const maxNumbersAtOnce = 1000

// eachNumber does to many numbers what act does to one. One that fails does not keep the others from it.
func (req *request) eachNumber(status int, act func(req *request, number string) (*reply, error)) (*reply, error) {
	data, err := req.object()
	if err != nil {
		return nil, err
	}
	list, ok := data["numbers"].([]any)
	switch {
	case !ok:
		return nil, oneError("numbers", "required", "Field is required but missing: a list of numbers", nil)
	case len(list) > maxNumbersAtOnce:
		return nil, oneError("numbers", "maxItems", "The list is more than 1000 items", nil)
	}
	shared := cloneTree(data).(map[string]any)
	delete(shared, "numbers")
	success, failed := map[string]any{}, map[string]any{}
	for _, v := range list {
		text, _ := v.(string)
		one := *req
		one.data = cloneTree(shared)
		number, err := one.numberOf(text)
		if err == nil {
			one.route.args = []string{number}
			var answer *reply
			if answer, err = act(&one, number); err == nil {
				success[number], err = parseTree(answer.data)
			}
		}
		if err != nil {
			f := faultOf(err)
			if f.status >= 500 {
				return nil, err
			}
			failed[clip(text, 64)] = map[string]any{"code": f.status, "error": f.message, "message": f.data}
		}
	}
	answer := &reply{status: status, data: appendTree(nil, map[string]any{"success": success, "error": failed})}
	if len(success) == 0 && len(failed) > 0 {
		answer.status, answer.message = http.StatusBadRequest, "invalid data"
	}
	return answer, nil
}

// listNumbers answers GET with KAZOO's object instead of rows.
func (req *request) listNumbers(res *resource) (*reply, error) {
	if _, search := req.query["prefix"]; search {
		return needsCarrier(req)
	}
	answer, err := req.list(res)
	if err != nil {
		return nil, err
	}
	if req.accepts == typeCSV {
		return answer, nil
	}
	rows, err := parseUpTo(answer.data, len(answer.data))
	if err != nil {
		return nil, err
	}
	numbers := map[string]any{}
	list, _ := rows.([]any)
	for _, row := range list {
		row, _ := row.(map[string]any)
		numbers[stringAt(row, "id")] = row
		delete(row, "id")
	}
	below, err := req.numbersBelow()
	if err != nil {
		return nil, err
	}
	answer.data = appendTree(nil, map[string]any{"cascade_quantity": below, "numbers": numbers})
	return answer, nil
}

// numbersBelow counts the numbers of the accounts below.
func (req *request) numbersBelow() (int, error) {
	sum := 0
	q := store.Query{Type: TypeAccount, Index: &store.Index{Name: IndexAncestor, Value: req.account.id}, Limit: storePage}
	for {
		below, next, err := req.api.opts.Store.List(req.ctx, q)
		if err != nil {
			return 0, err
		}
		for i := range below {
			n, err := req.api.opts.Store.Count(req.ctx, store.Query{AccountID: below[i].ID, Type: TypePhoneNumber})
			if err != nil {
				return 0, err
			}
			sum += n
		}
		if q.After = next; next == nil {
			return sum, nil
		}
	}
}

// fixNumbers computes used_by of the account's numbers from its callflows.
func (req *request) fixNumbers(res *resource) (*reply, error) {
	q := store.Query{AccountID: req.account.id, Type: TypePhoneNumber, Limit: storePage}
	for {
		var next []byte
		err := req.api.opts.Store.Write(req.ctx, func(tx *store.Tx) error {
			docs, after, err := tx.List(q)
			if err != nil {
				return err
			}
			next = after
			e := &edit{req: req, tx: tx, owner: req.account}
			for i := range docs {
				if err := e.markNumber(&docs[i]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if q.After = next; next == nil {
			return req.listNumbers(res)
		}
	}
}

// markNumber writes used_by when it is not what the callflows say.
func (e *edit) markNumber(d *store.Document) error {
	used, err := e.numberUsed(d.ID)
	if err != nil {
		return err
	}
	doc, err := parseObject(d.Body)
	if err != nil || (stringAt(doc, "used_by") == usedByCallflow) == used {
		return err
	}
	delete(doc, "used_by")
	if used {
		doc["used_by"] = usedByCallflow
	}
	doc["updated"] = gregorian(e.req.api.opts.Now())
	d.Body = appendTree(nil, doc)
	return e.tx.Put(d, d.Rev)
}

// markNumbers keeps used_by of the numbers that a callflow gained or lost.
func markNumbers(e *edit) error {
	before, after := flowNumbers(e.before), flowNumbers(e.doc)
	for _, number := range append(slices.Clone(before), after...) {
		if slices.Contains(before, number) == slices.Contains(after, number) {
			continue
		}
		d, err := e.tx.GetByKey(store.Key{Space: KeyPhoneNumber, Value: number})
		if isMissing(err) || err == nil && d.AccountID != e.owner.id {
			continue
		}
		if err == nil {
			err = e.markNumber(&d)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// flowNumbers are the telephone numbers of a callflow; extensions are nobody's but the account's.
func flowNumbers(doc map[string]any) []string {
	list, _ := doc["numbers"].([]any)
	var out []string
	for _, v := range list {
		if text, _ := v.(string); strings.HasPrefix(text, "+") && len(text) <= 128 {
			out = append(out, text)
		}
	}
	return out
}

// checkNumbersFree refuses numbers that belong to another account.
func (e *edit) checkNumbersFree() error {
	had := map[string]bool{}
	for _, number := range flowNumbers(e.before) {
		had[number] = true
	}
	var others []string
	for _, number := range flowNumbers(e.doc) {
		if had[number] {
			continue
		}
		d, err := e.tx.GetByKey(store.Key{Space: KeyPhoneNumber, Value: number})
		if isMissing(err) || bugle.KindOf(err) == bugle.KindInvalid && err != nil {
			continue
		}
		if err != nil {
			return err
		}
		if d.AccountID != e.owner.id {
			others = append(others, number)
		}
	}
	if len(others) == 0 {
		return nil
	}
	return &fault{status: http.StatusForbidden, message: "forbidden", data: say("unauthorized to use " + strings.Join(others, ", "))}
}
