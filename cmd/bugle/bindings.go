package main

import (
	"context"
	"net/netip"
	"time"

	"bugle/internal/registrar"
	"bugle/internal/store"
)

// How long registrations wait for others: docs/decisions/0003.
const (
	saveBindingsWithin    = 150 * time.Millisecond // a phone waits for it, and would ask again after 500 ms
	refreshBindingsWithin = 500 * time.Millisecond // nobody does
)

// bindings keeps registrations over a restart: registrar.Log on the store's records.
type bindings struct{ store *store.Store }

func (b bindings) Load(ctx context.Context) ([]registrar.Binding, error) {
	var out []registrar.Binding
	err := b.store.LoadBindings(ctx, func(row store.BindingRow) error {
		source, _ := netip.ParseAddrPort(row.Source)
		local, _ := netip.ParseAddrPort(row.Local)
		out = append(out, registrar.Binding{AccountID: row.AccountID, DeviceID: row.DeviceID, OwnerID: row.OwnerID,
			Username: row.Username, Realm: row.Realm, Contact: row.Contact, Instance: row.Instance, Q: row.Q, Path: row.Path,
			Transport: row.Transport, Source: source, Local: local, CallID: row.CallID, CSeq: row.CSeq,
			UserAgent: row.UserAgent, Created: row.Created, Refreshed: row.Refreshed, Expires: row.Expires})
		return nil
	})
	return out, err
}

func (b bindings) Save(ctx context.Context, save []registrar.Binding, remove []registrar.Key) error {
	rows := make([]store.BindingRow, len(save))
	for i, s := range save {
		rows[i] = store.BindingRow{AccountID: s.AccountID, DeviceID: s.DeviceID, OwnerID: s.OwnerID, Username: s.Username,
			Realm: s.Realm, Contact: s.Contact, Instance: s.Instance, Q: s.Q, Path: s.Path, Transport: s.Transport,
			Source: s.Source.String(), Local: s.Local.String(), CallID: s.CallID, CSeq: s.CSeq, UserAgent: s.UserAgent,
			Created: s.Created, Refreshed: s.Refreshed, Expires: s.Expires}
	}
	keys := make([]store.BindingKey, len(remove))
	for i, key := range remove {
		keys[i] = store.BindingKey{DeviceID: key.DeviceID, Contact: key.Contact}
	}
	return b.store.SaveBindings(ctx, rows, keys)
}
