// Package console tests the console's page as a person meets it: the relay's own binary between real servers, a journal
// with ten thousand dead letters, a headless Chromium, and axe-core for those who cannot see it.
package console
