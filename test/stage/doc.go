// Package stage sets the scene for the end-to-end tests and the fault suite: real servers, people with clients
// on both networks, the relay as a process that can be killed, an oracle that knows every message by its id,
// and traffic. It judges nothing by itself: the tests do.
package stage
