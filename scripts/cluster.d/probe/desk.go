package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"syscall"
	"time"
)

type stream uint8

const (
	udp stream = iota
	tcp
)

func (s stream) String() string { return [...]string{"udp", "tcp"}[s] }

type outcome uint8

const (
	waiting outcome = iota
	answered
	odd     // an answer that is an error or empty: every name asked for has an address
	refused // ICMP, RST, or a connection closed without an answer
	lost
)

// question and what became of it. Times are nanoseconds since 1970: the kernel's stamps on what arrives are.
type question struct {
	stream  stream
	known   bool
	outcome outcome
	rcode   uint8
	due     int64
	sent    int64 // just before it was handed to the kernel
	left    int64 // just after
	done    int64
	read    int64 // when this program came to read the answer
}

type window struct {
	name      string
	began     int64
	ended     int64 // 0 while it is the current one
	questions []*question
	open      int
}

type connection struct {
	question *question
	window   *window
	asked    []byte // behind its length in octets, as TCP wants it
	received []byte
	fd       int
}

// desk holds the open questions. Senders add to it, one thread receives; both hold the mutex only for a system
// call or two.
type desk struct {
	mutex   sync.Mutex
	epoll   int
	wait    time.Duration
	sockets map[int]*connection
	lines   [2][]*connection // in the order of their deadlines
	windows []*window
	closed  bool
	broken  error
	changed chan struct{}
}

func newDesk(wait time.Duration) (*desk, error) {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return &desk{epoll: epoll, wait: wait, sockets: map[int]*connection{}, changed: make(chan struct{}, 1)}, nil
}

// open begins a window, and so ends the one before.
func (d *desk) open(name string, now time.Time) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.end(now)
	d.windows = append(d.windows, &window{name: name, began: now.UnixNano()})
}

func (d *desk) close(now time.Time) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.end(now)
	d.closed = true
}

func (d *desk) end(now time.Time) {
	if n := len(d.windows); n > 0 {
		d.windows[n-1].ended = now.UnixNano()
	}
	d.tell()
}

func (d *desk) tell() {
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

func (d *desk) failure() error {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	return d.broken
}

// settled takes the oldest window once nothing of it is open; more is false after the last.
func (d *desk) settled() (w *window, more bool) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if len(d.windows) == 0 {
		return nil, !d.closed
	}
	if w = d.windows[0]; w.ended == 0 || w.open > 0 {
		return nil, true
	}
	d.windows = d.windows[1:]
	return w, true
}

func (d *desk) ask(server netip.AddrPort, s stream, name string, known bool, due time.Time) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	w := d.windows[len(d.windows)-1]
	q := &question{stream: s, known: known, due: due.UnixNano()}
	w.questions = append(w.questions, q)
	c := &connection{question: q, window: w, fd: -1}
	message := query(name, uint16(len(w.questions)))
	c.asked = append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...)
	w.open++
	q.sent = time.Now().UnixNano()
	err := d.dial(c, server)
	q.left = time.Now().UnixNano()
	if err != nil {
		d.settle(c, refused, time.Now().UnixNano())
		return
	}
	d.sockets[c.fd] = c
	d.lines[s] = append(d.lines[s], c)
}

func (d *desk) dial(c *connection, server netip.AddrPort) error {
	family, kind := syscall.AF_INET, syscall.SOCK_DGRAM
	var to syscall.Sockaddr = &syscall.SockaddrInet4{Port: int(server.Port()), Addr: server.Addr().Unmap().As4()}
	if server.Addr().Unmap().Is6() {
		family, to = syscall.AF_INET6, &syscall.SockaddrInet6{Port: int(server.Port()), Addr: server.Addr().As16()}
	}
	if c.question.stream == tcp {
		kind = syscall.SOCK_STREAM
	}
	fd, err := syscall.Socket(family, kind|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		d.broken = fmt.Errorf("no socket: %w", err)
		return err
	}
	c.fd = fd
	events := uint32(syscall.EPOLLIN)
	if c.question.stream == tcp {
		events |= syscall.EPOLLOUT
		if err = syscall.Connect(fd, to); errors.Is(err, syscall.EINPROGRESS) {
			err = nil
		}
	} else {
		if err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_TIMESTAMPNS, 1); err == nil {
			err = syscall.Connect(fd, to)
		}
		if err == nil {
			_, err = syscall.Write(fd, c.asked[2:])
		}
	}
	if err == nil {
		err = syscall.EpollCtl(d.epoll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: events, Fd: int32(fd)})
	}
	if err != nil {
		syscall.Close(fd)
		c.fd = -1
	}
	return err
}

// receive never returns.
func (d *desk) receive() {
	runtime.LockOSThread()
	events := make([]syscall.EpollEvent, 64)
	for {
		n, err := syscall.EpollWait(d.epoll, events, 5)
		if err != nil && !errors.Is(err, syscall.EINTR) {
			panic(err)
		}
		d.mutex.Lock()
		for _, e := range events[:max(n, 0)] {
			if c := d.sockets[int(e.Fd)]; c != nil {
				d.event(c, e.Events)
			}
		}
		d.expire(time.Now().UnixNano())
		d.mutex.Unlock()
	}
}

func (d *desk) expire(now int64) {
	for s, line := range d.lines {
		n := 0
		for n < len(line) && (line[n].question.outcome != waiting || now-line[n].question.sent >= int64(d.wait)) {
			if c := line[n]; c.question.outcome == waiting {
				d.settle(c, lost, c.question.sent+int64(d.wait))
			}
			n++
		}
		d.lines[s] = line[n:]
	}
}

func (d *desk) event(c *connection, events uint32) {
	if c.question.stream == udp {
		d.readDatagram(c)
		return
	}
	if c.received == nil && events&syscall.EPOLLOUT != 0 && events&(syscall.EPOLLERR|syscall.EPOLLHUP) == 0 {
		if _, err := syscall.Write(c.fd, c.asked); err != nil {
			d.settle(c, refused, time.Now().UnixNano())
			return
		}
		c.received = []byte{}
		syscall.EpollCtl(d.epoll, syscall.EPOLL_CTL_MOD, c.fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(c.fd)})
	}
	if events&(syscall.EPOLLIN|syscall.EPOLLERR|syscall.EPOLLHUP) != 0 {
		d.readStream(c)
	}
}

func (d *desk) readDatagram(c *connection) {
	var buffer [2048]byte
	var control [128]byte
	n, cn, _, _, err := syscall.Recvmsg(c.fd, buffer[:], control[:], 0)
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR) {
		return
	}
	if err != nil {
		d.settle(c, refused, time.Now().UnixNano())
		return
	}
	d.judge(c, buffer[:n], stamp(control[:cn]))
}

func (d *desk) readStream(c *connection) {
	var buffer [2048]byte
	n, err := syscall.Read(c.fd, buffer[:])
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR) {
		return
	}
	if n <= 0 || err != nil {
		d.settle(c, refused, time.Now().UnixNano())
		return
	}
	c.received = append(c.received, buffer[:n]...)
	if len(c.received) < 2 {
		return
	}
	if length := int(binary.BigEndian.Uint16(c.received)); len(c.received) >= 2+length {
		d.judge(c, c.received[2:2+length], time.Now().UnixNano())
	}
}

// judge a message; one that answers something else is passed over, as a resolver would.
func (d *desk) judge(c *connection, message []byte, arrived int64) {
	ours, rcode, records := verdict(message, c.asked[2:])
	if !ours {
		return
	}
	c.question.rcode = rcode
	c.question.read = time.Now().UnixNano()
	what := answered
	if rcode != 0 || !records {
		what = odd
	}
	d.settle(c, what, arrived)
}

func (d *desk) settle(c *connection, what outcome, at int64) {
	if c.fd >= 0 {
		delete(d.sockets, c.fd)
		syscall.Close(c.fd)
	}
	c.question.outcome, c.question.done = what, at
	c.window.open--
	if c.window.open == 0 && c.window.ended != 0 {
		d.tell()
	}
}

// stamp is the kernel's time of arrival (SO_TIMESTAMPNS): a client that waits for the processor does not make the server slow.
func stamp(control []byte) int64 {
	messages, err := syscall.ParseSocketControlMessage(control)
	if err == nil {
		for _, m := range messages {
			if m.Header.Level == syscall.SOL_SOCKET && m.Header.Type == syscall.SCM_TIMESTAMPNS && len(m.Data) >= 16 {
				return int64(binary.NativeEndian.Uint64(m.Data))*1e9 + int64(binary.NativeEndian.Uint64(m.Data[8:]))
			}
		}
	}
	return time.Now().UnixNano()
}
