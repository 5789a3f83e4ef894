//! Order of the addresses in responses: the `loadbalance` directive.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use wire::address_order::AddressOrder;

use super::network::Network;

/// A `loadbalance` directive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadBalanceOptions {
    /// `prefer`: addresses in these networks come first, those in the first network before those in
    /// the second.
    pub prefer: Vec<Network>,
}

/// A `loadbalance` directive of one worker.
#[derive(Debug)]
pub struct LoadBalance {
    options: LoadBalanceOptions,
    /// State of the random numbers; they need not be unpredictable.
    random: AtomicU64,
}

impl LoadBalance {
    /// With a seed of its own for each worker.
    pub fn new(options: LoadBalanceOptions, seed: u64) -> Self {
        Self { options, random: AtomicU64::new(seed) }
    }

    /// A number below `end`, which is above 0, by SplitMix64. A load and a store: there is only one
    /// writer.
    fn below(&self, end: usize) -> usize {
        let state = self.random.load(Relaxed).wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.random.store(state, Relaxed);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let random = u128::from(mixed ^ (mixed >> 31));
        usize::try_from((random * end as u128) >> 64).unwrap_or(0)
    }
}

impl AddressOrder for LoadBalance {
    fn arrange<const LEN: usize>(&self, addresses: &mut [[u8; LEN]]) {
        for end in (2..=addresses.len()).rev() {
            addresses.swap(end - 1, self.below(end));
        }
        let mut next = 0;
        for network in &self.options.prefer {
            let first = next;
            for at in first..addresses.len() {
                let is_inside = addresses
                    .get(at)
                    .and_then(|octets| address(octets))
                    .is_some_and(|ip| network.contains(ip));
                if let Some(passed) = addresses.get_mut(next..=at).filter(|_| is_inside) {
                    passed.rotate_right(1);
                    next += 1;
                }
            }
        }
    }
}

/// An address of 4 or 16 octets.
fn address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from).ok();
    v4.or_else(|| <[u8; 16]>::try_from(octets).map(IpAddr::from).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balance(prefer: &[(&str, u32)]) -> LoadBalance {
        let network =
            |(address, prefix): &(&str, u32)| Network::new(address.parse().unwrap(), *prefix).unwrap();
        LoadBalance::new(LoadBalanceOptions { prefer: prefer.iter().map(network).collect() }, 7)
    }

    #[test]
    fn every_address_is_first_about_as_often() {
        let (balance, mut first) = (balance(&[]), [0; 5]);
        for _ in 0..5000 {
            let mut addresses = [0, 1, 2, 3, 4].map(|last| [192, 0, 2, last]);
            balance.arrange(&mut addresses);
            first[usize::from(addresses[0][3])] += 1;
            addresses.sort();
            assert_eq!(addresses, [0, 1, 2, 3, 4].map(|last| [192, 0, 2, last]), "none is lost");
        }
        assert!(first.iter().all(|count| (900..1100).contains(count)), "{first:?}");
    }

    #[test]
    fn every_order_occurs() {
        let (balance, mut orders) = (balance(&[]), std::collections::BTreeSet::new());
        for _ in 0..200 {
            let mut addresses = [[1_u8; 16], [2; 16], [3; 16]];
            balance.arrange(&mut addresses);
            orders.insert(addresses.map(|octets| octets[0]));
        }
        assert_eq!(orders.len(), 6);
    }

    #[test]
    fn preferred_networks_come_first_in_their_order() {
        let balance = balance(&[("2001:db8::", 32), ("10.2.0.0", 16), ("10.0.0.0", 8)]);
        for _ in 0..100 {
            let mut addresses = [[192, 0, 2, 1], [10, 1, 0, 1], [10, 2, 0, 1], [192, 0, 2, 2], [10, 2, 0, 2]];
            balance.arrange(&mut addresses);
            let seconds = addresses.map(|octets| [octets[0], octets[1]]);
            assert_eq!(seconds, [[10, 2], [10, 2], [10, 1], [192, 0], [192, 0]]);
        }
    }
}
