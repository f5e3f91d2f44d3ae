// Package bench measures the relay beside the servers alone, within one run: machines differ and are noisy, so only
// ratios mean anything. It is run by `make bench`, never by `make test`.
package bench
