package main

import (
	"context"
	"fmt"

	"bugle/internal/bugletest"
)

// person is somebody of the demonstration's company.
type person struct {
	extension   string
	first, last string
	phonetic    string
	password    string // of the phone
}

func (p person) name() string {
	switch {
	case p.last == "":
		return p.first
	case p.first == "":
		return p.last
	}
	return p.first + " " + p.last
}

// people have names that other systems lose: apostrophes, accents, other scripts, one name only, the same name twice.
func people() []person {
	return []person{
		{extension: "1001", first: "Ann", last: "Lee"},
		{extension: "1002", first: "Conor", last: "O'Brien"},
		{extension: "1003", first: "Łukasz", last: "Nowak"},
		{extension: "1004", first: "Ángel", last: "García"},
		{extension: "1005", first: "太郎", last: "山田", phonetic: "Yamada Taro"},
		{extension: "1006", first: "Cher"},
		{extension: "1007", first: "John", last: "Smith"},
		{extension: "1008", first: "John", last: "Smith"},
		{extension: "1009", first: "Sigríður", last: "Jónsdóttir"},
		{extension: "1010", first: "Mary Ann", last: "van der Berg"},
		{extension: "1011", first: "Zoë", last: "Müller"},
		{extension: "1012", first: "Anna", last: "Leeson"},
	}
}

// trouble is an extension whose phone misbehaves on purpose.
type trouble struct {
	extension string
	says      string
	behaviour bugletest.Behaviour
}

func troubles() []trouble {
	return []trouble{
		{"1091", "is always busy (486)", bugletest.Busy()},
		{"1092", "rings and never answers", bugletest.NeverAnswering()},
		{"1093", "rejects every call (603)", bugletest.Rejecting()},
		{"1094", "is overloaded (503)", bugletest.Unavailable()},
	}
}

// company is the demonstration's account as it was created over the API.
type company struct {
	accountID, directoryID string
	buttonID               string // of the click-to-call
	realm                  string
	people                 []person
	password               string // of the phones that misbehave
}

type object = map[string]any

// found creates the company over the HTTP API, as any client would.
func found(ctx context.Context, api *bugletest.API, realm string, password func() string) (*company, error) {
	c := &company{realm: realm, people: people(), password: password()}
	var err error
	c.accountID, err = api.Create(ctx, "/accounts/"+api.AccountID, object{"name": "Demo", "realm": realm, "language": "en-us"})
	if err != nil {
		return nil, err
	}
	create := func(kind string, document object) (string, error) {
		return api.Create(ctx, "/accounts/"+c.accountID+"/"+kind, document)
	}
	c.directoryID, err = create("directories", object{"name": "Everybody", "min_dtmf": 3, "confirm_match": true,
		"search_fields": "both", "sort_by": "last_name", "speak_extension": true})
	if err != nil {
		return nil, err
	}
	for i := range c.people {
		c.people[i].password = password()
		if err := c.employ(ctx, create, api, c.people[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", c.people[i].name(), err)
		}
	}
	for _, t := range troubles() {
		device, err := create("devices", object{"name": t.extension + " " + t.says,
			"sip": object{"username": t.extension, "password": c.password}})
		if err != nil {
			return nil, err
		}
		if _, err := create("callflows", object{"name": t.says, "numbers": []string{t.extension},
			"flow": node("device", object{"id": device, "timeout": 15}, nil)}); err != nil {
			return nil, err
		}
	}
	c.buttonID, err = create("clicktocall", object{"name": "Talk to Conor", "extension": c.people[1].extension, "auth_required": false})
	if err != nil {
		return nil, err
	}
	return c, c.attend(ctx, create)
}

// employ creates a person, the phone, the callflow that reaches them, and makes them a member of the directory.
func (c *company) employ(ctx context.Context, create func(string, object) (string, error), api *bugletest.API, p person) error {
	user := object{"presence_id": p.extension, "caller_id": object{"internal": object{"name": p.name(), "number": p.extension}}}
	for key, value := range map[string]string{"first_name": p.first, "last_name": p.last, "phonetic": p.phonetic} {
		if value != "" {
			user[key] = value
		}
	}
	userID, err := create("users", user)
	if err != nil {
		return err
	}
	if _, err := create("devices", object{"name": p.name() + "'s phone", "owner_id": userID,
		"sip": object{"username": p.extension, "password": p.password}}); err != nil {
		return err
	}
	flowID, err := create("callflows", object{"name": p.name(), "numbers": []string{p.extension}, "owner_id": userID,
		"flow": node("user", object{"id": userID, "timeout": 20}, nil)})
	if err != nil {
		return err
	}
	return api.Do(ctx, "PATCH", "/accounts/"+c.accountID+"/users/"+userID,
		object{"directories": object{c.directoryID: flowID}}, nil)
}

// attend creates the directory's numbers and the main menu.
func (c *company) attend(ctx context.Context, create func(string, object) (string, error)) error {
	directory := node("directory", object{"id": c.directoryID}, nil)
	if _, err := create("callflows", object{"name": "Directory", "numbers": []string{"411", "*411"}, "flow": directory}); err != nil {
		return err
	}
	menu, err := create("menus", object{"name": "Main menu", "media": object{"greeting": "prompt://system_media/ivr.default"},
		"max_extension_length": 4, "retries": 3})
	if err != nil {
		return err
	}
	operator, err := create("callflows", object{"name": "Operator", "numbers": []string{"0"},
		"flow": node("play", object{"id": "prompt://system_media/ivr.operator"}, nil)})
	if err != nil {
		return err
	}
	_, err = create("callflows", object{"name": "Main menu", "numbers": []string{"100"},
		"flow": node("menu", object{"id": menu}, object{
			"9": directory,
			"0": node("callflow", object{"id": operator}, nil),
		})})
	return err
}

func node(module string, data, children object) object {
	if children == nil {
		children = object{}
	}
	return object{"module": module, "data": data, "children": children}
}
