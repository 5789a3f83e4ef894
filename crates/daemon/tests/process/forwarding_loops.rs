//! Loop detection (the `loop` directive).

use testkit::RecordType;
use testkit::client::QueryOptions;

use crate::fixture::{DNS, DaemonCommand, DaemonProcess, READY, WAIT_LIMIT, upstream};
use crate::responses::data;

#[test]
fn server_block_that_forwards_to_itself_ends_the_process() {
    for workers in ["-workers=1", "-workers=2"] {
        let corefile = format!(
            ".:{DNS} {{\n bind @\n cache 30\n loop\n forward . @:{DNS} {{\n force_tcp\n }}\n ready @:{READY}\n}}"
        );
        let end = DaemonCommand::new(&corefile).arg(workers).spawn().wait_for_exit();
        assert_eq!(end.code, Some(1), "{end:?}");
        let line = &end.stderr[0];
        assert!(line.starts_with("[FATAL] plugin/loop: Loop (127."), "{line}");
        assert!(
            line.contains("detected for zone \".\", see https://coredns.io/plugins/loop#troubleshooting"),
            "{line}"
        );
    }
}

#[test]
fn loop_detection_without_a_loop_has_no_effect() {
    let upstream = upstream();
    let daemon = DaemonProcess::start(&format!(
        "example:{DNS} {{\n bind @\n loop\n forward . {}\n ready @:{READY}\n}}",
        upstream.addr()
    ));
    assert!(upstream.wait_for_queries(WAIT_LIMIT, |questions| !questions.is_empty()));
    let probe = upstream.queries().remove(0);
    assert_eq!(probe.record_type, RecordType::HINFO);
    let labels: Vec<&str> = probe.name.split('.').collect();
    assert!(matches!(labels[..], [first, second, "example", ""] if first != second), "{}", probe.name);
    for _ in 0..5 {
        // Clients may query for HINFO.
        daemon.client().query("ok-1.example.", RecordType::HINFO, &QueryOptions::default()).unwrap();
    }
    assert_eq!(data(&daemon.query("ok-1.example.")), ["192.0.2.1"]);
    assert_eq!(daemon.warnings(), Vec::<String>::new());
    assert_eq!(daemon.terminate().code, Some(0));
}
