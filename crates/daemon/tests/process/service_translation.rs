//! Fail-open beside network plugins that translate addresses of Services, in a network namespace.

use crate::fixture::{DNS, DaemonCommand, WAIT_LIMIT, forward_corefile, upstream, wait_until};
use crate::namespace::{in_namespace, output_of, skip};

const AVAILABLE: &str = "nodelocaldns_fail_open_available{address=\"169.254.25.10\",upstream=\"10.96.0.10\"}";
const NOT_AVAILABLE: &str = "nodelocaldns_fail_open_available{address=\"169.254.25.10\",upstream=\"\"}";

#[test]
fn fail_open_is_available_once_kube_proxy_is_there_beside_cilium() {
    in_namespace(|| async {
        if output_of("ip", &["link", "set", "lo", "up"]).is_none()
            || output_of("nft", &["list", "tables"]).is_none()
        {
            return skip(
                "fail_open_is_available_once_kube_proxy_is_there_beside_cilium",
                "no ip or nft command",
            );
        }
        output_of("ip", &["link", "add", "cilium_host", "type", "bridge"]).unwrap();
        let upstream = upstream();
        let cluster = format!("cluster.local:{DNS} {{\n bind 169.254.25.10\n forward . 10.96.0.10\n}}\n");
        let mut command = DaemonCommand::new(&(forward_corefile(&upstream, "force_tcp") + &cluster));
        for arg in [
            "-setupinterface=true",
            "-setupiptables=true",
            "-link-kind=bridge",
            "-localip=169.254.25.10",
            "-syncinterval=1",
        ] {
            command = command.arg(arg);
        }
        let daemon = command.spawn().wait_until_ready();
        let warning = "[WARNING] no fail-open: Cilium, without kube-proxy, translates addresses of Services";
        daemon.wait_for_log(warning);
        let page = daemon.metrics_page();
        assert!(page.contains(&format!("{NOT_AVAILABLE} 0")) && !page.contains(AVAILABLE), "{page}");

        output_of("nft", &["add", "table", "ip", "kube-proxy"]).unwrap();
        output_of("nft", &["add", "chain", "ip", "kube-proxy", "services"]).unwrap();
        assert!(
            wait_until(WAIT_LIMIT, || daemon.metrics_page().contains(&format!("{AVAILABLE} 1"))),
            "{:?}",
            daemon.log_lines()
        );
        let warnings = daemon.log_lines();
        let warnings = warnings.iter().filter(|line| line.contains("no fail-open"));
        assert_eq!(warnings.count(), 1, "logged once");
    });
}
