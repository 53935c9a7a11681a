package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"bugle"
	"bugle/internal/call"
	"bugle/internal/callflow"
	"bugle/internal/crossbar"
	"bugle/internal/registrar"
	"bugle/internal/sipua"
)

// What follows lets the API see the rooms it does not know: each type is one of crossbar's interfaces.

// flowChecker judges callflows by the modules that this program runs.
type flowChecker struct{ *callflow.Checker }

func (f flowChecker) CheckFlow(flow json.RawMessage) []crossbar.FlowProblem {
	problems := f.Checker.CheckFlow(flow)
	out := make([]crossbar.FlowProblem, len(problems))
	for i, p := range problems {
		out[i] = crossbar.FlowProblem(p)
	}
	return out
}

func (f flowChecker) NormaliseNumber(account bugle.Account, number string) string {
	return callflow.NormaliseNumber(account, number)
}

// classifiers are the classes of numbers that call_restriction knows.
func classifiers() []crossbar.Classifier {
	var out []crossbar.Classifier
	for _, c := range callflow.Classes() {
		out = append(out, crossbar.Classifier(c))
	}
	return out
}

// channels are the legs of the calls that are up.
type channels struct{ registry *call.Registry }

func (c channels) Channels(accountID string) []crossbar.Channel {
	var out []crossbar.Channel
	for _, info := range c.registry.List(accountID) {
		for _, leg := range info.Legs {
			direction, destination := "outbound", leg.Number
			if leg.Inbound {
				direction, destination = "inbound", info.Dialed
			}
			out = append(out, crossbar.Channel{ID: leg.ID, Answered: leg.Answered, AuthorizingID: leg.DeviceID,
				AuthorizingType: "device", Destination: destination, Direction: direction, OtherLeg: leg.Other,
				OwnerID: leg.UserID, PresenceID: leg.Number, Username: leg.Name, Started: leg.Started})
		}
	}
	return out
}

// HangupChannel looks among the account's calls only: Call-IDs are chosen by phones, and another account may have the same.
func (c channels) HangupChannel(accountID, id string) error {
	for _, info := range c.registry.List(accountID) {
		if slices.ContainsFunc(info.Legs, func(leg call.LegInfo) bool { return leg.ID == id }) && c.registry.Hangup(info.ID) {
			return nil
		}
	}
	return &bugle.Error{Op: "channels.HangupChannel", Kind: bugle.KindNotFound, Message: "no such channel"}
}

// moveWait is how long a call may take to say whether a leg of it can be moved: it says so at once unless it is over.
const moveWait = 3 * time.Second

func (c channels) MoveChannel(ctx context.Context, accountID, id, number, callflowID string) error {
	fail := func(kind bugle.Kind, message string) error {
		return &bugle.Error{Op: "channels.MoveChannel", Kind: kind, Message: message}
	}
	told := make(chan int, 1)
	if !c.registry.Move(accountID, id, number, callflowID, func(status int) { told <- status }) {
		return fail(bugle.KindNotFound, "no such channel")
	}
	ctx, cancel := context.WithTimeout(ctx, moveWait)
	defer cancel()
	select {
	case status := <-told:
		switch status {
		case 100:
			return nil
		case 403:
			return fail(bugle.KindInvalid, "the other leg is no device of the account, and nobody else may have calls moved")
		}
		return fail(bugle.KindInvalid, "the channel talks to nobody, or is being transferred already")
	case <-ctx.Done():
		return fail(bugle.KindNotFound, "the call is over")
	}
}

// registrations are the phones that are registered now.
type registrations struct {
	registrar *registrar.Registrar
	agent     *sipua.Agent
	log       *slog.Logger
}

// SyncDevice sends the NOTIFY that phones know for it. What each answers is for the log: many restart without an answer.
func (r registrations) SyncDevice(accountID, deviceID string, reboot bool) (asked int, err error) {
	for _, b := range r.registrar.Locate(deviceID) {
		if b.AccountID != accountID {
			continue
		}
		failed := r.agent.Notify(&b, "check-sync;reboot="+strconv.FormatBool(reboot), func(status int) {
			r.log.Info("a phone was asked to read its configuration", "device", deviceID, "contact", b.Contact, "status", status)
		})
		if failed == nil {
			asked++
		} else {
			err = failed
		}
	}
	if asked > 0 {
		err = nil
	}
	return asked, err
}

func (r registrations) Registrations(accountID string) []crossbar.Registration {
	bindings := r.registrar.List(accountID)
	out := make([]crossbar.Registration, len(bindings))
	for i, b := range bindings {
		path := ""
		if len(b.Path) > 0 {
			path = b.Path[0]
		}
		out[i] = crossbar.Registration{DeviceID: b.DeviceID, OwnerID: b.OwnerID, Username: b.Username, Realm: b.Realm,
			Contact: b.Contact, Source: b.Source.String(), ProxyPath: path, Transport: b.Transport, CallID: b.CallID,
			UserAgent: b.UserAgent, Registered: b.Refreshed, ExpiresAt: b.Expires}
	}
	return out
}

func (r registrations) FlushRegistrations(ctx context.Context, accountID, username string) (int, error) {
	type result struct {
		count int
		err   error
	}
	done := make(chan result, 1)
	r.registrar.Flush(accountID, username, func(count int, err error) { done <- result{count, err} })
	select {
	case got := <-done:
		return got.count, got.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}
