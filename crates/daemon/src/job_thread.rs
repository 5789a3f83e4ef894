//! Job thread: a thread that owns a state, and runs jobs on it, one after the other, for another thread.

use std::io;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::mpsc as sync_mpsc;
use std::thread;
use std::time::Duration;

use linux::confinement::{self, ThreadKind};
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;

use crate::panics::catch_panic;

type Job<S> = Box<dyn for<'a> FnOnce(&'a mut S) -> Pin<Box<dyn Future<Output = ()> + 'a>> + Send>;

/// How long a thread is blocked at most until another has run a job for it.
const WAIT_TIMEOUT: Duration = Duration::from_millis(100);

/// The handle of a thread with a state of type `S`. The thread ends when the last clone is dropped.
pub(crate) struct JobThread<S> {
    jobs: mpsc::UnboundedSender<Job<S>>,
}

impl<S> Clone for JobThread<S> {
    fn clone(&self) -> Self {
        Self { jobs: self.jobs.clone() }
    }
}

impl<S: 'static> JobThread<S> {
    /// Starts the thread, confined to what `kind` needs, with an event loop in which `create` makes the
    /// state. Returns when the thread is confined, or that has failed ([`confinement::first_failure`]).
    ///
    /// # Errors
    /// The system refuses a thread or an event loop.
    pub(crate) fn start(
        name: &str,
        kind: ThreadKind,
        create: impl FnOnce() -> S + Send + 'static,
    ) -> io::Result<Self> {
        let (jobs, mut receiver) = mpsc::unbounded_channel::<Job<S>>();
        let (started, confined) = sync_mpsc::sync_channel(1);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            drop(started.send(confinement::enter(kind)));
            LocalSet::new().block_on(&runtime, async {
                let mut state = create();
                while let Some(job) = receiver.recv().await {
                    job(&mut state).await;
                }
            });
        })?;
        drop(confined.recv().map_err(io::Error::other)?);
        Ok(Self { jobs })
    }

    /// Runs a job and waits for its result. One whose result is not waited for any more runs to its end.
    ///
    /// # Panics
    /// If the job panics.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl AsyncFnOnce(&mut S) -> T + Send + 'static,
    ) -> T {
        let (done, result) = oneshot::channel();
        let job: Job<S> = Box::new(move |state| {
            Box::pin(async move {
                if let Some(result) = catch_panic(job(state)).await {
                    done.send(result).ok();
                }
            })
        });
        self.jobs.send(job).ok();
        match result.await {
            Ok(result) => result,
            // The panic has been reported by its thread.
            Err(_) => resume_unwind(Box::new("a job of another thread has panicked")),
        }
    }

    /// Runs a job and blocks the calling thread until its result is there; `None` if that takes more than
    /// 100 ms, as when the thread is in the middle of another job.
    pub(crate) fn wait_for<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut S) -> T + Send + 'static,
    ) -> Option<T> {
        let (done, result) = sync_mpsc::sync_channel(1);
        self.post(move |state| drop(done.send(job(state))));
        result.recv_timeout(WAIT_TIMEOUT).ok()
    }

    /// Runs a job without waiting for it.
    pub(crate) fn post(&self, job: impl FnOnce(&mut S) + Send + 'static) {
        let job: Job<S> = Box::new(move |state| {
            job(state);
            Box::pin(std::future::ready(()))
        });
        // The thread ends after the last handle only.
        self.jobs.send(job).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thread() -> JobThread<Vec<u32>> {
        JobThread::start("test", ThreadKind::Http, Vec::new).unwrap()
    }

    #[tokio::test]
    async fn jobs_run_in_order_on_the_state_of_the_thread() {
        let thread = thread();
        thread.post(|state| state.push(1));
        let pushed = thread.run(async |state: &mut Vec<u32>| {
            tokio::task::yield_now().await;
            state.push(2);
            state.clone()
        });
        assert_eq!(pushed.await, [1, 2]);
        assert_eq!(thread.wait_for(|state| state.pop()), Some(Some(2)));
    }

    #[tokio::test]
    async fn a_job_that_panics_panics_in_its_caller_and_the_thread_goes_on() {
        let thread = thread();
        let panics = thread.run(async |_: &mut Vec<u32>| assert!(std::hint::black_box(false), "intended"));
        assert!(catch_panic(panics).await.is_none());
        assert_eq!(thread.run(async |state: &mut Vec<u32>| state.len()).await, 0);
    }
}
