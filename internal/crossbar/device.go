package crossbar

import (
	"net/http"
	"net/netip"
	"strings"

	"bugle"
	"bugle/internal/store"
)

func devices() *resource {
	return &resource{noun: "devices", typ: TypeDevice, schema: "devices",
		about: "`sip.username` and `sip.password` are made up when left out; a replacement that leaves them out keeps them. Disabling " +
			"or deleting a device, and new credentials, end its registration. `status` lists the devices that are registered. " +
			"POST to `sync` asks the registered phones of a device to read their configuration again (202), with `reboot` true to restart.",
		within:   map[string]string{"users": IndexOwner},
		filtered: map[string]string{"owner_id": IndexOwner},
		summary:  summariseDevice,
		summaryKeys: []string{"name", "mac_address", "owner_id", "enabled", "device_type", "mobile", "call_recording", "flags",
			"sip"},
		copied: []string{"name", "mac_address", "owner_id", "enabled", "device_type", "mobile", "call_recording"},
		order:  byName, complete: completeDevice, check: checkDevice, keys: deviceKeys,
		index: func(e *edit) []store.Index {
			out := memberIndex(e.doc)
			if owner := stringAt(e.doc, "owner_id"); owner != "" {
				out = append(out, store.Index{Name: IndexOwner, Value: owner})
			}
			if username := stringAt(e.doc, "sip.username"); username != "" {
				out = append(out, store.Index{Name: IndexSIPUsername, Value: username})
			}
			return out
		},
		self: &selfService{list: true, ownedIndex: IndexOwner, paths: []string{"{id}/sync", "{id}/quickcall/{number}"},
			owned: func(d *store.Document, userID string) bool {
				body, err := bugle.ParseFields(d.Body)
				return err == nil && body.String("owner_id") == userID
			},
			fixed: []string{"sip", "owner_id", "enabled", "presence_id", "hotdesk", "caller_id", "caller_id_options", "call_restriction", "directories",
				"mac_address", "device_type"}},
		references: memberReferences("owner_id", "music_on_hold.media_id"),
		detach:     leaveDirectory,
		secrets:    []string{"sip.password"},
		taken: func(key store.Key, _ *store.Document) (string, map[string]any) {
			switch key.Space {
			case KeySIPUsername:
				return "sip.username", map[string]any{"message": "SIP credentials already in use", "cause": key.Value}
			case KeySIPAddress:
				return "sip.ip", map[string]any{"message": "SIP IP already in use", "cause": key.Value}
			case KeyMAC:
				return "mac_address", map[string]any{"message": "Mac address already in use", "cause": key.Value}
			}
			return "", nil
		},
		written: func(req *request, before, after map[string]any) {
			username := stringAt(before, "sip.username")
			if username == "" || after != nil && boolAt(after, "enabled", true) && stringAt(after, "sip.username") == username &&
				stringAt(after, "sip.password") == stringAt(before, "sip.password") {
				return
			}
			req.flush(username)
		},
		endpoints: []endpoint{
			{path: "status", ops: map[string]operation{http.MethodGet: {run: (*request).deviceStatus}}},
			quickcalls(TypeDevice),
			{path: "{id}/sync", ops: map[string]operation{http.MethodPost: {run: (*request).syncDevice}}}},
		shapes: map[string]shape{"GET {id}/quickcall/{number}": quickcallShape(http.MethodGet),
			"POST {id}/quickcall/{number}": quickcallShape(http.MethodPost),
			"POST {id}/sync": {summary: "Ask the phones of a device to read their configuration again",
				status: http.StatusAccepted, takes: objectOf(map[string]any{"reboot": typed("boolean")}), gives: typed("string")}},
	}
}

func summariseDevice(doc map[string]any) map[string]any {
	row := picking("name", "mac_address", "owner_id", "enabled", "device_type", "mobile", "call_recording")(doc)
	row["username"] = stringAt(doc, "sip.username")
	if _, ok := row["device_type"]; !ok {
		row["device_type"] = "sip_device"
	}
	return row
}

// completeDevice gives a device that registers its credentials. A replacement that leaves them out keeps those it had:
// the phone on the desk still uses them.
func completeDevice(e *edit) error {
	if _, given := e.doc["sip"]; !given {
		e.doc["sip"] = map[string]any{}
	}
	sip, ok := e.doc["sip"].(map[string]any)
	if !ok {
		return nil // the schema will say so
	}
	if mac, ok := e.doc["mac_address"].(string); ok && mac != "" {
		if normal := normalMAC(mac); normal == "" {
			e.errs.add("mac_address", "invalid", map[string]any{"message": "A MAC address has 12 hexadecimal digits", "value": clip(mac, 64)})
		} else {
			e.doc["mac_address"] = normal
		}
	}
	if stringAt(sip, "method") == "ip" {
		return nil
	}
	for key, fresh := range map[string]func() string{
		"username": func() string { return "user_" + randomText(10) },
		"password": func() string { return randomText(20) },
	} {
		if _, given := sip[key]; given {
			continue
		}
		if sip[key] = stringAt(e.before, "sip."+key); sip[key] == "" {
			sip[key] = fresh()
		}
	}
	return nil
}

// normalMAC is a MAC address as twelve digits in pairs, "" when it is none.
func normalMAC(mac string) string {
	digits := strings.ToLower(strings.NewReplacer(":", "", "-", "", ".", "").Replace(mac))
	if len(digits) != 12 || strings.Trim(digits, "0123456789abcdef") != "" {
		return ""
	}
	pairs := make([]string, 0, 6)
	for i := 0; i < 12; i += 2 {
		pairs = append(pairs, digits[i:i+2])
	}
	return strings.Join(pairs, ":")
}

func checkDevice(e *edit) error {
	checkMembership(e)
	if stringAt(e.doc, "sip.method") == "ip" {
		ip := stringAt(e.doc, "sip.ip")
		addr, err := netip.ParseAddr(ip)
		switch {
		case ip == "":
			e.errs.add("sip.ip", "required", map[string]any{"message": "Field is required but missing: sip.method is ip"})
		case err != nil || addr.Zone() != "":
			e.errs.add("sip.ip", "invalid", map[string]any{"message": "Must be a valid IP address", "value": clip(ip, 64)})
		case addr.IsUnspecified() || addr.IsMulticast():
			e.errs.add("sip.ip", "invalid", map[string]any{"message": "Must be the address of one host", "value": ip})
		}
	}
	if realm := stringAt(e.doc, "sip.realm"); realm != "" && !strings.EqualFold(realm, e.owner.view.Realm) &&
		realm != stringAt(e.before, "sip.realm") { // the account may have moved to another realm since
		e.errs.add("sip.realm", "invalid", map[string]any{"message": "Must be the account's realm, " + e.owner.view.Realm +
			", or be left out", "value": clip(realm, 253)})
	}
	for _, key := range [...]string{"sip.username", "sip.password"} {
		if s := stringAt(e.doc, key); strings.ContainsAny(s, " \t\r\n\"\\@:;<>\x00\x7f") && key == "sip.username" ||
			strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) >= 0 {
			e.errs.add(key, "invalid", map[string]any{"message": "Must not hold characters that SIP cannot carry there"})
		}
	}
	if s, given := e.doc["owner_id"].(string); given && s == "" {
		delete(e.doc, "owner_id")
		delete(e.errs, "owner_id")
	}
	return nil
}

func deviceKeys(e *edit) []store.Key {
	var keys []store.Key
	if stringAt(e.doc, "sip.method") == "ip" {
		if addr, err := netip.ParseAddr(stringAt(e.doc, "sip.ip")); err == nil {
			keys = append(keys, store.Key{Space: KeySIPAddress, Value: addr.Unmap().String()})
		}
	}
	if username := stringAt(e.doc, "sip.username"); username != "" {
		keys = append(keys, store.Key{Space: KeySIPUsername, Scope: e.owner.id, Value: username})
	}
	if mac := stringAt(e.doc, "mac_address"); mac != "" {
		keys = append(keys, store.Key{Space: KeyMAC, Value: strings.ReplaceAll(mac, ":", "")})
	}
	return keys
}

// deviceStatus lists the devices that are registered.
func (req *request) deviceStatus() (*reply, error) {
	rows := []any{}
	seen := map[string]bool{}
	for _, r := range req.registered() {
		if r.DeviceID != "" && !seen[r.DeviceID] {
			seen[r.DeviceID] = true
			rows = append(rows, map[string]any{"device_id": r.DeviceID, "registered": true})
		}
	}
	return req.listReply(appendTree(nil, rows), &page{whole: true}), nil
}

// syncDevice answers POST on a device's sync.
func (req *request) syncDevice() (*reply, error) {
	id := req.route.arg()
	d, err := req.api.get(req.ctx, req.account.id, TypeDevice, id)
	if err != nil {
		return nil, req.missing(err, id)
	}
	data, err := req.object()
	if err != nil {
		return nil, err
	}
	reboot, ok := data["reboot"].(bool)
	if given := data["reboot"]; given != nil && !ok {
		return nil, oneError("reboot", "type", "Value did not match type(s): boolean", given)
	}
	asked := 0
	if req.api.opts.Registrations != nil {
		if asked, err = req.api.opts.Registrations.SyncDevice(req.account.id, d.ID, reboot); err != nil {
			return nil, unsynced("no phone of the device can be reached: "+errorText(err), id)
		}
	}
	if asked == 0 {
		return nil, unsynced("the device is not registered: there is no phone to ask", id)
	}
	return &reply{status: http.StatusAccepted, data: []byte(`"sync request sent"`)}, nil
}

func unsynced(message, id string) *fault {
	return &fault{status: http.StatusBadRequest, message: "invalid data", data: map[string]any{"message": message, "cause": id}}
}
