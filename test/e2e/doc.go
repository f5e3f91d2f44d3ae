// Package e2e runs the real relay binary between real servers: mosquitto on one side, Prosody or ejabberd on
// the other. Its tests count every message by id at both ends, in order, and hold the relay's own journals
// (/statusz) against what was sent and seen.
//
// CHATRELAY_E2E_N sets how many messages a load sends each way (default 10,000; 1,000 with -short).
// CHATRELAY_E2E_BINARY names a relay binary to test instead of one built from this tree.
package e2e
