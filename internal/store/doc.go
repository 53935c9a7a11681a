// Package store keeps what must not be lost: documents with their change log, records that are no documents
// (registrations, calls), and blobs. One file per duty, one engine behind a small seam.
//
// A document is its exact bytes plus the values that it is found by: unique keys, look-up indexes and a sort key, all
// computed by the writer, none by the database. Every write of a document appends a bugle.Change in the same
// transaction; there is no exported way around it. Followers read the log from a position of theirs; a nudge only says
// that looking now is worth while.
package store
