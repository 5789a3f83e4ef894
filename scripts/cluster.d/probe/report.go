package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"time"
)

// figures of the questions of one window, one stream and one kind of names. Times are in ms; those of an event are
// ms since 1970, so that scripts can set them beside what they did at that moment. -1 where there is none.
type figures struct {
	Window   string         `json:"window"`
	Stream   string         `json:"stream"`
	Names    string         `json:"names"`
	Seconds  float64        `json:"seconds"`
	Sent     int            `json:"sent"`
	Answered int            `json:"answered"`
	Lost     int            `json:"lost"`
	Refused  int            `json:"refused"`
	Odd      int            `json:"odd"`
	Rcodes   map[string]int `json:"rcodes"`
	// The longest time without a good answer while at least one question was out.
	Gap     float64 `json:"gap"`
	GapFrom float64 `json:"gap_from"`
	GapTo   float64 `json:"gap_to"`
	P50     float64 `json:"p50"`
	P99     float64 `json:"p99"`
	Max     float64 `json:"max"`
	// The first and the last question that had no good answer: when they were sent.
	FirstBad float64 `json:"first_bad"`
	LastBad  float64 `json:"last_bad"`
	// How long after its moment this program sent a question, and how long it left an answer unread.
	LateP99 float64 `json:"late_p99"`
	LateMax float64 `json:"late_max"`
	ReadMax float64 `json:"read_max"`
}

type printer struct {
	out   io.Writer
	json  bool
	began time.Time
	lines int
}

// follow prints each window when nothing of it is open any more, until the last.
func (p *printer) follow(desk *desk) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		w, more := desk.settled()
		switch {
		case w != nil:
			p.print(w)
		case !more:
			return
		default:
			select {
			case <-desk.changed:
			case <-tick.C:
			}
		}
	}
}

func (p *printer) print(w *window) {
	if w.name == "" {
		return
	}
	for _, s := range []stream{udp, tcp} {
		for _, names := range []string{"all", "cached", "new"} {
			of := pick(w.questions, func(q *question) bool {
				return q.stream == s && (names == "all" || (names == "cached") == q.known)
			})
			if len(of) > 0 {
				f := sum(of, w)
				f.Window, f.Stream, f.Names = w.name, s.String(), names
				p.line(f)
			}
		}
	}
}

func (p *printer) line(f figures) {
	if p.json {
		json.NewEncoder(p.out).Encode(f)
		return
	}
	if p.lines == 0 {
		fmt.Fprintf(p.out, "%-10s %-3s %-6s %7s %8s %5s %7s %4s %9s %8s %8s %9s  %s\n",
			"window", "", "names", "sent", "answered", "lost", "refused", "odd", "gap ms", "p50 ms", "p99 ms", "max ms", "own lateness: p99, max, reading")
	}
	p.lines++
	fmt.Fprintf(p.out, "%-10s %-3s %-6s %7d %8d %5d %7d %4d %9.1f %8.2f %8.2f %9.1f  %.1f %.1f %.1f ms", f.Window, f.Stream, f.Names,
		f.Sent, f.Answered, f.Lost, f.Refused, f.Odd, f.Gap, f.P50, f.P99, f.Max, f.LateP99, f.LateMax, f.ReadMax)
	if f.FirstBad >= 0 {
		start := float64(p.began.UnixMilli())
		fmt.Fprintf(p.out, "  bad from %.3f s to %.3f s %v", (f.FirstBad-start)/1e3, (f.LastBad-start)/1e3, f.Rcodes)
	}
	fmt.Fprintln(p.out)
}

func pick(all []*question, want func(*question) bool) []*question {
	var some []*question
	for _, q := range all {
		if want(q) {
			some = append(some, q)
		}
	}
	return some
}

func sum(questions []*question, w *window) figures {
	f := figures{Sent: len(questions), FirstBad: -1, LastBad: -1, Rcodes: map[string]int{}, Seconds: round(float64(w.ended-w.began) / 1e9)}
	var took, late []int64
	for _, q := range questions {
		late = append(late, q.sent-q.due)
		if q.outcome == answered || q.outcome == odd {
			f.Rcodes[fmt.Sprint(q.rcode)]++
			took = append(took, max(0, q.done-q.sent))
			f.ReadMax = max(f.ReadMax, ms(q.read-q.done))
		}
		switch q.outcome {
		case answered:
			f.Answered++
			continue
		case odd:
			f.Odd++
		case refused:
			f.Refused++
		default:
			f.Lost++
		}
		if f.LastBad = math.Max(f.LastBad, ms(q.sent)); f.FirstBad < 0 || ms(q.sent) < f.FirstBad {
			f.FirstBad = ms(q.sent)
		}
	}
	f.P50, f.P99, f.Max = at(took, 0.5), at(took, 0.99), at(took, 1)
	f.LateP99, f.LateMax = at(late, 0.99), at(late, 1)
	from, to := silence(questions, w.ended)
	f.Gap, f.GapFrom, f.GapTo = ms(to-from), ms(from), ms(to)
	return f
}

// silence is the longest time without a good answer: it begins with the answer before, or with the first question
// after that, and ends with the next good answer, or with the window. A client that was late with its own
// questions so does not count its lateness as the server's; one that was refused at once and so waits for nothing
// counts as well.
func silence(questions []*question, end int64) (from, to int64) {
	byEnd := slices.Clone(questions)
	slices.SortFunc(byEnd, func(a, b *question) int { return int(a.done - b.done) })
	oldest := make([]int64, len(byEnd)+1) // of the questions from here on, when the first had left
	oldest[len(byEnd)] = math.MaxInt64
	for i := len(byEnd) - 1; i >= 0; i-- {
		oldest[i] = min(oldest[i+1], byEnd[i].left, byEnd[i].done)
	}
	began := oldest[0]
	for i, q := range byEnd {
		if q.outcome != answered {
			continue
		}
		if q.done-began > to-from {
			from, to = began, q.done
		}
		began = max(q.done, oldest[i+1])
	}
	if began < end && end-began > to-from {
		from, to = began, end
	}
	return from, to
}

// at is the value below which a share of all lies, in ms.
func at(values []int64, share float64) float64 {
	if len(values) == 0 {
		return -1
	}
	slices.Sort(values)
	return ms(values[min(len(values)-1, int(share*float64(len(values))))])
}

func ms(ns int64) float64 { return round(float64(ns) / 1e6) }

func round(x float64) float64 { return math.Round(x*1000) / 1000 }
