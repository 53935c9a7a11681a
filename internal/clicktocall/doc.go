// Package clicktocall is the policy of calls that a web page or a program asks for: whom they may reach, when and how often,
// and what becomes of each. It knows no HTTP and no SIP: the API asks it, and an Originator calls.
package clicktocall
