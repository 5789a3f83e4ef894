//! When the control socket is there: while the instance is active.

use std::rc::Rc;

use tracing::{error, warn};

use super::{Inspected, Inspection};
use crate::control::context::ProcessContext;
use crate::control_socket::Server;
use crate::handover::SocketDirectory;
use crate::status::StatusReader;

/// The control socket of the instance.
pub(in crate::control) struct ControlSocket<'a> {
    directory: Option<&'a SocketDirectory>,
    inspection: Rc<Inspection>,
    server: Option<Server>,
    /// The last attempt to bind it failed, and the failure has been logged.
    bind_failed: bool,
}

impl<'a> ControlSocket<'a> {
    /// Not bound yet.
    pub(in crate::control) fn new(context: ProcessContext<'a>, inspected: Inspected) -> Self {
        let inspection = Rc::new(Inspection::new(context, inspected));
        Self { directory: context.directory, inspection, server: None, bind_failed: false }
    }

    /// What it reports, to be kept up to date.
    pub(in crate::control) fn status(&self) -> &StatusReader {
        &self.inspection.status
    }

    /// Binds it, in place of that of an instance that is not active any more.
    pub(in crate::control) fn listen(&mut self) {
        let Some(directory) = self.directory else { return };
        match Server::bind(directory, Rc::clone(&self.inspection)) {
            Ok(server) => (self.server, self.bind_failed) = (Some(server), false),
            Err(error) if !std::mem::replace(&mut self.bind_failed, true) => {
                error!("{}: no subcommand can look into this instance: {error}", directory.path().display());
            }
            // Already logged.
            Err(_) => {}
        }
    }

    /// Binds it again when its file was removed, unless another instance is active beside this one.
    pub(in crate::control) async fn ensure_listening(&mut self) {
        let Some(directory) = self.directory else { return };
        if let Some(server) = &self.server {
            if !server.is_lost(directory).await {
                return;
            }
            warn!("the control socket was removed: created again");
            self.server = None;
        }
        self.listen();
    }

    /// Closes it and the connections of clients.
    pub(in crate::control) fn stop_listening(&mut self) {
        self.server = None;
    }
}
