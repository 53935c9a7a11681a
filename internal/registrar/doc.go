// Package registrar is the location service of RFC 3261 §10: the bindings of devices to the places where they can be
// reached, with their expiry, order and persistence. It opens no sockets and reads no messages; sipua authenticates a
// REGISTER, turns it into a Request and answers with what Register says.
package registrar
