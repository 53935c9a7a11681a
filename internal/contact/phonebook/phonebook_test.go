package phonebook

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"bugle/internal/contact"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// documented are the elements that each vendor's manuals name, as parent/child.
var documented = map[string][]string{
	"yealink": {"/YealinkIPPhoneDirectory", "YealinkIPPhoneDirectory/Title", "YealinkIPPhoneDirectory/DirectoryEntry", "DirectoryEntry/Name",
		"DirectoryEntry/Telephone"},
	"cisco": {"/CiscoIPPhoneDirectory", "CiscoIPPhoneDirectory/Title", "CiscoIPPhoneDirectory/Prompt", "CiscoIPPhoneDirectory/DirectoryEntry",
		"DirectoryEntry/Name", "DirectoryEntry/Telephone", "CiscoIPPhoneDirectory/SoftKeyItem", "SoftKeyItem/Name", "SoftKeyItem/URL",
		"SoftKeyItem/Position", "/CiscoIPPhoneInput", "CiscoIPPhoneInput/Title", "CiscoIPPhoneInput/Prompt", "CiscoIPPhoneInput/URL",
		"CiscoIPPhoneInput/InputItem", "InputItem/DisplayName", "InputItem/QueryStringParam", "InputItem/DefaultValue", "InputItem/InputFlags"},
	"snom": {"/SnomIPPhoneDirectory", "SnomIPPhoneDirectory/Title", "SnomIPPhoneDirectory/Prompt", "SnomIPPhoneDirectory/DirectoryEntry",
		"DirectoryEntry/Name", "DirectoryEntry/Telephone", "SnomIPPhoneDirectory/SoftKeyItem", "SoftKeyItem/Name", "SoftKeyItem/URL",
		"/SnomIPPhoneInput", "SnomIPPhoneInput/Title", "SnomIPPhoneInput/Prompt", "SnomIPPhoneInput/URL", "SnomIPPhoneInput/InputItem",
		"InputItem/DisplayName", "InputItem/QueryStringParam", "InputItem/DefaultValue", "InputItem/InputFlags"},
	"polycom": {"/directory", "directory/item_list", "item_list/item", "item/ln", "item/fn", "item/ct"},
	"grandstream": {"/AddressBook", "AddressBook/version", "AddressBook/pbgroup", "pbgroup/id", "pbgroup/name", "AddressBook/Contact", "Contact/id",
		"Contact/FirstName", "Contact/LastName", "Contact/Department", "Contact/JobTitle", "Contact/Phone", "Phone/phonenumber", "Phone/accountindex",
		"Contact/Group"},
}

// elements are the elements of a document as parent/child, and the texts of its leaves.
func elements(t *testing.T, doc []byte) (names, texts []string) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(doc))
	path := []string{""}
	for {
		token, err := d.Token()
		if err == io.EOF {
			return names, texts
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, doc)
		}
		switch token := token.(type) {
		case xml.StartElement:
			names = append(names, path[len(path)-1]+"/"+token.Name.Local)
			path = append(path, token.Name.Local)
		case xml.EndElement:
			path = path[:len(path)-1]
		case xml.CharData:
			if text := strings.TrimSpace(string(token)); text != "" {
				texts = append(texts, path[len(path)-1]+"="+text)
			}
		}
	}
}

var people = []contact.Contact{
	{Type: contact.User, Name: "Ann <Lee> & \"Co\"", FirstName: "Ann <Lee>", LastName: "& \"Co\"", Extension: "1001", Department: "Sales",
		PhoneNumbers: []contact.PhoneNumber{{Number: "+14155550100", Usage: contact.DirectNumber, Type: contact.VoiceFax},
			{Number: "+14155550109", Usage: contact.DirectNumber, Type: contact.FaxOnly}, {Number: "+14155550101", Usage: contact.MobileNumber},
			{Number: "+14155550102", Usage: contact.ForwardedNumber}, {Number: "+14155550103", Usage: contact.ContactNumber}}},
	{Type: contact.User, Name: "Nobody Knows", FirstName: "Nobody", LastName: "Knows"}, // at no number
	{Type: contact.User, Name: "Gone Away", LastName: "Away", Extension: "1002", Status: contact.Disabled},
	{Type: contact.IvrMenu, Name: "Éclair\x01" + strings.Repeat("ü", 60), Extension: "0", JobTitle: "x"},
}

func TestBooks(t *testing.T) {
	t.Parallel()
	long := "Éclair\uFFFD"
	want := map[string][]string{
		"yealink": {"Title=A & B", `Name=Ann <Lee> & "Co"`, "Telephone=1001", "Telephone=+14155550100", "Telephone=+14155550101", "Telephone=+14155550103",
			"Name=" + long + strings.Repeat("ü", 45), "Telephone=0"},
		"cisco": {"Title=A & B", "Prompt=Page 2 of 3", `Name=Ann <Lee> & "Co"`, "Telephone=1001", `Name=Ann <Lee> & "Co" (cell)`, "Telephone=+14155550101",
			"Name=" + long + strings.Repeat("ü", 45), "Telephone=0", "Name=Dial", "URL=SoftKey:Dial", "Position=1", "Name=EditDial", "URL=SoftKey:EditDial",
			"Position=2", "Name=Exit", "URL=SoftKey:Exit", "Position=3", "Name=Next", "URL=http://h/?page=3&a=b", "Position=4", "Name=Search",
			"URL=http://h/?form", "Position=5"},
		"snom": {"Title=A & B", "Prompt=Page 2 of 3", `Name=Ann <Lee> & "Co"`, "Telephone=1001", `Name=Ann <Lee> & "Co" (cell)`, "Telephone=+14155550101",
			"Name=" + long + strings.Repeat("ü", 45), "Telephone=0", "Name=#", "URL=http://h/?page=3&a=b", "Name=*", "URL=http://h/?form"},
		"polycom": {`ln=& "Co"`, "fn=Ann <Lee>", "ct=1001", `ln=& "Co"`, "fn=Ann <Lee> (work)", "ct=+14155550100", `ln=& "Co"`, "fn=Ann <Lee> (cell)",
			"ct=+14155550101", `ln=& "Co"`, "fn=Ann <Lee> (home)", "ct=+14155550103", "ln=" + long + strings.Repeat("ü", 16), "ct=0"},
		"grandstream": {"version=1", "id=1", "name=A & B", "id=1", "FirstName=Ann <Lee>", `LastName=& "Co"`, "Department=Sales", "phonenumber=1001",
			"accountindex=1", "phonenumber=+14155550100", "accountindex=1", "phonenumber=+14155550101", "accountindex=1", "phonenumber=+14155550103",
			"accountindex=1", "Group=1", "id=2", "LastName=" + long + strings.Repeat("ü", 60), "JobTitle=x", "phonenumber=0", "accountindex=1", "Group=1"},
	}
	for _, v := range Vendors {
		doc, err := v.Write(Book{Title: "A & B", Page: 2, Pages: 3, Contacts: people, Next: "http://h/?page=3&a=b", Search: "http://h/?form"})
		if err != nil {
			t.Fatal(v.Name, err)
		}
		names, texts := elements(t, doc)
		for _, name := range names {
			if !slices.Contains(documented[v.Name], name) {
				t.Errorf("%s: %s is no element of its manual", v.Name, name)
			}
		}
		if diff := cmp.Diff(want[v.Name], texts); diff != "" {
			t.Errorf("%s (-want +got):\n%s\n%s", v.Name, diff, doc)
		}
		form, err := v.Form("A", "http://h/x?y=1&z")
		if (err == nil) != v.Forms {
			t.Errorf("%s: a form: %v", v.Name, err)
		}
		if !v.Forms {
			continue
		}
		names, texts = elements(t, form)
		for _, name := range names {
			if !slices.Contains(documented[v.Name], name) {
				t.Errorf("%s: %s is no element of its manual", v.Name, name)
			}
		}
		if !slices.Contains(texts, "URL=http://h/x?y=1&z") || !slices.Contains(texts, "QueryStringParam=search") {
			t.Errorf("%s: %q", v.Name, texts)
		}
	}
	if _, ok := Of("fanvil"); ok {
		t.Error("an unknown vendor has a form")
	}
}

// TestPagesFitThePhones: a page of contacts with many numbers has no more entries than the phone takes.
func TestPagesFitThePhones(t *testing.T) {
	t.Parallel()
	for name, most := range map[string]int{"cisco": 32, "snom": 100} {
		v, _ := Of(name)
		b := Book{Page: 1, Pages: 1}
		for i := range v.MaxPage {
			c := people[0]
			c.Name = fmt.Sprint(i)
			b.Contacts = append(b.Contacts, c)
		}
		doc, err := v.Write(b)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(doc, []byte("<DirectoryEntry>")); n > most || n != 2*v.MaxPage {
			t.Errorf("%s: %d entries, at most %d", name, n, most)
		}
	}
	v, _ := Of("cisco")
	if doc, err := v.Write(Book{}); err != nil || !strings.Contains(string(doc), "Nobody was found") {
		t.Errorf("%s %v", doc, err)
	}
}
