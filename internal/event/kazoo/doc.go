// Package kazoo is KAZOO's webhooks: it finds the webhook documents that an event is for, writes what KAZOO would send, and
// enqueues it for delivery; changes of documents exactly once, from a durable place in the change log.
package kazoo
