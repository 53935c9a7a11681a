package callflowtest

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"bugle"
)

// AccountID is the house's one account.
const AccountID = "acc"

// Documents is a callflow.Documents in memory. Maps are by id; Fail makes every look-up fail, and Unread those of the ids in
// it. It is safe for concurrent use as long as nobody writes to the maps but through With.
type Documents struct {
	mu          sync.RWMutex
	Accounts    map[string]bugle.Account
	Callflows   map[string]bugle.Callflow
	Users       map[string]bugle.User
	Devices     map[string]bugle.Device
	Menus       map[string]bugle.Menu
	Grouped     []bugle.Group // what Groups returns
	Directories map[string]bugle.Directory
	Fail        bool
	Unread      map[string]bool
}

// ErrDown is what every look-up returns while Fail is set.
var ErrDown = errors.New("the database is down")

func newDocuments() *Documents {
	return &Documents{Accounts: map[string]bugle.Account{}, Callflows: map[string]bugle.Callflow{},
		Users: map[string]bugle.User{}, Devices: map[string]bugle.Device{}, Menus: map[string]bugle.Menu{},
		Directories: map[string]bugle.Directory{}}
}

// With changes documents while calls are up.
func (d *Documents) With(change func(d *Documents)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d)
}

func get[T any](d *Documents, account string, docs map[string]T, id string) (T, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	var none T
	if d.Fail || d.Unread[id] {
		return none, &bugle.Error{Op: "callflowtest", Kind: bugle.KindUnavailable, Err: ErrDown}
	}
	doc, ok := docs[id]
	if !ok || account != AccountID {
		return none, &bugle.Error{Op: "callflowtest", Kind: bugle.KindNotFound, Message: id}
	}
	return doc, nil
}

// Account is callflow.Documents'.
func (d *Documents) Account(_ context.Context, id string) (bugle.Account, error) {
	return get(d, AccountID, d.Accounts, id)
}

// Callflow is callflow.Documents'.
func (d *Documents) Callflow(_ context.Context, account, id string) (bugle.Callflow, error) {
	return get(d, account, d.Callflows, id)
}

// User is callflow.Documents'.
func (d *Documents) User(_ context.Context, account, id string) (bugle.User, error) {
	return get(d, account, d.Users, id)
}

// Device is callflow.Documents'.
func (d *Documents) Device(_ context.Context, account, id string) (bugle.Device, error) {
	return get(d, account, d.Devices, id)
}

// Menu is callflow.Documents'.
func (d *Documents) Menu(_ context.Context, account, id string) (bugle.Menu, error) {
	return get(d, account, d.Menus, id)
}

// Groups is callflow.Documents'.
func (d *Documents) Groups(_ context.Context, account string) ([]bugle.Group, error) {
	_, err := get(d, account, d.Accounts, account)
	d.mu.RLock()
	defer d.mu.RUnlock()
	return slices.Clone(d.Grouped), err
}

// Directory is callflow.Documents'.
func (d *Documents) Directory(_ context.Context, account, id string) (bugle.Directory, error) {
	return get(d, account, d.Directories, id)
}

// CallflowByNumber is callflow.Documents'.
func (d *Documents) CallflowByNumber(_ context.Context, account, number string) (bugle.Callflow, error) {
	id := ""
	d.mu.RLock()
	for _, c := range d.Callflows {
		if slices.Contains(c.Numbers, number) {
			id = c.ID
		}
	}
	d.mu.RUnlock()
	return get(d, account, d.Callflows, id)
}

// CallflowsWithPatterns is callflow.Documents'; the order is a map's.
func (d *Documents) CallflowsWithPatterns(context.Context, string) ([]bugle.Callflow, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	var flows []bugle.Callflow
	for _, c := range d.Callflows {
		if len(c.Patterns) > 0 {
			flows = append(flows, c)
		}
	}
	return flows, nil
}

// NumberBegins is callflow.Documents'.
func (d *Documents) NumberBegins(_ context.Context, _, prefix string) (bool, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for _, c := range d.Callflows {
		for _, n := range c.Numbers {
			if strings.HasPrefix(n, prefix) && len(n) > len(prefix) {
				return true, nil
			}
		}
	}
	return false, nil
}

// DevicesOf is callflow.Documents'; by id.
func (d *Documents) DevicesOf(_ context.Context, _, userID string) ([]bugle.Device, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	var devices []bugle.Device
	for _, device := range d.Devices {
		if device.OwnerID == userID {
			devices = append(devices, device)
		}
	}
	slices.SortFunc(devices, func(a, b bugle.Device) int { return cmp.Compare(a.ID, b.ID) })
	return devices, nil
}
