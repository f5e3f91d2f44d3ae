// Package sqlite keeps the frames of a journal in a SQLite file: Log, a row for each. With package pg it is
// the one place that knows SQL: its tables may be in another database, which understands what they say (Database).
//
// A frame is on the disk when Append returns. Each row carries its number and a sum over number and frame, seeded with
// the journal's id: a gap, a bad sum, another journal's file or one without the row that the tables stand on is
// ErrDamaged, never a shorter log. SQLite itself takes a log of its own (WAL) that is damaged in the middle for one that
// ends there: checkWAL tells that from the one transaction that a crash may have torn.
//
// What it does not do: it does not know what a frame says, and decides nothing.
package sqlite
