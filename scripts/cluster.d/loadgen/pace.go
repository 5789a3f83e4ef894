package main

import (
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

// sendAtRate calls send at a fixed rate for length (0: unlimited) or until stop is set. Calls
// missed while it was not scheduled are made up at once: the rate is kept, and each query has its
// due time.
func sendAtRate(rate int, length time.Duration, begin time.Time, stop *atomic.Bool, send func(int, time.Time)) {
	// nanosleep on a dedicated thread: Go's timers are accurate to a millisecond only.
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
		send(i, due)
	}
}

// spread calls send count times, evenly over length.
func spread(count int, length time.Duration, send func(int)) {
	begin := time.Now()
	for i := range count {
		sleepUntil(begin.Add(length * time.Duration(i) / time.Duration(count)))
		send(i)
	}
	sleepUntil(begin.Add(length))
}

func sleepUntil(due time.Time) {
	for left := time.Until(due); left > 0; left = time.Until(due) {
		pause := syscall.NsecToTimespec(left.Nanoseconds())
		syscall.Nanosleep(&pause, nil)
	}
}
