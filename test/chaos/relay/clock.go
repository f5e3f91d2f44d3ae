//go:build !clockstep

package main

// watchClock does nothing: this build has the machine's clock.
func watchClock() {}
