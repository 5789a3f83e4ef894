//! Supervision of a worker's tasks: a permanent task that ends, or one panic too many, ends the
//! worker, and thereby the process, so that it is replaced.

use std::cell::RefCell;
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use resolver::counters::WorkerCounters;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::fault_injection::FaultInjection;
use crate::clock;
use crate::panics::{PanicHistory, catch_panic};

/// Why a worker has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WorkerFailure {
    /// A task that runs as long as the worker has ended.
    TaskEnded(&'static str),
    TaskPanicked(&'static str),
    /// Panics over packets, timers or connections, each caught, in quick succession.
    RepeatedPanics,
    /// The thread itself panicked.
    ThreadPanicked,
}

impl fmt::Display for WorkerFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TaskEnded(task) => write!(f, "its task \"{task}\" has ended"),
            Self::TaskPanicked(task) => write!(f, "its task \"{task}\" panicked"),
            Self::RepeatedPanics => f.write_str("three panics within a minute"),
            Self::ThreadPanicked => f.write_str("its thread panicked"),
        }
    }
}

/// The tasks of a worker. Aborting a task is no failure.
pub(super) struct Tasks {
    counters: Arc<WorkerCounters>,
    panics: RefCell<PanicHistory>,
    failure: RefCell<Option<WorkerFailure>>,
    failed: Notify,
    faults: FaultInjection,
}

impl Tasks {
    pub(super) fn new(counters: Arc<WorkerCounters>) -> Rc<Self> {
        Rc::new(Self {
            counters,
            panics: RefCell::default(),
            failure: RefCell::default(),
            failed: Notify::new(),
            faults: FaultInjection::from_environment(),
        })
    }

    /// Spawns a task without which the worker does not do all of its work.
    pub(super) fn spawn_permanent(
        self: &Rc<Self>,
        name: &'static str,
        task: impl Future<Output = ()> + 'static,
    ) -> AbortHandle {
        let tasks = Rc::clone(self);
        let supervised = async move {
            let mut task = pin!(task);
            let polled = poll_fn(|context| {
                tasks.faults.inject(name);
                task.as_mut().poll(context)
            });
            if catch_panic(polled).await.is_some() {
                tasks.fail(WorkerFailure::TaskEnded(name));
            } else {
                tasks.counters.panics.add(1);
                tasks.fail(WorkerFailure::TaskPanicked(name));
            }
        };
        tokio::task::spawn_local(supervised).abort_handle()
    }

    /// Spawns a task of one connection, or one that waits.
    pub(super) fn spawn_temporary(self: &Rc<Self>, task: impl Future<Output = ()> + 'static) -> AbortHandle {
        let tasks = Rc::clone(self);
        let supervised = async move {
            tasks.guard(task).await;
        };
        tokio::task::spawn_local(supervised).abort_handle()
    }

    /// `None` if the future panics.
    pub(super) async fn guard<F: Future>(&self, future: F) -> Option<F::Output> {
        let output = catch_panic(future).await;
        if output.is_none() {
            self.record_panic();
        }
        output
    }

    /// Counts a panic that was caught; one too many ends the worker.
    pub(super) fn record_panic(&self) {
        self.counters.panics.add(1);
        if self.panics.borrow_mut().record(clock::now()) {
            self.fail(WorkerFailure::RepeatedPanics);
        }
    }

    fn fail(&self, failure: WorkerFailure) {
        self.failure.borrow_mut().get_or_insert(failure);
        self.failed.notify_one();
    }

    /// Resolves when the worker must end.
    pub(super) async fn failed(&self) -> WorkerFailure {
        loop {
            if let Some(failure) = *self.failure.borrow() {
                return failure;
            }
            self.failed.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::LocalSet;
    use tokio::time::{Duration, timeout};

    use super::*;

    const WAIT_LIMIT: Duration = Duration::from_secs(5);

    fn panic() {
        assert!(std::hint::black_box(false), "intended by the test");
    }

    async fn failure_after(work: impl FnOnce(&Rc<Tasks>)) -> (WorkerFailure, u64) {
        let counters = Arc::<WorkerCounters>::default();
        let tasks = Tasks::new(Arc::clone(&counters));
        let failed = async {
            work(&tasks);
            tasks.failed().await
        };
        let failure = timeout(WAIT_LIMIT, LocalSet::new().run_until(failed)).await.unwrap();
        (failure, counters.panics.get())
    }

    #[tokio::test]
    async fn a_permanent_task_that_ends_or_panics_ends_the_worker() {
        let ended = failure_after(|tasks| drop(tasks.spawn_permanent("reader", async {}))).await;
        assert_eq!(ended, (WorkerFailure::TaskEnded("reader"), 0));
        let panicked = failure_after(|tasks| {
            tasks.spawn_permanent("reader", async {
                tokio::task::yield_now().await;
                panic();
            });
        });
        assert_eq!(panicked.await, (WorkerFailure::TaskPanicked("reader"), 1));
    }

    #[tokio::test]
    async fn the_third_panic_of_connections_ends_the_worker() {
        let connections = |tasks: &Rc<Tasks>| {
            for _ in 0..3 {
                tasks.spawn_temporary(async { panic() });
            }
        };
        assert_eq!(failure_after(connections).await, (WorkerFailure::RepeatedPanics, 3));
    }

    #[tokio::test]
    async fn an_aborted_task_and_two_panics_are_no_failure() {
        let two = async {
            let tasks = Tasks::new(Arc::default());
            tasks.spawn_permanent("reader", std::future::pending()).abort();
            tasks.spawn_temporary(async { panic() });
            tasks.spawn_temporary(async {});
            assert_eq!(tasks.guard(async { panic() }).await, None);
            tokio::task::yield_now().await;
            assert_eq!(*tasks.failure.borrow(), None);
        };
        LocalSet::new().run_until(two).await;
    }
}
