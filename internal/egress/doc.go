// Package egress is the one guard for every connection that the program opens outwards, SIP or HTTP: loopback, private,
// link-local, metadata and other special addresses are reached only inside the networks that the operator allowed,
// and what is checked is the address that is dialled, after names have been resolved.
package egress
