//! Allowed system calls by kind of thread, each with the reason why it is needed.

use super::ThreadKind::{self, Binder, Control, Heartbeat, Http, Log, Netlink, Snapshot, Supervisor, Worker};

/// A system call that some kinds of threads may make.
#[derive(Debug)]
pub(super) struct Allowed {
    pub(super) call: i64,
    /// Bits of the kinds.
    kinds: u16,
    /// All of them hold; none for any arguments. Rows of one call are alternatives.
    pub(super) when: &'static [Condition],
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers, and a test that each row has one"))]
    reason: &'static str,
}

/// A condition on the lower half of an argument: the bits of `mask` are those of `value`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Condition {
    pub(super) argument: u8,
    pub(super) mask: u64,
    pub(super) value: u64,
}

/// The calls of a kind of thread. A thread that `Control` creates has the filter of that kind too.
pub(super) fn of(kind: ThreadKind) -> impl Iterator<Item = &'static Allowed> {
    TABLE.iter().filter(move |row| row.kinds & kind.bit() != 0)
}

const W: u16 = Worker.bit();
const C: u16 = Control.bit();
const N: u16 = Netlink.bit();
const B: u16 = Binder.bit();
const H: u16 = Http.bit();
const S: u16 = Snapshot.bit();
const L: u16 = Log.bit();
const HB: u16 = Heartbeat.bit();
const SUP: u16 = Supervisor.bit();
const ALL: u16 = W | C | N | B | H | S | L | HB | SUP;
/// Threads with an event loop.
const LOOPS: u16 = W | C | N | H;
/// Threads that open files, and those that write them.
const FILES: u16 = C | N | H | S;
const WRITERS: u16 = C | S;

const fn equal(argument: u8, value: libc::c_int) -> Condition {
    masked(argument, -1, value)
}

const fn masked(argument: u8, mask: libc::c_int, value: libc::c_int) -> Condition {
    Condition { argument, mask: mask.cast_unsigned() as u64, value: value.cast_unsigned() as u64 }
}

/// Memory that is not executable.
const NO_EXECUTION: &[Condition] = &[masked(2, libc::PROT_EXEC, 0)];
/// `clone` of a thread, not of a process.
const THREAD: &[Condition] = &[masked(0, libc::CLONE_THREAD, libc::CLONE_THREAD)];
/// The kind of a socket, without SOCK_NONBLOCK and SOCK_CLOEXEC.
const SOCKET_KIND: libc::c_int = 0xf;

const fn socket(family: libc::c_int, kind: libc::c_int) -> [Condition; 2] {
    [equal(0, family), masked(1, SOCKET_KIND, kind)]
}

const TCP_4: &[Condition] = &socket(libc::AF_INET, libc::SOCK_STREAM);
const TCP_6: &[Condition] = &socket(libc::AF_INET6, libc::SOCK_STREAM);
const UDP_4: &[Condition] = &socket(libc::AF_INET, libc::SOCK_DGRAM);
const UDP_6: &[Condition] = &socket(libc::AF_INET6, libc::SOCK_DGRAM);
const UNIX: &[Condition] = &[equal(0, libc::AF_UNIX)];
const NETLINK: &[Condition] = &[equal(0, libc::AF_NETLINK)];
/// Without a capability it can be read from only.
const ROUTE_NETLINK: &[Condition] = &[equal(0, libc::AF_NETLINK), equal(2, libc::NETLINK_ROUTE)];

const fn prctl(option: libc::c_int) -> [Condition; 1] {
    [equal(0, option)]
}

const fn row(call: i64, kinds: u16, reason: &'static str) -> Allowed {
    Allowed { call, kinds, when: &[], reason }
}

const fn when(call: i64, kinds: u16, when: &'static [Condition], reason: &'static str) -> Allowed {
    Allowed { call, kinds, when, reason }
}

#[rustfmt::skip]
static TABLE: &[Allowed] = &[
    // The C library and Rust's standard library.
    row(libc::SYS_brk, ALL, "malloc"),
    when(libc::SYS_mmap, ALL, NO_EXECUTION, "malloc, stacks of threads"),
    when(libc::SYS_mprotect, ALL, NO_EXECUTION, "malloc, guard pages"),
    row(libc::SYS_mremap, ALL, "realloc"),
    row(libc::SYS_munmap, ALL, "free"),
    row(libc::SYS_madvise, ALL, "free, the end of a thread"),
    row(libc::SYS_futex, ALL, "locks, condition variables, channels"),
    row(libc::SYS_sched_yield, ALL, "locks under contention"),
    row(libc::SYS_sched_getaffinity, ALL, "malloc limits its arenas by the CPUs"),
    row(libc::SYS_clock_gettime, ALL, "time, where the vDSO has no clock"),
    row(libc::SYS_clock_nanosleep, ALL, "sleep"),
    row(libc::SYS_nanosleep, ALL, "sleep"),
    row(libc::SYS_getrandom, ALL, "IDs, ports, keys of hash tables"),
    row(libc::SYS_gettid, ALL, "abort"),
    row(libc::SYS_getpid, ALL, "abort, the PID file"),
    row(libc::SYS_rt_sigprocmask, ALL, "abort, the start and end of a thread"),
    row(libc::SYS_rt_sigreturn, ALL, "the end of a signal handler"),
    row(libc::SYS_sigaltstack, ALL, "the stack for a handler of stack overflows"),
    row(libc::SYS_restart_syscall, ALL, "a call continues after SIGCONT"),
    row(libc::SYS_exit, ALL, "the end of a thread"),
    row(libc::SYS_exit_group, ALL, "the end of the process"),
    row(libc::SYS_close, ALL, "descriptors"),
    row(libc::SYS_write, ALL, "the log; a line about a panic or a violation; wake-ups"),
    row(libc::SYS_read, ALL, "files, pipes, timers, TCP streams"),
    when(libc::SYS_tgkill, ALL, &[equal(2, libc::SIGABRT)], "abort"),
    when(libc::SYS_prctl, ALL, &prctl(libc::PR_GET_NAME), "the name of a thread in a line about a violation"),
    when(libc::SYS_prctl, ALL, &prctl(libc::PR_SET_VMA), "names of mappings of malloc"),
    row(libc::SYS_fcntl, ALL, "duplicates of sockets, non-blocking mode; a check when a descriptor is closed"),

    // Event loops.
    row(libc::SYS_epoll_ctl, LOOPS, "registers a socket"),
    row(libc::SYS_epoll_pwait, LOOPS, "waits for events"),
    #[cfg(target_arch = "x86_64")]
    row(libc::SYS_epoll_wait, LOOPS, "waits for events"),
    row(libc::SYS_ioctl, LOOPS | S, "non-blocking mode, unacknowledged octets (SIOCOUTQ)"),

    // Sockets.
    when(libc::SYS_socket, W | C | N | H, TCP_4, "upstreams, listeners, probes of our own listeners, iptables"),
    when(libc::SYS_socket, W | C | N | H, TCP_6, "upstreams, listeners, probes of our own listeners, iptables"),
    when(libc::SYS_socket, W | C | N, UDP_4, "upstreams, listeners, probes of our own listeners, iptables"),
    when(libc::SYS_socket, W | C | N, UDP_6, "upstreams, listeners, probes of our own listeners, iptables"),
    when(libc::SYS_socket, C | N, UNIX, "the hand-over and the control socket; indices of interfaces"),
    when(libc::SYS_socket, N, NETLINK, "links, addresses, routes, packet-filter rules, events"),
    when(libc::SYS_socket, C, ROUTE_NETLINK, "addresses of an interface that the Corefile names"),
    row(libc::SYS_bind, W | C | N | B, "sources of upstream sockets, Unix sockets, netlink, listeners"),
    row(libc::SYS_connect, W | C | N | H, "upstreams, probes, another instance"),
    row(libc::SYS_listen, C | H, "listeners"),
    row(libc::SYS_accept4, W | C | H, "connections of clients"),
    row(libc::SYS_shutdown, W | C | H, "the end of a connection"),
    row(libc::SYS_getsockopt, LOOPS, "errors, queues, state of a connection, iptables"),
    row(libc::SYS_setsockopt, LOOPS, "options of sockets, iptables"),
    row(libc::SYS_getsockname, LOOPS, "the bound address"),
    row(libc::SYS_getpeername, W | C | H, "the peer's address"),
    row(libc::SYS_recvfrom, LOOPS, "datagrams, streams, netlink"),
    row(libc::SYS_sendto, LOOPS | HB, "datagrams, streams, netlink, heartbeats"),
    row(libc::SYS_recvmsg, LOOPS, "streams, netlink, descriptors of a predecessor"),
    row(libc::SYS_sendmsg, LOOPS | HB, "streams, netlink, heartbeats, descriptors for a successor"),
    row(libc::SYS_recvmmsg, W | C, "batches of datagrams"),
    row(libc::SYS_sendmmsg, W | C | HB, "batches of datagrams, heartbeats"),
    row(libc::SYS_readv, W | C | H, "streams"),
    row(libc::SYS_writev, W | C | H, "streams"),
    row(libc::SYS_timerfd_settime, C | H | HB, "the watchdog, timers"),

    // Files.
    row(libc::SYS_openat, FILES, "the Corefile and its files, /proc, the snapshot, the lock of iptables"),
    row(libc::SYS_fstat, FILES, "size and times of a file"),
    row(libc::SYS_newfstatat, FILES, "size and times of a file"),
    row(libc::SYS_statx, FILES, "size and times of a file"),
    #[cfg(debug_assertions)]
    row(libc::SYS_statx, W, "fault injection of the process tests, in debug builds"),
    row(libc::SYS_lseek, FILES, "the size of a file that is read"),
    row(libc::SYS_pread64, FILES, "files"),
    row(libc::SYS_getdents64, FILES, "imported files, the kube-dns folder, /proc"),
    row(libc::SYS_readlinkat, FILES, "the target of a link, owners of sockets"),
    #[cfg(target_arch = "x86_64")]
    row(libc::SYS_readlink, FILES, "the target of a link, owners of sockets"),
    row(libc::SYS_geteuid, WRITERS, "the owner of the hand-over folder, its peers, the snapshot"),
    row(libc::SYS_getcwd, C, "paths of imported files"),
    row(libc::SYS_flock, C | N | S, "the lock of iptables, of the snapshot"),
    row(libc::SYS_ftruncate, WRITERS, "the snapshot"),
    row(libc::SYS_fsync, WRITERS, "the snapshot"),
    row(libc::SYS_fdatasync, WRITERS, "the snapshot"),
    row(libc::SYS_fchmod, WRITERS, "the mode of the snapshot"),
    row(libc::SYS_fchmodat, WRITERS, "the modes of the hand-over folder and its sockets"),
    row(libc::SYS_renameat, WRITERS, "the snapshot, sockets of the hand-over folder"),
    row(libc::SYS_renameat2, WRITERS, "the snapshot, sockets of the hand-over folder"),
    row(libc::SYS_unlinkat, WRITERS, "the snapshot, sockets of the hand-over folder, the PID file"),
    row(libc::SYS_mkdirat, C, "the folder of the PID file"),
    #[cfg(target_arch = "x86_64")]
    row(libc::SYS_chmod, WRITERS, "the modes of the hand-over folder and its sockets"),
    #[cfg(target_arch = "x86_64")]
    row(libc::SYS_rename, WRITERS, "the snapshot, sockets of the hand-over folder"),
    #[cfg(target_arch = "x86_64")]
    row(libc::SYS_unlink, WRITERS, "the snapshot, sockets of the hand-over folder, the PID file"),
    #[cfg(target_arch = "x86_64")]
    row(libc::SYS_mkdir, C, "the folder of the PID file"),
    row(libc::SYS_inotify_init1, C, "events about files"),
    row(libc::SYS_inotify_add_watch, C, "events about files"),
    row(libc::SYS_inotify_rm_watch, C, "events about files"),
    row(libc::SYS_ppoll, N | SUP, "waits for netlink, for the child"),
    #[cfg(target_arch = "x86_64")]
    row(libc::SYS_poll, N | SUP, "waits for netlink, for the child"),

    // The start of event loops and threads, and signals.
    row(libc::SYS_epoll_create1, C, "event loops"),
    row(libc::SYS_eventfd2, C, "wake-ups of event loops"),
    row(libc::SYS_timerfd_create, C | H, "periodic timers"),
    when(libc::SYS_socketpair, C, UNIX, "signals as events"),
    row(libc::SYS_rt_sigaction, C, "handlers of signals"),
    row(libc::SYS_prlimit64, C, "the limit of descriptors"),
    when(libc::SYS_clone, C, THREAD, "threads"),
    row(libc::SYS_clone3, C, "answered with ENOSYS by a filter before this one"),
    row(libc::SYS_set_robust_list, C, "the start of a thread"),
    row(libc::SYS_rseq, C, "the start of a thread"),
    when(libc::SYS_prctl, C, &prctl(libc::PR_SET_NAME), "the names of threads"),

    // Confinement of a thread by itself: none of these gives it more.
    row(libc::SYS_capget, C, "capabilities of a new thread are reduced"),
    row(libc::SYS_capset, C, "capabilities of a new thread are reduced"),
    when(libc::SYS_prctl, C | N, &prctl(libc::PR_SET_NO_NEW_PRIVS), "required by the two below"),
    row(libc::SYS_landlock_create_ruleset, C | N, "files of a thread"),
    row(libc::SYS_landlock_add_rule, C | N, "files of a thread"),
    row(libc::SYS_landlock_restrict_self, C | N, "files of a thread"),
    row(libc::SYS_seccomp, C, "the filter of a new thread"),

    // The parent process.
    row(libc::SYS_kill, SUP, "passes signals on to the child, and ends it when it hangs"),
    row(libc::SYS_wait4, SUP, "the exit code of the child"),
    row(libc::SYS_signalfd4, SUP, "signals as events"),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls that a compromised thread would make first.
    const DENIED: [i64; 12] = [
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_ptrace,
        libc::SYS_process_vm_writev,
        libc::SYS_mount,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_bpf,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_keyctl,
        libc::SYS_io_uring_setup,
    ];

    fn may(kind: ThreadKind, call: i64) -> bool {
        of(kind).any(|row| row.call == call)
    }

    #[test]
    fn no_kind_of_thread_may_execute_trace_or_mount() {
        for kind in ThreadKind::ALL {
            for call in DENIED {
                assert!(!may(kind, call), "{kind:?} {call}");
            }
        }
    }

    #[test]
    fn threads_that_parse_messages_of_clients_open_no_files_and_send_no_signals() {
        for call in [libc::SYS_openat, libc::SYS_kill, libc::SYS_clone, libc::SYS_rt_sigaction, libc::SYS_bpf]
        {
            assert!(!may(Worker, call), "{call}");
        }
    }

    /// They have its filter as well as their own.
    #[test]
    fn control_may_make_the_calls_of_the_threads_that_it_creates() {
        for row in TABLE.iter().filter(|row| row.kinds & (W | H | S | L | HB) != 0) {
            let by_control = of(Control).filter(|of_control| of_control.call == row.call);
            let covers = |of_control: &Allowed| {
                of_control.when.is_empty() || of_control.kinds & row.kinds == row.kinds
            };
            assert!(by_control.filter(|of_control| covers(of_control)).count() > 0, "{row:?}");
        }
    }

    #[test]
    fn each_row_has_a_reason_and_rows_with_conditions_are_the_only_ones_of_their_call() {
        for row in TABLE {
            assert!(!row.reason.is_empty(), "{row:?}");
            let unconditional = TABLE.iter().filter(|other| {
                other.call == row.call && other.when.is_empty() && other.kinds & row.kinds != 0
            });
            assert!(unconditional.count() <= usize::from(row.when.is_empty()), "{row:?}");
        }
    }
}
