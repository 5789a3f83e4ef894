use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use proptest::prelude::*;
use resolver::ResolverConfig;
use resolver::action::{Action, Client, Outbox, SendQuery};
use resolver::policy::{Block, ListenerId};
use resolver::{Resolver, cache::Usage};
use testkit::fixture;
use wire::name::Name;

use super::*;
use crate::metrics::ProcessCounters;

const BLOCK: &str = "example.:53 on 169.254.25.10";

/// How long a thread may take that only has to be scheduled.
const SOON: Duration = Duration::from_secs(20);

/// A directory of its own for each test, gone with it.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("nodelocaldns-{}-{}", std::process::id(), NUMBER.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot::new(&self.0)
    }

    fn names(&self) -> Vec<String> {
        let files = fs::read_dir(&self.0).unwrap();
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// A process: its cache, and a worker whose upstream says that the address of each name is 10.233.0.N, N being the
/// last octet of its first label.
struct Process {
    cache: Arc<Cache>,
    usage: Arc<Usage>,
    block: BlockId,
    resolver: Resolver,
    outbox: Outbox,
    host: HostState,
}

impl Process {
    fn new(block: u16) -> Self {
        let (cache, usage) = (Arc::new(Cache::new(64 << 20)), Arc::<Usage>::default());
        let block = BlockId(block);
        let directives = Block { id: block, usage: Arc::clone(&usage), ..fixture::block() };
        let seat = ResolverConfig {
            cache: Arc::clone(&cache),
            ..fixture::resolver_config(fixture::policy(directives))
        };
        let (resolver, outbox, host) = (Resolver::new(seat), Outbox::default(), HostState::now().unwrap());
        Self { cache, usage, block, resolver, outbox, host }
    }

    fn knowing(names: &[&str]) -> Self {
        let mut process = Self::new(3);
        names.iter().for_each(|name| process.learn(name, 1));
        process
    }

    fn blocks(&self) -> Vec<(String, BlockId)> {
        [vec![("other".to_owned(), BlockId(99))], blocks(&self.import_targets())].concat()
    }

    fn import_targets(&self) -> HashMap<String, ImportTarget> {
        let (usage, policy) = (Arc::clone(&self.usage), fixture::cache());
        HashMap::from([(BLOCK.to_owned(), ImportTarget { block: self.block, usage, options: policy })])
    }

    fn write(&self, snapshot: &Snapshot) -> io::Result<Written> {
        snapshot.write_at(&self.host, &self.cache, &self.blocks())
    }

    fn load(&self, snapshot: &Snapshot) -> Result<Loaded, LoadError> {
        snapshot.load_at(&self.host, &self.cache, &self.import_targets())
    }

    fn ask(&mut self, name: &str) {
        let mut packet = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        packet.extend(Name::parse(name).unwrap().as_wire());
        packet.extend([0, 1, 0, 1]);
        let peer = ([10, 233, 64, 5], 40_000).into();
        let client = Client { listener: ListenerId(0), peer, local: None, connection: None };
        self.outbox.clear();
        self.resolver.on_query(self.host.now, client, &packet, &mut self.outbox);
    }

    fn learn(&mut self, name: &str, addresses: u16) {
        self.ask(name);
        let [Action::SendQuery(SendQuery { attempt, message, .. })] = self.outbox.actions[..] else { return };
        let asked = self.outbox.octets(message);
        let mut response = asked[..asked.len() - 11].to_vec();
        let number = response[12 + usize::from(response[12])];
        response[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0]);
        response[6..8].copy_from_slice(&addresses.to_be_bytes());
        for _ in 0..addresses {
            response.extend(*b"\xc0\x0c\0\x01\0\x01\0\0\x0e\x10\0\x04\x0a\xe9\0");
            response.push(number);
        }
        self.outbox.clear();
        self.resolver.on_response(self.host.now, attempt, &response, &mut self.outbox);
    }

    /// TTL and last octet of the address from the cache.
    fn known(&mut self, name: &str) -> Option<(u32, u8)> {
        self.ask(name);
        let Some(Action::Respond(answered)) = self.outbox.actions.first() else { return None };
        let answer = self.outbox.octets(answered.message);
        let record = &answer[answer.len() - 10..];
        Some((u32::from_be_bytes(record[..4].try_into().unwrap()), record[9]))
    }
}

fn refusal(loaded: Result<Loaded, LoadError>) -> String {
    loaded.unwrap_err().to_string()
}

/// A good file with another content in place of what it has at its start, and the checksum to go with it.
fn forge(snapshot: &Snapshot, change: impl FnOnce(&mut Vec<u8>)) {
    let mut octets = fs::read(snapshot.path()).unwrap();
    octets.truncate(octets.len() - CHECKSUM);
    change(&mut octets);
    let checksum = Sha256::digest(&octets);
    octets.extend(checksum);
    fs::write(snapshot.path(), octets).unwrap();
}

#[test]
fn the_next_process_knows_what_the_last_one_knew() {
    let directory = Directory::new();
    let snapshot = directory.snapshot();
    let old = Process::knowing(&["a.example", "b.example"]);
    let written = old.write(&snapshot).unwrap();
    let metadata = fs::metadata(snapshot.path()).unwrap();
    assert_eq!((written.entries, written.octets), (2, metadata.len()));
    assert_eq!(metadata.mode() & 0o7777, MODE);
    assert_eq!(directory.names(), [NAME]);

    let mut new = Process::new(0);
    new.host.since_boot = old.host.since_boot + Duration::from_secs(100);
    let loaded = new.load(&snapshot).unwrap();
    assert_eq!(loaded.summary, ImportSummary { imported: 2, ..ImportSummary::default() });
    assert_eq!(loaded.age, Duration::from_secs(100));
    assert_eq!(new.known("a.example"), Some((3500, b'a')));
    assert_eq!(new.known("b.example"), Some((3500, b'b')));
    assert_eq!(new.usage.success(), 2);
}

#[test]
fn this_machine_has_what_a_snapshot_needs() {
    let directory = Directory::new();
    let snapshot = directory.snapshot();
    let (old, new) = (Process::knowing(&["a.example"]), Process::new(0));
    snapshot.write(&old.cache, &old.blocks()).unwrap();
    let loaded = snapshot.load(&new.cache, &new.import_targets()).unwrap();
    assert_eq!(loaded.summary.imported, 1);
    assert_eq!(HostState::now().unwrap().boot_id.len(), 36);
}

#[test]
fn without_a_file_there_is_nothing_to_say() {
    let directory = Directory::new();
    let new = Process::new(0);
    assert!(matches!(new.load(&directory.snapshot()), Err(LoadError::NotFound)));
    assert!(matches!(new.load(&Snapshot::new(&directory.0.join("none"))), Err(LoadError::NotFound)));
    directory.snapshot().remove().unwrap();
}

#[test]
fn a_removed_one_is_gone() {
    let directory = Directory::new();
    Process::knowing(&["a.example"]).write(&directory.snapshot()).unwrap();
    directory.snapshot().remove().unwrap();
    assert!(directory.names().is_empty());
}

#[test]
fn every_flipped_octet_and_every_tear_is_noticed() {
    let directory = Directory::new();
    let snapshot = directory.snapshot();
    Process::knowing(&["a.example"]).write(&snapshot).unwrap();
    let new = Process::new(0);
    let good = fs::read(snapshot.path()).unwrap();
    for at in 0..good.len() {
        let mut octets = good.clone();
        octets[at] ^= 1 << (at % 8);
        fs::write(snapshot.path(), octets).unwrap();
        let refused = new.load(&snapshot).unwrap_err();
        let expected = if at < 10 { "not a snapshot" } else { "checksum" };
        assert!(refused.to_string().contains(expected), "octet {at}: {refused}");
    }
    for len in 0..good.len() {
        fs::write(snapshot.path(), &good[..len]).unwrap();
        assert!(
            matches!(new.load(&snapshot), Err(LoadError::UnknownFormat | LoadError::ChecksumMismatch)),
            "{len} octets"
        );
    }
    assert_eq!(new.cache.weight(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Octets of anybody with a good checksum: what lies in the file is still not believed. Only what a well-formed
    /// answer says can be forged, so its one record, which is at the end, is not left.
    #[test]
    fn a_forged_content_is_no_panic_and_no_wrong_answer(
        tail in prop::collection::vec(any::<u8>(), 0..400),
        from in any::<prop::sample::Index>(),
    ) {
        const RECORD: usize = 16;
        let directory = Directory::new();
        let snapshot = directory.snapshot();
        Process::knowing(&["a.example"]).write(&snapshot).unwrap();
        forge(&snapshot, |octets| {
            octets.truncate(10 + from.index(octets.len() - RECORD - 10));
            octets.extend(&tail);
        });
        let mut new = Process::new(0);
        let taken = new.load(&snapshot).map_or(0, |loaded| loaded.summary.imported);
        prop_assert_eq!(taken, 0);
        prop_assert_eq!(new.known("a.example"), None);
    }
}

#[test]
fn the_time_before_a_restart_of_the_machine_is_over() {
    let directory = Directory::new();
    let snapshot = directory.snapshot();
    Process::knowing(&["a.example"]).write(&snapshot).unwrap();
    let mut new = Process::new(0);
    new.host.boot_id = "7d4b2b3c-0000-4000-8000-000000000000".to_owned();
    assert_eq!(refusal(new.load(&snapshot)), "it is from before the machine was started");
}

#[test]
fn ten_minutes_are_not_too_old_and_more_are() {
    let directory = Directory::new();
    let snapshot = directory.snapshot();
    let old = Process::knowing(&["a.example"]);
    old.write(&snapshot).unwrap();
    let mut new = Process::new(0);
    new.host.since_boot = old.host.since_boot + MOST_AGE + Duration::from_nanos(1);
    assert_eq!(refusal(new.load(&snapshot)), "it is 600 s old");
    new.host.since_boot = old.host.since_boot.saturating_sub(Duration::from_nanos(1));
    assert_eq!(refusal(new.load(&snapshot)), "it was written later than now");
    assert_eq!(new.cache.weight(), 0);
    new.host.since_boot = old.host.since_boot + MOST_AGE;
    assert_eq!(new.load(&snapshot).unwrap().summary.imported, 1);
}

#[test]
fn entries_of_another_configuration_are_dropped() {
    let directory = Directory::new();
    let snapshot = directory.snapshot();
    Process::knowing(&["a.example"]).write(&snapshot).unwrap();
    let mut new = Process::new(0);
    let target = new.import_targets().remove(BLOCK).unwrap();
    let import_targets =
        HashMap::from([("other".to_owned(), target.clone()), ("a third".to_owned(), target)]);
    let loaded = snapshot.load_at(&new.host, &new.cache, &import_targets).unwrap();
    assert_eq!(loaded.summary, ImportSummary { unknown_block: 1, ..ImportSummary::default() });
    assert_eq!(new.known("a.example"), None);
}

#[test]
fn what_is_not_a_file_is_not_read() {
    let directory = Directory::new();
    let (snapshot, new) = (directory.snapshot(), Process::new(0));
    let elsewhere = Directory::new();
    Process::knowing(&["a.example"]).write(&elsewhere.snapshot()).unwrap();
    symlink(elsewhere.snapshot().path(), snapshot.path()).unwrap();
    assert_eq!(refusal(new.load(&snapshot)), "it is not a regular file");
    snapshot.remove().unwrap();
    assert_eq!(elsewhere.names(), [NAME]);
    fs::create_dir(snapshot.path()).unwrap();
    assert_eq!(refusal(new.load(&snapshot)), "it is not a regular file");
    fs::remove_dir(snapshot.path()).unwrap();
    nix::unistd::mkfifo(&snapshot.path(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(refusal(new.load(&snapshot)), "it is not a regular file");
}

#[test]
fn what_others_own_or_may_write_is_not_read() {
    let directory = Directory::new();
    let snapshot = directory.snapshot();
    let old = Process::knowing(&["a.example"]);
    let mut new = Process::new(0);
    for (mode, said) in [(0o620, "0620"), (0o602, "0602"), (0o666, "0666")] {
        old.write(&snapshot).unwrap();
        fs::set_permissions(snapshot.path(), fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(refusal(new.load(&snapshot)), format!("others may write it: its mode is {said}"));
    }
    old.write(&snapshot).unwrap();
    let uid = new.host.uid;
    new.host.uid = uid + 1;
    assert_eq!(refusal(new.load(&snapshot)), format!("it belongs to user {uid}"));
    new.host.uid = uid;
    assert_eq!(new.load(&snapshot).unwrap().summary.imported, 1);
}

#[test]
fn a_file_that_no_snapshot_can_be_is_not_read() {
    let directory = Directory::new();
    let snapshot = directory.snapshot();
    Process::knowing(&["a.example"]).write(&snapshot).unwrap();
    let file = OpenOptions::new().write(true).open(snapshot.path()).unwrap();
    file.set_len(1 << 40).unwrap();
    assert_eq!(
        refusal(Process::new(0).load(&snapshot)),
        "it has 1099511627776 octets, more than a snapshot can have"
    );
}

#[test]
fn more_than_there_is_room_for_stays_behind() {
    let directory = Directory::new();
    let snapshot = directory.snapshot();
    let mut old = Process::new(3);
    for number in 0..180 {
        old.learn(&format!("n{number}.example"), 4000);
    }
    assert!(old.known("n7.example").is_some());
    let written = old.write(&snapshot).unwrap();
    let most = (MOST_OCTETS + MOST_HEADER + CHECKSUM) as u64;
    assert!((most - 200_000..=most).contains(&written.octets), "{written:?}");
    let mut new = Process::new(0);
    assert_eq!(new.load(&snapshot).unwrap().summary.imported, written.entries);
    assert!(new.known("n7.example").is_some());
}

#[test]
fn a_write_that_fails_leaves_the_file_that_was_there() {
    let directory = Directory::new();
    let snapshot = directory.snapshot();
    let old = Process::knowing(&["a.example"]);
    old.write(&snapshot).unwrap();
    let before = fs::read(snapshot.path()).unwrap();
    let unfinished = directory.0.join(UNFINISHED);

    // A directory in the way stands for one that cannot be written, which nothing is to root.
    fs::create_dir(&unfinished).unwrap();
    old.write(&snapshot).unwrap_err();
    fs::remove_dir(&unfinished).unwrap();
    symlink("/nonexistent/elsewhere", &unfinished).unwrap();
    old.write(&snapshot).unwrap_err();
    fs::remove_file(&unfinished).unwrap();

    let other = File::create(&unfinished).unwrap();
    other.lock().unwrap();
    assert_eq!(old.write(&snapshot).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    drop(other);
    assert_eq!(fs::read(snapshot.path()).unwrap(), before);

    // What a process has left that died while it wrote is no obstacle.
    fs::write(&unfinished, b"half of something").unwrap();
    old.write(&snapshot).unwrap();
    assert_eq!(directory.names(), [NAME]);
    assert_eq!(Process::new(0).load(&snapshot).unwrap().summary.imported, 1);
    Process::new(0).write(&Snapshot::new(&directory.0.join("none"))).unwrap_err();
}

#[test]
fn what_cannot_be_put_in_its_place_is_not_left_lying_about() {
    let directory = Directory::new();
    let snapshot = directory.snapshot();
    fs::create_dir(snapshot.path()).unwrap();
    Process::knowing(&["a.example"]).write(&snapshot).unwrap_err();
    assert_eq!(directory.names(), [NAME]);
}

/// Waits until `done`, which comes with another thread's next step.
fn wait(mut done: impl FnMut() -> bool) {
    let end = clock::now() + SOON;
    while !done() {
        assert!(clock::now() < end, "waited for too long");
        std::thread::yield_now();
    }
}

fn writer(
    directory: &Directory,
    process: &Process,
    interval: Duration,
) -> (SnapshotWriter, Arc<ProcessCounters>) {
    let counters = Arc::<ProcessCounters>::default();
    let (cache, counted) = (Arc::clone(&process.cache), Arc::clone(&counters));
    let writer = SnapshotWriter::start(directory.snapshot(), interval, cache, process.blocks(), counted);
    (writer.unwrap(), counters)
}

#[test]
fn the_archivist_writes_when_something_came_and_only_then() {
    let (directory, tick) = (Directory::new(), Duration::from_millis(1));
    let mut process = Process::new(3);
    let (writer, counters) = writer(&directory, &process, tick);
    process.learn("a.example", 1);
    wait(|| counters.snapshots.written.get() == 1);
    process.learn("b.example", 1);
    wait(|| counters.snapshots.written.get() == 2);
    assert_eq!(Process::new(0).load(&directory.snapshot()).unwrap().summary.imported, 2);
    // After a reload the block is another one, to this process's successor too.
    writer.set_blocks(vec![("changed".to_owned(), process.block)]);
    wait(|| counters.snapshots.written.get() == 3);
    assert_eq!(Process::new(0).load(&directory.snapshot()).unwrap().summary.unknown_block, 2);
    writer.stop(FinalWrite::Skip);
    assert_eq!((counters.snapshots.written.get(), counters.snapshots.failed.get()), (3, 0));
    assert_eq!(directory.names(), [NAME]);
}

#[test]
fn an_archivist_ends_as_it_is_told() {
    let (directory, hour) = (Directory::new(), Duration::from_secs(3600));
    let process = Process::knowing(&["a.example"]);
    drop(writer(&directory, &process, hour));
    writer(&directory, &process, hour).0.stop(FinalWrite::Skip);
    assert!(directory.names().is_empty());
    writer(&directory, &process, hour).0.stop(FinalWrite::Write);
    assert_eq!(Process::new(0).load(&directory.snapshot()).unwrap().summary.imported, 1);
    directory.snapshot().remove().unwrap();
    assert!(directory.names().is_empty());
}

#[test]
fn failures_are_counted_and_pass() {
    let directory = Directory::new();
    let process = Process::knowing(&["a.example"]);
    fs::create_dir(directory.0.join(UNFINISHED)).unwrap();
    let (writer, counters) = writer(&directory, &process, Duration::from_millis(1));
    wait(|| counters.snapshots.failed.get() > 1);
    assert_eq!(counters.snapshots.written.get(), 0);
    fs::remove_dir(directory.0.join(UNFINISHED)).unwrap();
    wait(|| counters.snapshots.written.get() == 1);
    writer.stop(FinalWrite::Skip);
}
