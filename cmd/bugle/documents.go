package main

import (
	"context"

	"bugle"
	"bugle/internal/crossbar"
	"bugle/internal/store"
)

// documents gives calls their configuration, from memory as long as nothing changed: callflow.Documents on the store's
// cache.
type documents struct {
	store *store.Store
	cache *store.Cache
}

func (d *documents) Account(ctx context.Context, accountID string) (bugle.Account, error) {
	doc, err := d.cache.Get(ctx, accountID, crossbar.TypeAccount, accountID)
	return view(d.cache, doc, err, bugle.ParseAccount)
}

func (d *documents) Callflow(ctx context.Context, accountID, id string) (bugle.Callflow, error) {
	doc, err := d.cache.Get(ctx, accountID, crossbar.TypeCallflow, id)
	return view(d.cache, doc, err, bugle.ParseCallflow)
}

func (d *documents) CallflowByNumber(ctx context.Context, accountID, number string) (bugle.Callflow, error) {
	doc, err := d.cache.GetByKey(ctx, store.Key{Space: crossbar.KeyNumber, Scope: accountID, Value: number})
	return view(d.cache, doc, err, bugle.ParseCallflow)
}

func (d *documents) CallflowsWithPatterns(ctx context.Context, accountID string) ([]bugle.Callflow, error) {
	docs, err := d.cache.ListByIndex(ctx, accountID, crossbar.TypeCallflow, store.Index{Name: crossbar.IndexPatterned, Value: "1"})
	return views(d.cache, docs, err, bugle.ParseCallflow)
}

// NumberBegins asks the database. It is asked only for a number that no callflow has, to tell an incomplete number (484)
// from an unknown one (404); without a database nothing is said to be incomplete.
func (d *documents) NumberBegins(ctx context.Context, accountID, prefix string) (bool, error) {
	begins, err := d.store.KeyBegins(ctx, crossbar.KeyNumber, accountID, prefix)
	if bugle.KindOf(err) == bugle.KindUnavailable && err != nil {
		return false, nil
	}
	return begins, err
}

func (d *documents) User(ctx context.Context, accountID, id string) (bugle.User, error) {
	doc, err := d.cache.Get(ctx, accountID, crossbar.TypeUser, id)
	return view(d.cache, doc, err, bugle.ParseUser)
}

func (d *documents) Device(ctx context.Context, accountID, id string) (bugle.Device, error) {
	doc, err := d.cache.Get(ctx, accountID, crossbar.TypeDevice, id)
	return view(d.cache, doc, err, bugle.ParseDevice)
}

func (d *documents) DevicesOf(ctx context.Context, accountID, userID string) ([]bugle.Device, error) {
	docs, err := d.cache.ListByIndex(ctx, accountID, crossbar.TypeDevice, store.Index{Name: crossbar.IndexOwner, Value: userID})
	return views(d.cache, docs, err, bugle.ParseDevice)
}

func (d *documents) Groups(ctx context.Context, accountID string) ([]bugle.Group, error) {
	docs, err := d.cache.ListByIndex(ctx, accountID, crossbar.TypeGroup, store.Index{})
	return views(d.cache, docs, err, bugle.ParseGroup)
}

func (d *documents) Menu(ctx context.Context, accountID, id string) (bugle.Menu, error) {
	doc, err := d.cache.Get(ctx, accountID, crossbar.TypeMenu, id)
	return view(d.cache, doc, err, bugle.ParseMenu)
}

func (d *documents) Directory(ctx context.Context, accountID, id string) (bugle.Directory, error) {
	doc, err := d.cache.Get(ctx, accountID, crossbar.TypeDirectory, id)
	return view(d.cache, doc, err, bugle.ParseDirectory)
}

// view is store.View of a look-up that may have failed.
func view[T any](c *store.Cache, doc store.Document, err error, parse func(string, []byte) (T, error)) (T, error) {
	if err != nil {
		var none T
		return none, err
	}
	return store.View(c, doc, parse)
}

// views are the nouns of a list. A document that cannot be read is an error of the whole: half a list would ring half the
// phones.
func views[T any](c *store.Cache, docs []store.Document, err error, parse func(string, []byte) (T, error)) ([]T, error) {
	if err != nil {
		return nil, err
	}
	out := make([]T, len(docs))
	for i, doc := range docs {
		if out[i], err = store.View(c, doc, parse); err != nil {
			return nil, err
		}
	}
	return out, nil
}
