package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"chatrelay/internal/app"
)

// point is the fail point of this life. The zero value never fails.
type point struct {
	listener *offers // nil: nothing is noted
	name     string
	left     atomic.Int64
}

// parsePoint reads name:k.
func parsePoint(s string) (*point, error) {
	p := &point{}
	if s == "" {
		return p, nil
	}
	name, count, ok := strings.Cut(s, ":")
	k, err := strconv.Atoi(count)
	if !ok || err != nil || k < 1 {
		return nil, fmt.Errorf("CHAOS_POINT=%q, want name:k", s)
	}
	p.name = name
	p.left.Store(int64(k))
	return p, nil
}

// pass is a step. The process ends in it when its time has come, and nothing of it goes on meanwhile.
func (p *point) pass(side fmt.Stringer, step string) {
	if p.name == "" || p.name != side.String()+"."+step || p.left.Add(-1) != 0 {
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL) // it cannot fail on oneself
	time.Sleep(time.Hour)
}

func (p *point) hooks() app.Hooks {
	if p.name == "" {
		return app.Hooks{Side: p.side} // for the door
	}
	return app.Hooks{Appender: p.appender, Queue: p.queue, SideJournal: p.sideJournal, Side: p.side}
}
