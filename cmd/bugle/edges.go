package main

import (
	"cmp"
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
type channels struct {
	registry  *call.Registry
	documents *documents
}

func (c channels) Channels(accountID string) []crossbar.Channel {
	var out []crossbar.Channel
	for _, info := range c.registry.List(accountID) {
		for _, leg := range info.Legs {
			direction, destination := "outbound", leg.Number
			if leg.Inbound {
				direction, destination = "inbound", info.Dialed
			}
			channel := crossbar.Channel{ID: leg.ID, Answered: leg.Answered, AuthorizingID: leg.DeviceID,
				AuthorizingType: "device", Destination: destination, Direction: direction, OtherLeg: leg.Other,
				OwnerID: leg.UserID, PresenceID: leg.Number, Username: c.username(accountID, leg.DeviceID), Started: leg.Started}
			if o := info.Origin; o != nil { // bugle's own call, and no device's
				channel.Direction, channel.Variables = "outbound", o.Variables
				if leg.DeviceID == "" {
					channel.AuthorizingID, channel.AuthorizingType = o.ID, o.Type
					channel.PresenceID = cmp.Or(o.PresenceID, channel.PresenceID)
				}
			}
			out = append(out, channel)
		}
	}
	return out
}

// username is the SIP user name of a leg's device, "" for a leg of no device.
func (c channels) username(accountID, deviceID string) string {
	if deviceID == "" {
		return ""
	}
	device, err := c.documents.Device(context.Background(), accountID, deviceID) // in memory, as the call needed it
	if err != nil {
		return ""
	}
	return device.SIP.Username
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

// answerWait is how long a call may take to say what came of a command: it says so at once unless it is over.
const answerWait = 3 * time.Second

// answered waits for what a call's loop says to a command.
func answered[T any](ctx context.Context, command func(told func(T)) bool) (answer T, err error) {
	said := make(chan T, 1)
	if !command(func(v T) { said <- v }) {
		return answer, &bugle.Error{Op: "channels", Kind: bugle.KindNotFound, Message: "no such channel"}
	}
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	select {
	case answer = <-said:
		return answer, nil
	case <-ctx.Done():
		return answer, &bugle.Error{Op: "channels", Kind: bugle.KindNotFound, Message: "the call is over"}
	}
}

func (c channels) MoveChannel(ctx context.Context, accountID, id string, to crossbar.Destination) error {
	where := call.Destination{Number: to.Number, Callflow: to.CallflowID}
	for module, endpoint := range map[string]string{"user": to.UserID, "device": to.DeviceID} {
		if endpoint != "" {
			data, err := json.Marshal(endpoint)
			if err != nil {
				return err
			}
			where.Flow = bugle.Flow{Module: module, Data: bugle.Fields{"id": data, "can_call_self": json.RawMessage("true")}}
		}
	}
	status, err := answered(ctx, func(told func(int)) bool { return c.registry.Move(accountID, id, where, told) })
	if err != nil || status == 100 {
		return err
	}
	message := "the channel is being moved already, or is no part of what goes on in its call"
	if status == 403 {
		message = "the other leg is no device of the account, and nobody else may have calls moved"
	}
	return &bugle.Error{Op: "channels.MoveChannel", Kind: bugle.KindInvalid, Message: message}
}

// Parked are the callers who wait in slots.
func (c channels) Parked(accountID string) []crossbar.ParkedCall {
	parked := c.registry.Parked(accountID)
	out := make([]crossbar.ParkedCall, len(parked))
	for i, p := range parked {
		out[i] = crossbar.ParkedCall{Slot: p.Slot, CallID: p.Caller.ID, Name: p.Caller.Name, Number: p.Caller.Number, Realm: p.Realm,
			PresenceID: p.PresenceID, RingbackID: p.RingbackID, ParkerCallID: p.ParkerCallID, Since: p.Since}
	}
	return out
}

func (c channels) BreakChannel(ctx context.Context, accountID, id string) error {
	cut, err := answered(ctx, func(told func(bool)) bool { return c.registry.Break(accountID, id, told) })
	if err == nil && !cut {
		err = &bugle.Error{Op: "channels.BreakChannel", Kind: bugle.KindInvalid, Message: "nothing is being played to the channel"}
	}
	return err
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
