// Package bench measures the relay beside the servers alone and beside a naive relay (bench/naive), within one run: machines
// differ and are noisy, so only ratios mean anything. It is run by `make bench`, never by `make test`. How to read it:
// docs/ARCHITECTURE.md.
package bench
