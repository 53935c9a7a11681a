package callflow_test

import (
	"testing"

	"bugle"
	"bugle/internal/callflow/callflowtest"
)

func group(id string, members ...bugle.GroupMember) bugle.Group {
	return bugle.Group{ID: id, Members: members}
}

func TestClosedGroups(t *testing.T) {
	t.Parallel()
	bob, ann := bugle.GroupMember{ID: "bob-caller", Type: "user"}, bugle.GroupMember{ID: "ann-lee", Type: "user"}
	phone, annsPhone := bugle.GroupMember{ID: "1001", Type: "device"}, bugle.GroupMember{ID: "1002", Type: "device"}
	sub := bugle.GroupMember{ID: "sub", Type: "group"}
	const closed = "closed_groups=deny"
	outside := func(whose string) string { return whose + " allows calls within its groups only: 1002" }
	for _, test := range []struct {
		name                  string
		account, user, device string
		groups                []bugle.Group
		dial, want, trail     string
	}{
		{"a shared group", "", closed, "", []bugle.Group{group("g", bob, ann)}, "1002", "rings 1002", ""},
		{"no shared group", "", closed, "", []bugle.Group{group("g", bob), group("h", ann)}, "1002", refused, outside("user bob-caller")},
		{"no group at all", closed, "", "", nil, "1002", refused, outside("account acc")},
		{"the device is in it", "", "", closed, []bugle.Group{group("g", phone, ann)}, "1002", "rings 1002", ""},
		{"the other's device is not the other", "", "", closed, []bugle.Group{group("g", bob, annsPhone)}, "1002", refused, outside("device 1001")},
		{"a group in a group", "", closed, "", []bugle.Group{group("top", sub, ann), group("sub", bob)}, "1002", "rings 1002", ""},
		{"groups in a circle", "", closed, "", []bugle.Group{group("sub", bugle.GroupMember{ID: "top"}, bob), group("top", sub)}, "1002", refused,
			outside("user bob-caller")},
		{"the device opens what the account closes", closed, "", "closed_groups=allow", nil, "1002", "rings 1002", ""},
		{"numbers that are nobody's", "", closed, "", nil, "+12125550100", "ends 481", ""},
		{"a device's number", "", closed, "", []bugle.Group{group("g", bob, ann)}, "1102", "rings 1002", ""},
		{"a device's number outside", "", closed, "", []bugle.Group{group("g", bob)}, "1102", refused,
			"user bob-caller allows calls within its groups only: 1102"},
		{"besides a class", "", closed + ",unknown=deny", "", nil, "1002", refused, outside("user bob-caller")},
		{"emergency", closed, "", "", nil, "911", "ends 482", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := restricted(t)
			h.Callflow("desk", "1102", `{"module":"device","data":{"id":"1002"}}`)
			restrict(h, test.account, test.user, test.device)
			h.Documents.With(func(d *callflowtest.Documents) { d.Grouped = test.groups })
			h.Play("dial " + test.dial + "\n" + test.want + "\nhangs up")
			got := ""
			for _, step := range h.Reports()[0].Trail {
				if step.Name == "restricted" {
					got = step.Detail
				}
			}
			if got != test.trail {
				t.Errorf("the trail says %q, want %q", got, test.trail)
			}
		})
	}
}
