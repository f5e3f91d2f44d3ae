// Package trace keeps what happened to each message, so that a person can follow one: by its number, by its sender's id,
// by the landlines that it is from and for. It stands beside the journal and decides nothing: what is lost of it is lost to
// people alone (a kill of the relay loses the last 100 ms, a power cut some seconds). It holds no content of messages. internal/app has it written, and reads it for chatrelay trace, for
// the status page and for the console.
package trace
