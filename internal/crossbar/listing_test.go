package crossbar_test

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// printedCompany has a directory, whose id it returns, of people whom a listing shows and people whom it does not.
func printedCompany(w *world) string {
	w.must("PATCH", "/v2/accounts/"+w.account, `{"language":"en-us","timezone":"Asia/Tokyo"}`)
	directory := w.must("PUT", w.own("/directories"), `{"name":"Everybody","sort_by":"last_name"}`).str("id")
	flow := func(numbers string) string {
		return w.must("PUT", w.own("/callflows"), `{"numbers":`+numbers+`,"flow":{}}`).str("id")
	}
	member := func(more, flow string) {
		w.must("PUT", w.own("/users"), `{`+more+`,"directories":{"`+directory+`":"`+flow+`"}}`)
	}
	member(`"first_name":"Łukasz","last_name":"Żak","department":"Sales"`, flow(`["1001","+14155550123","*21"]`))
	member(`"first_name":"Ángel","last_name":"O'Brien"`, flow(`["1002"]`))
	member(`"first_name":"=SUM(A1)","last_name":"Formula"`, flow(`["1003"]`))
	member(`"first_name":"Gone","last_name":"Disabled","enabled":false`, flow(`["1004"]`))
	member(`"first_name":"Shy","last_name":"Hidden","contact_list":{"exclude":true}`, flow(`["1005"]`))
	member(`"first_name":"Lost","last_name":"Callflow"`, strings.Repeat("0", 32))
	w.must("PUT", w.own("/devices"), `{"name":"Front Door","directories":{"`+directory+`":"`+flow(`["1006"]`)+`"}}`)
	return directory
}

func TestADirectoryIsPrinted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	path := w.own("/directories/" + printedCompany(w))
	wanted := []string{"Acme", "Everybody", "Żak", "Łukasz", "1001", "(415) 555-0123", "Sales", "O'Brien", "Front Door", "1006",
		"Callflow", "November 22, 2026"} // in Tokyo
	for _, ask := range [][]string{{path, "Accept: application/pdf"}, {path + "?accept=pdf"}, {path, "Accept: application/x-pdf, */*;q=0.1"}} {
		a := w.call("GET", ask[0], "", ask[1:]...)
		if a.code != 200 || a.header.Get("Content-Type") != "application/pdf" ||
			a.header.Get("Content-Disposition") != `attachment; filename="Acme-directory.pdf"` {
			t.Fatalf("%v: %d %v", ask, a.code, a.header)
		}
		text := pdfText(t, a.text)
		for _, want := range wanted {
			if !strings.Contains(text, want) {
				t.Errorf("%v: no %q in\n%s", ask, want, text)
			}
		}
		for _, not := range []string{"Disabled", "Hidden", "*21"} {
			if strings.Contains(text, not) {
				t.Errorf("%v: %q in\n%s", ask, not, text)
			}
		}
	}
	if text := pdfText(t, w.call("GET", path+"?accept=pdf&number_format=e164", "").text); !strings.Contains(text, "+14155550123") {
		t.Errorf("E.164:\n%s", text)
	}
	head := w.call("HEAD", path, "", "Accept: application/pdf")
	if head.code != 200 || len(head.text) != 0 || head.header.Get("Content-Type") != "application/pdf" {
		t.Errorf("HEAD: %d %v %d bytes", head.code, head.header, len(head.text))
	}
	if a := w.call("GET", path, ""); a.code != 200 || len(a.at("users").([]any)) != 7 {
		t.Errorf("JSON: %d %s", a.code, a.text)
	}
}

func TestADirectoryIsCSV(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	path := w.own("/directories/" + printedCompany(w))
	a := w.call("GET", path, "", "Accept: text/csv")
	lines := strings.Split(strings.TrimSpace(string(a.text)), "\n")
	if a.code != 200 || !strings.HasPrefix(a.header.Get("Content-Type"), "text/csv") || len(lines) != 6 {
		t.Fatalf("%d %v\n%s", a.code, a.header, a.text)
	}
	if !strings.Contains(string(a.text), "'=SUM(A1)") || !strings.Contains(string(a.text), "Łukasz") {
		t.Errorf("%s", a.text)
	}
	if got := w.call("GET", path+"?accept=csv&file_name=people.csv", "").header.Get("Content-Disposition"); got != `attachment; filename="people.csv"` {
		t.Errorf("name: %s", got)
	}
}

func TestListingsRefuse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	directory := printedCompany(w)
	path := w.own("/directories/" + directory)
	other := w.newAccount("Other")
	for _, c := range []struct {
		path, accept string
		code         int
	}{
		{path + "?number_format=roman", "application/pdf", 400},
		{w.own("/directories/" + strings.Repeat("0", 32)), "application/pdf", 404},
		{"/v2/accounts/" + other + "/directories/" + directory, "application/pdf", 404},
		{path, "image/png", 406},
	} {
		if a := w.call("GET", c.path, "", "Accept: "+c.accept); a.code != c.code || a.body["status"] != "error" {
			t.Errorf("%s as %s: %d %s", c.path, c.accept, a.code, a.text)
		}
	}
	// Accept is of GET and HEAD only.
	if a := w.call("PATCH", path, `{"name":"All"}`, "Accept: application/pdf"); a.code != 200 || a.str("name") != "All" {
		t.Errorf("PATCH: %d %s", a.code, a.text)
	}
}

// pdfText is the text of a PDF as an independent reader finds it.
func pdfText(t *testing.T, pdf []byte) string {
	t.Helper()
	program, err := exec.LookPath("pdftotext")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("poppler-utils is not installed; test/install-peers installs it")
		}
		t.Skip("poppler-utils is not installed")
	}
	cmd := exec.CommandContext(t.Context(), program, "-layout", "-", "-")
	cmd.Stdin = bytes.NewReader(pdf)
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("pdftotext: %v", err)
	}
	return string(text)
}
