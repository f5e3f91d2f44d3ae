// Package journal is the relay's durable journal: what was taken in, what is still to be delivered, what a wire
// holds, which messages are known, and the sums that prove that nothing vanished. It is one SQLite file.
//
// It implements bridge.Appender, Queue, SideJournal and Balance. All changes go through one queue to one writer
// goroutine, which commits whatever has gathered while the last commit was on its way to the disk: no timer,
// a lone operation never waits, many share one fsync. The picture of what is open is kept in memory (small
// structs; bodies only up to a budget) and the tables are only read at start, for bodies and for people.
//
// How a commit is made: the writer has each operation decided (decide.go): what comes of it is facts, which stand in
// one frame. The picture (picture) makes them true, the tables (sqlite) are written without the lock, and only then
// anyone is told. If that fails the picture is put back. Nothing but Apply changes the picture, and Apply decides
// nothing: so the same frames make the same picture again, which every test here shows when its journal is closed.
//
// A full disk (SQLITE_FULL) is survived in place (writeerr.go). Any other error of the file ends the process
// through Fatal: nothing was acknowledged, the next start reads what the disk has.
//
// What it does not do: it knows no protocol, looks into no body, and judges no message.
package journal
