package crossbar_test

import (
	"slices"
	"strings"
	"testing"

	"bugle"
	"bugle/internal/crossbar"
)

func TestDeviceSync(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.must("PUT", w.own("/devices"), `{"name":"Desk"}`).str("id")
	sync := w.own("/devices/" + id + "/sync")
	if a := w.call("POST", sync, `{}`); a.code != 400 || !strings.Contains(a.str("message"), "not registered") || a.str("cause") != id {
		t.Errorf("%d %s", a.code, a.text)
	}
	w.phones.list[w.account] = []crossbar.Registration{{DeviceID: id, Username: "1001"}}
	w.phones.synced = nil
	for _, data := range []string{`{}`, `{"reboot":true}`, `{"reboot":false}`, ""} {
		if a := w.call("POST", sync, data); a.code != 202 || a.data() != any("sync request sent") || a.body["status"] != "success" {
			t.Errorf("%s: %d %s", data, a.code, a.text)
		}
	}
	device := w.account + "/" + id
	if want := []string{device + " false", device + " true", device + " false", device + " false"}; !slices.Equal(w.phones.synced, want) {
		t.Errorf("%q", w.phones.synced)
	}
	if a := w.call("POST", sync, `{"reboot":"yes"}`); a.code != 400 || a.at("reboot", "type") == nil {
		t.Errorf("%d %s", a.code, a.text)
	}
	w.phones.deaf = &bugle.Error{Kind: bugle.KindUnavailable, Message: "its connection is gone"}
	if a := w.call("POST", sync, `{}`); a.code != 400 || !strings.Contains(a.str("message"), "its connection is gone") {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.call("POST", w.own("/devices/"+nowhere+"/sync"), `{}`); a.code != 404 {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.call("GET", sync, ""); a.code != 405 {
		t.Errorf("%d %s", a.code, a.text)
	}
}
