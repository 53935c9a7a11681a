package crossbar

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"bugle"
)

const typeVCard = "text/vcard"

// memoryFile is a file's content that is in memory.
type memoryFile struct{ *bytes.Reader }

func (memoryFile) Close() error { return nil }

// vcardEndpoint is a person's card: who it is and at which numbers, as describe writes, with the photo when there is one.
// RFC 6350
func vcardEndpoint(r *resource, describe func(c *card, req *request, doc map[string]any) error) endpoint {
	return endpoint{path: "{id}/vcard", ops: map[string]operation{http.MethodGet: {produces: []string{typeVCard},
		run: func(req *request) (*reply, error) { return req.vcard(r, describe) }}}}
}

func (req *request) vcard(res *resource, describe func(c *card, req *request, doc map[string]any) error) (*reply, error) {
	d, err := req.atPath(res)
	if err != nil {
		return nil, err
	}
	doc, err := parseObject(d.Body)
	if err != nil {
		return nil, err
	}
	private, err := parseObject(orEmpty(d.Private))
	if err != nil {
		return nil, err
	}
	c := card{}
	c.line("BEGIN", "VCARD")
	c.line("VERSION", "4.0")
	if err := describe(&c, req, doc); err != nil {
		return nil, err
	}
	id := d.ID
	c.line("UID", uuidURN(id))
	c.line("REV", d.Modified.UTC().Format("20060102T150405Z"))
	if uri, err := req.photoURI(private); err != nil {
		return nil, err
	} else if uri != "" {
		c.line("PHOTO", uri)
	}
	c.line("END", "VCARD")
	return &reply{status: http.StatusOK, revision: d.Rev, file: &file{contentType: typeVCard + "; charset=utf-8", name: id + ".vcf",
		content: memoryFile{bytes.NewReader(c.Bytes())}}}, nil
}

// photoURI is a person's photo as a data: URI, "" for none.
func (req *request) photoURI(private map[string]any) (string, error) {
	sum := stringAt(private, PrivatePhoto+"."+PrivateBlob)
	if sum == "" || req.api.opts.Blobs == nil {
		return "", nil
	}
	f, err := req.api.opts.Blobs.Open(req.ctx, req.account.id, sum)
	if isMissing(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	photo, err := io.ReadAll(io.LimitReader(f, maxPhoto+1))
	return "data:" + stringAt(private, PrivatePhoto+".type") + ";base64," + base64.StdEncoding.EncodeToString(photo), err
}

// card is a vCard under construction.
type card struct{ bytes.Buffer }

// cardDate is a date that a vCard may hold as one.
var cardDate = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`)

// user is somebody who works here.
func (c *card) user(doc map[string]any, organisation string) {
	user, _ := bugle.ParseUser("", appendTree(nil, doc))
	c.name(user.DisplayName(), user.FirstName, user.LastName)
	c.profile(doc)
	c.text("EMAIL", stringAt(doc, "email"))
	seen := map[string]bool{"": true}
	for _, number := range [...]string{user.CallerID.ExternalNumber, user.CallerID.InternalNumber, user.PresenceID} {
		if !seen[number] {
			seen[number] = true
			c.text("TEL;VALUE=text;TYPE=work,voice", number)
		}
	}
	c.text("TZ", user.Timezone)
	c.text("LANG", user.Language)
	c.text("ORG", organisation)
}

// name is what every card has: RFC 6350 §6.2.1 asks for FN.
func (c *card) name(shown, first, last string) {
	c.line("FN", cmp.Or(escaped(strings.TrimSpace(shown)), "-"))
	if first != "" || last != "" {
		c.line("N", escaped(last)+";"+escaped(first)+";;;")
	}
}

func (c *card) profile(doc map[string]any) {
	profile, _ := doc["profile"].(map[string]any)
	nicknames := []string{}
	for _, v := range append([]any{doc["nickname"]}, listAt(profile, "nicknames")...) {
		if name, _ := v.(string); name != "" {
			nicknames = append(nicknames, escaped(name))
		}
	}
	c.line("NICKNAME", strings.Join(nicknames, ","))
	c.text("TITLE", stringAt(profile, "title"))
	c.text("ROLE", stringAt(profile, "role"))
	c.text("NOTE", stringAt(profile, "note"))
	if birthday := stringAt(profile, "birthday"); cardDate.MatchString(birthday) {
		if _, err := time.Parse(time.DateOnly, birthday); err == nil {
			c.line("BDAY", strings.ReplaceAll(birthday, "-", ""))
		}
	} else {
		c.text("BDAY;VALUE=text", birthday)
	}
	for _, v := range listAt(profile, "addresses") {
		if address := stringAt(v, "address"); address != "" {
			c.line("ADR", ";;"+escaped(address)+";;;;")
		}
	}
}

func listAt(v any, path string) []any {
	list, _ := treeAt(v, path).([]any)
	return list
}

// text writes a property unless its value is empty.
func (c *card) text(name, value string) { c.line(name, escaped(value)) }

// line writes a property folded to lines of 75 octets, never within a character; nothing for an empty value. RFC 6350
// §3.2
func (c *card) line(name, value string) {
	if value == "" {
		return
	}
	line := name + ":" + value
	for limit := 75; len(line) > limit; limit = 74 { // the space counts
		cut := limit
		for cut > 0 && !utf8.RuneStart(line[cut]) {
			cut--
		}
		c.WriteString(line[:cut] + "\r\n ")
		line = line[cut:]
	}
	c.WriteString(line + "\r\n")
}

// escaped is a text value as a vCard holds it. RFC 6350 §3.4
func escaped(text string) string {
	text = strings.NewReplacer("\\", "\\\\", ",", "\\,", ";", "\\;", "\r\n", "\\n", "\n", "\\n", "\r", "\\n").Replace(text)
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f {
			return -1
		}
		return r
	}, text)
}
