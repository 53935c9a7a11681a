package main

import (
	"cmp"
	"context"
	"net/netip"

	"bugle"
	"bugle/internal/crossbar"
	"bugle/internal/store"
)

// devices finds who a SIP request is from: sipua.Directory on the store's cache.
type devices struct {
	*documents
	sealer *store.Sealer
}

func (d *devices) DeviceByUsername(ctx context.Context, realm, username string) (bugle.Account, bugle.Device, error) {
	doc, err := d.named(ctx, realm, username)
	if err != nil {
		return bugle.Account{}, bugle.Device{}, err
	}
	return d.whole(ctx, doc)
}

func (d *devices) Password(device bugle.Device) (string, error) {
	return d.sealer.Open(device.SIP.Password, device.ID, "sip.password")
}

// named returns the device of a user name: in the account of the realm, or the only one of the whole system.
func (d *devices) named(ctx context.Context, realm, username string) (store.Document, error) {
	if realm != "" {
		account, err := d.AccountByRealm(ctx, realm)
		if err != nil {
			return store.Document{}, err
		}
		return d.cache.GetByKey(ctx, store.Key{Space: crossbar.KeySIPUsername, Scope: account.ID, Value: username})
	}
	docs, err := d.cache.ListByIndex(ctx, "", crossbar.TypeDevice, store.Index{Name: crossbar.IndexSIPUsername, Value: username})
	if err != nil {
		return store.Document{}, err
	}
	if len(docs) != 1 {
		return store.Document{}, &bugle.Error{Op: "devices.named", Kind: bugle.KindNotFound,
			Message: "not exactly one device has this user name; the phone must name its realm"}
	}
	return docs[0], nil
}

func (d *devices) DeviceByIP(ctx context.Context, addr netip.Addr) (bugle.Account, bugle.Device, error) {
	doc, err := d.cache.GetByKey(ctx, store.Key{Space: crossbar.KeySIPAddress, Value: addr.Unmap().String()})
	if err != nil {
		return bugle.Account{}, bugle.Device{}, err
	}
	return d.whole(ctx, doc)
}

func (d *devices) AccountByRealm(ctx context.Context, realm string) (bugle.Account, error) {
	doc, err := d.cache.GetByKey(ctx, store.Key{Space: crossbar.KeyRealm, Value: realm})
	return view(d.cache, doc, err, bugle.ParseAccount)
}

func (d *devices) whole(ctx context.Context, doc store.Document) (bugle.Account, bugle.Device, error) {
	device, err := store.View(d.cache, doc, bugle.ParseDevice)
	if err != nil {
		return bugle.Account{}, device, err
	}
	account, err := d.Account(ctx, doc.AccountID)
	device.SIP.Digest = cmp.Or(device.SIP.Digest, account.SIPDigest)
	return account, device, err
}
