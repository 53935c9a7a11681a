// Package module holds the modules of callflows: one file, one JSON schema and one page of docs/callflows for each, and
// one table of all of them.
package module
