//! A node made up for tests: files, interfaces and environment in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use corefile::host::Host;
use corefile::options::{DEFAULT_BASE_COREFILE, DEFAULT_COREFILE};
use corefile::{ConfigError, Settings};
use corefile::{Environment, Options};

/// Where [`load`] puts its Corefile.
pub(crate) const COREFILE: &str = "/etc/coredns/Corefile";

#[derive(Default)]
pub(crate) struct FakeHost {
    pub(crate) files: BTreeMap<PathBuf, String>,
    pub(crate) stdin: String,
    pub(crate) interfaces: BTreeMap<String, Vec<SocketAddr>>,
}

impl FakeHost {
    /// A node with a resolv.conf, `eth0` and these files.
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let mut fake_host = Self::default();
        fake_host.files.insert("/etc/resolv.conf".into(), "search a.test\nnameserver 192.0.2.1\n".to_owned());
        fake_host.files.extend(files.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned())));
        let eth0 = ["192.0.2.9:0", "[2001:db8::9]:0", "[fe80::9%2]:0"].map(|text| text.parse().unwrap());
        fake_host.interfaces.insert("eth0".to_owned(), eth0.to_vec());
        fake_host
    }
}

impl Host for FakeHost {
    fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        if self.is_directory(path) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let text = self.files.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(text.clone().into_bytes())
    }

    fn read_stdin(&self) -> io::Result<Vec<u8>> {
        Ok(self.stdin.clone().into_bytes())
    }

    fn list_directory(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        let below = self.files.keys().filter_map(|path| path.strip_prefix(directory).ok());
        let names: BTreeSet<OsString> =
            below.filter_map(|rest| Some(rest.components().next()?.as_os_str().to_owned())).collect();
        Ok(names.into_iter().rev().collect())
    }

    fn is_directory(&self, path: &Path) -> bool {
        self.files.keys().any(|file| file != path && file.starts_with(path))
    }

    fn interface_addresses(&self, interface: &str) -> io::Result<Vec<SocketAddr>> {
        Ok(self.interfaces.get(interface).cloned().unwrap_or_default())
    }
}

/// The options of a command line with `-localip 169.254.25.10` unless `args`, flags with their values, name another.
pub(crate) fn options(args: &[&str]) -> Options {
    let mut options = Options {
        local_ips: vec!["169.254.25.10".parse().unwrap()],
        base_corefile: DEFAULT_BASE_COREFILE.to_owned(),
        corefile: DEFAULT_COREFILE.to_owned(),
        conf: String::new(),
        kube_dns_config_map: String::new(),
        upstream_service: "kube-dns".to_owned(),
        prometheus_listen_address: ":9253".to_owned(),
        dns_port: 53,
    };
    let mut words = args.iter().flat_map(|word| word.split('='));
    while let Some(flag) = words.next() {
        let value = words.next().unwrap();
        match flag {
            "-localip" => options.local_ips = value.split(',').map(|ip| ip.parse().unwrap()).collect(),
            "-basecorefile" => options.base_corefile = value.to_owned(),
            "-corefile" => options.corefile = value.to_owned(),
            "-conf" => options.conf = value.to_owned(),
            "-kubednscm" => options.kube_dns_config_map = value.to_owned(),
            "-upstreamsvc" => options.upstream_service = value.to_owned(),
            "-prometheus-listen-address" => options.prometheus_listen_address = value.to_owned(),
            "-dns.port" => options.dns_port = value.parse().unwrap(),
            _ => panic!("{flag} is not a flag that the configuration depends on"),
        }
    }
    options
}

pub(crate) fn no_environment() -> Environment {
    Environment::default()
}

/// Loads a Corefile that is given with `-conf`.
pub(crate) fn load(text: &str) -> Result<Settings, ConfigError> {
    load_with(&[(COREFILE, text)], &no_environment())
}

/// Loads [`COREFILE`], which is among the files.
pub(crate) fn load_with(files: &[(&str, &str)], env: &Environment) -> Result<Settings, ConfigError> {
    corefile::load(&options(&["-conf", COREFILE]), env, &FakeHost::with(files))
}

/// Loads one block for the root with these lines in it.
pub(crate) fn load_lines(lines: &str) -> Result<Settings, ConfigError> {
    load(&format!(".:53 {{\n{lines}\n}}\n"))
}

/// The first line of what is said when a Corefile is refused.
pub(crate) fn refusal(text: &str) -> String {
    first_line(load(text))
}

pub(crate) fn first_line(loaded: Result<Settings, ConfigError>) -> String {
    match loaded {
        Ok(settings) => format!("loaded: {settings:?}"),
        Err(error) => error.to_string().lines().next().unwrap_or_default().to_owned(),
    }
}

/// Each listener's label with its zones.
pub(crate) fn served(settings: &Settings) -> Vec<(String, Vec<String>)> {
    let zones = |listener: &corefile::settings::Listener| {
        listener.zones.iter().map(|(zone, _)| zone.to_string()).collect()
    };
    settings.listeners.iter().map(|listener| (listener.label.clone(), zones(listener))).collect()
}
