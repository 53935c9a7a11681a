package module_test

import (
	"strings"
	"testing"

	"bugle"
	"bugle/internal/callflow/callflowtest"
)

// office has Ann Lee 1002, Anna Leeson 1003 and Al Odd 1004 in the directory "dir" at 411 (without "_") and at 412 (with
// the operator 1009), and calls come from Bob 1001.
func office(t *testing.T, change func(d *bugle.Directory)) *callflowtest.House {
	h := callflowtest.New(t)
	doc := bugle.Directory{ID: "dir", SearchFields: "both", SortBy: "last_name", MinDTMF: 3, ConfirmMatch: true}
	if change != nil {
		change(&doc)
	}
	h.Documents.Directories["dir"] = doc
	h.Person("1001", "Bob", "Caller")
	h.Person("1002", "Ann", "Lee", "dir")
	h.Person("1003", "Anna", "Leeson", "dir")
	h.Person("1004", "Al", "Odd", "dir")
	h.Person("1009", "Olga", "Operator")
	h.Callflow("without", "411", `{"module":"directory","data":{"id":"dir"}}`)
	h.Callflow("with", "412", `{"module":"directory","data":{"id":"dir"},
		"children":{"_":{"module":"user","data":{"id":"olga-operator"}}}}`)
	return h
}

var directoryDialogues = []struct {
	name   string
	change func(d *bugle.Directory)
	script string
}{
	{"one match is confirmed and rings the person", nil, `
			dial 411
			answered
			hear dir-enter_person_name
			press 6 3 3
			hear dir-found Al_Odd dir-confirm_menu
			press 1
			rings 1004
			hear ringback
			answers 1004
			talks 1004
			hangs up
			released 1004 NORMAL_CLEARING`},
	{"the person's hang-up ends the call", nil, `
			dial 411
			hear dir-enter_person_name
			press 6 3 3 #
			hear dir-found
			press 1
			rings 1004
			answers 1004
			hangs up 1004
			ends NORMAL_CLEARING`},
	{"searching waits for two seconds without a key", nil, `
			dial 411
			hear dir-enter_person_name
			press 6 3 3
			silence 1.7s
			wait 200ms
			heard dir-found`},
	{"pound ends the letters at once", nil, `
			dial 411
			hear dir-enter_person_name
			press 6 3 3 #
			hear dir-found`},
	{"anything but 1 at the question starts over", nil, `
			dial 411
			hear dir-enter_person_name
			press 6 3 3 #
			hear dir-found Al_Odd dir-confirm_menu
			press 2
			hear dir-enter_person_name
			press 6 3 3 #
			hear dir-found Al_Odd dir-confirm_menu
			wait 3s
			hear dir-enter_person_name
			quiet 1004`},
	{"without confirm_match one match connects at once", func(d *bugle.Directory) { d.ConfirmMatch = false }, `
			dial 411
			hear dir-enter_person_name
			press 6 3 3
			rings 1004`},
	{"several are counted and letters narrow them", nil, `
			dial 411
			hear dir-enter_person_name
			press 5 3 3
			hear found 2 keep-typing
			press 7
			hear dir-found Anna_Leeson dir-confirm_menu
			press 1
			rings 1003`},
	{"a key cuts the count and is a letter", nil, `
			dial 411
			hear dir-enter_person_name
			press 5 3 3
			hear found
			press 7 6
			hear dir-found Anna_Leeson`},
	{"more letters still match several", nil, `
			dial 411
			hear dir-enter_person_name
			press 2 6 6
			hear found 2 keep-typing
			press 5
			hear dir-found Ann_Lee`},
	{"pound after the count leads to the list", nil, `
			dial 411
			hear dir-enter_person_name
			press 5 3 3
			hear found 2 keep-typing
			press #
			hear dir-result_number Ann_Lee dir-result_menu
			press 1
			rings 1002`},
	{"silence after the count leads to the list", nil, `
			dial 411
			hear dir-enter_person_name
			press 5 3 3
			hear found 2 keep-typing
			wait 2.9s
			hear dir-result_number Ann_Lee`},
	{"after pound the count is said and the list begins", nil, `
			dial 411
			hear dir-enter_person_name
			press 5 3 3 #
			hear found 2 dir-result_number Ann_Lee dir-result_menu
			press 2
			hear dir-result_number Anna_Leeson dir-result_menu
			press 1
			rings 1003`},
	{"the list ends with a prompt and starts over", nil, `
			dial 411
			hear dir-enter_person_name
			press 5 3 3 #
			hear found 2 dir-result_number Ann_Lee
			press 2
			hear dir-result_number Anna_Leeson
			press 2
			hear dir-no_more_results dir-enter_person_name`},
	{"3 starts over", nil, `
			dial 411
			hear dir-enter_person_name
			press 5 3 3 #
			hear found 2 dir-result_number
			press 3
			hear dir-enter_person_name`},
	{"star starts over in the list", nil, `
			dial 411
			hear dir-enter_person_name
			press 5 3 3 #
			hear found 2 dir-result_number
			press *
			hear dir-enter_person_name`},
	{"star starts over at the count and among letters", nil, `
			dial 411
			hear dir-enter_person_name
			press 5 3 3
			hear found 2
			press *
			hear dir-enter_person_name
			press 5 3 *
			hear dir-enter_person_name
			press 6 3 3 #
			hear dir-found Al_Odd`},
	{"other keys in the list are invalid and the name is read again", nil, `
			dial 411
			hear dir-enter_person_name
			press 5 3 3 #
			hear found 2 dir-result_number Ann_Lee
			press 7
			hear dir-invalid_key dir-result_number Ann_Lee dir-result_menu
			press #
			hear dir-invalid_key dir-result_number Ann_Lee`},
	{"a name is read three times, then the call ends", nil, `
			dial 411
			hear dir-enter_person_name
			press 5 3 3 #
			hear found 2 dir-result_number Ann_Lee dir-result_menu
			silence 4.9s
			hear dir-result_number Ann_Lee dir-result_menu
			hear dir-result_number Ann_Lee dir-result_menu
			hear dir-no_more_results
			ends NORMAL_CLEARING`},
	{"a key gives all readings of a name back", nil, `
			dial 411
			hear dir-enter_person_name
			press 5 3 3 #
			hear found 2 dir-result_number Ann_Lee dir-result_menu
			hear dir-result_number Ann_Lee dir-result_menu
			press 7
			hear dir-invalid_key dir-result_number Ann_Lee dir-result_menu
			hear dir-result_number Ann_Lee dir-result_menu
			hear dir-result_number Ann_Lee dir-result_menu dir-no_more_results
			ends NORMAL_CLEARING`},
	{"each name has three readings of its own", nil, `
			dial 411
			hear dir-enter_person_name
			press 5 3 3 #
			hear found 2 dir-result_number Ann_Lee dir-result_menu
			hear dir-result_number Ann_Lee dir-result_menu
			press 2
			hear dir-result_number Anna_Leeson dir-result_menu
			hear dir-result_number Anna_Leeson dir-result_menu
			hear dir-result_number Anna_Leeson dir-result_menu dir-no_more_results
			ends NORMAL_CLEARING`},
	{"1 at the count is invalid", nil, `
			dial 411
			hear dir-enter_person_name
			press 5 3 3
			hear found 2 keep-typing
			press 1
			hear dir-invalid_key found 2 keep-typing`},
	{"nobody matches", nil, `
			dial 411
			hear dir-enter_person_name
			press 9 9 9
			hear dir-no_results_found dir-enter_person_name
			press 6 3 3 #
			hear dir-found Al_Odd`},
	{"a key cuts an announcement and is the first letter", nil, `
			dial 411
			hear dir-enter_person_name
			press 9 9 9
			hear dir-no_results_found
			press 6 3 3 #
			hear dir-found Al_Odd`},
	{"too few letters", nil, `
			dial 411
			hear dir-enter_person_name
			press 6 3
			hear dir-specify_minimum 3 dir-enter_person_name
			press 6 #
			hear dir-specify_minimum 3 dir-enter_person_name`},
	{"min_dtmf of one", func(d *bugle.Directory) { d.MinDTMF = 1 }, `
			dial 411
			hear dir-enter_person_name
			press 6
			hear dir-found Al_Odd`},
	{"max_dtmf searches at once, keys too many are forgotten", func(d *bugle.Directory) { d.MaxDTMF = 3 }, `
			dial 411
			hear dir-enter_person_name
			press 5 3 3
			heard found
			hear 2 dir-result_number Ann_Lee`},
	{"a letter after the count that is the last of max_dtmf searches at once", func(d *bugle.Directory) { d.MaxDTMF = 4 }, `
			dial 411
			hear dir-enter_person_name
			press 5 3 3
			hear found 2 keep-typing
			press 7
			heard dir-found
			hear Anna_Leeson`},
	{"without max_dtmf no number of keys begins the search", nil, `
			dial 411
			hear dir-enter_person_name
			press 5 3 3 ` + strings.Repeat("9 ", 150) + `#
			hear dir-no_results_found
			press 6 3 3 #
			hear dir-found Al_Odd`},
	{"max_dtmf below min_dtmf", func(d *bugle.Directory) { d.MaxDTMF = 2 }, `
			dial 411
			hear dir-enter_person_name
			press 6 3
			hear dir-found Al_Odd`},
	{"three silent rounds", nil, `
			dial 411
			hear dir-enter_person_name
			silence 2.9s
			wait 200ms
			heard dir-enter_person_name
			press #
			hear dir-enter_person_name
			hear dir-specify_minimum 3 dir-no_results_found
			ends NORMAL_CLEARING`},
	{"letters give all silent rounds back", nil, `
			dial 411
			hear dir-enter_person_name dir-enter_person_name
			press 9 9 9
			hear dir-no_results_found dir-enter_person_name dir-enter_person_name dir-enter_person_name
			hear dir-specify_minimum`},
	{"0 leaves at the first prompt", nil, `
			dial 412
			hear dir-enter_person_name
			press 0
			rings 1009`},
	{"0 leaves among letters", nil, `
			dial 412
			hear dir-enter_person_name
			press 5 3 0
			rings 1009`},
	{"0 leaves at the count", nil, `
			dial 412
			hear dir-enter_person_name
			press 5 3 3
			hear found
			press 0
			rings 1009`},
	{"0 leaves in the list", nil, `
			dial 412
			hear dir-enter_person_name
			press 5 3 3 #
			hear found 2 dir-result_number
			press 0
			rings 1009`},
	{"0 leaves at the question", nil, `
			dial 412
			hear dir-enter_person_name
			press 6 3 3 #
			hear dir-found
			press 0
			rings 1009`},
	{"0 without an operator is invalid", nil, `
			dial 411
			hear dir-enter_person_name
			press 6 0
			hear dir-invalid_key
			press 3 3
			hear dir-found Al_Odd
			press 0
			hear dir-invalid_key dir-enter_person_name
			press 5 3 3
			hear found
			press 0
			hear dir-invalid_key found 2
			press #
			hear dir-result_number
			press 0
			hear dir-invalid_key dir-result_number Ann_Lee`},
	{"first_name", func(d *bugle.Directory) { d.SearchFields = "first_name" }, `
			dial 411
			hear dir-enter_person_firstname
			press 5 3 3
			hear dir-no_results_found dir-enter_person_firstname
			press 2 6 6 5
			hear dir-found Ann_Lee`},
	{"last_name", func(d *bugle.Directory) { d.SearchFields = "last_name" }, `
			dial 411
			hear dir-enter_person_lastname
			press 2 6 6
			hear dir-no_results_found dir-enter_person_lastname
			press 6 3 3 2 5
			hear dir-found Al_Odd`},
	{"sort_by first_name", func(d *bugle.Directory) { d.SortBy, d.MinDTMF = "first_name", 1 }, `
			dial 411
			hear dir-enter_person_name
			press 2 #
			hear found 3 dir-result_number Al_Odd`},
	{"speak_extension", func(d *bugle.Directory) { d.SpeakExtension = true }, `
			dial 411
			hear dir-enter_person_name
			press 6 3 3
			hear dir-found Al_Odd dir.at.extension 1 0 0 4 dir-confirm_menu`},
	{"a person who is not there follows the flow of the person", nil, `
			dial 412
			hear dir-enter_person_name
			press 6 3 3 #
			hear dir-found
			press 1
			rings 1004
			refuses 1004 486
			rings 1009`},
	{"hanging up in the middle", nil, `
			dial 411
			hear dir-enter_person_name
			press 6 3
			hangs up`},
}

func TestDirectory(t *testing.T) {
	t.Parallel()
	for _, test := range directoryDialogues {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			office(t, test.change).Play(test.script)
		})
	}
}

func TestDirectoryTypeAhead(t *testing.T) {
	t.Parallel()
	h := office(t, func(d *bugle.Directory) { d.MaxDTMF = 3 })
	d := h.Play(`
		dial 411
		hear dir-enter_person_name`)
	for _, key := range "6331" { // all at once: the fourth must not answer the question
		d.Caller.Presses(byte(key))
	}
	h.GoOn(d, `
		hear dir-found Al_Odd dir-confirm_menu
		press 3
		hear dir-enter_person_name`)
	for _, key := range "5332" { // nor ask for the second name
		d.Caller.Presses(byte(key))
	}
	h.GoOn(d, `
		hear found 2 dir-result_number Ann_Lee
		press 1
		rings 1002`)
}

// As KAZOO does: what was keyed for something else spells nobody.
func TestDirectoryForgetsKeysFromBefore(t *testing.T) {
	t.Parallel()
	h := office(t, nil)
	h.Callflow("slow", "415", `{"module":"answer","data":{},"children":{"_":{"module":"sleep","data":{"duration":5},
		"children":{"_":{"module":"directory","data":{"id":"dir"}}}}}}`)
	h.Play(`
		dial 415
		answered
		press 6 3 3 #
		hear dir-enter_person_name dir-enter_person_name
		press 6 3 3 #
		hear dir-found`)
}

// A name without a letter is found by the extension, zeros and all, though 0 leaves anywhere else.
func TestDirectoryFindsByExtensionWhoHasNoLetters(t *testing.T) {
	t.Parallel()
	h := office(t, nil)
	h.Person("1005", "\u2605", "", "dir")
	h.Person("1007", "\u2606", "", "dir")
	h.Play(`
		dial 412
		hear dir-enter_person_name
		press 1 0 0 5
		hear dir-found
		press 3
		hear dir-enter_person_name
		press 1 0 0 #
		hear found 2
		press 3
		hear dir-enter_person_name
		press 1 0 0 0
		rings 1009
		hangs up
		dial 411
		hear dir-enter_person_name
		press 1 0 3 0
		hear dir-invalid_key`)
	h = office(t, func(d *bugle.Directory) { d.MaxDTMF = 2 })
	h.Person("1005", "\u2605", "", "dir")
	h.Play(`
		dial 412
		hear dir-enter_person_name
		press 1 0
		heard dir-found`)
}

func TestDirectoryWithoutMembers(t *testing.T) {
	t.Parallel()
	h := office(t, nil)
	h.Documents.Directories["empty"] = bugle.Directory{ID: "empty", MinDTMF: 3}
	h.Callflow("e", "413", `{"module":"directory","data":{"id":"empty"},
		"children":{"_":{"module":"user","data":{"id":"olga-operator"}}}}`)
	h.Callflow("x", "414", `{"module":"directory","data":{"id":"deleted"},
		"children":{"_":{"module":"user","data":{"id":"olga-operator"}}}}`)
	h.Play(`
		dial 413
		answered
		hear dir-no_results_found
		rings 1009
		hangs up
		dial 414
		rings 1009`)
}

func TestDirectoryFollowsChanges(t *testing.T) {
	t.Parallel()
	h := office(t, nil)
	d := h.Play(`
		dial 411
		hear dir-enter_person_name
		press 5 3 3
		hear found 2`)
	h.Documents.With(func(d *callflowtest.Documents) {
		ann := d.Users["ann-lee"]
		ann.Enabled = false
		d.Users["ann-lee"] = ann
	})
	h.GoOn(d, `
		press #
		hear dir-result_number Ann_Lee
		press 2
		hear dir-result_number Anna_Leeson
		press 3
		hear dir-enter_person_name
		press 5 3 3 #
		hear dir-found Anna_Leeson`)
}

func TestDirectoryWithoutThePersonsCallflow(t *testing.T) {
	t.Parallel()
	h := office(t, nil)
	delete(h.Documents.Callflows, "flow-1004")
	h.Play(`
		dial 412
		hear dir-enter_person_name
		press 6 3 3 #
		hear dir-found
		press 1
		rings 1009`)
}

func TestDirectoryOfDevicesAndRecordedNames(t *testing.T) {
	t.Parallel()
	h := office(t, nil)
	h.Documents.With(func(d *callflowtest.Documents) {
		room := d.Devices["1009"]
		room.Name, room.Directories = "Ballroom", map[string]string{"dir": "flow-1009"}
		d.Devices["1009"] = room
		al := d.Users["al-odd"]
		al.NameMedia = "al.wav"
		d.Users["al-odd"] = al
	})
	h.Speech.Recordings["al.wav"] = true
	h.Play(`
		dial 411
		hear dir-enter_person_name
		press 6 3 3 #
		hear dir-found al.wav
		press 3
		hear dir-enter_person_name
		press 2 2 5 5 #
		hear dir-found Ballroom
		press 1
		rings 1009`)
}

func TestDirectoryCountsUpToAHundred(t *testing.T) {
	t.Parallel()
	h := office(t, nil)
	h.Documents.With(func(d *callflowtest.Documents) {
		for i := range 150 {
			id := "many" + string(rune('a'+i%26)) + string(rune('a'+i/26))
			d.Users[id] = bugle.User{ID: id, FirstName: "Zed", LastName: "Zimmer", Enabled: true,
				Directories: map[string]string{"dir": "flow-1002"}}
		}
	})
	h.Play(`
		dial 411
		hear dir-enter_person_name
		press 9 4 6
		hear found-more-than 100 keep-typing`)
}
