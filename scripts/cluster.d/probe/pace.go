package main

import (
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

// steady calls ask at a fixed rate until length is over (0: never) or stop is set. What it missed while it was not
// given the processor it catches up on at once: the rate is kept, and each question knows when it was due.
func steady(rate int, length time.Duration, begin time.Time, stop *atomic.Bool, ask func(int, time.Time)) {
	// A thread of its own sleeps in the kernel; Go's timers are only good to a millisecond when nothing else runs.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for i := 0; ; i++ {
		offset := time.Duration(float64(i) / float64(rate) * float64(time.Second))
		if length > 0 && offset >= length {
			return
		}
		due := begin.Add(offset)
		sleepUntil(due)
		if stop.Load() {
			return
		}
		ask(i, due)
	}
}

func pace(count int, length time.Duration, ask func(int)) {
	begin := time.Now()
	for i := range count {
		sleepUntil(begin.Add(length * time.Duration(i) / time.Duration(count)))
		ask(i)
	}
	sleepUntil(begin.Add(length))
}

func sleepUntil(due time.Time) {
	for left := time.Until(due); left > 0; left = time.Until(due) {
		pause := syscall.NsecToTimespec(left.Nanoseconds())
		syscall.Nanosleep(&pause, nil)
	}
}
