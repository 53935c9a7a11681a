// Package webhook delivers requests that are stored before their first attempt: at least once, the same bytes and the same
// id at every attempt, in order per key, by one node of many, over days when a receiver is away.
package webhook
