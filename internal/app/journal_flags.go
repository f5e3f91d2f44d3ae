package app

import (
	"flag"

	"chatrelay/internal/admin"
	"chatrelay/internal/journal"
)

// journalWords are what chatrelay journal can do.
func journalWords() []string { return []string{"ls", "show", "requeue", "drop", "verify", "backup"} }

func journalFlags(word string) (flags *flag.FlagSet) {
	switch word {
	case "ls":
		flags, _, _ = listFlags()
	case "requeue", "drop":
		flags, _, _ = changeFlags(word)
	}
	return flags
}

func listFlags() (*flag.FlagSet, *journal.Filter, *admin.Selection) {
	flags, f := flag.NewFlagSet("journal ls", flag.ContinueOnError), &journal.Filter{}
	flags.BoolVar(&f.Dead, "dead", false, "dead letters only")
	flags.BoolVar(&f.Pending, "pending", false, "what is still to be delivered only")
	flags.Uint64Var(&f.After, "after", 0, "go on behind this `SEQ`")
	flags.IntVar(&f.Limit, "limit", 100, "at most so many")
	return flags, f, pickFlags(flags)
}

func changeFlags(verb string) (flags *flag.FlagSet, selection *admin.Selection, all *bool) {
	flags = flag.NewFlagSet("journal "+verb, flag.ContinueOnError)
	return flags, pickFlags(flags), flags.Bool("all", false, "all dead letters")
}

func pickFlags(flags *flag.FlagSet) *admin.Selection {
	p := &admin.Selection{}
	flags.StringVar(&p.Reason, "reason", "", "those with this reason, a `WORD` such as too_large")
	flags.StringVar(&p.From, "sender", "", "those from this `LANDLINE`")
	flags.StringVar(&p.To, "to", "", "those to this `LANDLINE-OR-ROOM`")
	flags.DurationVar(&p.Older, "older", 0, "those of messages that were taken longer ago: an `AGE` such as 36h")
	return p
}
