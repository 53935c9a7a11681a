package callflow

import (
	"regexp"
	"strings"

	"bugle"
)

// The classes that the rules of call restriction single out.
const (
	classEmergency = "emergency"
	classUnknown   = "unknown"
)

// classes are KAZOO's classifiers in KAZOO's order: the first that matches is a number's class. They read numbers as
// normalise leaves them. Where they differ from KAZOO's, they let fewer numbers slip through into "unknown":
//   - digits after a complete telephone number do not change its class, since carriers ignore them;
//   - what 011 and 00 made international is international however short it is;
//   - a national number that normalise leaves alone, because no exchange begins with 0 or 1, is still what its area code says;
//   - 112 is an emergency number, and so is one after a +, which some phones put before whatever is dialled;
//   - Jamaica's second area code, 658, is Caribbean.
var classes = []struct {
	name    string
	numbers *regexp.Regexp
}{
	{"tollfree_us", regexp.MustCompile(`^\+?1(800|822|833|844|855|866|877|88\d)\d{7}`)},
	{"toll_us", regexp.MustCompile(`^\+?1900\d{7}`)},
	{classEmergency, regexp.MustCompile(`^\+?(112|711|811|911|922|933|999)$`)},
	{"caribbean", regexp.MustCompile(`^\+?1(242|246|264|268|284|340|345|441|473|649|658|664|670|671|684|721|758|767|784|787|` +
		`809|829|849|868|869|876|939)\d{7}`)},
	{"did_us", regexp.MustCompile(`^\+?1[2-9]\d{9}`)},
	{"international", regexp.MustCompile(`^\+[2-9]\d{4}`)},
	{classUnknown, regexp.MustCompile(``)},
}

// Class is one class of numbers.
type Class struct {
	Name    string
	Numbers *regexp.Regexp // over a normalised number
}

// Classes returns all classes in the order in which Classify tries them; the last fits every number.
func Classes() []Class {
	out := make([]Class, len(classes))
	for i, c := range classes {
		out[i] = Class{c.name, c.numbers}
	}
	return out
}

// Classify returns the class of a normalised number: "tollfree_us", "toll_us" (premium), "emergency", "caribbean",
// "did_us" (the rest of North America), "international", or "unknown" for extensions and everything else.
func Classify(number string) string {
	number = bare(number)
	for _, class := range classes {
		if class.numbers.MatchString(number) {
			return class.name
		}
	}
	return classUnknown
}

// bare leaves the visual separators of telephone numbers out: a number is the same one with and without them.
func bare(number string) string {
	const separators = "-.() "
	if !strings.ContainsAny(number, separators) {
		return number
	}
	return bugle.International(strings.Map(func(r rune) rune {
		if strings.ContainsRune(separators, r) {
			return -1
		}
		return r
	}, number))
}
