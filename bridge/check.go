package bridge

// Step is one thing that a side's check tried.
type Step struct {
	Name  string // what was tried
	OK    bool
	Fatal bool   // the relay cannot run without it
	Note  string // what was found, or what is wrong
	Fix   string // what mends it, with the setting that leads there; empty where it is OK
}

// Text is what people are told of it.
func (s Step) Text() string {
	if s.Note == "" || s.Fix == "" {
		return s.Note + s.Fix
	}
	return s.Note + ": " + s.Fix
}
