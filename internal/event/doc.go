// Package event is the change log's readers: followers that keep what is derived from documents current.
package event
