package xmppside

import "time"

const (
	loginDelay = 3 * time.Second // after a refused login: no lock-out storm
	loginCap   = time.Minute

	certificateCap = 15 * time.Second // while the server's certificate is not trusted

	conflictDelay = 10 * time.Second // while another relay has our resource
	conflictCap   = 5 * time.Minute
)
