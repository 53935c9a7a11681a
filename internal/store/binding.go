package store

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"bugle"
)

// BindingRow is one registered contact. A device and a contact have one row at most.
type BindingRow struct {
	AccountID string
	DeviceID  string
	OwnerID   string
	Username  string
	Realm     string
	Contact   string
	Instance  string
	Q         int // thousandths
	Path      []string
	Transport string
	Source    string // address and port
	Local     string // address and port
	CallID    string
	CSeq      uint32
	UserAgent string
	Created   time.Time
	Refreshed time.Time
	Expires   time.Time
}

// MaxContact is how many bytes a binding's device and contact may have together. More is refused with KindTooLarge.
const MaxContact = 2048

// BindingKey names a binding.
type BindingKey struct{ DeviceID, Contact string }

func (k BindingKey) compare(other BindingKey) int {
	return cmp.Or(strings.Compare(k.DeviceID, other.DeviceID), strings.Compare(k.Contact, other.Contact))
}

// bindingWrite is a row to write, or the key of one to remove when row is nil.
type bindingWrite struct {
	row *BindingRow
	key BindingKey
}

// SaveBindings writes and removes bindings in one commit, which it shares with those that came while the one before was
// written. When it returns nil they are safe. When it fails nothing was changed, except that a ctx that ended early
// leaves it open.
func (s *Store) SaveBindings(ctx context.Context, save []BindingRow, remove []BindingKey) error {
	if err := checkBindings(save); err != nil {
		return err
	}
	return s.bindings.save(ctx, bindingWrites(save, remove))
}

// SubmitBindings is SaveBindings for a caller that does not wait: done is called once, after the commit or its
// failure, and must not block.
func (s *Store) SubmitBindings(save []BindingRow, remove []BindingKey, done func(error)) {
	if err := checkBindings(save); err != nil {
		done(err)
		return
	}
	s.bindings.submit(bindingWrites(save, remove), done)
}

func checkBindings(save []BindingRow) error {
	for i := range save {
		if n := len(save[i].DeviceID) + len(save[i].Contact); n > MaxContact {
			return &bugle.Error{Op: "store.SaveBindings", Kind: bugle.KindTooLarge,
				Message: "a contact of " + strconv.Itoa(n) + " bytes; up to " + strconv.Itoa(MaxContact) + " with its device's id"}
		}
	}
	return nil
}

func bindingWrites(save []BindingRow, remove []BindingKey) []bindingWrite {
	writes := make([]bindingWrite, 0, len(save)+len(remove))
	for i := range save {
		writes = append(writes, bindingWrite{row: &save[i], key: BindingKey{save[i].DeviceID, save[i].Contact}})
	}
	for _, key := range remove {
		writes = append(writes, bindingWrite{key: key})
	}
	return writes
}

// writeBindings writes what the group says last of each binding, in the order of their keys: two servers whose groups
// meet wait for each other at the first of them.
func (s *Store) writeBindings(ctx context.Context, t *transaction, writes []bindingWrite) error {
	last := make(map[BindingKey]*BindingRow, len(writes))
	for _, w := range writes {
		last[BindingKey{clean(w.key.DeviceID), clean(w.key.Contact)}] = w.row
	}
	var rows, gone [][]any
	for _, key := range slices.SortedFunc(maps.Keys(last), BindingKey.compare) {
		b := last[key]
		if b == nil {
			gone = append(gone, []any{key.DeviceID, key.Contact})
			continue
		}
		path, err := json.Marshal(b.Path)
		if err != nil {
			return err
		}
		rows = append(rows, []any{key.DeviceID, key.Contact, clean(b.AccountID), clean(b.OwnerID), clean(b.Username),
			clean(b.Realm), clean(b.Instance), b.Q, string(path), clean(b.Transport), clean(b.Source), clean(b.Local),
			clean(b.CallID), int64(b.CSeq), clean(b.UserAgent), micro(b.Created), micro(b.Refreshed), micro(b.Expires)})
	}
	if err := inBatches(ctx, t, `DELETE FROM bindings WHERE (device_id, contact) IN (VALUES `, `)`, gone); err != nil {
		return err
	}
	return inBatches(ctx, t, `INSERT INTO bindings (device_id, contact, account_id, owner_id, username, realm, instance, q, path, `+
		`transport, source, local, call_id, cseq, user_agent, created, refreshed, expires) VALUES `,
		` ON CONFLICT (device_id, contact) DO UPDATE SET account_id = excluded.account_id, owner_id = excluded.owner_id, `+
			`username = excluded.username, realm = excluded.realm, instance = excluded.instance, q = excluded.q, `+
			`path = excluded.path, transport = excluded.transport, source = excluded.source, local = excluded.local, `+
			`call_id = excluded.call_id, cseq = excluded.cseq, user_agent = excluded.user_agent, created = excluded.created, `+
			`refreshed = excluded.refreshed, expires = excluded.expires`, rows)
}

// LoadBindings calls each for every saved binding; expired ones may be among them. An error of each ends it.
func (s *Store) LoadBindings(ctx context.Context, each func(BindingRow) error) error {
	rows, err := s.readable().rows(ctx, `SELECT device_id, contact, account_id, owner_id, username, realm, instance, q, path, `+
		`transport, source, local, call_id, cseq, user_agent, created, refreshed, expires FROM bindings `+
		`ORDER BY device_id, contact`)
	if err != nil {
		return s.fail("store.LoadBindings", err)
	}
	defer rows.Close()
	for rows.Next() {
		var b BindingRow
		var path []byte
		var cseq, created, refreshed, expires int64
		if err := rows.Scan(&b.DeviceID, &b.Contact, &b.AccountID, &b.OwnerID, &b.Username, &b.Realm, &b.Instance, &b.Q,
			&path, &b.Transport, &b.Source, &b.Local, &b.CallID, &cseq, &b.UserAgent, &created, &refreshed,
			&expires); err != nil {
			return s.fail("store.LoadBindings", err)
		}
		if err := json.Unmarshal(path, &b.Path); err != nil {
			return &bugle.Error{Op: "store.LoadBindings", Kind: bugle.KindInternal, Err: err}
		}
		b.CSeq, b.Created, b.Refreshed, b.Expires = uint32(cseq), timeOf(created), timeOf(refreshed), timeOf(expires)
		if err := each(b); err != nil {
			return err
		}
	}
	return s.fail("store.LoadBindings", rows.Err())
}

// clean makes s fit a text column of every database. Phones put what they like into a User-Agent; a record is not
// refused for it.
func clean(s string) string {
	if text(s) {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// micro keeps the zero time as 0.
func micro(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func timeOf(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return fromMicro(us)
}
