// Package chain holds the parts of a plan's chain that are no policies: folding a list of interceptors into one handler,
// the stage that reads the first message, recovery from panics, and services that the gateway answers by itself.
package chain
