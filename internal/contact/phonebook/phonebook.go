// Package phonebook writes contacts as the phone books that desk phones load: one XML form for each vendor, as its manuals
// name the elements. It knows no HTTP.
package phonebook

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
	"unicode/utf8"

	"bugle/internal/contact"
)

// Book is one page of a company's directory.
type Book struct {
	Title       string // the company
	Page, Pages int    // from 1; of none there is one
	Contacts    []contact.Contact
	// URLs of other pages and of the form that asks what to search for, "" for none. Phones of Cisco and Snom offer them by keys.
	Next, Previous, Search string
}

// Vendor is a form of phone book.
type Vendor struct {
	Name     string
	PageSize int // contacts of a page unless asked otherwise
	MaxPage  int // the most that the phones take
	// Forms: the phone shows a form and loads what its answer leads to. The others put what was typed into the URL by
	// themselves, or search what they have loaded.
	Forms bool
	write func(b *Book) any
	form  func(title, url string) any
}

// Vendors are all forms. Cisco's phones take 32 entries at once, and Snom's number 100 lines: an entry has one number there, and a
// contact up to two entries.
var Vendors = []Vendor{
	{Name: "yealink", PageSize: contact.MaxPage, MaxPage: contact.MaxPage, write: yealink},
	{Name: "cisco", PageSize: 16, MaxPage: 16, Forms: true, write: cisco, form: ciscoForm},
	{Name: "snom", PageSize: 40, MaxPage: 50, Forms: true, write: snom, form: snomForm},
	{Name: "polycom", PageSize: contact.MaxPage, MaxPage: contact.MaxPage, write: polycom},
	{Name: "grandstream", PageSize: contact.MaxPage, MaxPage: contact.MaxPage, write: grandstream},
}

// Of returns the form of a name, false when there is none.
func Of(name string) (Vendor, bool) {
	for _, v := range Vendors {
		if v.Name == name {
			return v, true
		}
	}
	return Vendor{}, false
}

// ContentType is the media type of what Write and Form make.
const ContentType = "text/xml; charset=utf-8"

// Write returns a page of the book.
func (v Vendor) Write(b Book) ([]byte, error) { return marshal(v.write(&b)) }

// SearchParameter is the name under which a form's answer is appended to its URL.
const SearchParameter = "search"

// Form returns the form that asks for a text and loads url with it as SearchParameter. Only vendors with Forms have one.
func (v Vendor) Form(title, url string) ([]byte, error) {
	if v.form == nil {
		return nil, fmt.Errorf("phones of %s have no form for searches", v.Name)
	}
	return marshal(v.form(title, url))
}

func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(xml.Header)
	e := xml.NewEncoder(&b)
	e.Indent("", " ")
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// number is a number of a contact as phones show it.
type number struct{ label, number string }

// numbers are what is dialled to reach a contact, the best first: the extension, direct numbers, mobile and other ones. Fax
// numbers are left out, and so is who is disabled: calls do not reach them.
func numbers(c *contact.Contact) []number {
	var out []number
	if c.Status == contact.Disabled {
		return nil
	}
	if c.Extension != "" {
		out = append(out, number{"Work", c.Extension})
	}
	for _, usage := range [...]struct{ usage, label string }{{contact.DirectNumber, "Work"}, {contact.MobileNumber, "Cell"},
		{contact.ContactNumber, "Home"}} {
		for _, n := range c.PhoneNumbers {
			if n.Usage == usage.usage && n.Type != contact.FaxOnly {
				out = append(out, number{usage.label, n.Number})
			}
		}
	}
	return out
}

// atMost cuts text to so many bytes, never within a character.
func atMost(text string, bytes int) string {
	if len(text) <= bytes {
		return text
	}
	for bytes > 0 && !utf8.RuneStart(text[bytes]) {
		bytes--
	}
	return text[:bytes]
}

func (b *Book) prompt() string {
	switch {
	case len(b.Contacts) == 0:
		return "Nobody was found"
	case b.Pages > 1:
		return fmt.Sprintf("Page %d of %d", b.Page, b.Pages)
	}
	return "Select an entry"
}

// directoryEntry is an entry of Yealink's, Cisco's and Snom's books.
type directoryEntry struct {
	Name      string
	Telephone []string
}

// yealink is a remote phone book: <YealinkIPPhoneDirectory>, <DirectoryEntry> with a <Name> and some <Telephone>.
func yealink(b *Book) any {
	out := struct {
		XMLName xml.Name `xml:"YealinkIPPhoneDirectory"`
		Title   string
		Entries []directoryEntry `xml:"DirectoryEntry"`
	}{Title: b.Title}
	for i := range b.Contacts {
		e := directoryEntry{Name: atMost(b.Contacts[i].Name, 99)}
		for _, n := range numbers(&b.Contacts[i]) {
			e.Telephone = append(e.Telephone, n.number)
		}
		if len(e.Telephone) > 0 {
			out.Entries = append(out.Entries, e)
		}
	}
	return out
}

// single are entries of one number each: the first of a contact's, and the first that is of another kind.
func single(b *Book) []directoryEntry {
	var out []directoryEntry
	for i := range b.Contacts {
		c := &b.Contacts[i]
		first := ""
		for _, n := range numbers(c) {
			switch {
			case first == "":
				first = n.label
				out = append(out, directoryEntry{atMost(c.Name, 99), []string{n.number}})
				continue
			case n.label == first:
				continue
			}
			out = append(out, directoryEntry{atMost(c.Name, 80) + " (" + strings.ToLower(n.label) + ")", []string{n.number}})
			break
		}
	}
	return out
}

type softKey struct {
	Name     string
	URL      string
	Position int `xml:",omitempty"`
}

func cisco(b *Book) any {
	out := struct {
		XMLName  xml.Name `xml:"CiscoIPPhoneDirectory"`
		Title    string
		Prompt   string
		Entries  []directoryEntry `xml:"DirectoryEntry"`
		SoftKeys []softKey        `xml:"SoftKeyItem"`
	}{Title: atMost(b.Title, 32), Prompt: b.prompt(), Entries: single(b)}
	keys := []softKey{{Name: "Dial", URL: "SoftKey:Dial"}, {Name: "EditDial", URL: "SoftKey:EditDial"}, {Name: "Exit", URL: "SoftKey:Exit"}}
	for _, k := range []softKey{{Name: "Next", URL: b.Next}, {Name: "Back", URL: b.Previous}, {Name: "Search", URL: b.Search}} {
		if k.URL != "" {
			keys = append(keys, k)
		}
	}
	for i := range keys {
		keys[i].Position = i + 1
	}
	out.SoftKeys = keys
	return out
}

func snom(b *Book) any {
	out := struct {
		XMLName  xml.Name `xml:"SnomIPPhoneDirectory"`
		Title    string
		Prompt   string
		Entries  []directoryEntry `xml:"DirectoryEntry"`
		SoftKeys []softKey        `xml:"SoftKeyItem"`
	}{Title: b.Title, Prompt: b.prompt(), Entries: single(b)}
	for _, k := range []softKey{{Name: "#", URL: b.Next}, {Name: "*", URL: b.Search}, {Name: "LEFT", URL: b.Previous}} {
		if k.URL != "" {
			out.SoftKeys = append(out.SoftKeys, k)
		}
	}
	return out
}

type inputItem struct {
	DisplayName      string
	QueryStringParam string
	DefaultValue     string
	InputFlags       string
}

func ciscoForm(title, url string) any {
	return struct {
		XMLName xml.Name `xml:"CiscoIPPhoneInput"`
		Title   string
		Prompt  string
		URL     string
		Item    inputItem `xml:"InputItem"`
	}{Title: atMost(title, 32), Prompt: "Name or number", URL: url, Item: inputItem{"Search", SearchParameter, "", "A"}}
}

func snomForm(title, url string) any {
	return struct {
		XMLName xml.Name `xml:"SnomIPPhoneInput"`
		Title   string
		Prompt  string
		URL     string
		Item    inputItem `xml:"InputItem"`
	}{Title: title, Prompt: "Name or number", URL: url, Item: inputItem{"Search", SearchParameter, "", "a"}}
}

// polycom is a contact directory: items of <ln>, <fn> and <ct>, names of at most 40 bytes.
func polycom(b *Book) any {
	type item struct {
		Last    string `xml:"ln"`
		First   string `xml:"fn"`
		Contact string `xml:"ct"`
	}
	type list struct {
		Items []item `xml:"item"`
	}
	out := struct {
		XMLName xml.Name `xml:"directory"`
		List    list     `xml:"item_list"`
	}{}
	for i := range b.Contacts {
		c := &b.Contacts[i]
		last := c.LastName
		if c.FirstName+last == "" {
			last = c.Name
		}
		for k, n := range numbers(c) {
			first := c.FirstName
			if k > 0 { // an item has one number, and names must differ
				first = strings.TrimSpace(atMost(first, 30) + " (" + strings.ToLower(n.label) + ")")
			}
			out.List.Items = append(out.List.Items, item{atMost(last, 40), atMost(first, 40), atMost(n.number, 128)})
		}
	}
	return out
}

// grandstream is an <AddressBook>; its phones dial by their first account.
func grandstream(b *Book) any {
	type phone struct {
		Type    string `xml:"type,attr"`
		Number  string `xml:"phonenumber"`
		Account int    `xml:"accountindex"`
	}
	type person struct {
		ID         int      `xml:"id"`
		First      string   `xml:"FirstName"`
		Last       string   `xml:"LastName"`
		Department string   `xml:"Department,omitempty"`
		JobTitle   string   `xml:"JobTitle,omitempty"`
		Phones     []phone  `xml:"Phone"`
		Group      int      `xml:"Group"`
		XMLName    xml.Name `xml:"Contact"`
	}
	type group struct {
		ID   int    `xml:"id"`
		Name string `xml:"name"`
	}
	out := struct {
		XMLName xml.Name `xml:"AddressBook"`
		Version int      `xml:"version"`
		Group   group    `xml:"pbgroup"`
		People  []person
	}{Version: 1, Group: group{1, b.Title}}
	for i := range b.Contacts {
		c := &b.Contacts[i]
		p := person{ID: len(out.People) + 1, First: c.FirstName, Last: c.LastName, Department: c.Department, JobTitle: c.JobTitle, Group: 1}
		if p.First+p.Last == "" {
			p.Last = c.Name
		}
		for _, n := range numbers(c) {
			p.Phones = append(p.Phones, phone{n.label, n.number, 1})
		}
		if len(p.Phones) > 0 {
			out.People = append(out.People, p)
		}
	}
	return out
}
