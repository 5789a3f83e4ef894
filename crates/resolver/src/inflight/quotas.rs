//! Client quotas: a cap on the waiting queries of one client address, so that one pod's flood of
//! misses cannot fill the in-flight table.

use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;

/// Table size below which clients without waiting queries are not removed.
const MIN_CLIENTS: usize = 1024;

/// Waiting queries by client address.
#[derive(Debug)]
pub(crate) struct ClientQuotas {
    /// The strong count minus one is the client's number of permits.
    permits: HashMap<IpAddr, Rc<()>>,
    /// Table size at which idle clients are removed next.
    sweep_at: usize,
}

/// Permit for one waiting query of a client; dropping it returns it.
#[derive(Debug)]
pub(crate) struct Permit(#[expect(dead_code, reason = "only its reference count is used")] Rc<()>);

impl ClientQuotas {
    pub(crate) fn new() -> Self {
        Self { permits: HashMap::new(), sweep_at: MIN_CLIENTS }
    }

    /// A permit for one more query of `client`, unless it has `limit` already.
    pub(crate) fn acquire(&mut self, client: IpAddr, limit: usize) -> Option<Permit> {
        if self.permits.len() >= self.sweep_at {
            self.permits.retain(|_, permits| Rc::strong_count(permits) > 1);
            self.sweep_at = MIN_CLIENTS.max(2 * self.permits.len());
        }
        let permits = self.permits.entry(client).or_default();
        // The table's own reference is not a query.
        (Rc::strong_count(permits) <= limit).then(|| Permit(Rc::clone(permits)))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn clients_without_waiting_queries_are_removed() {
        let mut quotas = ClientQuotas::new();
        let client = |number: usize| IpAddr::from(Ipv4Addr::from(u32::try_from(number).unwrap()));
        let permit = quotas.acquire(client(0), 1);
        for number in 1..10 * MIN_CLIENTS {
            drop(quotas.acquire(client(number), 1));
        }
        assert!(quotas.permits.len() <= MIN_CLIENTS + 1, "{} clients", quotas.permits.len());
        assert!(quotas.acquire(client(0), 1).is_none(), "its query still waits");
        drop(permit);
        assert!(quotas.acquire(client(0), 1).is_some());
    }
}
