//! Order of the addresses in responses: the `loadbalance` directive.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use wire::address_order::{AddressOrder, Owner};
use wire::name::Name;

use super::network::Network;

/// A `loadbalance` directive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadBalanceOptions {
    /// `prefer`: addresses in these networks come first, those in the first network before those in
    /// the second.
    pub prefer: Vec<Network>,
    /// The policy `weighted`: which address comes first, by weight; the others keep their places but
    /// for the one that was first. `None`: all in a random order.
    pub weights: Option<Arc<AddressWeights>>,
}

/// Weights of addresses by owner name. Those of other addresses are 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressWeights(BTreeMap<Box<[u8]>, Vec<(IpAddr, NonZeroU8)>>);

impl AddressWeights {
    /// Adds the weight of an address of `owner`; the first of several counts.
    pub fn add(&mut self, owner: &Name, address: IpAddr, weight: NonZeroU8) {
        self.0.entry(owner.as_wire().into()).or_default().push((address, weight));
    }

    fn of<const LEN: usize>(&self, owner: &Owner<'_>, addresses: &[[u8; LEN]]) -> Vec<usize> {
        let owner = owner.to_lower_case().unwrap_or_default();
        let weights = self.0.get(&*owner).map_or(&[][..], Vec::as_slice);
        let weight = |octets: &[u8; LEN]| {
            let found = weights.iter().find(|(ip, _)| address(octets) == Some(*ip));
            found.map_or(1, |(_, weight)| usize::from(weight.get()))
        };
        addresses.iter().map(weight).collect()
    }
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

    /// An index, chosen by weight.
    fn weighted(&self, weights: &[usize]) -> usize {
        let mut left = self.below(weights.iter().sum());
        let is_chosen = |weight: &usize| match left.checked_sub(*weight) {
            Some(rest) => {
                left = rest;
                false
            }
            None => true,
        };
        weights.iter().position(is_chosen).unwrap_or(0)
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
    fn arrange<const LEN: usize>(&self, owner: &Owner<'_>, addresses: &mut [[u8; LEN]]) {
        match &self.options.weights {
            Some(weights) => addresses.swap(0, self.weighted(&weights.of(owner, addresses))),
            None => {
                for end in (2..=addresses.len()).rev() {
                    addresses.swap(end - 1, self.below(end));
                }
            }
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

    fn balance(prefer: &[(&str, u8)]) -> LoadBalance {
        let network =
            |(address, prefix): &(&str, u8)| Network::new(address.parse().unwrap(), *prefix).unwrap();
        LoadBalance::new(
            LoadBalanceOptions { prefer: prefer.iter().map(network).collect(), weights: None },
            7,
        )
    }

    const OWNER: Owner<'_> = Owner::named(b"\x03www\x04test\0");

    /// How often each of the addresses 192.0.2.1 to 192.0.2.4 of `owner` is first.
    fn first(balance: &LoadBalance, owner: &Owner<'_>) -> [u32; 4] {
        let mut first = [0; 4];
        for _ in 0..5000 {
            let mut addresses = [1, 2, 3, 4].map(|last| [192, 0, 2, last]);
            balance.arrange(owner, &mut addresses);
            first[usize::from(addresses[0][3]) - 1] += 1;
            addresses.sort();
            assert_eq!(addresses, [1, 2, 3, 4].map(|last| [192, 0, 2, last]), "none is lost");
        }
        first
    }

    #[test]
    fn weighted_addresses_are_first_by_their_weights() {
        let mut weights = AddressWeights::default();
        let name = Name::parse("www.test").unwrap();
        for (last, weight) in [(2, 3), (3, 5), (3, 200)] {
            let address = IpAddr::from([192, 0, 2, last]);
            weights.add(&name, address, NonZeroU8::new(weight).unwrap());
        }
        let options = LoadBalanceOptions { prefer: Vec::new(), weights: Some(Arc::new(weights)) };
        let balance = LoadBalance::new(options, 7);
        let [one, two, three, four] = first(&balance, &OWNER);
        assert!((400..600).contains(&one) && (400..600).contains(&four), "{one} {four} of 5000");
        assert!((1400..1600).contains(&two) && (2400..2600).contains(&three), "{two} {three} of 5000");
        let first = first(&balance, &Owner::named(b"\x05other\x04test\0"));
        assert!(first.iter().all(|count| (1150..1350).contains(count)), "{first:?}");
    }

    #[test]
    fn weighted_addresses_behind_the_first_keep_their_order() {
        let balance =
            LoadBalance::new(LoadBalanceOptions { weights: Some(Arc::default()), ..Default::default() }, 7);
        let swapped: std::collections::BTreeSet<_> = (0..200)
            .map(|_| {
                let mut addresses = [[1_u8; 16], [2; 16], [3; 16]];
                balance.arrange(&OWNER, &mut addresses);
                addresses.map(|octets| octets[0])
            })
            .collect();
        assert_eq!(swapped, [[1, 2, 3], [2, 1, 3], [3, 2, 1]].into());
    }

    #[test]
    fn every_address_is_first_about_as_often() {
        let first = first(&balance(&[]), &OWNER);
        assert!(first.iter().all(|count| (1150..1350).contains(count)), "{first:?}");
    }

    #[test]
    fn every_order_occurs() {
        let (balance, mut orders) = (balance(&[]), std::collections::BTreeSet::new());
        for _ in 0..200 {
            let mut addresses = [[1_u8; 16], [2; 16], [3; 16]];
            balance.arrange(&OWNER, &mut addresses);
            orders.insert(addresses.map(|octets| octets[0]));
        }
        assert_eq!(orders.len(), 6);
    }

    #[test]
    fn preferred_networks_come_first_in_their_order() {
        let balance = balance(&[("2001:db8::", 32), ("10.2.0.0", 16), ("10.0.0.0", 8)]);
        for _ in 0..100 {
            let mut addresses = [[192, 0, 2, 1], [10, 1, 0, 1], [10, 2, 0, 1], [192, 0, 2, 2], [10, 2, 0, 2]];
            balance.arrange(&OWNER, &mut addresses);
            let seconds = addresses.map(|octets| [octets[0], octets[1]]);
            assert_eq!(seconds, [[10, 2], [10, 2], [10, 1], [192, 0], [192, 0]]);
        }
    }
}
