package callflow

import (
	"context"

	"bugle"
	"bugle/internal/call"
)

// Module is what a node of a flow does.
type Module struct {
	// Schema is the JSON schema (draft 4, as KAZOO's) of the node's data.
	Schema []byte
	// Run does it. It runs on the call's flow goroutine, may block on the call's requests, and ends soon after ctx does,
	// which is when the call is over. A panic counts as Continue("_").
	Run func(ctx context.Context, step *Step) Next
}

// Next is what happens after a module: Continue, Branch, Stop or Hangup, and nothing else.
type Next interface{ next() }

type (
	// Continue goes on with the child of this key; without it with the child "_"; without that it stops. "" is "_".
	Continue string
	// Branch runs another flow. When that one stops and the caller is still there, this node's child "_" follows.
	Branch bugle.Flow
	// Stop ends this flow: the flow that branched here goes on, or the call ends.
	Stop struct{}
	// Hangup ends the call with a cause, whatever flow branched here.
	Hangup call.Cause
)

func (Continue) next() {}
func (Branch) next()   {}
func (Stop) next()     {}
func (Hangup) next()   {}

// Step is one node being run: the node, the call, and what is known about the call so far.
type Step struct {
	*Session
	Node bugle.Flow
}

// Data is the node's data.
func (s *Step) Data() bugle.Fields { return s.Node.Data }

// Child returns the child that Continue(key) would run, false when the flow would stop.
func (s *Step) Child(key string) (bugle.Flow, bool) { return child(s.Node, key) }

// Session is what a flow knows about its call. Only the flow goroutine touches it.
type Session struct {
	Call    *call.Call
	Account bugle.Account
	Realm   string // SIP realm of the account

	DeviceID string // device that calls or that transferred the call here, "" for none
	UserID   string // its owner, "" for none

	Dialed        string            // as dialled
	Number        string            // normalised
	CallflowID    string            // callflow that took the call
	CaptureGroup  string            // longest capture of the pattern that matched
	CaptureGroups map[string]string // named captures that are not empty

	Language string // of prompts
	// Ringback is that of the callflow that took the call; branches do not change it.
	Ringback bugle.Ringback
	Caller   call.Party // as phones that are rung show it; set_cid changes it

	// What follows is set in a call that bugle has started itself (Origination).
	Origin           *call.Origin      // nil in any other call
	Callee           call.Party        // how those who are rung are shown, the zero value for what documents say
	Headers          map[string]string // of each INVITE, over those of documents
	AutoAnswer       bool              // phones of the account are asked to answer by themselves
	IgnoreEarlyMedia bool              // nobody hears a phone before it has answered

	engine      *Engine
	ownRingback bool // what the caller hears is not the callflow's affair
	nodes       int  // nodes run so far
	hops        int  // branches taken so far
}

// Lookup finds the callflow that a number reaches inside the session's account, never by no_match: the hunting of
// menus. KindNotFound says that there is none.
func (s *Session) Lookup(ctx context.Context, number string) (Route, error) {
	return s.engine.router.lookup(ctx, &s.Account, number)
}

// Callflow returns a callflow of the session's account by id.
func (s *Session) Callflow(ctx context.Context, id string) (bugle.Callflow, error) {
	return s.engine.documents.Callflow(ctx, s.Account.ID, id)
}

// Reach is where a number leads that the caller's phone could dial, by no_match too, if nothing restricts it. A flow that it
// returns is for that number from now on.
func (s *Session) Reach(ctx context.Context, number string) (bugle.Flow, bool) {
	flow, cause := s.engine.find(ctx, s, number, true)
	return flow, cause == ""
}

// Matches reports whether a regular expression of a document matches text; one that does not compile matches nothing.
func (s *Session) Matches(expression, text string) bool {
	re := s.engine.router.patterns.compile(expression)
	return re != nil && re.MatchString(text)
}
