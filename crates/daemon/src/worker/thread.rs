//! Worker thread: its runtime, the commands of the control thread, the drain before it ends.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use linux::confinement::ThreadKind;
use resolver::policy::ListenerId;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;
use tokio::time;

use super::context::{WorkerConfig, WorkerContext};
use super::drain;
use super::event_loop::EventLoop;
use super::handler::QueryHandler;
use super::sockets::{RegisteredSockets, Sockets};
use super::tasks::WorkerFailure;
use crate::confined;

/// A healthy worker executes a command within milliseconds.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(2);

/// The last part of the drain, in which no more UDP queries are read.
const LAST_RESPONSES: Duration = Duration::from_secs(2);

/// The one sender waits for most commands.
const COMMAND_QUEUE_LEN: usize = 4;

enum Command {
    Reconfigure(Box<Reconfigure>, oneshot::Sender<()>),
    Drain(Instant, oneshot::Sender<()>),
    ClearL1(oneshot::Sender<()>),
    Ping(oneshot::Sender<()>),
}

/// A change to a running worker; nothing in it can fail.
#[derive(Default)]
pub(crate) struct Reconfigure {
    /// A new configuration; `None` keeps the present one.
    pub(crate) config: Option<WorkerConfig>,
    /// Sockets to read from.
    pub(crate) opened: Vec<RegisteredSockets>,
    /// Listeners not to read from any more; queries in flight on them still get their responses.
    pub(crate) closed: Vec<ListenerId>,
}

/// The control thread's handle of a worker.
pub(crate) struct Worker {
    commands: mpsc::Sender<Command>,
    runtime: Handle,
    ended: Ended,
    progress: WorkerProgress,
}

/// Tells whether a worker makes progress, from any thread.
#[derive(Clone)]
pub(crate) struct WorkerProgress {
    commands: mpsc::Sender<Command>,
    /// It waits for events and has handled all earlier ones.
    is_idle: Arc<AtomicBool>,
}

impl WorkerProgress {
    /// Requests a sign of life. `None` when the worker has ended or its queue is full.
    pub(crate) fn ping(&self) -> Option<oneshot::Receiver<()>> {
        let (alive, pong) = oneshot::channel();
        self.commands.try_send(Command::Ping(alive)).ok().map(|()| pong)
    }

    /// True while the worker waits for events and has handled all earlier ones.
    pub(crate) fn is_idle(&self) -> bool {
        self.is_idle.load(Relaxed)
    }
}

/// Empties the L1 cache of a worker, from any thread.
#[derive(Clone)]
pub(crate) struct L1Handle(mpsc::Sender<Command>);

impl L1Handle {
    /// True when the worker has emptied it; false when it has ended or hangs.
    pub(crate) async fn clear(&self) -> bool {
        let cleared = async {
            let (done, cleared) = oneshot::channel();
            self.0.send(Command::ClearL1(done)).await.is_ok() && cleared.await.is_ok()
        };
        time::timeout(COMMAND_TIMEOUT, cleared).await.unwrap_or(false)
    }
}

/// Whether the thread has ended; by a failure, or without one after a drain.
enum Ended {
    NotYet(oneshot::Receiver<Option<WorkerFailure>>),
    Because(Option<WorkerFailure>),
}

/// A worker that has just responded, with a place in its queue for one command.
pub(crate) struct ReadyWorker {
    command: mpsc::OwnedPermit<Command>,
    runtime: Handle,
}

impl Worker {
    /// Starts a worker, without sockets.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub(crate) fn start(index: usize, context: WorkerContext, config: WorkerConfig) -> io::Result<Self> {
        let (commands, receiver) = mpsc::channel(COMMAND_QUEUE_LEN);
        let is_idle = Arc::<AtomicBool>::default();
        let set_idle = |idle: bool| {
            let is_idle = Arc::clone(&is_idle);
            move || is_idle.store(idle, Relaxed)
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .on_thread_park(set_idle(true))
            .on_thread_unpark(set_idle(false))
            .build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel();
        std::thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
            confined::enter(ThreadKind::Worker);
            let failure = LocalSet::new().block_on(&runtime, run(context, config, receiver));
            // The control thread has ended as well if nobody receives it.
            end.send(failure).ok();
        })?;
        let progress = WorkerProgress { commands: commands.clone(), is_idle };
        Ok(Self { commands, runtime: handle, ended: Ended::NotYet(ended), progress })
    }

    /// First step of a change: checks that the worker executes commands. Nothing has changed yet.
    ///
    /// # Errors
    /// The worker has ended or hangs.
    pub(crate) async fn ready(&self) -> io::Result<ReadyWorker> {
        let ended = || io::Error::other("a worker thread has ended");
        let hung = |_| io::Error::other("a worker thread does not respond to commands");
        let ready = async {
            let command = self.commands.clone().reserve_owned().await.map_err(|_| ended())?;
            let (alive, pong) = oneshot::channel();
            self.commands.send(Command::Ping(alive)).await.map_err(|_| ended())?;
            pong.await.map_err(|_| ended())?;
            Ok(ReadyWorker { command, runtime: self.runtime.clone() })
        };
        time::timeout(COMMAND_TIMEOUT, ready).await.map_err(hung)?
    }

    /// Has the worker respond to all queries in flight, by `deadline` at the latest, and end. The
    /// receiver resolves when it has. `None` when the worker has ended or its queue is full.
    pub(crate) fn drain(&self, deadline: Instant) -> Option<oneshot::Receiver<()>> {
        let (done, drained) = oneshot::channel();
        self.commands.try_send(Command::Drain(deadline, done)).ok().map(|()| drained)
    }

    /// Tells whether the worker makes progress.
    pub(crate) const fn progress(&self) -> &WorkerProgress {
        &self.progress
    }

    /// Empties its L1 cache.
    pub(crate) fn l1(&self) -> L1Handle {
        L1Handle(self.commands.clone())
    }

    /// Ready when the worker has ended other than by a drain.
    pub(crate) fn poll_failed(&mut self, context: &mut Context<'_>) -> Poll<WorkerFailure> {
        if let Ended::NotYet(ended) = &mut self.ended
            && let Poll::Ready(failure) = Pin::new(ended).poll(context)
        {
            // A thread that panics does not send.
            self.ended = Ended::Because(failure.unwrap_or(Some(WorkerFailure::ThreadPanicked)));
        }
        match self.ended {
            Ended::Because(Some(failure)) => Poll::Ready(failure),
            Ended::NotYet(_) | Ended::Because(None) => Poll::Pending,
        }
    }
}

impl ReadyWorker {
    /// Second step of a change: registers sockets for this worker.
    ///
    /// # Errors
    /// The process is out of descriptors, or the kernel out of memory; the sockets are closed.
    pub(crate) fn register(&self, sockets: Vec<Sockets>) -> io::Result<Vec<RegisteredSockets>> {
        sockets.into_iter().map(|sockets| sockets.register(&self.runtime)).collect()
    }

    /// Last step of a change: makes it. The result resolves when the worker reads from the opened
    /// sockets and no longer from the closed listeners.
    pub(crate) fn reconfigure(self, change: Reconfigure) -> Reconfigured {
        let (done, result) = oneshot::channel();
        self.command.send(Command::Reconfigure(Box::new(change), done));
        Reconfigured(result)
    }
}

/// A change that a worker makes.
pub(crate) struct Reconfigured(oneshot::Receiver<()>);

impl Reconfigured {
    /// Waits until the worker has made the change; false if it has ended or hangs since it was
    /// [ready](Worker::ready).
    pub(crate) async fn done(self) -> bool {
        matches!(time::timeout(COMMAND_TIMEOUT, self.0).await, Ok(Ok(())))
    }
}

/// Runs the worker until a drain, or until it fails.
async fn run(
    context: WorkerContext,
    config: WorkerConfig,
    commands: mpsc::Receiver<Command>,
) -> Option<WorkerFailure> {
    let event_loop = EventLoop::start(context, config);
    tokio::select! {
        biased;
        failure = event_loop.tasks.failed() => Some(failure),
        () = execute_commands(&event_loop, commands) => None,
    }
}

async fn execute_commands(event_loop: &Rc<EventLoop>, mut commands: mpsc::Receiver<Command>) {
    // A reply below fails only when the control thread has stopped waiting for it.
    while let Some(command) = commands.recv().await {
        match command {
            Command::Reconfigure(change, done) => {
                reconfigure(event_loop, *change);
                done.send(()).ok();
            }
            Command::ClearL1(done) => {
                event_loop.clear_l1();
                done.send(()).ok();
            }
            Command::Ping(alive) => {
                alive.send(()).ok();
            }
            Command::Drain(deadline, done) => {
                drain(event_loop, deadline).await;
                done.send(()).ok();
                return;
            }
        }
    }
}

fn reconfigure(event_loop: &Rc<EventLoop>, change: Reconfigure) {
    if let Some(config) = change.config {
        event_loop.reconfigure(config);
    }
    for listener in change.closed {
        event_loop.udp_server.close(event_loop, listener);
        event_loop.tcp_server.close(listener);
    }
    for RegisteredSockets { listener, udp, tcp } in change.opened {
        for socket in udp {
            event_loop.udp_server.open(event_loop, listener, socket);
        }
        for socket in tcp {
            event_loop.tcp_server.open(event_loop, listener, socket);
        }
    }
}

/// Accepts no new connections and waits until connected clients have sent their last queries and
/// received the responses. UDP is read in the meantime: an open socket still gets its share of the
/// datagrams.
async fn drain(event_loop: &Rc<EventLoop>, deadline: Instant) {
    let no_connections = || event_loop.tcp_server.has_no_connections();
    event_loop.tcp_server.close_all();
    drain::wait(deadline.checked_sub(LAST_RESPONSES).unwrap_or(deadline), no_connections).await;
    event_loop.udp_server.stop_reading();
    drain::wait(deadline, no_connections).await;
    drain::wait(deadline, || !event_loop.has_inflight()).await;
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use crate::clock;

    #[tokio::test]
    async fn a_worker_that_has_ended_is_not_ready_for_a_change() {
        let worker = Worker::start(0, fixture::context(), fixture::config()).unwrap();
        assert!(worker.ready().await.unwrap().reconfigure(Reconfigure::default()).done().await);
        worker.drain(clock::now()).unwrap().await.unwrap();
        let error = worker.ready().await.err().unwrap();
        assert_eq!(error.to_string(), "a worker thread has ended");
    }
}
