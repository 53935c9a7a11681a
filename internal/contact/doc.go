// Package contact composes the entries of a company's directory out of documents: a person for each user, and groups, menus,
// mailboxes and parking slots that have an extension. It is pure: whoever keeps the documents' facts asks it what a
// contact is now (compose.go), whether that is another than before (compare.go), and what to tell readers (event.go).
//
// A document is reduced to its Facts as soon as it changes, so that what is known of a company is small, and so that a change
// which no contact shows is noticed at once: its facts are the same.
package contact
