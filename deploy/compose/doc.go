// Package compose holds a compose file with a broker and a chat server; its tests hold it to what the relay needs.
package compose
