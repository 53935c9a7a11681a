// Package callflow leads calls through callflows: from an account's number to a callflow (route.go), node by node
// through its tree (exec.go), and it judges flows before they are saved (check.go). What a node does is a Module.
package callflow
