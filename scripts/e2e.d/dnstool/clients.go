package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// Longer than the 5 s of stub resolvers, to tell a late response from none.
const timeout = 6 * time.Second

// Between queries on a held TCP connection.
const streamPause = 100 * time.Millisecond

type outcome struct {
	answer  message
	err     error
	sent    time.Time
	elapsed time.Duration
}

type tally struct {
	sent, answered, servfail, otherRcode, wrong, refused, lost int
	slowest                                                    time.Duration
	// The longest time without an answer, and the last answer.
	gap        time.Duration
	lastAnswer time.Time
	attempts   []attempt
}

// attempt is a query and whether it had the right answer.
type attempt struct {
	sent     time.Time
	answered bool
}

// outage returns the longest time from a query without an answer to the next one with an answer,
// which unlike the gap does not count the time in which the client sent nothing.
func (t *tally) outage() (longest time.Duration) {
	slices.SortFunc(t.attempts, func(a, b attempt) int { return a.sent.Compare(b.sent) })
	var began time.Time
	for _, a := range t.attempts {
		switch {
		case a.answered && !began.IsZero():
			longest = max(longest, a.sent.Sub(began))
			began = time.Time{}
		case !a.answered && began.IsZero():
			began = a.sent
		}
	}
	return longest
}

func (t *tally) add(o outcome, expected string) {
	t.sent++
	before := t.answered
	defer func() {
		t.attempts = append(t.attempts, attempt{o.sent, t.answered > before})
	}()
	t.slowest = max(t.slowest, o.elapsed)
	switch {
	case errors.Is(o.err, os.ErrDeadlineExceeded):
		t.lost++
	case o.err != nil:
		t.refused++
	case o.answer.rcode == servfail:
		t.servfail++
	case o.answer.rcode != 0:
		t.otherRcode++
	case len(o.answer.addresses) != 1 || (expected != "" && o.answer.addresses[0] != expected):
		t.wrong++
	default:
		t.answered++
		now := time.Now()
		if !t.lastAnswer.IsZero() {
			t.gap = max(t.gap, now.Sub(t.lastAnswer))
		}
		t.lastAnswer = now
	}
}

func (t *tally) String() string {
	return fmt.Sprintf("sent=%d answered=%d servfail=%d other_rcode=%d wrong=%d refused=%d lost=%d slowest_ms=%d gap_ms=%d outage_ms=%d",
		t.sent, t.answered, t.servfail, t.otherRcode, t.wrong, t.refused, t.lost, t.slowest.Milliseconds(), t.gap.Milliseconds(), t.outage().Milliseconds())
}

// exchange sends one query, once, from a new socket or on a new connection.
func exchange(network, server, name string) (o outcome) {
	began := time.Now()
	defer func() { o.sent, o.elapsed = began, time.Since(began) }()
	socket, err := net.DialTimeout(network, net.JoinHostPort(server, "53"), timeout)
	if err != nil {
		return outcome{err: err}
	}
	defer socket.Close()
	id := uint16(rand.Uint32())
	message := query(id, name)
	if network == "tcp" {
		message = append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...)
	}
	if _, err := socket.Write(message); err != nil {
		return outcome{err: err}
	}
	if err := socket.SetReadDeadline(began.Add(timeout)); err != nil {
		return outcome{err: err}
	}
	buffer := make([]byte, 4096)
	for {
		response, err := receive(network, socket, buffer)
		if err != nil {
			return outcome{err: err}
		}
		answer, err := parse(response)
		if err == nil && answer.id == id && strings.EqualFold(answer.name, name) {
			return outcome{answer: answer}
		}
	}
}

// receive reads one message.
func receive(network string, socket net.Conn, buffer []byte) ([]byte, error) {
	if network == "udp" {
		n, err := socket.Read(buffer)
		return buffer[:n], err
	}
	if _, err := io.ReadFull(socket, buffer[:2]); err != nil {
		return nil, err
	}
	length := min(int(binary.BigEndian.Uint16(buffer)), len(buffer))
	_, err := io.ReadFull(socket, buffer[:length])
	return buffer[:length], err
}

func numbered(pattern string, i int) string {
	return strings.ReplaceAll(pattern, "%d", fmt.Sprint(i))
}

// burst sends all queries at once.
func burst(server string, number int, pattern string) *tally {
	outcomes := make([]outcome, number)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range number {
		all.Add(1)
		go func() {
			defer all.Done()
			<-start
			outcomes[i] = exchange("udp", server, numbered(pattern, i))
		}()
	}
	close(start)
	all.Wait()
	t := &tally{}
	for i, o := range outcomes {
		t.add(o, slowAnswer(numbered(pattern, i)))
	}
	return t
}

// pipeline sends all queries in one write on a TCP connection and returns the names in the order of
// the responses.
func pipeline(server string, names []string) ([]string, error) {
	connection, err := net.DialTimeout("tcp", net.JoinHostPort(server, "53"), timeout)
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	if err := connection.SetDeadline(time.Now().Add(timeout)); err != nil {
		return nil, err
	}
	var queries []byte
	for i, name := range names {
		message := query(uint16(i), name)
		queries = binary.BigEndian.AppendUint16(queries, uint16(len(message)))
		queries = append(queries, message...)
	}
	if _, err := connection.Write(queries); err != nil {
		return nil, err
	}
	var order []string
	for range names {
		var length [2]byte
		if _, err := io.ReadFull(connection, length[:]); err != nil {
			return order, err
		}
		answer := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(connection, answer); err != nil {
			return order, err
		}
		parsed, err := parse(answer)
		if err != nil {
			return order, err
		}
		order = append(order, parsed.name)
	}
	return order, nil
}

// stream describes what a client saw of one TCP connection.
type stream struct {
	answered int
	// The longest time from a query to its answer, and the time since the last query.
	slowest, waited time.Duration
	// Why the server closed it; nil if it was open at the end.
	closed error
}

func (s stream) String() string {
	state := "open"
	if s.closed != nil {
		state = "closed"
	}
	text := fmt.Sprintf("%s answered=%d slowest_ms=%d waited_ms=%d", state, s.answered, s.slowest.Milliseconds(), s.waited.Milliseconds())
	if s.closed != nil {
		text += ": " + s.closed.Error()
	}
	return text
}

// holdStream queries on a TCP connection again and again until the server closes it, as a resolver does
// that waits for each answer without a timeout, or until ended.
func holdStream(ended context.Context, server, pattern string) (s stream, err error) {
	connection, err := net.DialTimeout("tcp", net.JoinHostPort(server, "53"), timeout)
	if err != nil {
		return s, err
	}
	defer context.AfterFunc(ended, func() { connection.Close() })()
	defer connection.Close()
	buffer := make([]byte, 4096)
	sent := time.Now()
	for ; ; s.answered++ {
		name := numbered(pattern, s.answered)
		message := query(uint16(s.answered), name)
		message = append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...)
		_, err := connection.Write(message)
		var response []byte
		if err == nil {
			response, err = receive("tcp", connection, buffer)
		}
		s.waited = time.Since(sent)
		if err != nil {
			if ended.Err() == nil {
				s.closed = err
			}
			return s, nil
		}
		answer, err := parse(response)
		if err != nil || answer.id != uint16(s.answered) || len(answer.addresses) != 1 {
			return s, fmt.Errorf("wrong answer to %s: %+v", name, answer)
		}
		s.slowest = max(s.slowest, s.waited)
		fmt.Println("answered", name)
		time.Sleep(streamPause)
		sent = time.Now()
	}
}

// writeStream queries on a TCP connection without waiting for answers, until the connection is reset.
func writeStream(ended context.Context, server, name string) error {
	connection, err := net.DialTimeout("tcp", net.JoinHostPort(server, "53"), timeout)
	if err != nil {
		return err
	}
	defer connection.Close()
	message := query(1, name)
	message = append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...)
	for ended.Err() == nil {
		if _, err := connection.Write(message); err != nil {
			return err
		}
		fmt.Println("sent")
		time.Sleep(streamPause)
	}
	return errors.New("open at the end")
}

// load sends queries at a constant rate per second until ended, and waits for the outstanding ones.
func load(ended context.Context, network, server string, rate int, pattern string) *tally {
	t := &tally{}
	var lock sync.Mutex
	var all sync.WaitGroup
	ticks := time.NewTicker(time.Second / time.Duration(rate))
	defer ticks.Stop()
	for i := 0; ; i++ {
		select {
		case <-ended.Done():
			all.Wait()
			return t
		case <-ticks.C:
			all.Add(1)
			go func() {
				defer all.Done()
				o := exchange(network, server, numbered(pattern, i))
				lock.Lock()
				defer lock.Unlock()
				t.add(o, "")
			}()
		}
	}
}
