package bugle

import (
	"encoding/json"
	"strings"
)

// Callflow says what happens to calls for its numbers and patterns.
type Callflow struct {
	ID       string
	Name     string
	Numbers  []string // normalised
	Patterns []string // regular expressions (RE2)
	OwnerID  string
	GroupID  string // of the group that an interface made it for
	Flow     Flow
	Ringback Ringback
}

// Extension is the number that people in the account dial for the callflow: the shortest that has digits only, "" when it
// has none.
func (c Callflow) Extension() string {
	best := ""
	for _, n := range c.Numbers {
		if strings.Trim(n, "0123456789") == "" && (best == "" || len(n) < len(best) || len(n) == len(best) && n < best) {
			best = n
		}
	}
	return best
}

// Ringback is what callers hear while somebody is rung: media references, "" for the ordinary tone.
type Ringback struct {
	Early    string // before they are answered
	Transfer string // after: from a menu, or while they are transferred
}

// Flow is one node of a callflow's tree. The zero Flow is the empty flow {}.
type Flow struct {
	Module   string
	Data     Fields
	Children map[string]Flow
}

// IsZero reports whether the flow is {}.
func (f Flow) IsZero() bool { return f.Module == "" }

// UnmarshalJSON reads a node with its keys exactly as written.
func (f *Flow) UnmarshalJSON(doc []byte) error {
	o, err := ParseFields(doc)
	if err != nil {
		return err
	}
	*f = Flow{Module: o.String("module"), Data: o.Object("data")}
	children := o.Object("children")
	if len(children) == 0 {
		return nil
	}
	f.Children = make(map[string]Flow, len(children))
	for key, raw := range children {
		var child Flow
		if err := json.Unmarshal(raw, &child); err != nil {
			return err
		}
		f.Children[key] = child
	}
	return nil
}

// ParseCallflow reads a callflow document.
func ParseCallflow(id string, doc []byte) (Callflow, error) {
	f, err := parse("bugle.ParseCallflow", id, doc)
	if err != nil {
		return Callflow{}, err
	}
	c := Callflow{ID: id, Name: f.String("name"), Numbers: f.Strings("numbers"), Patterns: f.Strings("patterns"),
		OwnerID: f.String("owner_id"), GroupID: f.String("group_id"), Ringback: Ringback{Early: f.Object("ringback").String("early"),
			Transfer: f.Object("ringback").String("transfer")}}
	if raw, ok := f["flow"]; ok {
		if err := json.Unmarshal(raw, &c.Flow); err != nil {
			return Callflow{}, err
		}
	}
	return c, nil
}
