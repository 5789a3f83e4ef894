//! Loading a Corefile on a [`FakeHost`].

use corefile::options::{DEFAULT_BASE_COREFILE, DEFAULT_COREFILE};
use corefile::settings::Forward;
use corefile::{ConfigErrors, Environment, Options, Settings};

use super::fake_host::FakeHost;

/// Path of the Corefile in [`load`].
pub(crate) const COREFILE: &str = "/etc/coredns/Corefile";
/// Path of the template.
pub(crate) const BASE: &str = "/etc/coredns/Corefile.base";

/// Flags with their values; `-localip 169.254.25.10` by default.
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
        stale_on_outage: true,
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
            "-stale-on-outage" => options.stale_on_outage = value.parse().unwrap(),
            "-dns.port" => options.dns_port = value.parse().unwrap(),
            _ => assert_eq!(flag, "a flag that the configuration depends on"),
        }
    }
    options
}

/// Loads the Corefile that the flags select.
pub(crate) fn load_for(
    args: &[&str],
    files: &[(&str, &str)],
    env: &[(&str, &str)],
) -> Result<Settings, ConfigErrors> {
    corefile::load(&options(args), &env.iter().copied().collect(), &FakeHost::with(files))
}

/// Loads a Corefile with `-conf`.
pub(crate) fn load(text: &str) -> Result<Settings, ConfigErrors> {
    load_from(&[(COREFILE, text)])
}

/// Loads [`COREFILE`], which is one of the files.
pub(crate) fn load_from(files: &[(&str, &str)]) -> Result<Settings, ConfigErrors> {
    load_with(files, &Environment::default())
}

/// As [`load_from`], with environment variables.
pub(crate) fn load_with(files: &[(&str, &str)], env: &Environment) -> Result<Settings, ConfigErrors> {
    corefile::load(&options(&["-conf", COREFILE]), env, &FakeHost::with(files))
}

/// Loads a server block for the root with these lines.
pub(crate) fn load_lines(lines: &str) -> Result<Settings, ConfigErrors> {
    load(&format!(".:53 {{\n{lines}\n}}\n"))
}

/// The first `forward` of a server block with these lines.
pub(crate) fn forward(lines: &str) -> Forward {
    load_lines(lines).unwrap().blocks.remove(0).forwards.remove(0)
}

/// The directives of the first block of [`COREFILE`].
pub(crate) fn directives(files: &[(&str, &str)]) -> Vec<&'static str> {
    load_from(files).unwrap().blocks.remove(0).directives
}

/// The first line of a rejected Corefile's error.
pub(crate) fn first_error_line(text: &str) -> String {
    first_line(load(text))
}

pub(crate) fn first_line(loaded: Result<Settings, ConfigErrors>) -> String {
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
