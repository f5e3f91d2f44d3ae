package admin

// mostConnections is how many clients are served at once; others wait until one of them has gone. Each costs some 60 KiB.
const mostConnections = 64

// ownDescriptors is how many the rest of the relay needs: it runs with some 20, and more while it reconnects.
const ownDescriptors = 40

// connections is how many clients are served where the process may have so many descriptors: status pages must not cost
// the relay the connection to its broker.
func connections(descriptors uint64) int {
	if descriptors <= ownDescriptors {
		return 1
	}
	return int(min(mostConnections, 1+(descriptors-ownDescriptors)/2))
}
