package crossbar

import (
	"net/http"
	"regexp"
)

// Classifier is one class of telephone numbers, as call_restriction names it.
type Classifier struct {
	Name    string // "did_us"
	Numbers *regexp.Regexp
}

// friendlyNames are the names of classes in words.
var friendlyNames = map[string]string{"tollfree_us": "US TollFree", "toll_us": "US Toll", "emergency": "Emergency Dispatcher",
	"caribbean": "Caribbean", "did_us": "US DID", "international": "International", "unknown": "Unknown"}

func classifierRow(c Classifier) map[string]any {
	return map[string]any{"friendly_name": friendlyNames[c.Name], "regex": c.Numbers.String()}
}

// listClassifiers answers with all classes by name, in no order as KAZOO's; the first that fits a number in the order of
// classifyNumber is its class.
func (req *request) listClassifiers() (*reply, error) {
	out := map[string]any{}
	for _, c := range req.api.opts.Classifiers {
		out[c.Name] = classifierRow(c)
	}
	return &reply{status: http.StatusOK, data: appendTree(nil, out)}, nil
}

func (req *request) classifyNumber() (*reply, error) {
	text := clip(req.route.arg(), 64)
	number := req.api.opts.Flows.NormaliseNumber(req.account.view, text)
	for _, c := range req.api.opts.Classifiers {
		if c.Numbers.MatchString(number) {
			row := classifierRow(c)
			row["name"], row["number"], row["e164"] = c.Name, text, number
			return &reply{status: http.StatusOK, data: appendTree(nil, row)}, nil
		}
	}
	return nil, badIdentifier(text)
}
