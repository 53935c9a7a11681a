// Package callflowtest is a house of documents in memory and scripted phones, in which tests rehearse callflows: the
// engine and the modules are the real ones.
package callflowtest
