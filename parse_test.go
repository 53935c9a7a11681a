package bugle_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"bugle"
)

// parsed checks one document of each line: what it is parsed into.
func parsed[T any](t *testing.T, parse func(id string, doc []byte) (T, error), tests map[string]T) {
	t.Helper()
	for doc, want := range tests {
		if got, err := parse("id", []byte(doc)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s\nis   %+v, %v\nwant %+v", doc, got, err, want)
		}
	}
	for _, doc := range []string{``, `null`, `[]`, `"x"`, `{`} {
		var none T
		got, err := parse("the-id", []byte(doc))
		if bugle.KindOf(err) != bugle.KindInvalid || err == nil || !reflect.DeepEqual(got, none) {
			t.Errorf("%s is %+v, error %v", doc, got, err)
		}
		if err != nil && !strings.Contains(err.Error(), "the-id") {
			t.Errorf("the error %q does not say which document it is about", err)
		}
	}
}

func TestParseAccount(t *testing.T) {
	t.Parallel()
	parsed(t, bugle.ParseAccount, map[string]bugle.Account{
		`{}`: {ID: "id", Enabled: true, DialPlan: map[string]bugle.DialRule{}},
		`{"id":"another","name":"House","realm":"house.example","language":"de-de","timezone":"Europe/Berlin","enabled":false,
			"preflow":{"always":"pre"},"sip":{"digest":"both"},
			"caller_id":{"internal":{"name":"in","number":"1"},"external":{"name":"out","number":"+1"},"emergency":{"name":"no"}},
			"dial_plan":{"system":["us"],"^9(\\d+)$":{"prefix":"+1","suffix":"#","description":"outside"},"^8":{}},
			"call_restriction":{"international":{"action":"deny"},"did_us":{"action":"inherit"}}}`: {
			ID: "id", Name: "House", Realm: "house.example", Language: "de-de", Timezone: "Europe/Berlin", Preflow: "pre",
			SIPDigest: "both",
			CallerID:  bugle.CallerID{InternalName: "in", InternalNumber: "1", ExternalName: "out", ExternalNumber: "+1"},
			DialPlan:  map[string]bugle.DialRule{`^9(\d+)$`: {Prefix: "+1", Suffix: "#"}, "^8": {}},

			CallRestriction: map[string]string{"international": "deny", "did_us": "inherit"},
		},
		`{"Name":"x","NAME":"x","enabled":"false","realm":["x"],"preflow":"x","caller_id":{"internal":"x"},"dial_plan":[]}`: {
			ID: "id", Enabled: true, DialPlan: map[string]bugle.DialRule{}},
	})
}

func TestParseUser(t *testing.T) {
	t.Parallel()
	parsed(t, bugle.ParseUser, map[string]bugle.User{
		`{}`: {ID: "id", Enabled: true, Directories: map[string]string{}},
		`{"first_name":"Ann","last_name":"Lee","phonetic":"an li","nickname":"Annie","username":"ann","priv_level":"admin",
			"enabled":false,"language":"en-gb","timezone":"UTC","presence_id":"1002","caller_id":{"internal":{"number":"1002"}},
			"directories":{"d1":"c1","d2":"","d3":1},"media":{"name":"m1"},"pronounced_name":{"media_id":"m2"},
			"do_not_disturb":{"enabled":true},"contact_list":{"exclude":true},
			"call_restriction":{"unknown":{"action":"deny"}}}`: {
			ID: "id", FirstName: "Ann", LastName: "Lee", Phonetic: "an li", Nickname: "Annie", Username: "ann",
			Privilege: "admin", Language: "en-gb", Timezone: "UTC", PresenceID: "1002",
			CallerID: bugle.CallerID{InternalNumber: "1002"}, Directories: map[string]string{"d1": "c1"}, NameMedia: "m1",
			Pronounced: "m2", DoNotDisturb: true, Hidden: true, CallRestriction: map[string]string{"unknown": "deny"},
		},
		`{"First_Name":"x","do_not_disturb":true,"contact_list":{"exclude":"yes"},"media":"x","directories":["d"]}`: {
			ID: "id", Enabled: true, Directories: map[string]string{}},
	})
	for _, test := range []struct{ first, last, want string }{
		{"Ann", "Lee", "Ann Lee"}, {"Ann", "", "Ann"}, {"", "Lee", "Lee"}, {"", "", ""},
	} {
		if got := (bugle.User{FirstName: test.first, LastName: test.last}).DisplayName(); got != test.want {
			t.Errorf("%q %q is shown as %q", test.first, test.last, got)
		}
	}
}

func TestParseDevice(t *testing.T) {
	t.Parallel()
	none := map[string]string{}
	parsed(t, bugle.ParseDevice, map[string]bugle.Device{
		`{}`: {ID: "id", Enabled: true, Directories: none,
			SIP: bugle.DeviceSIP{Method: "password", Expires: 300, Headers: none}},
		`{"name":"Desk","owner_id":"u","enabled":false,"media":{"audio":{"codecs":["PCMA",1,"PCMU"]}},"language":"fr-fr",
			"caller_id":{"external":{"number":"+1"}},"directories":{"d":"c"},"presence_id":"7","do_not_disturb":{"enabled":true},
			"call_restriction":{"toll_us":{"action":"deny"}},
			"sip":{"method":"ip","username":"desk","password":"sealed","realm":"other","ip":"192.0.2.1","invite_format":"route",
				"route":"sip:x","digest":"sha-256","expire_seconds":60,"custom_sip_headers":{"out":{"X-A":"1"},"in":{"X-B":"2"}}}}`: {
			ID: "id", Name: "Desk", OwnerID: "u", Codecs: []string{"PCMA", "PCMU"}, Language: "fr-fr",
			CallerID: bugle.CallerID{ExternalNumber: "+1"}, Directories: map[string]string{"d": "c"}, PresenceID: "7",
			DoNotDisturb: true, CallRestriction: map[string]string{"toll_us": "deny"},
			SIP: bugle.DeviceSIP{Method: "ip", Username: "desk", Password: "sealed", Realm: "other", IP: "192.0.2.1",
				InviteFormat: "route", Route: "sip:x", Digest: "sha-256", Expires: 60, Headers: map[string]string{"X-A": "1"}},
		},
		`{"sip":{"custom_sip_headers":{"X-Flat":"1"},"expire_seconds":"60","Username":"x"},"owner_id":{}}`: {
			ID: "id", Enabled: true, Directories: none,
			SIP: bugle.DeviceSIP{Method: "password", Expires: 300, Headers: map[string]string{"X-Flat": "1"}}},
		`{"sip":"x","media":{"audio":[]},"enabled":0}`: {ID: "id", Enabled: true, Directories: none,
			SIP: bugle.DeviceSIP{Method: "password", Expires: 300, Headers: none}},
	})
}

func TestParseClickToCall(t *testing.T) {
	none := map[string]string{}
	parsed(t, bugle.ParseClickToCall, map[string]bugle.ClickToCall{
		`{"name":"N","extension":"1001","x":1}`: {ID: "id", Name: "N", Extension: "1001", AuthRequired: true, IgnoreEarlyMedia: true,
			Headers: none, Variables: none},
		`{"name":"N","extension":"1001","auth_required":false,"allow_get":true,"origins":["https://a.example"],"dial_first":"contact",
		  "whitelist":["1.*"],"throttle":3,"timeout":20,"quiet_hours":{"from":"22:00","to":"07:00","timezone":"Europe/Berlin"},
		  "caller_id_number":"1","outbound_callee_id_name":"2","outbound_callee_id_number":"3","media":{"ignore_early_media":false},
		  "ringback":"r","music_on_hold":{"media_id":"m"},"presence_id":"p","custom_sip_headers":{"out":{"X-A":"b"},"X-C":"d"},
		  "bypass_media":"auto","custom_application_vars":{"e":"f"}}`: {ID: "id", Name: "N", BypassMedia: "auto", Extension: "1001", AllowGet: true, Origins: []string{"https://a.example"},
			ContactFirst: true, Whitelist: []string{"1.*"}, Throttle: 3, Timeout: 20,
			QuietHours: &bugle.QuietHours{From: "22:00", To: "07:00", Timezone: "Europe/Berlin"}, CallerIDNumber: "1", CalleeIDName: "2",
			CalleeIDNumber: "3", Ringback: "r", MusicOnHold: "m", PresenceID: "p", Headers: map[string]string{"X-A": "b"},
			Variables: map[string]string{"e": "f"}},
		`{"auth_required":0,"origins":"*","whitelist":{},"timeout":"x","quiet_hours":[],"custom_sip_headers":{"X-C":"d"}}`: {ID: "id",
			AuthRequired: true, IgnoreEarlyMedia: true, Headers: map[string]string{"X-C": "d"}, Variables: none},
		`{"bypass_media":true}`:    {ID: "id", AuthRequired: true, IgnoreEarlyMedia: true, BypassMedia: "true", Headers: none, Variables: none},
		`{"bypass_media":"true"}`:  {ID: "id", AuthRequired: true, IgnoreEarlyMedia: true, BypassMedia: "true", Headers: none, Variables: none},
		`{"bypass_media":"false"}`: {ID: "id", AuthRequired: true, IgnoreEarlyMedia: true, Headers: none, Variables: none},
		`{"bypass_media":1}`:       {ID: "id", AuthRequired: true, IgnoreEarlyMedia: true, Headers: none, Variables: none},
	})
}

// TestParseCallRestriction is the one form that accounts, users and devices share.
func TestParseCallRestriction(t *testing.T) {
	t.Parallel()
	for doc, want := range map[string]map[string]string{
		`{}`: nil,
		`{"international":{"action":"deny"},"closed_groups":{"action":"inherit"}}`: {"international": "deny", "closed_groups": "inherit"},
		`{"international":"deny"}`:                              nil,
		`{"international":{"action":true}}`:                     nil,
		`{"international":{"Action":"deny"}}`:                   nil,
		`{"international":{"action":""},"a":{"action":"DENY"}}`: {"a": "DENY"},
		`{"international":{"action":"deny","note":"x"},"x":[]}`: {"international": "deny"},
		`[]`:     nil,
		`"deny"`: nil,
		`null`:   nil,
	} {
		whole := []byte(`{"call_restriction":` + doc + `}`)
		account, err1 := bugle.ParseAccount("id", whole)
		user, err2 := bugle.ParseUser("id", whole)
		device, err3 := bugle.ParseDevice("id", whole)
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Errorf("%s: %v", doc, err)
		}
		for _, got := range []map[string]string{account.CallRestriction, user.CallRestriction, device.CallRestriction} {
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s is %v, want %v", doc, got, want)
			}
		}
	}
}

func TestParseMenu(t *testing.T) {
	t.Parallel()
	parsed(t, bugle.ParseMenu, map[string]bugle.Menu{
		`{}`: {ID: "id", Retries: 3, Timeout: 10 * time.Second, Interdigit: 2 * time.Second, MaxExtension: 4, Hunt: true},
		`{"name":"Main","retries":1,"timeout":500,"interdigit_timeout":1500,"max_extension_length":6,"hunt":false,
			"hunt_allow":"^1","hunt_deny":"^19","suppress_media":true,
			"media":{"greeting":"g","exit_media":false,"invalid_media":true,"transfer_media":"t"}}`: {
			ID: "id", Name: "Main", Retries: 1, Timeout: 500 * time.Millisecond, Interdigit: 1500 * time.Millisecond,
			MaxExtension: 6, HuntAllow: "^1", HuntDeny: "^19", Greeting: "g", Silent: true, Exit: bugle.MenuMedia{Silent: true},
			Transfer: bugle.MenuMedia{Reference: "t"}},
		`{"retries":"1","Timeout":1,"hunt":"false","media":[]}`: {ID: "id", Retries: 3, Timeout: 10 * time.Second,
			Interdigit: 2 * time.Second, MaxExtension: 4, Hunt: true},
	})
}

func TestParseGroup(t *testing.T) {
	t.Parallel()
	parsed(t, bugle.ParseGroup, map[string]bugle.Group{
		`{}`: {ID: "id"},
		`{"name":"Sales","endpoints":{"b":{"type":"user","weight":1},"a":{"type":"group"}}}`: {ID: "id", Name: "Sales",
			Members: []bugle.GroupMember{{ID: "a", Type: "group"}, {ID: "b", Type: "user"}}},
		`{"name":1,"endpoints":[]}`:           {ID: "id"},
		`{"endpoints":{"a":"user","b":null}}`: {ID: "id", Members: []bugle.GroupMember{{ID: "a"}, {ID: "b"}}},
	})
}

func TestParseDirectory(t *testing.T) {
	t.Parallel()
	parsed(t, bugle.ParseDirectory, map[string]bugle.Directory{
		`{}`: {ID: "id", SearchFields: "both", SortBy: "last_name", MinDTMF: 3, ConfirmMatch: true},
		`{"name":"All","search_fields":"first_name","sort_by":"first_name","min_dtmf":1,"max_dtmf":5,"confirm_match":false,
			"speak_extension":true}`: {ID: "id", Name: "All", SearchFields: "first_name", SortBy: "first_name", MinDTMF: 1,
			MaxDTMF: 5, SpeakExtension: true},
		`{"sort_by":1,"min_dtmf":"1","confirm_match":"false"}`: {ID: "id", SearchFields: "both", SortBy: "last_name",
			MinDTMF: 3, ConfirmMatch: true},
	})
}

func TestParseMedia(t *testing.T) {
	t.Parallel()
	parsed(t, func(id string, doc []byte) (bugle.Media, error) { return bugle.ParseMedia(id, doc, "blob") },
		map[string]bugle.Media{
			`{}`: {ID: "id", Blob: "blob"},
			`{"name":"Hello","language":"en-us","prompt_id":"menu-no_prompt","blob":"another"}`: {ID: "id", Name: "Hello",
				Language: "en-us", PromptID: "menu-no_prompt", Blob: "blob"},
			`{"media_source":"tts","tts":{"text":"Hello","voice":"male/en-US"}}`: {ID: "id", Blob: "blob", Speech: "Hello",
				Voice: "male/en-US"},
			`{"media_source":"upload","tts":{"text":"Hello"}}`: {ID: "id", Blob: "blob"},
		})
}

func TestParseCallflow(t *testing.T) {
	t.Parallel()
	parsed(t, bugle.ParseCallflow, map[string]bugle.Callflow{
		`{}`: {ID: "id"},
		`{"name":"Main","numbers":["1001","+1"],"patterns":["^\\*72"],"owner_id":"u","flow":{"module":"menu",
			"data":{"id":"m"},"children":{"1":{"module":"user","data":{"id":"u"},"children":{}},"_":{}}}}`: {
			ID: "id", Name: "Main", Numbers: []string{"1001", "+1"}, Patterns: []string{`^\*72`}, OwnerID: "u",
			Flow: bugle.Flow{Module: "menu", Data: bugle.Fields{"id": []byte(`"m"`)}, Children: map[string]bugle.Flow{
				"1": {Module: "user", Data: bugle.Fields{"id": []byte(`"u"`)}}, "_": {}}}},
		`{"numbers":"1001","flow":{"Module":"menu"}}`: {ID: "id"},
	})
	for _, doc := range []string{`{"flow":null}`, `{"flow":[]}`, `{"flow":"x"}`, `{"flow":{"module":"menu","children":{"1":5}}}`} {
		if c, err := bugle.ParseCallflow("id", []byte(doc)); err == nil {
			t.Errorf("%s is %+v", doc, c)
		}
	}
	if (bugle.Flow{Module: "x"}).IsZero() || !(bugle.Flow{Data: bugle.Fields{}}).IsZero() {
		t.Error("a flow without a module is the empty one, and no other")
	}
}
