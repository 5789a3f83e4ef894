//! Fixtures of the tests of snapshots and hand-over: a directory, and a host with a cache.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::{fs, io};

use resolver::action::{Action, Client, Outbox, SendQuery};
use resolver::cache::{Cache, ImportTarget, Usage};
use resolver::policy::{Block, BlockId, ListenerId};
use resolver::{Resolver, ResolverConfig};
use testkit::fixture;
use wire::name::Name;

use crate::snapshot::host_state::HostState;
use crate::snapshot::{LoadError, Loaded, Snapshot, Written, blocks};

/// Fingerprint of the server block with the cache.
pub(super) const BLOCK: &str = "example.:53 on 169.254.25.10";

/// A directory for one test; removed when dropped.
pub(super) struct TestDirectory {
    pub(super) path: PathBuf,
}

impl TestDirectory {
    pub(super) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("nodelocaldns-{}-{}", std::process::id(), NUMBER.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self { path }
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot::new(&self.path)
    }

    pub(super) fn names(&self) -> Vec<String> {
        let files = fs::read_dir(&self.path).unwrap();
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
    }
}

impl Drop for TestDirectory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.path).unwrap();
    }
}

/// A cache and its resolver. The upstream's answer for each name is 10.233.0.N, N being the last
/// octet of its first label.
pub(crate) struct CachedHost {
    pub(crate) cache: Arc<Cache>,
    pub(super) usage: Arc<Usage>,
    pub(super) block: BlockId,
    resolver: Resolver,
    outbox: Outbox,
    pub(super) host: HostState,
}

impl CachedHost {
    pub(super) fn new(block: u16) -> Self {
        let (cache, usage) = (Arc::new(Cache::new(64 << 20, testkit::clock::now())), Arc::<Usage>::default());
        let block = BlockId(block);
        let directives = Block { id: block, usage: Arc::clone(&usage), ..fixture::block() };
        let config = ResolverConfig {
            cache: Arc::clone(&cache),
            ..fixture::resolver_config(fixture::policy(directives))
        };
        let (resolver, outbox, host) = (Resolver::new(config), Outbox::default(), HostState::now().unwrap());
        Self { cache, usage, block, resolver, outbox, host }
    }

    pub(crate) fn with_entries(names: &[&str]) -> Self {
        let mut host = Self::new(3);
        names.iter().for_each(|name| host.cache_answer(name, 1));
        host
    }

    pub(crate) fn blocks(&self) -> Vec<(String, BlockId)> {
        [vec![("other".to_owned(), BlockId(99))], blocks(&self.import_targets())].concat()
    }

    pub(super) fn import_targets(&self) -> HashMap<String, ImportTarget> {
        let (usage, policy) = (Arc::clone(&self.usage), fixture::cache());
        HashMap::from([(
            BLOCK.to_owned(),
            ImportTarget { block: self.block, usage, options: policy, rewrites: false },
        )])
    }

    pub(super) fn write(&self, snapshot: &Snapshot) -> io::Result<Written> {
        snapshot.write_at(&self.host, &self.cache, &self.blocks())
    }

    pub(super) fn load(&self, snapshot: &Snapshot) -> Result<Loaded, LoadError> {
        snapshot.load_at(&self.host, &self.cache, &self.import_targets())
    }

    fn query(&mut self, name: &str) {
        let mut packet = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        packet.extend(Name::parse(name).unwrap().as_wire());
        packet.extend([0, 1, 0, 1]);
        let peer = ([10, 233, 64, 5], 40_000).into();
        let client = Client { listener: ListenerId(0), peer, local: None, connection: None };
        self.outbox.clear();
        self.resolver.on_query(self.host.now, client, &packet, &mut self.outbox);
    }

    pub(super) fn cache_answer(&mut self, name: &str, addresses: u16) {
        self.query(name);
        let [.., Action::SendQuery(SendQuery { connection, message })] = self.outbox.actions[..] else {
            return;
        };
        let query = self.outbox.octets(message);
        let mut response = query[..query.len() - 11].to_vec();
        let number = response[12 + usize::from(response[12])];
        response[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0]);
        response[6..8].copy_from_slice(&addresses.to_be_bytes());
        for _ in 0..addresses {
            response.extend(*b"\xc0\x0c\0\x01\0\x01\0\0\x0e\x10\0\x04\x0a\xe9\0");
            response.push(number);
        }
        self.outbox.clear();
        self.resolver.on_response(self.host.now, connection, &response, &mut self.outbox);
    }

    /// TTL and last octet of the address from the cache.
    pub(super) fn cached_answer(&mut self, name: &str) -> Option<(u32, u8)> {
        self.query(name);
        let Some(Action::Respond(response)) = self.outbox.actions.first() else { return None };
        let answer = self.outbox.octets(response.message);
        let record = &answer[answer.len() - 10..];
        Some((u32::from_be_bytes(record[..4].try_into().unwrap()), record[9]))
    }
}

/// The message of a load that fails.
pub(super) fn load_error(loaded: Result<Loaded, LoadError>) -> String {
    loaded.unwrap_err().to_string()
}
