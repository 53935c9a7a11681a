// Package bugle holds the nouns of a hosted phone system: accounts, users, devices, callflows, directories, menus and
// media as typed views of open JSON documents, the changes made to them, and the one error type that every room of the
// house returns. It does no I/O, keeps no clock and imports nothing but the standard library.
//
// The document shapes are those of KAZOO's Crossbar API (https://docs.2600hz.com/), so that KAZOO's clients work
// unchanged.
package bugle
