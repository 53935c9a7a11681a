// Package crossbar is the HTTP API that clients of KAZOO's Crossbar speak (https://docs.2600hz.com/): accounts, users,
// devices, callflows, directories, menus and media as documents under /v2/accounts, with KAZOO's envelope, error bodies,
// authentication and write semantics.
//
// One table (resources.go) says for each resource its path, its schema, its list view, what must be unique and what is
// checked beyond the schema; routes, validation and lists are all driven by it, so a new resource is a new row.
package crossbar
