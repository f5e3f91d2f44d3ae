// Package fix is the one table from what is wrong with a connection to the setting that mends it. chatrelay check shows it, a
// relay that runs logs it in the field "fix", and /readyz shows it. Of the protocols it knows their first bytes only. Both
// sides use it; it uses none of our packages.
package fix
