package bridge

// Step is one thing that a side's check tried.
type Step struct {
	Name  string // what was tried
	OK    bool
	Fatal bool   // the relay cannot run without it
	Note  string // when OK: what was found; else what is wrong and how to mend it
}
