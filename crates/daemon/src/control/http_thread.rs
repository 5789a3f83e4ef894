//! The HTTP thread: serves the endpoints, and is told by the control thread which.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use linux::binder::Binder;
use linux::confinement::ThreadKind;

use crate::handover::describe_http_socket;
use crate::http::{
    BindError, Endpoints, HandlerState, HttpServer, InheritedListeners, Limits, PreparedEndpoints,
};
use crate::job_thread::JobThread;
use crate::metrics::Exposition;

pub(super) struct HttpThread {
    thread: JobThread<HttpServer>,
    exposition: Arc<Exposition>,
}

impl HttpThread {
    /// Starts the thread, without endpoints.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub(super) fn start(state: HandlerState, binder: Binder) -> io::Result<Self> {
        let exposition = Arc::clone(&state.exposition);
        let create = move || HttpServer::new(state, Limits::default()).with_binder(binder);
        Ok(Self { thread: JobThread::start("http", ThreadKind::Http, create)?, exposition })
    }

    /// Sockets that the next [`prepare`](Self::prepare) uses instead of binding new ones.
    pub(super) fn inherit(&self, sockets: InheritedListeners) {
        self.thread.post(|server| server.inherit(sockets));
    }

    /// Serves exactly `endpoints`.
    pub(super) async fn rebind(&self, endpoints: Endpoints) -> Result<(), BindError> {
        self.thread.run(async move |server: &mut HttpServer| server.rebind(&endpoints)).await
    }

    /// Binds the addresses of `endpoints` that are not open yet.
    pub(super) async fn prepare(&self, endpoints: Endpoints) -> Result<PreparedEndpoints, BindError> {
        self.thread.run(async move |server: &mut HttpServer| server.prepare(&endpoints)).await
    }

    /// Serves exactly the prepared endpoints, soon.
    pub(super) fn commit(&self, prepared: PreparedEndpoints) {
        self.thread.post(|server| server.commit(prepared));
    }

    /// True while a configured address could not be bound.
    pub(super) async fn is_incomplete(&self) -> bool {
        self.thread.run(async |server: &mut HttpServer| server.is_incomplete()).await
    }

    /// The page of `/metrics`.
    pub(super) const fn exposition(&self) -> &Arc<Exposition> {
        &self.exposition
    }

    /// Makes `/health` answer 503 with this text; `None`: 200.
    pub(super) fn set_health_error(&self, error: Option<String>) {
        self.thread.post(|server| server.set_health_error(error));
    }

    /// Stops accepting while another process serves the same sockets.
    pub(super) async fn pause(&self) {
        self.thread.run(async |server: &mut HttpServer| server.pause()).await;
    }

    /// Serves again after [`pause`](Self::pause).
    pub(super) async fn resume(&self) -> io::Result<()> {
        self.thread.run(async |server: &mut HttpServer| server.resume()).await
    }

    /// Duplicates of the sockets for a successor, each with its description.
    pub(super) async fn sockets(&self) -> io::Result<Vec<(String, OwnedFd)>> {
        self.thread
            .run(async |server: &mut HttpServer| server.sockets().map(describe_http_socket).collect())
            .await
    }

    /// Closes all listeners when the requests in progress are finished, or after a time limit.
    pub(super) async fn close(&self) {
        self.thread.run(async |server: &mut HttpServer| server.close().await).await;
    }
}
