//! Turn of a worker's loop: what runs between two polls of the I/O driver.
//!
//! Every source of events (UDP sockets, client connections, upstreams, timers, other workers)
//! handles a bounded share per turn, so that a flood on one delays the others by a turn at most.

use std::cell::Cell;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};

/// Messages that one source handles per turn: a batch of a UDP socket.
pub(super) const SHARE: usize = linux::udp::BATCH_SIZE;

/// A source that handles its share in less time goes on for this long: the end of a turn costs
/// several microseconds.
pub(super) const QUANTUM: Duration = Duration::from_micros(200);

/// Ends the turn of this task: it goes on after the next poll of the I/O driver and after every
/// task that is ready then.
pub(super) async fn end() {
    tokio::task::yield_now().await;
}

/// Limits how many tasks of one kind have work in a turn; the others have theirs in the next turns,
/// in order of arrival.
pub(super) struct TurnLimiter {
    free: Semaphore,
    /// Tasks admitted in this turn.
    admitted: Cell<usize>,
    first_admitted: Notify,
}

impl TurnLimiter {
    pub(super) fn new(tasks: usize) -> Self {
        Self { free: Semaphore::new(tasks), admitted: Cell::new(0), first_admitted: Notify::new() }
    }

    /// Waits until this task may do its work of one turn.
    pub(super) async fn admit(&self) {
        // The semaphore is never closed.
        let Ok(permit) = self.free.acquire().await else { return };
        permit.forget();
        if self.admitted.replace(self.admitted.get() + 1) == 0 {
            self.first_admitted.notify_one();
        }
    }

    /// Starts the turns; runs as long as the worker.
    pub(super) async fn run(&self) {
        loop {
            self.first_admitted.notified().await;
            end().await;
            self.free.add_permits(self.admitted.take());
        }
    }
}

#[cfg(test)]
/// Runs until `count` has reached `total`; returns by how much it grew in one turn at most.
pub(super) async fn most_per_turn(total: usize, count: impl Fn() -> usize) -> usize {
    let (mut most, mut before) = (0, 0);
    while before < total {
        end().await;
        let now = count();
        (most, before) = (most.max(now - before), now);
    }
    most
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use tokio::task::LocalSet;

    use super::*;

    #[tokio::test]
    async fn tasks_beyond_the_limit_have_their_turn_in_order_of_arrival() {
        let limited = async {
            let limiter = Rc::new(TurnLimiter::new(3));
            let order = Rc::<std::cell::RefCell<Vec<usize>>>::default();
            for task in 0..10 {
                let (limiter, order) = (Rc::clone(&limiter), Rc::clone(&order));
                tokio::task::spawn_local(async move {
                    for _ in 0..2 {
                        limiter.admit().await;
                        order.borrow_mut().push(task);
                        end().await;
                    }
                });
            }
            let turns = Rc::clone(&limiter);
            tokio::task::spawn_local(async move { turns.run().await });
            assert_eq!(most_per_turn(20, || order.borrow().len()).await, 3);
            // No task has its second turn before another has its first.
            let firsts: Vec<usize> = order.borrow().iter().copied().take(10).collect();
            assert!((0..10).all(|task| firsts.contains(&task)), "{firsts:?}");
        };
        LocalSet::new().run_until(limited).await;
    }
}
