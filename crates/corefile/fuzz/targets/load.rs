//! A Corefile loads, or is rejected with a located error, and twice with the same result. After a NUL
//! follows the text of the file `part`, which it may import. Files can be read sixteen times: cycles of
//! imports, which end after thousands, would be all that is tested.
#![no_main]

#[path = "../../tests/language/fake_host.rs"]
mod fake_host;
mod options;

use std::cell::Cell;
use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use corefile::host::Host;
use corefile::{ConfigErrors, Environment, Settings};
use fake_host::FakeHost;
use libfuzzer_sys::fuzz_target;
use options::{COREFILE, options};

struct LimitedHost {
    host: FakeHost,
    reads_left: Cell<u32>,
}

impl Host for LimitedHost {
    fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        let left = self.reads_left.get().checked_sub(1).ok_or(io::ErrorKind::NotFound)?;
        self.reads_left.set(left);
        self.host.read_file(path)
    }

    fn read_stdin(&self) -> io::Result<Vec<u8>> {
        self.host.read_stdin()
    }

    fn list_directory(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        self.host.list_directory(directory)
    }

    fn is_directory(&self, path: &Path) -> bool {
        self.host.is_directory(path)
    }

    fn absolute_path(&self, path: &Path) -> PathBuf {
        self.host.absolute_path(path)
    }

    fn interface_addresses(&self, interface: &str) -> io::Result<Vec<SocketAddr>> {
        self.host.interface_addresses(interface)
    }

    fn interface_index(&self, interface: &str) -> Option<u32> {
        self.host.interface_index(interface)
    }
}

/// What must be equal when a Corefile is loaded again.
fn summary(loaded: &Result<Settings, ConfigErrors>) -> String {
    match loaded {
        Ok(settings) => {
            let fingerprints: Vec<&String> = settings.blocks.iter().map(|block| &block.fingerprint).collect();
            format!("{} {fingerprints:?} {:?}", settings.hash, settings.warnings)
        }
        Err(errors) => errors.to_string(),
    }
}

fn load(corefile: &str, part: &str) -> Result<Settings, ConfigErrors> {
    let host = FakeHost::with(&[(COREFILE, corefile), ("/etc/coredns/part", part)]);
    let host = LimitedHost { host, reads_left: Cell::new(16) };
    let env: Environment = [("A", "192.0.2.7"), ("COREDNS_SERVICE_HOST", "10.96.0.10")].into_iter().collect();
    corefile::load(&options(), &env, &host)
}

fuzz_target!(|text: &str| {
    let (corefile, part) = text.split_once('\0').unwrap_or((text, "errors"));
    let loaded = load(corefile, part);
    if let Err(errors) = &loaded {
        let shown = errors.to_string();
        let first = shown.lines().next().unwrap_or_default();
        assert!(first.contains("/etc/coredns/"), "{shown}");
        let is_located = [" - Error during parsing: ", " - Syntax error: "].iter().any(|word| first.contains(word));
        assert!(is_located || first.ends_with(" has no server block"), "{shown}");
    }
    assert_eq!(summary(&loaded), summary(&load(corefile, part)));
});
