// Command packages builds what is handed out of one commit: static binaries, Debian packages, an image archive, lists of
// what is in them, and checksums. It needs no container engine and no packaging tools, and the same commit gives the
// same bytes. make packages runs it.
package main
