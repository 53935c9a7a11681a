//go:build race

package peers

// raced: the tests run with the race detector, and so does the server.
const raced = true
