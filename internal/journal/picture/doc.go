// Package picture is what the journal knows of its messages, as a state machine: facts that were decided go in, one
// frame after the other, and the same facts always make the same picture. So the log of the facts is the journal, and
// a start reads it again.
//
// Apply decides nothing. Time stands in the frame's head; limits, the room on the disk and what a dispatcher has in hand
// were looked at by whoever decided. There is no lock, no clock, no file and no goroutine here: the journal's writer
// applies, and the journal's mutex guards.
//
// What it does not do: it knows no protocol, looks into no body, and has no lanes.
package picture
