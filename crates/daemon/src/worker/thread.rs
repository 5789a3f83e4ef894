//! A worker's thread: its sockets, its runtime, and the few orders it takes.

use std::io;
use std::rc::Rc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use resolver::policy::ListenerId;
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;
use tokio::time;

use super::sockets::Sockets;
use super::{Core, WorkerConfig, WorkerContext};

/// A worker that is alive takes an order within milliseconds.
const ADOPT_TIME: Duration = Duration::from_secs(2);
/// Of the time to leave, what is kept for the answers to the last questions.
const LAST_ANSWERS: Duration = Duration::from_secs(2);
/// WorkerConfig that may wait; there is one sender, who waits for each but for a moment only.
const ORDERS_LEN: usize = 4;

enum Order {
    Adopt(Box<Reconfigure>, oneshot::Sender<io::Result<()>>),
    Drain(Instant, oneshot::Sender<()>),
    Ping(oneshot::Sender<()>),
}

/// What changes for a worker that runs.
#[derive(Default)]
pub(crate) struct Reconfigure {
    /// Other orders; those before stay in force without.
    pub(crate) config: Option<WorkerConfig>,
    /// Read from now on.
    pub(crate) opened: Vec<Sockets>,
    /// Read no more; what is open on them is still answered.
    pub(crate) closed: Vec<ListenerId>,
}

/// The control thread's hold on a worker.
pub(crate) struct Worker {
    orders: mpsc::Sender<Order>,
    thread: JoinHandle<()>,
}

impl Worker {
    /// Starts a worker, without sockets.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(index: usize, context: WorkerContext, orders: WorkerConfig) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel(ORDERS_LEN);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
            let local = LocalSet::new();
            local.block_on(&runtime, work(context, orders, receiver));
        })?;
        Ok(Self { orders: sender, thread })
    }

    /// Has the worker obey other orders, or on more or fewer listeners. When this returns, it reads from those that are
    /// opened and no more from those that are closed.
    ///
    /// # Errors
    /// When a socket could not be taken into use, or the worker is gone.
    pub(crate) async fn reconfigure(&self, adoption: Reconfigure) -> io::Result<()> {
        let (done, wait) = oneshot::channel();
        let adoption = Box::new(adoption);
        let gone = || io::Error::other("a worker thread has ended");
        let hangs = |_| io::Error::other("a worker thread does not take orders");
        let adopted = async {
            self.orders.send(Order::Adopt(adoption, done)).await.map_err(|_| gone())?;
            wait.await.map_err(|_| gone())?
        };
        time::timeout(ADOPT_TIME, adopted).await.map_err(hangs)?
    }

    /// Has the worker answer what is open, until `until` at most, and end; what is returned resolves when it has.
    /// Nothing is returned when it has ended already, or has taken no order for so long that too many wait.
    pub(crate) fn drain(&self, until: Instant) -> Option<oneshot::Receiver<()>> {
        let (done, wait) = oneshot::channel();
        self.orders.try_send(Order::Drain(until, done)).ok().map(|()| wait)
    }

    /// Asks for a sign of life, which comes as soon as the worker takes orders. Nothing is returned when too many orders
    /// wait already.
    pub(crate) fn ping(&self) -> Option<oneshot::Receiver<()>> {
        let (alive, wait) = oneshot::channel();
        self.orders.try_send(Order::Ping(alive)).ok().map(|()| wait)
    }

    /// True when the thread has ended, which it does only when told to, or by a panic.
    pub(crate) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }
}

async fn work(context: WorkerContext, orders: WorkerConfig, mut receiver: mpsc::Receiver<Order>) {
    let core = Core::new(context, orders);
    while let Some(order) = receiver.recv().await {
        match order {
            Order::Adopt(adoption, done) => {
                let Reconfigure { config, opened, closed } = *adoption;
                if let Some(config) = config {
                    core.adopt(config);
                }
                for listener in closed {
                    core.datagrams.close(&core, listener);
                    core.clients.close(listener);
                }
                // Who no longer waits for the outcome does not need it.
                done.send(open(&core, opened)).unwrap_or_default();
            }
            // Who no longer waits for it does not need it.
            Order::Ping(alive) => alive.send(()).unwrap_or_default(),
            Order::Drain(until, done) => {
                drain(&core, until).await;
                return done.send(()).unwrap_or_default();
            }
        }
    }
}

fn open(core: &Rc<Core>, sockets: Vec<Sockets>) -> io::Result<()> {
    for Sockets { listener, udp, tcp } in sockets {
        for socket in udp {
            core.datagrams.open(core, listener, socket)?;
        }
        for socket in tcp {
            core.clients.open(core, listener, socket)?;
        }
    }
    Ok(())
}

/// Takes no new connections, and waits until those who are connected have asked their last and are answered. As long as
/// they are waited for datagrams are read, of which an open socket gets its share.
async fn drain(core: &Rc<Core>, until: Instant) {
    core.clients.close_all();
    core.clients.all_gone(until.checked_sub(LAST_ANSWERS).unwrap_or(until)).await;
    core.datagrams.stop_reading();
    core.clients.all_gone(until).await;
    core.all_answered(until).await;
}
