//! The flags in effect, each with its value as it may be given.

use std::path::PathBuf;

use linux::confinement::SeccompMode;

use super::validated::Flags;

impl Flags {
    /// Name without dash, and value, of every flag but those that end the process.
    pub(crate) fn effective(&self) -> Vec<(&'static str, String)> {
        let addresses: Vec<String> = self.options.local_ips.iter().map(ToString::to_string).collect();
        let fallbacks: Vec<String> = self.fail_open_upstreams.iter().map(ToString::to_string).collect();
        let path = |path: &Option<PathBuf>, none: &str| {
            path.as_ref().map_or_else(|| none.to_owned(), |path| path.display().to_string())
        };
        let watchdog = self.watchdog_timeout.map_or(0, |timeout| timeout.as_secs());
        let metrics =
            self.metrics_listen_address.map_or_else(|| "0".to_owned(), |address| address.to_string());
        let options = &self.options;
        let readable: Vec<_> = self.landlock_read.iter().map(|path| path.display().to_string()).collect();
        vec![
            ("localip", addresses.join(",")),
            ("setupinterface", self.setup_interface.to_string()),
            ("interfacename", self.interface_name.clone()),
            ("link-kind", self.link_kind.clone()),
            ("setupiptables", self.setup_iptables.to_string()),
            ("notrack", self.notrack.to_string()),
            ("guard", self.guard.to_string()),
            ("fail-open", self.fail_open.to_string()),
            ("fail-open-upstream", fallbacks.join(",")),
            ("fail-open-zone", self.fail_open_zone.to_string()),
            ("fail-open-mark", format!("{:#x}", self.fail_open_mark)),
            ("skipteardown", self.skip_teardown.to_string()),
            ("syncinterval", format!("{}s", self.sync_interval.as_secs())),
            ("basecorefile", options.base_corefile.clone()),
            ("corefile", options.corefile.clone()),
            ("conf", options.conf.clone()),
            ("kubednscm", options.kube_dns_config_map.clone()),
            ("upstreamsvc", options.upstream_service.clone()),
            ("metrics-listen-address", metrics),
            ("prometheus-listen-address", options.prometheus_listen_address.clone()),
            ("health-port", self.health_port.to_string()),
            ("dns.port", options.dns_port.to_string()),
            ("reloadwithsignal", self.reload_with_signal.to_string()),
            ("watchdog", watchdog.to_string()),
            ("pidfile", path(&self.pid_file, "")),
            ("quiet", self.quiet.to_string()),
            ("status-page", self.status_page.to_string()),
            ("insight", self.insight.to_string()),
            ("cni-results-dir", path(&self.cni_results_dir, "0")),
            ("workers", self.workers.to_string()),
            ("cache-bytes", self.cache_bytes.map_or_else(String::new, |octets| octets.to_string())),
            ("stale-on-outage", options.stale_on_outage.to_string()),
            ("handover-dir", path(&self.handover_dir, "0")),
            ("seccomp", (self.seccomp != SeccompMode::Off).to_string()),
            ("seccomp-log", (self.seccomp == SeccompMode::Log).to_string()),
            ("landlock", self.landlock.to_string()),
            ("landlock-read", readable.join(",")),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    #[test]
    fn effective_flags_given_again_have_the_same_effect() {
        let line = ["nodelocaldns", "-localip=169.254.25.10,fd00::10", "-workers=3", "-cache-bytes=64Mi"];
        let more = ["-watchdog=0", "-fail-open-mark=12288", "-syncinterval=1m", "-handover-dir=0", "-p=5300"];
        let confinement = ["-seccomp-log", "-landlock=false", "-landlock-read=/a,/b"];
        let flags = parse(line.into_iter().chain(more).chain(confinement).map(Into::into)).unwrap();
        let given: Vec<String> = flags
            .effective()
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("-{name}={value}"))
            .collect();
        let again = std::iter::once("nodelocaldns".to_owned()).chain(given).map(Into::into);
        assert_eq!(parse(again).unwrap(), flags);
    }
}
