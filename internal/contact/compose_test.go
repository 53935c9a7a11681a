package contact

import (
	"reflect"
	"testing"
)

// TestCompose: a person with everything that a contact shows, field by field.
func TestCompose(t *testing.T) {
	t.Parallel()
	own := read(t, "user", `{"first_name":"Ann","last_name":"Lee","department":"Sales","email":"ann@example.com","profile":{"title":"Boss"},"site_id":"s",
		"mobile_number":"(415) 555-0101","call_forward":{"enabled":true,"number":"4155550102"},"contact_numbers":["+14155550103",{"number":"+14155550103"},"104"],
		"profile_image":{"etag":"e"}}`)
	a := Around{AccountID: "a", AccountNumericID: "1", NumericID: "2", Site: read(t, "site", `{"name":"North","code":"N"}`), SiteNumericID: "3",
		Reserved: map[string]bool{"+14155550190": true}, Callflows: []Facts{
			*read(t, "callflow", `{"numbers":["1001","22","31","+14155550105","+14155550190"],"flow":{"module":"user","data":{"id":"u"}}}`),
			*read(t, "callflow", `{"numbers":["+14155550105","+14155550104"],"flow":{"module":"user","data":{"id":"u"}}}`),
			*read(t, "callflow", `{"numbers":["9","+14155550100"],"flow":{"module":"receive_fax","data":{"owner_id":"u"}}}`)}}
	want := Contact{ID: "u", NumericID: "2", Type: User, Status: Enabled, FirstName: "Ann", LastName: "Lee", Name: "Ann Lee", Department: "Sales",
		Email: "ann@example.com", Extension: "22", JobTitle: "Boss", ImageETag: "e", AccountID: "a", AccountNumericID: "1",
		Site: Site{ID: "s", NumericID: "3", Name: "North", Code: "N"}, PhoneNumbers: []PhoneNumber{{"+14155550104", DirectNumber, VoiceFax},
			{"+14155550105", DirectNumber, VoiceFax}, {"+14155550100", DirectNumber, FaxOnly}, {"+14155550102", ForwardedNumber, ""},
			{"+14155550101", MobileNumber, ""}, {"+14155550103", ContactNumber, ""}, {"104", ContactNumber, ""}}}
	if got, is := Compose("u", own, a); !is || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	a.Site = nil
	if got, _ := Compose("u", own, a); got.Site != (Site{NumericID: "main-site", Name: "Main Site"}) {
		t.Error(got.Site)
	}
}

// TestWhoIsAContact: by document, status and type; "" for whom the directory does not show.
func TestWhoIsAContact(t *testing.T) {
	t.Parallel()
	reached := []Facts{{Type: "callflow", Extension: "100"}}
	for _, c := range []struct {
		typ, body string
		flows     []Facts
		want      string
	}{
		{"user", `{}`, nil, "User Enabled "}, {"user", `{"enabled":false}`, nil, "User Disabled "}, {"user", `{"enabled":false,"activation":"pending"}`, nil, "User NotActivated "},
		{"user", `{"activation":"active"}`, nil, "User Enabled "}, {"user", `{"contact_list":{"exclude":true}}`, reached, ""},
		{"user", `{"call_forward":{"enabled":false,"number":"+14155550102"}}`, nil, "User Enabled "},
		{"group", `{"name":"Sales"}`, reached, "Department Enabled Sales"}, {"group", `{"name":"Sales"}`, nil, ""},
		{"menu", `{"name":"Main"}`, reached, "IvrMenu Enabled Main"}, {"menu", `{"name":"Main"}`, []Facts{{Type: "callflow", Direct: []string{"+14155550100"}}}, ""},
		{"vmbox", `{"name":"Info"}`, reached, "Voicemail Enabled Info"}, {"vmbox", `{"name":"Info","owner_id":"u"}`, reached, ""},
		{"callflow", `{"numbers":["701"],"flow":{"module":"park","data":{"slot":"701"}}}`, nil, "ParkLocation Enabled Park 701"},
		{"callflow", `{"name":"Lot","numbers":["701"],"flow":{"module":"park","data":{"slot":"701"}}}`, nil, "ParkLocation Enabled Lot"},
		{"callflow", `{"numbers":["701"],"flow":{"module":"park","data":{}}}`, nil, ""}, {"callflow", `{"numbers":["+14155550100"],"flow":{"module":"park","data":{"slot":"1"}}}`, nil, ""},
		{"faxbox", `{"name":"Fax"}`, reached, ""}, {"site", `{"name":"North"}`, reached, ""},
	} {
		got, is := Compose("x", read(t, c.typ, c.body), Around{Callflows: c.flows})
		text := ""
		if is {
			text = string(got.Type) + " " + string(got.Status) + " " + got.Name
		}
		if text != c.want || c.typ == "user" && len(got.PhoneNumbers) > 0 {
			t.Errorf("%s %s: %q %v, want %q", c.typ, c.body, text, got.PhoneNumbers, c.want)
		}
	}
}
