// Package pg keeps a journal in a PostgreSQL database: Store, with a Log of frames and the tables, for one relay at a time. Whoever
// holds the lease writes; another relay waits for it in Lead.
//
// A slot is a schema of its own (chatrelay_0). A commit is one INSERT with three guards: the lease is ours (its row is locked, so that
// who takes it over waits for what is under way, and all later ones are refused), the frame's number is free, and the frame before it
// is there (a database that has lost confirmed commits is noticed). A commit is never cancelled, nor given a time limit. Where
// nobody knows what became of one, the same frame is written again; it counts once a later commit was confirmed. The tables are those
// of package sqlite, whose words a driver of our own says to PostgreSQL (driver.go), with the same guard.
//
// Nothing depends on a session: no statement has a name, no setting outlives its transaction. So poolers may stand between.
//
// What it does not do: it does not know what a frame says, and starts or stops no side.
package pg
