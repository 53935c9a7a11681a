package bugle

import (
	"maps"
	"slices"
)

// Group is a set of users, devices and other groups.
type Group struct {
	ID      string
	Name    string
	Members []GroupMember // in the order of their ids
}

// GroupMember is one of a group's endpoints.
type GroupMember struct {
	ID   string
	Type string // "user", "device" or "group"
}

// ParseGroup reads a group document.
func ParseGroup(id string, doc []byte) (Group, error) {
	f, err := parse("bugle.ParseGroup", id, doc)
	if err != nil {
		return Group{}, err
	}
	g := Group{ID: id, Name: f.String("name")}
	endpoints := f.Object("endpoints")
	for _, member := range slices.Sorted(maps.Keys(endpoints)) {
		g.Members = append(g.Members, GroupMember{member, endpoints.Object(member).String("type")})
	}
	return g, nil
}

// GroupsOf returns the ids of the groups that have any of the members, or a group that has one, and so on.
func GroupsOf(groups []Group, members ...string) map[string]bool {
	found := map[string]bool{}
	for more := true; more; {
		more = false
		for _, g := range groups {
			if found[g.ID] {
				continue
			}
			if slices.ContainsFunc(g.Members, func(m GroupMember) bool { return found[m.ID] || slices.Contains(members, m.ID) }) {
				found[g.ID], more = true, true
			}
		}
	}
	return found
}
