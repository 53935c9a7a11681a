package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"

	"bugle"
	"bugle/internal/call"
	"bugle/internal/crossbar"
	"bugle/internal/store"
)

// serveCommand runs the phone system until it is told to stop.
type serveCommand struct{ serveFlags }

// Run is the command. Once it serves it prints one line on standard output, for whoever started it.
func (c *serveCommand) Run(ctx context.Context) error {
	s, err := c.settings(os.Stderr)
	if err != nil {
		return &exitError{2, err}
	}
	if os.Getenv("GOGC") == "" {
		// Calls make little garbage beside what is kept: a rarer collection costs a few KiB a call and saves 7 % of its CPU.
		debug.SetGCPercent(300)
	}
	v, err := start(ctx, s)
	if err != nil {
		return err
	}
	fmt.Printf("bugle ready sip=%s http=%s admin=%s data=%s\n", v.sipAddr, v.httpAddr, v.adminAddr, s.dataDir)
	select {
	case <-ctx.Done():
		v.log.Info("stopping", "calls", v.calls.Count(), "drain", v.drain)
	case err = <-v.failed:
		v.log.Error("a listener failed, stopping", "error", err)
	}
	v.stop(context.WithoutCancel(ctx))
	return err
}

// callEnded keeps the record of a call: who, where to, how it ended, and the steps that explain it.
func (v *server) callEnded(r call.Report) {
	v.meters.ended.WithLabelValues(string(r.Cause), string(r.Fault)).Inc()
	type step struct {
		At     int64  `json:"at"` // milliseconds since 1970
		Step   string `json:"step"`
		Detail string `json:"detail,omitempty"`
	}
	steps := make([]step, len(r.Trail))
	for i, s := range r.Trail {
		steps[i] = step{s.At.UnixMilli(), s.Name, s.Detail}
	}
	trail, err := json.Marshal(steps)
	if err != nil {
		v.log.Error("a call's trail was not kept", "call", r.ID, "error", err)
	}
	row := store.CallRow{ID: bugle.NewID(), AccountID: r.AccountID, SIPCallID: r.ID, Direction: "inbound",
		FromName: r.Caller.Name, FromNumber: r.Caller.Number, Dialed: r.Dialed, ToID: r.Peer.DeviceID, DeviceID: r.DeviceID, OwnerID: r.UserID, OtherLeg: r.Peer.ID,
		CallflowID: r.Flow, Started: r.Started, Answered: r.Answered, Ended: r.Ended, Cause: string(r.Cause), Trail: trail}
	if o := r.Origin; o != nil { // its id is its Call-ID, so that whoever had it made can name its record
		row.ID, row.Direction = r.ID, "outbound"
		row.AuthorizingID, row.AuthorizingType, row.PresenceID = o.ID, o.Type, o.PresenceID
		if o.Type == crossbar.TypeUser { // of the half that rings the user's own phones too
			row.OwnerID = o.ID
		}
		if len(o.Variables) > 0 {
			row.Variables, _ = json.Marshal(o.Variables) // a map of strings always can
		}
	}
	v.records.submit(row)
}
