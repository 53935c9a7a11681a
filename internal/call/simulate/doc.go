// Package simulate runs calls without a phone and without waiting: a virtual clock that moves only when nothing else can
// happen, legs that are scripted instead of signalled, and dialogues whose lines read as what a caller does and hears.
//
// The same calls, flows and modules run on it as on real phones. A dialogue is a text, one line a step:
//
//	dial 411
//	hear dir-enter_person_name
//	press 5 3 3
//	hear dir-found
//	press 1
//	rings 1002
//	answers 1002
//	talks 1002
//	hangs up
//
// Expectations pass time until they come true, at most World.Patience.
package simulate
