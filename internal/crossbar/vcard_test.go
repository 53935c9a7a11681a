package crossbar_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"
)

func picture(t *testing.T, width, height int, kind string) string {
	t.Helper()
	var b bytes.Buffer
	img := image.NewGray(image.Rect(0, 0, width, height))
	err := png.Encode(&b, img)
	if kind == "jpeg" {
		b.Reset()
		err = jpeg.Encode(&b, img, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// headOfPNG is a PNG of some size up to where its picture would begin.
func headOfPNG(width, height uint32) string {
	head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32([]byte("IHDR"), width), height)
	head = append(head, 8, 0, 0, 0, 0)
	return "\x89PNG\r\n\x1a\n\x00\x00\x00\x0d" + string(binary.BigEndian.AppendUint32(head, crc32.ChecksumIEEE(head)))
}

func TestUserPhoto(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	path := w.own("/users/" + w.must("PUT", w.own("/users"), `{"first_name":"A"}`).str("id"))
	send := func(contentType, body string) answer {
		return w.raw("POST", path+"/photo", body, "Content-Type: "+contentType, "X-Auth-Token: "+w.token)
	}
	if a := w.call("GET", path+"/photo", ""); a.code != 404 {
		t.Errorf("%d %s", a.code, a.text)
	}
	small := picture(t, 10, 10, "png")
	for name, c := range map[string]struct {
		contentType, body string
		code              int
	}{
		"no picture":       {"image/png", "GIF89a", 415},
		"a page renamed":   {"image/png", "<!DOCTYPE html><script>alert(1)</script>", 415},
		"another type":     {"image/jpeg", small, 415},
		"JPEG as PNG":      {"image/png", picture(t, 10, 10, "jpeg"), 415},
		"too many scans":   {"image/jpeg", picture(t, 10, 10, "jpeg") + strings.Repeat("\xff\xda", 101), 415},
		"too many pixels":  {"image/png", headOfPNG(8000, 5001), 415}, // judged by its head: nothing follows it
		"wider than int":   {"image/png", headOfPNG(1<<31-1, 1<<31-1), 415},
		"cut off":          {"image/png", headOfPNG(8000, 5000), 415},
		"too many bytes":   {"image/png", small + strings.Repeat("x", 5<<20), 413},
		"nothing":          {"image/png", "", 400},
		"JSON of a client": {"application/json", `{"data":{}}`, 400},
	} {
		if a := send(c.contentType, c.body); a.code != c.code {
			t.Errorf("%s: %d, want %d: %s", name, a.code, c.code, a.text)
		}
		if pixels := name == "too many pixels"; pixels != strings.Contains(string(send(c.contentType, c.body).text), "too many pixels") {
			t.Errorf("%s is refused for another reason", name)
		}
	}
	photo := picture(t, 64, 64, "jpeg")
	if a := send("image/jpeg", photo); a.code != 200 || a.str("first_name") != "A" || strings.Contains(string(a.text), "blob") {
		t.Errorf("%d %s", a.code, a.text)
	}
	first := w.call("GET", path+"/photo", "", "Accept: image/*")
	if img, err := jpeg.Decode(bytes.NewReader(first.text)); err != nil || img.Bounds().Dx() != 64 || first.header.Get("Content-Type") != "image/jpeg" {
		t.Errorf("%d %v %v", first.code, err, first.header)
	}
	etag := w.must("GET", path, "").str("profile_image", "etag")
	if a := w.raw("PUT", path+"/photo", photo, "Content-Type: image/jpeg", "X-Auth-Token: "+w.token); etag == "" || a.str("profile_image", "etag") != etag {
		t.Errorf("the same picture again has the etag %s, not %s", a.text, etag)
	}
	if a := send("image/jpeg", picture(t, 65, 64, "jpeg")); a.str("profile_image", "etag") == etag {
		t.Error("another picture has the same etag")
	}
	if a := send("image/jpeg", picture(t, 64, 64, "jpeg")); a.str("profile_image", "etag") != etag {
		t.Error("the first picture has another etag")
	}
	if a := w.must("POST", path, `{"first_name":"A","profile_image":{"etag":"x"}}`); a.str("profile_image", "etag") != etag {
		t.Errorf("a client writes profile_image: %s", a.text)
	}
	w.must("PATCH", path, `{"last_name":"B"}`) // an edit keeps it
	if a := w.call("GET", path+"/vcard", ""); !strings.Contains(unfolded(a), "\r\nPHOTO:data:image/jpeg;base64,/9j/") {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.call("DELETE", path+"/photo", ""); a.code != 200 || a.at("profile_image") != nil {
		t.Errorf("%d %s", a.code, a.text)
	}
	for _, verb := range []string{"GET", "DELETE"} {
		if a := w.call(verb, path+"/photo", ""); a.code != 404 {
			t.Errorf("%s: %d %s", verb, a.code, a.text)
		}
	}
}

// TestEntryPhotoAndVCard: what a user has, an entry of a list has, below its own list only.
func TestEntryPhotoAndVCard(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	list := w.must("PUT", w.own("/lists"), `{"name":"Friends","org":"Analytical; Engines"}`).str("id")
	other := w.must("PUT", w.own("/lists"), `{"name":"Others"}`).str("id")
	id := w.must("PUT", w.own("/lists/"+list+"/entries"), `{"firstname":"Grace","lastname":"Hopper","number":"+14155550199",
		"profile":{"title":"Rear admiral","nicknames":["Amazing Grace"]}}`).str("id")
	path, elsewhere := w.own("/lists/"+list+"/entries/"+id), w.own("/lists/"+other+"/entries/"+id)
	photo := picture(t, 16, 16, "png")
	send := func(path string) answer {
		return w.raw("POST", path+"/photo", photo, "Content-Type: image/png", "X-Auth-Token: "+w.token)
	}
	if a := send(elsewhere); a.code != 404 {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := send(path); a.code != 200 || a.str("firstname") != "Grace" || a.str("list_id") != list {
		t.Errorf("%d %s", a.code, a.text)
	}
	a := w.call("GET", path+"/photo", "", "Accept: image/png")
	if img, err := png.Decode(bytes.NewReader(a.text)); err != nil || img.Bounds().Dx() != 16 {
		t.Errorf("%d %d bytes, %v", a.code, len(a.text), err)
	}
	a = w.call("GET", path+"/vcard", "")
	if text := unfolded(a); a.code != 200 || !strings.HasPrefix(text, "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Grace Hopper\r\nN:Hopper;Grace;;;\r\n"+
		"NICKNAME:Amazing Grace\r\nTITLE:Rear admiral\r\nTEL;VALUE=text;TYPE=voice:+14155550199\r\nORG:Analytical\\; Engines\r\nUID:urn:uuid:") ||
		!strings.Contains(text, "\r\nPHOTO:data:image/png;base64,iVBOR") {
		t.Errorf("%d %s", a.code, text)
	}
	for _, below := range []string{"/photo", "/vcard"} {
		if a := w.call("GET", elsewhere+below, ""); a.code != 404 {
			t.Errorf("%s: %d %s", below, a.code, a.text)
		}
	}
	w.must("DELETE", path+"/photo", "")
	if a := w.call("GET", path+"/photo", ""); a.code != 404 {
		t.Errorf("%d %s", a.code, a.text)
	}
	nameless := w.must("PUT", w.own("/lists/"+list+"/entries"), `{"pattern":"^1"}`).str("id")
	if a := w.call("GET", w.own("/lists/"+list+"/entries/"+nameless+"/vcard"), ""); !strings.Contains(string(a.text), "\r\nFN:-\r\n") {
		t.Errorf("%d %s", a.code, a.text)
	}
}

func unfolded(a answer) string { return strings.ReplaceAll(string(a.text), "\r\n ", "") }

func TestUserVCard(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	long := strings.Repeat("zażółć gęślą jaźń ", 20)
	id := w.must("PUT", w.own("/users"), `{"first_name":"Ada; \"A\"","last_name":"King, Lovelace","email":"ada@acme.example.com","presence_id":"1001",
		"caller_id":{"external":{"number":"+14155550100"},"internal":{"number":"1001"}},"profile":{"birthday":"1815-12-10","nicknames":["Countess"],
		"note":"one\ntwo\\ `+long+`","addresses":[{"address":"1 Main St, London"}]}}`).str("id")
	w.must("PATCH", w.own(""), `{"org":"Acme Widgets Ltd"}`)
	a := w.call("GET", w.own("/users/"+id+"/vcard"), "", "Accept: text/vcard")
	if a.code != 200 || a.header.Get("Content-Type") != "text/vcard; charset=utf-8" {
		t.Fatalf("%d %v %s", a.code, a.header, a.text)
	}
	text := unfolded(a)
	for _, want := range []string{"BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Ada\\; \"A\" King\\, Lovelace\r\nN:King\\, Lovelace;Ada\\; \"A\";;;\r\n",
		"NICKNAME:Countess\r\n", "BDAY:18151210\r\n", "EMAIL:ada@acme.example.com\r\n", "TYPE=work,voice:+14155550100\r\n",
		"TYPE=work,voice:1001\r\n", "NOTE:one\\ntwo\\\\ zażółć", "ADR:;;1 Main St\\, London;;;;\r\n", "ORG:Acme Widgets Ltd\r\n", "UID:urn:uuid:" + id[:8] + "-",
		"END:VCARD\r\n"} {
		if strings.Count(text, want) != 1 {
			t.Errorf("%q is not there once:\n%s", want, text)
		}
	}
	for _, line := range strings.Split(string(a.text), "\r\n") {
		if len(line) > 75 || strings.ContainsRune(line, '\uFFFD') || strings.ContainsAny(line, "\r\n") {
			t.Errorf("line of %d bytes: %q", len(line), line)
		}
	}
	if a := w.call("PUT", w.own("/users"), `{"first_name":"B","hotdesk":{"id":"7"}}`); a.code != 201 {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.call("PUT", w.own("/users"), `{"first_name":"C","hotdesk":{"id":"7"}}`); a.code != 400 || a.at("hotdesk.id", "unique") == nil {
		t.Errorf("%d %s", a.code, a.text)
	}
}
