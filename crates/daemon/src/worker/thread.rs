//! Worker thread: its runtime, the commands of the control thread, the drain before it ends.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use resolver::policy::ListenerId;
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;
use tokio::time;

use super::context::{WorkerConfig, WorkerContext};
use super::drain;
use super::event_loop::EventLoop;
use super::handler::QueryHandler;
use super::sockets::Sockets;

/// A healthy worker executes a command within milliseconds.
const RECONFIGURE_TIMEOUT: Duration = Duration::from_secs(2);

/// The last part of the drain, in which no more UDP queries are read.
const LAST_RESPONSES: Duration = Duration::from_secs(2);

/// The one sender waits for most commands.
const COMMAND_QUEUE_LEN: usize = 4;

enum Command {
    Reconfigure(Box<Reconfigure>, oneshot::Sender<io::Result<()>>),
    Drain(Instant, oneshot::Sender<()>),
    Ping(oneshot::Sender<()>),
}

/// A change to a running worker.
#[derive(Default)]
pub(crate) struct Reconfigure {
    /// A new configuration; `None` keeps the present one.
    pub(crate) config: Option<WorkerConfig>,
    /// Sockets to read from.
    pub(crate) opened: Vec<Sockets>,
    /// Listeners not to read from any more; queries in flight on them still get their responses.
    pub(crate) closed: Vec<ListenerId>,
}

/// The control thread's handle of a worker.
pub(crate) struct Worker {
    commands: mpsc::Sender<Command>,
    thread: JoinHandle<()>,
    /// It waits for events and has handled all earlier ones.
    is_idle: Arc<AtomicBool>,
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
        let thread = std::thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
            LocalSet::new().block_on(&runtime, run(context, config, receiver));
        })?;
        Ok(Self { commands, thread, is_idle })
    }

    /// Applies a change. When this returns, the worker reads from the opened sockets and no longer
    /// from the closed listeners.
    ///
    /// # Errors
    /// When a socket could not be registered with the runtime, or the worker has ended or hangs.
    pub(crate) async fn reconfigure(&self, change: Reconfigure) -> io::Result<()> {
        let (done, result) = oneshot::channel();
        let ended = || io::Error::other("a worker thread has ended");
        let hung = |_| io::Error::other("a worker thread does not respond to commands");
        let reconfigured = async {
            let command = Command::Reconfigure(Box::new(change), done);
            self.commands.send(command).await.map_err(|_| ended())?;
            result.await.map_err(|_| ended())?
        };
        time::timeout(RECONFIGURE_TIMEOUT, reconfigured).await.map_err(hung)?
    }

    /// Has the worker respond to all queries in flight, by `deadline` at the latest, and end. The
    /// receiver resolves when it has. `None` when the worker has ended or its queue is full.
    pub(crate) fn drain(&self, deadline: Instant) -> Option<oneshot::Receiver<()>> {
        let (done, drained) = oneshot::channel();
        self.commands.try_send(Command::Drain(deadline, done)).ok().map(|()| drained)
    }

    /// Requests a sign of life. `None` when the worker has ended or its queue is full.
    pub(crate) fn ping(&self) -> Option<oneshot::Receiver<()>> {
        let (alive, pong) = oneshot::channel();
        self.commands.try_send(Command::Ping(alive)).ok().map(|()| pong)
    }

    /// True while the worker waits for events and has handled all earlier ones.
    pub(crate) fn is_idle(&self) -> bool {
        self.is_idle.load(Relaxed)
    }

    /// True when the thread has ended: after a drain, or by a panic.
    pub(crate) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }
}

async fn run(context: WorkerContext, config: WorkerConfig, mut commands: mpsc::Receiver<Command>) {
    let event_loop = EventLoop::start(context, config);
    // A reply below fails only when the control thread has stopped waiting for it.
    while let Some(command) = commands.recv().await {
        match command {
            Command::Reconfigure(change, done) => {
                done.send(reconfigure(&event_loop, *change)).ok();
            }
            Command::Ping(alive) => {
                alive.send(()).ok();
            }
            Command::Drain(deadline, done) => {
                drain(&event_loop, deadline).await;
                done.send(()).ok();
                return;
            }
        }
    }
}

fn reconfigure(event_loop: &Rc<EventLoop>, change: Reconfigure) -> io::Result<()> {
    if let Some(config) = change.config {
        event_loop.reconfigure(config);
    }
    for listener in change.closed {
        event_loop.udp_server.close(event_loop, listener);
        event_loop.tcp_server.close(listener);
    }
    for Sockets { listener, udp, tcp } in change.opened {
        for socket in udp {
            event_loop.udp_server.open(event_loop, listener, socket)?;
        }
        for socket in tcp {
            event_loop.tcp_server.open(event_loop, listener, socket)?;
        }
    }
    Ok(())
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
