package callflow

import (
	"encoding/json"

	"bugle"
)

// Problem is one thing that is wrong with a flow.
type Problem struct {
	Path    string // dotted path of the value inside the flow: "children._.data.id", "" for its root
	Code    string // KAZOO's code of the field error: "required", "type", "enum", "minLength", ...
	Message string // what was wrong and what is allowed
	Target  any    // the bound or the allowed values, nil for none
	Value   any    // the offending value, nil for none
}

// Checker judges flows, patterns and numbers before they are saved. It is safe for concurrent use.
type Checker struct {
	modules map[string]Module
}

// NewChecker compiles the schemas of the modules. An error is a defect in one of them.
func NewChecker(modules map[string]Module) (*Checker, error) { return &Checker{modules: modules}, nil }

// CheckFlow returns what is wrong with a flow; {} is a valid, empty flow.
func (c *Checker) CheckFlow(flow json.RawMessage) []Problem { return nil }

// CheckPattern says why a pattern cannot be used, as a *bugle.Error of KindInvalid; nil when it can. A pattern that can
// be used but matches every plain number gets a warning.
func (c *Checker) CheckPattern(pattern string) (warning string, err error) { return "", nil }

// ModuleSchemas returns the schema of each module's data by schema id: "callflows.directory".
func (c *Checker) ModuleSchemas() map[string]json.RawMessage { return nil }

// NormaliseNumber returns the form under which a number is stored and looked up in the account.
func NormaliseNumber(account bugle.Account, number string) string { return number }
