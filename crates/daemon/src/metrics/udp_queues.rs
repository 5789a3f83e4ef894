//! UDP receive queues of the listening sockets: what the kernel dropped because one was full, and
//! what is queued, read at each scrape (SO_MEMINFO).

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use linux::udp::UdpListener;

/// The queues of all workers.
#[derive(Debug, Default)]
pub struct UdpQueues {
    queues: Mutex<Vec<Queue>>,
    overflows: AtomicU64,
}

#[derive(Debug)]
struct Queue {
    /// Weak, so that a worker closes its socket when it drops it: an open one that nobody reads
    /// would go on receiving.
    socket: Weak<UdpListener>,
    /// The kernel's counter at the last reading; it wraps.
    overflows: u32,
}

impl UdpQueues {
    /// Reads the queue of `socket` from now on. Earlier drops were counted by a predecessor.
    pub fn register(&self, socket: &Arc<UdpListener>) {
        // Kernels without this counter have nothing to report.
        let overflows = socket.queue_overflows().unwrap_or(0);
        self.queues().push(Queue { socket: Arc::downgrade(socket), overflows });
    }

    /// Adds what the kernel dropped since the last reading. Also to be called before a registered
    /// socket is closed.
    pub fn read(&self) {
        self.queues().retain_mut(|queue| {
            let Some(socket) = queue.socket.upgrade() else { return false };
            if let Ok(overflows) = socket.queue_overflows() {
                let new = overflows.wrapping_sub(queue.overflows);
                self.overflows.fetch_add(u64::from(new), Relaxed);
                queue.overflows = overflows;
            }
            true
        });
    }

    /// Octets in all queues now.
    pub fn octets(&self) -> u64 {
        let queues = self.queues();
        let sockets = queues.iter().filter_map(|queue| queue.socket.upgrade());
        sockets.map(|socket| u64::from(socket.queued_octets().unwrap_or(0))).sum()
    }

    /// Queries dropped up to the last reading.
    pub fn overflows(&self) -> u64 {
        self.overflows.load(Relaxed)
    }

    fn queues(&self) -> MutexGuard<'_, Vec<Queue>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket};

    use super::*;

    /// Sends more datagrams than the queue of `socket` takes; returns how many were dropped.
    fn overflow(socket: &UdpListener) -> u64 {
        let before = socket.queue_overflows().unwrap();
        let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        while socket.queue_overflows().unwrap() < before + 10 {
            client.send_to(&[0; 1000], socket.local_addr().unwrap()).unwrap();
        }
        u64::from(socket.queue_overflows().unwrap() - before)
    }

    #[test]
    fn drops_are_counted_when_they_are_read_and_before_a_socket_is_closed() {
        let queues = UdpQueues::default();
        let [inherited, own] =
            [(); 2].map(|()| Arc::new(UdpListener::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap()));
        overflow(&inherited);
        queues.register(&inherited);
        queues.register(&own);
        queues.read();
        assert_eq!(queues.overflows(), 0, "earlier drops are the predecessor's");
        let dropped = overflow(&inherited) + overflow(&own);
        assert!(queues.octets() > 2 * 100_000, "two full queues");
        queues.read();
        queues.read();
        assert_eq!(queues.overflows(), dropped);
        let dropped = dropped + overflow(&own);
        queues.read();
        drop(own);
        queues.read();
        assert_eq!((queues.overflows(), queues.queues().len()), (dropped, 1));
    }
}
