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

type transport uint8

const (
	udp transport = iota
	tcp
)

func (s transport) String() string { return [...]string{"udp", "tcp"}[s] }

type outcome uint8

const (
	waiting outcome = iota
	answered
	failed  // an error response or an empty one: every name has an address
	refused // ICMP, RST, or a connection closed without a response
	lost
)

// query and its outcome. Times are nanoseconds since 1970, as are the kernel's receive timestamps.
type query struct {
	transport transport
	known     bool
	outcome   outcome
	rcode     uint8
	due       int64
	sent      int64 // before the send call
	left      int64 // after the send call
	done      int64
	read      int64 // when this program read the response
}

type window struct {
	name    string
	began   int64
	ended   int64 // 0 while it is the current one
	queries []*query
	open    int
}

type connection struct {
	query    *query
	window   *window
	request  []byte // with the length prefix of TCP
	received []byte
	fd       int
}

// inflight holds the queries in flight. Senders add to it, one thread receives; both hold the mutex
// for one or two system calls only.
type inflight struct {
	mutex   sync.Mutex
	epoll   int
	wait    time.Duration
	sockets map[int]*connection
	queues  [2][]*connection // by deadline
	windows []*window
	closed  bool
	broken  error
	changed chan struct{}
}

func newInflight(wait time.Duration) (*inflight, error) {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return &inflight{epoll: epoll, wait: wait, sockets: map[int]*connection{}, changed: make(chan struct{}, 1)}, nil
}

// open begins a window and ends the previous one.
func (d *inflight) open(name string, now time.Time) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.end(now)
	d.windows = append(d.windows, &window{name: name, began: now.UnixNano()})
}

func (d *inflight) close(now time.Time) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.end(now)
	d.closed = true
}

func (d *inflight) end(now time.Time) {
	if n := len(d.windows); n > 0 {
		d.windows[n-1].ended = now.UnixNano()
	}
	d.notify()
}

func (d *inflight) notify() {
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

func (d *inflight) failure() error {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	return d.broken
}

// completed removes the oldest window when all its queries are complete; more is false after the
// last.
func (d *inflight) completed() (w *window, more bool) {
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

func (d *inflight) send(server netip.AddrPort, s transport, name string, known bool, due time.Time) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	w := d.windows[len(d.windows)-1]
	q := &query{transport: s, known: known, due: due.UnixNano()}
	w.queries = append(w.queries, q)
	c := &connection{query: q, window: w, fd: -1}
	message := encodeQuery(name, uint16(len(w.queries)))
	c.request = append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...)
	w.open++
	q.sent = time.Now().UnixNano()
	err := d.dial(c, server)
	q.left = time.Now().UnixNano()
	if err != nil {
		d.complete(c, refused, time.Now().UnixNano())
		return
	}
	d.sockets[c.fd] = c
	d.queues[s] = append(d.queues[s], c)
}

func (d *inflight) dial(c *connection, server netip.AddrPort) error {
	family, kind := syscall.AF_INET, syscall.SOCK_DGRAM
	var to syscall.Sockaddr = &syscall.SockaddrInet4{Port: int(server.Port()), Addr: server.Addr().Unmap().As4()}
	if server.Addr().Unmap().Is6() {
		family, to = syscall.AF_INET6, &syscall.SockaddrInet6{Port: int(server.Port()), Addr: server.Addr().As16()}
	}
	if c.query.transport == tcp {
		kind = syscall.SOCK_STREAM
	}
	fd, err := syscall.Socket(family, kind|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		d.broken = fmt.Errorf("socket: %w", err)
		return err
	}
	c.fd = fd
	events := uint32(syscall.EPOLLIN)
	if c.query.transport == tcp {
		events |= syscall.EPOLLOUT
		if err = syscall.Connect(fd, to); errors.Is(err, syscall.EINPROGRESS) {
			err = nil
		}
	} else {
		if err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_TIMESTAMPNS, 1); err == nil {
			err = syscall.Connect(fd, to)
		}
		if err == nil {
			_, err = syscall.Write(fd, c.request[2:])
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
func (d *inflight) receive() {
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

func (d *inflight) expire(now int64) {
	for s, queue := range d.queues {
		n := 0
		for n < len(queue) && (queue[n].query.outcome != waiting || now-queue[n].query.sent >= int64(d.wait)) {
			if c := queue[n]; c.query.outcome == waiting {
				d.complete(c, lost, c.query.sent+int64(d.wait))
			}
			n++
		}
		d.queues[s] = queue[n:]
	}
}

func (d *inflight) event(c *connection, events uint32) {
	if c.query.transport == udp {
		d.readDatagram(c)
		return
	}
	if c.received == nil && events&syscall.EPOLLOUT != 0 && events&(syscall.EPOLLERR|syscall.EPOLLHUP) == 0 {
		if _, err := syscall.Write(c.fd, c.request); err != nil {
			d.complete(c, refused, time.Now().UnixNano())
			return
		}
		c.received = []byte{}
		syscall.EpollCtl(d.epoll, syscall.EPOLL_CTL_MOD, c.fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(c.fd)})
	}
	if events&(syscall.EPOLLIN|syscall.EPOLLERR|syscall.EPOLLHUP) != 0 {
		d.readStream(c)
	}
}

func (d *inflight) readDatagram(c *connection) {
	var buffer [2048]byte
	var control [128]byte
	n, cn, _, _, err := syscall.Recvmsg(c.fd, buffer[:], control[:], 0)
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR) {
		return
	}
	if err != nil {
		d.complete(c, refused, time.Now().UnixNano())
		return
	}
	d.receiveResponse(c, buffer[:n], stamp(control[:cn]))
}

func (d *inflight) readStream(c *connection) {
	var buffer [2048]byte
	n, err := syscall.Read(c.fd, buffer[:])
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR) {
		return
	}
	if n <= 0 || err != nil {
		d.complete(c, refused, time.Now().UnixNano())
		return
	}
	c.received = append(c.received, buffer[:n]...)
	if len(c.received) < 2 {
		return
	}
	if length := int(binary.BigEndian.Uint16(c.received)); len(c.received) >= 2+length {
		d.receiveResponse(c, c.received[2:2+length], time.Now().UnixNano())
	}
}

// receiveResponse classifies a message and ignores mismatched ones, as a resolver does.
func (d *inflight) receiveResponse(c *connection, message []byte, arrived int64) {
	matches, rcode, records := matchResponse(message, c.request[2:])
	if !matches {
		return
	}
	c.query.rcode = rcode
	c.query.read = time.Now().UnixNano()
	result := answered
	if rcode != 0 || !records {
		result = failed
	}
	d.complete(c, result, arrived)
}

func (d *inflight) complete(c *connection, result outcome, at int64) {
	if c.fd >= 0 {
		delete(d.sockets, c.fd)
		syscall.Close(c.fd)
	}
	c.query.outcome, c.query.done = result, at
	c.window.open--
	if c.window.open == 0 && c.window.ended != 0 {
		d.notify()
	}
}

// stamp is the kernel's receive timestamp (SO_TIMESTAMPNS): scheduling delay of this client is not
// counted as latency of the server.
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
