//! How many of the questions that wait are one client's, so that one pod's flood of misses leaves room for the others'.

use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;

/// Clients remembered before those without an open question are looked for.
const FEW: usize = 1024;

/// Open questions by client address.
#[derive(Debug)]
pub(crate) struct ClientQuotas {
    open: HashMap<IpAddr, Rc<()>>,
    tidied_at: usize,
}

/// One open question of a client; given back by dropping it.
#[derive(Debug)]
pub(crate) struct Permit(#[expect(dead_code, reason = "what counts is how many there are")] Rc<()>);

impl ClientQuotas {
    pub(crate) fn new() -> Self {
        Self { open: HashMap::new(), tidied_at: FEW }
    }

    /// A permit for one more question of `client`, or nothing when it has `most` open.
    pub(crate) fn take(&mut self, client: IpAddr, most: usize) -> Option<Permit> {
        if self.open.len() >= self.tidied_at {
            self.open.retain(|_, one| Rc::strong_count(one) > 1);
            self.tidied_at = FEW.max(2 * self.open.len());
        }
        let one = self.open.entry(client).or_default();
        // The one in the table is not a question.
        (Rc::strong_count(one) <= most).then(|| Permit(Rc::clone(one)))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn clients_without_a_question_are_forgotten() {
        let mut quotas = ClientQuotas::new();
        let client = |number: usize| IpAddr::from(Ipv4Addr::from(u32::try_from(number).unwrap()));
        let held = quotas.take(client(0), 1);
        for number in 1..10 * FEW {
            drop(quotas.take(client(number), 1));
        }
        assert!(quotas.open.len() <= FEW + 1, "{} remembered", quotas.open.len());
        assert!(quotas.take(client(0), 1).is_none(), "its question is still open");
        drop(held);
        assert!(quotas.take(client(0), 1).is_some());
    }
}
