//! Repair of the node's link and rules, in a network namespace of their own.

use std::fmt::Write as _;
use std::fs;

use nix::sys::signal::Signal;
use testkit::upstream::Upstream;

use crate::fixture::{DaemonCommand, DaemonProcess, WAIT_LIMIT, forward_corefile, upstream, wait_until};
use crate::namespace::{in_namespace, output_of, skip};

const REPAIRS: &str = "nodelocaldns_node_repairs_total";
const OVERRUNS: &str = "nodelocaldns_netlink_overruns_total";

/// The interval of the periodic check is longer than any test.
fn start(upstream: &Upstream) -> DaemonProcess {
    let mut command = DaemonCommand::new(&forward_corefile(upstream, "force_tcp"));
    for arg in [
        "-setupinterface=true",
        "-setupiptables=true",
        "-link-kind=bridge",
        "-localip=169.254.25.10",
        "-syncinterval=86400",
    ] {
        command = command.arg(arg);
    }
    command.spawn().wait_until_ready()
}

#[test]
fn a_removed_link_address_and_table_are_restored_on_the_event() {
    in_namespace(|| async {
        if output_of("ip", &["link", "set", "lo", "up"]).is_none()
            || output_of("nft", &["list", "tables"]).is_none()
        {
            return skip(
                "a_removed_link_address_and_table_are_restored_on_the_event",
                "no ip or nft command",
            );
        }
        let upstream = upstream();
        let daemon = start(&upstream);
        let has = |program: &str, args: &[&str], part: &str| {
            wait_until(WAIT_LIMIT, || output_of(program, args).is_some_and(|text| text.contains(part)))
        };
        let removals: [&[&str]; 3] = [
            &["ip", "link", "delete", "nodelocaldns"],
            &["ip", "address", "delete", "169.254.25.10/32", "dev", "nodelocaldns"],
            &["nft", "delete", "table", "inet", "nodelocaldns"],
        ];
        for (number, removal) in (1..).zip(removals) {
            let (program, args) = removal.split_first().unwrap();
            output_of(program, args);
            assert!(daemon.wait_for_metric(REPAIRS, number), "{removal:?}: {:?}", daemon.log_lines());
            assert!(has("ip", &["address", "show"], "inet 169.254.25.10/32 scope host nodelocaldns"));
            assert!(has("nft", &["list", "tables"], "table inet nodelocaldns"));
            assert!(wait_until(WAIT_LIMIT, || daemon.ready() == Some(200)));
        }
        assert_eq!(daemon.terminate().code, Some(0));
        assert!(!output_of("ip", &["link", "show"]).unwrap().contains("nodelocaldns"));
    });
}

#[test]
fn lost_events_are_counted_and_followed_by_a_verification() {
    in_namespace(|| async {
        if output_of("ip", &["link", "set", "lo", "up"]).is_none() {
            return skip("lost_events_are_counted_and_followed_by_a_verification", "no ip command");
        }
        let upstream = upstream();
        let daemon = start(&upstream);
        assert_eq!(daemon.metric(OVERRUNS), 0);
        // More events than the queue holds, while nothing reads them; then one that is lost.
        let mut batch = String::new();
        for number in 0..5000 {
            writeln!(batch, "address add 10.1.{}.{}/32 dev lo", number / 250, number % 250).unwrap();
        }
        batch.push_str("link delete nodelocaldns\n");
        let file = daemon.file("batch");
        fs::write(&file, batch).unwrap();
        daemon.signal(Signal::SIGSTOP);
        output_of("ip", &["-batch", file.to_str().unwrap()]);
        daemon.signal(Signal::SIGCONT);
        // The queue for links overflows, and that for routes.
        assert!(wait_until(WAIT_LIMIT, || daemon.metric(OVERRUNS) > 0), "{:?}", daemon.log_lines());
        assert!(daemon.wait_for_metric(REPAIRS, 1), "{:?}", daemon.log_lines());
        assert!(output_of("ip", &["address", "show"]).unwrap().contains("inet 169.254.25.10/32 scope host"));
    });
}
