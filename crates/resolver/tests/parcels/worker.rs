//! A resolver whose upstream knows every name: `xxx.example` has the address 10.233.0.N if X is the Nth letter.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use resolver::action::{Action, AttemptFailure, Client, Outbox, SendQuery};
use resolver::cache::{Cache, ImportTarget, Usage};
use resolver::policy::{Block, BlockId, CacheOptions};
use resolver::{Resolver, ResolverConfig};
use testkit::fixture;
use wire::name::Name;

/// One process: a cache and a worker on it.
pub(crate) struct Process {
    pub(crate) cache: Arc<Cache>,
    pub(crate) usage: Arc<Usage>,
    policy: CacheOptions,
    block: BlockId,
    resolver: Resolver,
    outbox: Outbox,
    pub(crate) now: Instant,
}

/// What the upstream says.
#[derive(Clone, Copy)]
pub(crate) enum Says {
    /// So many addresses with this TTL.
    Addresses(usize, u32),
    /// NXDOMAIN with this TTL.
    NoName(u32),
    Servfail,
}

/// A client's question for an address: flags of the header, and OPT with DO or without it.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) name: &'a str,
    pub(crate) cd: bool,
    pub(crate) dnssec_ok: Option<bool>,
}

impl<'a> Question<'a> {
    pub(crate) fn plain(name: &'a str) -> Self {
        Self { name, cd: false, dnssec_ok: None }
    }

    fn packet(self) -> Vec<u8> {
        let mut packet = vec![0x12, 0x34, 1, u8::from(self.cd) << 4, 0, 1, 0, 0, 0, 0, 0, 0];
        packet[11] = u8::from(self.dnssec_ok.is_some());
        packet.push(u8::try_from(self.name.find('.').unwrap()).unwrap());
        packet.extend(self.name.split('.').next().unwrap().bytes());
        packet.extend(Name::parse(self.name.split_once('.').unwrap().1).unwrap().as_wire());
        packet.extend([0, 1, 0, 1]);
        if let Some(dnssec_ok) = self.dnssec_ok {
            packet.extend([0, 0, 41, 4, 208, 0, 0, u8::from(dnssec_ok) << 7, 0, 0, 0]);
        }
        packet
    }
}

impl Process {
    /// With this `cache` directive in a block of this number, and so many octets for its cache.
    pub(crate) fn new(policy: CacheOptions, block: u16, budget: u64, now: Instant) -> Self {
        let (cache, usage) = (Arc::new(Cache::new(budget)), Arc::<Usage>::default());
        let block = BlockId(block);
        let directives =
            Block { id: block, cache: Some(policy.clone()), usage: Arc::clone(&usage), ..fixture::block() };
        let seat = ResolverConfig {
            cache: Arc::clone(&cache),
            ..fixture::resolver_config(fixture::policy(directives))
        };
        let (resolver, outbox) = (Resolver::new(seat), Outbox::default());
        Self { cache, usage, policy, block, resolver, outbox, now }
    }

    /// The usual one.
    pub(crate) fn plain(block: u16, now: Instant) -> Self {
        Self::new(fixture::cache(), block, 64 << 20, now)
    }

    pub(crate) fn import_target(&self) -> ImportTarget {
        ImportTarget { block: self.block, usage: Arc::clone(&self.usage), options: self.policy.clone() }
    }

    /// Everything worth having in parcels, the block being number 0.
    pub(crate) fn export(&self) -> Vec<u8> {
        let mut export = self.cache.export(self.now, &HashMap::from([(self.block, 0)]));
        let mut octets = Vec::new();
        export.write_records(usize::MAX, &mut octets);
        assert_eq!(export.remaining(), 0);
        octets
    }

    /// Asks, and has the upstream answer if it comes to that; false for a miss.
    pub(crate) fn learn(&mut self, question: Question<'_>, says: Says) -> bool {
        self.ask(question);
        let [.., Action::SendQuery(SendQuery { attempt, message, .. })] = self.outbox.actions[..] else {
            return true;
        };
        let response = response(self.outbox.octets(message), says);
        self.outbox.clear();
        self.resolver.on_response(self.now, attempt, &response, &mut self.outbox);
        false
    }

    /// Asks once for each of these names.
    pub(crate) fn learn_all(&mut self, names: &[&str]) {
        for name in names {
            self.learn(Question::plain(name), Says::Addresses(1, 3600));
        }
    }

    /// Asks, and no upstream can be reached.
    pub(crate) fn fail(&mut self, question: Question<'_>) {
        self.ask(question);
        while self.resolver.has_inflight() {
            let asked = self.outbox.actions.iter().find_map(|action| match action {
                Action::SendQuery(ask) => Some(ask.attempt),
                _ => None,
            });
            self.outbox.clear();
            match asked {
                Some(attempt) => {
                    self.resolver.on_failure(self.now, attempt, AttemptFailure::Refused, &mut self.outbox);
                }
                None => {
                    self.now = self.resolver.next_timer().unwrap();
                    self.resolver.on_timer(self.now, &mut self.outbox);
                }
            }
        }
    }

    /// The answer from the cache, if there is one.
    pub(crate) fn hit(&mut self, question: Question<'_>) -> Option<Vec<u8>> {
        self.ask(question);
        match self.outbox.actions.first() {
            Some(Action::Respond(answered)) => Some(self.outbox.octets(answered.message).to_vec()),
            _ => None,
        }
    }

    pub(crate) fn knows(&mut self, name: &str) -> bool {
        self.hit(Question::plain(name)).is_some()
    }

    /// True when a hit makes the resolver ask for a newer answer.
    pub(crate) fn prefetches(&mut self, name: &str) -> bool {
        self.ask(Question::plain(name));
        matches!(self.outbox.actions[..], [Action::Respond(_), Action::SendQuery(_)])
    }

    pub(crate) fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn ask(&mut self, question: Question<'_>) {
        self.outbox.clear();
        self.resolver.on_query(self.now, client(), &question.packet(), &mut self.outbox);
    }
}

/// The answer to what the resolver has asked, which ends with an OPT of 11 octets.
fn response(asked: &[u8], says: Says) -> Vec<u8> {
    let mut packet = asked[..asked.len() - 11].to_vec();
    let number = packet[13].to_ascii_lowercase() - b'a' + 1;
    packet[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0]);
    match says {
        Says::Addresses(count, ttl) => {
            packet[6..8].copy_from_slice(&u16::try_from(count).unwrap().to_be_bytes());
            for _ in 0..count {
                packet.extend(*b"\xc0\x0c\0\x01\0\x01");
                packet.extend(ttl.to_be_bytes());
                packet.extend([0, 4, 10, 233, 0, number]);
            }
        }
        Says::NoName(ttl) => {
            (packet[3], packet[9]) = (0x83, 1);
            packet.extend(*b"\0\0\x06\0\x01");
            packet.extend(ttl.to_be_bytes());
            packet.extend([0, 22, 0, 0]);
            packet.extend([ttl; 5].map(u32::to_be_bytes).concat());
        }
        Says::Servfail => packet[3] = 0x82,
    }
    packet
}

fn client() -> Client {
    let peer = SocketAddr::from(([10, 233, 64, 5], 40_000));
    Client { listener: resolver::policy::ListenerId(0), peer, local: None, connection: None }
}
