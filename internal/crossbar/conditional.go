package crossbar

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
)

// precondition judges If-Match. RFC 9110 §13.1.1
func (req *request) precondition(rev string) error {
	header := strings.Join(req.http.Header.Values("If-Match"), ",")
	if header == "" {
		return nil
	}
	for _, tag := range strings.Split(header, ",") {
		tag = strings.TrimSpace(tag)
		given, _, _ := strings.Cut(strings.Trim(tag, `"`), tagSeparator)
		if rev != "" && (tag == "*" || given == rev && !strings.HasPrefix(tag, "W/")) {
			return nil
		}
	}
	return &fault{status: http.StatusPreconditionFailed, message: "precondition_failed",
		data: say("the resource has another revision")}
}

// tagSeparator stands, in the entity tag of a document that is composed of others too, between its revision, which If-Match goes
// by, and the sum of what the answer says, which changes when the others do.
const tagSeparator = "."

// tag gives a document's answer its entity tag, and makes it a 304 when the client has it. It is the revision alone unless the answer
// is composed of more than the document.
func (req *request) tag(answer *reply, composed bool) {
	answer.tag = answer.revision
	if composed {
		sum := sha256.Sum256(answer.data)
		answer.tag += tagSeparator + hex.EncodeToString(sum[:8])
	}
	if req.matches(answer.tag) {
		answer.status = http.StatusNotModified
	}
}

// matches judges If-None-Match. RFC 9110 §13.1.2
func (req *request) matches(rev string) bool {
	for _, tag := range strings.Split(strings.Join(req.http.Header.Values("If-None-Match"), ","), ",") {
		tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
		if tag == "*" || tag != "" && strings.Trim(tag, `"`) == rev {
			return true
		}
	}
	return false
}
