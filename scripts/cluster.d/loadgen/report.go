package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"time"
)

// stats of the queries of one window, one transport and one kind of names. Durations are in ms,
// times in ms since 1970, as in the scripts; -1 for none.
type stats struct {
	Window    string         `json:"window"`
	Transport string         `json:"transport"`
	Names     string         `json:"names"`
	Seconds   float64        `json:"seconds"`
	Sent      int            `json:"sent"`
	Answered  int            `json:"answered"`
	Lost      int            `json:"lost"`
	Refused   int            `json:"refused"`
	Errors    int            `json:"errors"`
	Rcodes    map[string]int `json:"rcodes"`
	// The longest time without a good response while at least one query was in flight.
	Gap     float64 `json:"gap"`
	GapFrom float64 `json:"gap_from"`
	GapTo   float64 `json:"gap_to"`
	P50     float64 `json:"p50"`
	P99     float64 `json:"p99"`
	Max     float64 `json:"max"`
	// Send times of the first and the last query without a good response.
	FirstBad float64 `json:"first_bad"`
	LastBad  float64 `json:"last_bad"`
	// Delays of this program: from the due time to sending, and from receiving to reading.
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

// follow prints each window when all its queries are complete.
func (p *printer) follow(inflight *inflight) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		w, more := inflight.completed()
		switch {
		case w != nil:
			p.print(w)
		case !more:
			return
		default:
			select {
			case <-inflight.changed:
			case <-tick.C:
			}
		}
	}
}

func (p *printer) print(w *window) {
	if w.name == "" {
		return
	}
	for _, s := range []transport{udp, tcp} {
		for _, names := range []string{"all", "cached", "new"} {
			of := pick(w.queries, func(q *query) bool {
				return q.transport == s && (names == "all" || (names == "cached") == q.known)
			})
			if len(of) > 0 {
				f := sum(of, w)
				f.Window, f.Transport, f.Names = w.name, s.String(), names
				p.line(f)
			}
		}
	}
}

func (p *printer) line(f stats) {
	if p.json {
		json.NewEncoder(p.out).Encode(f)
		return
	}
	if p.lines == 0 {
		fmt.Fprintf(p.out, "%-10s %-3s %-6s %7s %8s %5s %7s %6s %9s %8s %8s %9s  %s\n",
			"window", "", "names", "sent", "answered", "lost", "refused", "errors", "gap ms", "p50 ms", "p99 ms", "max ms", "own delay: p99, max, reading")
	}
	p.lines++
	fmt.Fprintf(p.out, "%-10s %-3s %-6s %7d %8d %5d %7d %6d %9.1f %8.2f %8.2f %9.1f  %.1f %.1f %.1f ms", f.Window, f.Transport, f.Names,
		f.Sent, f.Answered, f.Lost, f.Refused, f.Errors, f.Gap, f.P50, f.P99, f.Max, f.LateP99, f.LateMax, f.ReadMax)
	if f.FirstBad >= 0 {
		start := float64(p.began.UnixMilli())
		fmt.Fprintf(p.out, "  bad from %.3f s to %.3f s %v", (f.FirstBad-start)/1e3, (f.LastBad-start)/1e3, f.Rcodes)
	}
	fmt.Fprintln(p.out)
}

func pick(all []*query, want func(*query) bool) []*query {
	var some []*query
	for _, q := range all {
		if want(q) {
			some = append(some, q)
		}
	}
	return some
}

func sum(queries []*query, w *window) stats {
	f := stats{Sent: len(queries), FirstBad: -1, LastBad: -1, Rcodes: map[string]int{}, Seconds: round(float64(w.ended-w.began) / 1e9)}
	var took, late []int64
	for _, q := range queries {
		late = append(late, q.sent-q.due)
		if q.outcome == answered || q.outcome == failed {
			f.Rcodes[fmt.Sprint(q.rcode)]++
			took = append(took, max(0, q.done-q.sent))
			f.ReadMax = max(f.ReadMax, ms(q.read-q.done))
		}
		switch q.outcome {
		case answered:
			f.Answered++
			continue
		case failed:
			f.Errors++
		case refused:
			f.Refused++
		default:
			f.Lost++
		}
		if f.LastBad = math.Max(f.LastBad, ms(q.sent)); f.FirstBad < 0 || ms(q.sent) < f.FirstBad {
			f.FirstBad = ms(q.sent)
		}
	}
	f.P50, f.P99, f.Max = quantile(took, 0.5), quantile(took, 0.99), quantile(took, 1)
	f.LateP99, f.LateMax = quantile(late, 0.99), quantile(late, 1)
	from, to := longestGap(queries, w.ended)
	f.Gap, f.GapFrom, f.GapTo = ms(to-from), ms(from), ms(to)
	return f
}

// longestGap is the longest time without a good response. It begins with the previous response, or
// with the first query sent after it, and ends with the next good response, or with the window. So
// delays of the client are not counted as the server's, and queries refused at once are counted.
func longestGap(queries []*query, end int64) (from, to int64) {
	byEnd := slices.Clone(queries)
	slices.SortFunc(byEnd, func(a, b *query) int { return int(a.done - b.done) })
	oldest := make([]int64, len(byEnd)+1) // earliest send time of this and all later queries
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

// quantile of values, in ms.
func quantile(values []int64, share float64) float64 {
	if len(values) == 0 {
		return -1
	}
	slices.Sort(values)
	return ms(values[min(len(values)-1, int(share*float64(len(values))))])
}

func ms(ns int64) float64 { return round(float64(ns) / 1e6) }

func round(x float64) float64 { return math.Round(x*1000) / 1000 }
