//! SIGTERM drain: shutdown hands over or back if another instance is there, waits for the lameduck
//! period, and drains in-flight queries.

use std::time::Duration;

use tokio::time;
use tracing::{error, info, warn};

use super::Instance;
use crate::clock;
use crate::control::exit::ExitReason;
use crate::control::signals::Signals;

/// Longer than the deadline of any open query.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// For a successor that has received an offer to take over.
const TAKE_OVER_TIMEOUT: Duration = Duration::from_secs(2);

impl Instance<'_> {
    /// Shuts down in order. A successor that is about to take over, or a predecessor on standby,
    /// serves at once; without them this instance serves for as long as the lameduck lasts. Then
    /// open queries are answered.
    pub(super) async fn shut_down(&mut self, signals: &mut Signals) -> ExitReason {
        let orderly = async {
            let handed_over = self.successor_takes_over_offer().await || self.lameduck().await;
            // Another instance that starts from now on need not wait for us.
            self.handover.stop_listening();
            self.control_socket.stop_listening();
            self.drain().await;
            if handed_over { ExitReason::HandedOver } else { ExitReason::Signal }
        };
        tokio::select! {
            reason = orderly => reason,
            () = signals.terminate() => ExitReason::SecondSignal,
        }
    }

    /// Shuts down on standby: answers what was open when the successor took over.
    pub(super) async fn finish_draining(&mut self, signals: &mut Signals) -> ExitReason {
        tokio::select! {
            () = self.drain() => ExitReason::HandedOver,
            () = signals.terminate() => ExitReason::SecondSignal,
        }
    }

    /// Hands over to a successor that has received an offer; true when it has taken over in time.
    async fn successor_takes_over_offer(&mut self) -> bool {
        self.handover.withdraw_offer() && self.successor_takes_over_within(TAKE_OVER_TIMEOUT).await
    }

    /// Hands back to a predecessor on standby; without one, serves for as long as the lameduck
    /// lasts. True when a successor has taken over meanwhile.
    async fn lameduck(&mut self) -> bool {
        let lameduck = self.config.settings.lameduck;
        if self.hand_back().await || lameduck.is_zero() {
            return false;
        }
        info!("plugin/health: Going into lameduck mode for {lameduck:?}");
        self.successor_takes_over_within(lameduck).await
    }

    /// Hands back to the predecessor on standby; true when it serves again.
    async fn hand_back(&mut self) -> bool {
        let Some(resumed) = self.handover.return_to_predecessor(self.workers.sockets()).await else {
            return false;
        };
        match resumed {
            Ok(()) => {
                // The predecessor answers `/ready` and `/health` from now on.
                self.http.pause().await;
                info!("handed back: the predecessor keeps serving");
                true
            }
            Err(error) => {
                warn!("the predecessor does not serve again: {error}");
                false
            }
        }
    }

    /// Handles requests for as long as `limit`; true when a successor has taken over.
    async fn successor_takes_over_within(&mut self, limit: Duration) -> bool {
        let taken_over = async {
            loop {
                let request = self.handover.next_request().await;
                if let Some(successor) = self.handle_request(request).await {
                    return successor;
                }
            }
        };
        let Ok(successor) = time::timeout(limit, taken_over).await else { return false };
        self.deactivate().await;
        let confirmed = successor.confirm_stopped().await.is_ok();
        if !confirmed && let Err(error) = self.activate().await {
            error!("the successor has exited, and its sockets cannot be read again: {error}");
        }
        confirmed
    }

    async fn drain(&mut self) {
        self.workers.drain(clock::now() + DRAIN_TIMEOUT).await;
    }
}
