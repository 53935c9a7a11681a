package directory

import "bugle"

// OfUser returns the user's entry in a directory, false when he is not a member of it or is disabled. extension is the
// number that reaches him, "" for none; it is the caller's to know, since it stands in callflow documents.
func OfUser(u bugle.User, directoryID, extension string) (Person, bool) {
	callflow, member := u.Directories[directoryID]
	if !member || !u.Enabled {
		return Person{}, false
	}
	recorded := u.NameMedia
	if recorded == "" {
		recorded = u.Pronounced
	}
	return Person{ID: u.ID, Given: u.FirstName, Family: u.LastName, Phonetic: u.Phonetic, Nickname: u.Nickname,
		Extension: extension, CallflowID: callflow, Recorded: recorded}, true
}

// OfDevice returns the device's entry in a directory, as OfUser does. Its name stands for both names.
func OfDevice(d bugle.Device, directoryID, extension string) (Person, bool) {
	callflow, member := d.Directories[directoryID]
	if !member || !d.Enabled {
		return Person{}, false
	}
	return Person{ID: d.ID, Given: d.Name, Extension: extension, CallflowID: callflow}, true
}
