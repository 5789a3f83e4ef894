//! Rows of directives about the process, its listeners and endpoints.

use corefile::Settings;

use super::{Rows, assert_rows, when};

fn health(settings: &Settings) -> String {
    let addresses = settings.health.iter().map(|address| format!("{address} {:?}", settings.lameduck));
    addresses.collect::<Vec<_>>().join(" ")
}

fn reload(settings: &Settings) -> String {
    settings.reload.map(|reload| format!("{:?} {:?}", reload.interval, reload.jitter)).unwrap_or_default()
}

/// read, write, idle, maximum of queries.
fn timeouts(settings: &Settings) -> String {
    let timeouts = settings.blocks[0].timeouts;
    format!("{:?} {:?} {:?} {:?}", timeouts.read, timeouts.write, timeouts.idle, timeouts.max_queries)
}

fn listeners(settings: &Settings) -> String {
    settings.listeners.iter().map(|listener| listener.label.clone()).collect::<Vec<_>>().join(" ")
}

fn directives(settings: &Settings) -> String {
    settings.blocks[0].directives.join(" ")
}

#[test]
fn rows_of_health() {
    assert_rows("health", HEALTH, health);
}

#[test]
fn rows_of_ready() {
    assert_rows("ready", READY, |settings| format!("{:?}", settings.ready));
}

#[test]
fn rows_of_prometheus() {
    assert_rows("prometheus", PROMETHEUS, |settings| format!("{:?}", settings.prometheus));
}

#[test]
fn rows_of_reload() {
    assert_rows("reload", RELOAD, reload);
}

#[test]
fn rows_of_timeouts() {
    assert_rows("timeouts", TIMEOUTS, timeouts);
}

#[test]
fn rows_of_bufsize() {
    assert_rows("bufsize", BUFSIZE, |settings| format!("{:?}", settings.blocks[0].bufsize));
}

#[test]
fn rows_of_bind() {
    assert_rows("bind", BIND, listeners);
}

#[test]
fn rows_of_debug() {
    assert_rows("debug", DEBUG, |settings| when(settings.debug, "debug"));
}

#[test]
fn rows_of_metadata() {
    assert_rows("metadata", METADATA, directives);
}

#[test]
fn rows_of_pprof() {
    assert_rows("pprof", PPROF, directives);
}

#[test]
fn rows_of_dnstap() {
    assert_rows("dnstap", DNSTAP, directives);
}

#[test]
fn rows_of_trace() {
    assert_rows("trace", TRACE, directives);
}

#[test]
fn rows_of_loop() {
    assert_rows("loop", LOOP, |settings| format!("{}", settings.blocks[0].loop_query.is_some()));
}

#[rustfmt::skip]
const HEALTH: &Rows = &[
    ("health", "= [::]:8080 0ns"),
    ("health :8080", "= [::]:8080 0ns"),
    ("health localhost:8080", "= 127.0.0.1:8080 0ns"),
    ("health 169.254.25.10:9254", "= 169.254.25.10:9254 0ns"),
    ("health [::1]:8080", "= [::1]:8080 0ns"),
    ("health 127.0.0.1", "2: address 127.0.0.1: missing port in address"),
    ("health :65536", "2: address :65536: invalid port \"65536\""),
    ("health :x", "2: address :x: invalid port \"x\""),
    ("health node:8080", "2: address node:8080: \"node\" is not an IP address"),
    ("health ::1:8080", "2: address ::1:8080: too many colons in address (an IPv6 address is written in brackets: [::1]:8080)"),
    ("health :1 :2", "2: Wrong argument count or unexpected line ending after ':2'"),
    ("health / health :9", "= [::]:9 0ns"),
    ("health :8080 { / lameduck 5s / }", "= [::]:8080 5s"),
    ("health :8080 { / lameduck / }", "3: Wrong argument count or unexpected line ending after 'lameduck'"),
    ("health :8080 { / lameduck 5 / }", "3: time: missing unit in duration \"5\" (a number and one of ns us ms s m h)"),
    ("health :8080 { / lameduck -1s / }", "3: the duration \"-1s\" is negative"),
    ("health :8080 { / lameduck 5s 5s / }", "3: Wrong argument count or unexpected line ending after '5s'"),
    ("health :8080 { / lameduc 5s / }", "3: Wrong argument count or unexpected line ending after 'lameduc'"),
    ("health :8080 { / foo / }", "3: Wrong argument count or unexpected line ending after 'foo'"),
];

#[rustfmt::skip]
const READY: &Rows = &[
    ("ready", "= [[::]:8181]"),
    ("ready :8181", "= [[::]:8181]"),
    ("ready 127.0.0.1:9", "= [127.0.0.1:9]"),
    ("ready 127.0.0.1", "2: address 127.0.0.1: missing port in address"),
    ("ready :1 :2", "2: Wrong argument count or unexpected line ending after ':2'"),
    ("ready / ready", "3: this plugin can only be used once per Server Block"),
    ("ready { / monitor until-ready / }", "3: option 'monitor' is not supported by nodelocaldns yet"),
    ("ready { / foo / }", "3: Wrong argument count or unexpected line ending after 'foo'"),
];

#[rustfmt::skip]
const PROMETHEUS: &Rows = &[
    ("prometheus", "= [127.0.0.1:9153]"),
    ("prometheus :9253", "= [[::]:9253]"),
    ("prometheus localhost:9253", "= [127.0.0.1:9253]"),
    ("prometheus 169.254.25.10:9253", "= [169.254.25.10:9253]"),
    ("prometheus [::1]:9253", "= [[::1]:9253]"),
    ("prometheus :", "2: address :: invalid port \"\""),
    ("prometheus 9253", "2: address 9253: missing port in address"),
    ("prometheus :1 :2", "2: Wrong argument count or unexpected line ending after ':2'"),
    ("prometheus a:b:c", "2: address a:b:c: too many colons in address"),
    ("prometheus / prometheus", "3: this plugin can only be used once per Server Block"),
    ("prometheus { / tls x / }", "3: option 'tls' is not supported by nodelocaldns yet"),
    ("prometheus { / runtime_metrics / }", "3: option 'runtime_metrics' is not supported by nodelocaldns yet"),
    ("prometheus { / foo / }", "3: Wrong argument count or unexpected line ending after 'foo'"),
];

#[rustfmt::skip]
const RELOAD: &Rows = &[
    ("reload", "= 30s 15s"),
    ("reload 10s", "= 10s 5s"),
    ("reload 10s 2s", "= 10s 2s"),
    ("reload 2s", "= 2s 1s"),
    ("reload 1s", "2: interval value must be greater or equal to 2s"),
    ("reload 0s", "2: interval value must be greater or equal to 2s"),
    ("reload foo", "2: time: invalid duration \"foo\""),
    ("reload 10s foo", "2: time: invalid duration \"foo\""),
    ("reload 10s 2s 1s", "2: Wrong argument count or unexpected line ending after '1s'"),
    ("reload 3s 0.5s", "2: jitter value must be 0 or greater or equal to 1s"),
    ("reload 2s 0s", "= 2s 0ns"),
    ("reload 2s 10s", "= 2s 1s"),
    ("reload -2s", "2: the duration \"-2s\" is negative"),
    ("reload 10", "2: time: missing unit in duration \"10\" (a number and one of ns us ms s m h)"),
    ("reload 1m 20s", "= 60s 20s"),
    ("reload / reload 5s", "= 30s 15s"),
    ("reload { / x / }", "3: Wrong argument count or unexpected line ending after 'x'"),
];

#[rustfmt::skip]
const TIMEOUTS: &Rows = &[
    ("timeouts", "2: timeouts block with no timeouts specified"),
    ("timeouts 1s", "2: Wrong argument count or unexpected line ending after '1s'"),
    ("timeouts {}", "2: timeouts block with no timeouts specified"),
    ("timeouts { / read 3s / }", "= Some(3s) None None None"),
    ("timeouts { / read 3 / }", "= Some(3s) None None None"),
    ("timeouts { / write 2m / }", "= None Some(120s) None None"),
    ("timeouts { / idle 10s / }", "= None None Some(10s) None"),
    ("timeouts { / idle 24h / }", "= None None Some(86400s) None"),
    ("timeouts { / idle 25h / }", "3: timeout provided '25h' needs to be between 1 second and 24 hours"),
    ("timeouts { / read 0s / }", "3: timeout provided '0s' needs to be between 1 second and 24 hours"),
    ("timeouts { / read 0 / }", "3: timeout provided '0' needs to be between 1 second and 24 hours"),
    ("timeouts { / read -1s / }", "3: the duration \"-1s\" is negative"),
    ("timeouts { / read 48h / }", "3: timeout provided '48h' needs to be between 1 second and 24 hours"),
    ("timeouts { / read / }", "3: Wrong argument count or unexpected line ending after 'read'"),
    ("timeouts { / read 1s 2s / }", "3: Wrong argument count or unexpected line ending after '2s'"),
    ("timeouts { / read x / }", "3: time: invalid duration \"x\""),
    ("timeouts { / read 1s / write 2s / idle 3s / }", "= Some(1s) Some(2s) Some(3s) None"),
    ("timeouts { / maxtcpqueries 5 / }", "= None None None Some(Some(5))"),
    ("timeouts { / maxtcpqueries -1 / }", "= None None None Some(None)"),
    ("timeouts { / maxtcpqueries 0 / }", "3: maxtcpqueries 0 must be -1 or above 0"),
    ("timeouts { / maxtcpqueries x / }", "3: 'x' is not a whole number"),
    ("timeouts { / maxtcpqueries / }", "3: Wrong argument count or unexpected line ending after 'maxtcpqueries'"),
    ("timeouts { / maxtcpqueries 4294967296 / }", "3: maxtcpqueries 4294967296 must be -1 or above 0"),
    ("timeouts { / foo 1s / }", "3: unknown option: 'foo'"),
    ("timeouts { / READ 1s / }", "3: unknown option: 'READ'"),
    ("timeouts { / }", "2: timeouts block with no timeouts specified"),
];

#[rustfmt::skip]
const BUFSIZE: &Rows = &[
    ("bufsize", "= Some(1232)"),
    ("bufsize 1232", "= Some(1232)"),
    ("bufsize 512", "= Some(512)"),
    ("bufsize 4096", "= Some(4096)"),
    ("bufsize 511", "2: bufsize 511 must be within 512 - 4096"),
    ("bufsize 4097", "2: bufsize 4097 must be within 512 - 4096"),
    ("bufsize 0", "2: bufsize 0 must be within 512 - 4096"),
    ("bufsize -1", "2: bufsize -1 must be within 512 - 4096"),
    ("bufsize x", "2: 'x' is not a whole number"),
    ("bufsize 512.5", "2: '512.5' is not a whole number"),
    ("bufsize 1 2", "2: Wrong argument count or unexpected line ending after '2'"),
    ("bufsize 600 / bufsize 700", "= Some(600)"),
    ("bufsize { / x / }", "3: Wrong argument count or unexpected line ending after 'x'"),
];

#[rustfmt::skip]
const BIND: &Rows = &[
    ("bind", "2: at least one address or interface name is expected"),
    ("bind 169.254.25.10", "= dns://169.254.25.10:53"),
    ("bind 169.254.25.10 192.0.2.9", "= dns://169.254.25.10:53 dns://192.0.2.9:53"),
    ("bind ::1", "= dns://[::1]:53"),
    ("bind eth0", "= dns://192.0.2.9:53 dns://[2001:db8::9]:53 dns://[fe80::9%eth0]:53"),
    ("bind 0.0.0.0", "= dns://0.0.0.0:53"),
    ("bind ::", "= dns://[::]:53"),
    ("bind fe80::1%eth0", "= dns://[fe80::1%eth0]:53"),
    ("bind fe80::1%eth7", "2: \"fe80::1%eth7\" names an interface that this node does not have"),
    ("bind 192.0.2", "2: not a valid IP address or interface name: \"192.0.2\""),
    ("bind eth7", "2: not a valid IP address or interface name: \"eth7\""),
    ("bind 169.254.25.10 169.254.25.10", "= dns://169.254.25.10:53"),
    ("bind 169.254.25.10 / bind 192.0.2.9", "= dns://169.254.25.10:53 dns://192.0.2.9:53"),
    ("bind 169.254.25.10:53", "2: not a valid IP address or interface name: \"169.254.25.10:53\""),
    ("bind eth0 { / except 192.0.2.9 / }", "= dns://[2001:db8::9]:53 dns://[fe80::9%eth0]:53"),
    ("bind eth0 { / except eth0 / }", "=!"),
    ("bind eth0 { / except / }", "3: at least one address or interface must be given to except subdirective"),
    ("bind eth0 { / except x / }", "3: not a valid IP address or interface name: \"x\""),
    ("bind eth0 { / foo / }", "3: invalid option \"foo\""),
];

#[rustfmt::skip]
const DEBUG: &Rows = &[
    ("debug", "= debug"),
    ("debug x", "2: Wrong argument count or unexpected line ending after 'x'"),
    ("debug / debug", "= debug"),
    ("debug { / x / }", "3: Wrong argument count or unexpected line ending after 'x'"),
];

#[rustfmt::skip]
const METADATA: &Rows = &[
    ("metadata", "= metadata"),
    ("metadata a.test", "= metadata"),
    ("metadata / metadata", "3: this plugin can only be used once per Server Block"),
    ("metadata { / x / }", "3: Wrong argument count or unexpected line ending after 'x'"),
];

#[rustfmt::skip]
const PPROF: &Rows = &[
    ("pprof", "=! pprof"),
    ("pprof :6053", "=! pprof"),
    ("pprof localhost:6053", "=! pprof"),
    ("pprof 6053", "2: address 6053: missing port in address"),
    ("pprof :1 :2", "2: Wrong argument count or unexpected line ending after ':2'"),
    ("pprof / pprof", "3: this plugin can only be used once per Server Block"),
    ("pprof { / block / }", "=! pprof"),
    ("pprof { / block 1 / }", "=! pprof"),
    ("pprof { / block x / }", "3: 'x' is not a whole number"),
    ("pprof { / block 1 2 / }", "3: Wrong argument count or unexpected line ending after '2'"),
    ("pprof { / foo / }", "3: unknown property 'foo'"),
];

#[rustfmt::skip]
const DNSTAP: &Rows = &[
    ("dnstap", "2: Wrong argument count or unexpected line ending after 'dnstap'"),
    ("dnstap /tmp/x", "=! dnstap"),
    ("dnstap unix:///tmp/x full", "=! dnstap"),
    ("dnstap tcp://192.0.2.1:6000 full", "=! dnstap"),
    ("dnstap /tmp/x { / identity / }", "3: Wrong argument count or unexpected line ending after 'identity'"),
    ("dnstap /tmp/x { / identity a / }", "=! dnstap"),
    ("dnstap /tmp/x { / version 1 / }", "=! dnstap"),
    ("dnstap /tmp/x { / extra x / }", "=! dnstap"),
    ("dnstap /tmp/x { / message_types a / }", "=! dnstap"),
    ("dnstap /tmp/x { / skipverify / }", "=! dnstap"),
    ("dnstap /tmp/x { / foo / }", "=! dnstap"),
];

#[rustfmt::skip]
const TRACE: &Rows = &[
    ("trace", "=! trace"),
    ("trace 192.0.2.1", "=! trace"),
    ("trace zipkin 192.0.2.1:9411", "=! trace"),
    ("trace datadog 192.0.2.1", "=! trace"),
    ("trace foo 192.0.2.1", "2: tracing endpoint type 'foo' is not supported"),
    ("trace a b c", "2: Wrong argument count or unexpected line ending after 'c'"),
    ("trace { / every 10 / }", "=! trace"),
    ("trace { / every / }", "3: Wrong argument count or unexpected line ending after 'every'"),
    ("trace { / every x / }", "3: 'x' is not a whole number"),
    ("trace { / every -1 / }", "3: '-1' is not a whole number"),
    ("trace { / service a / }", "=! trace"),
    ("trace { / service / }", "3: Wrong argument count or unexpected line ending after 'service'"),
    ("trace { / client_server / }", "=! trace"),
    ("trace { / client_server true / }", "=! trace"),
    ("trace { / client_server maybe / }", "3: 'maybe' is neither true nor false"),
    ("trace { / datadog_analytics_rate 0.5 / }", "=! trace"),
    ("trace { / datadog_analytics_rate 2 / }", "3: '2' is not a rate from 0 to 1"),
    ("trace { / zipkin_max_batch_size 1 / }", "=! trace"),
    ("trace { / zipkin_max_batch_size x / }", "3: 'x' is not a whole number"),
    ("trace { / zipkin_max_batch_interval 1s / }", "=! trace"),
    ("trace { / zipkin_max_batch_interval 1 / }", "3: time: missing unit in duration \"1\" (a number and one of ns us ms s m h)"),
];

#[rustfmt::skip]
const LOOP: &Rows = &[
    ("loop", "= true"),
    ("loop x", "2: Wrong argument count or unexpected line ending after 'x'"),
    ("loop / loop", "3: this plugin can only be used once per Server Block"),
    ("loop { / x / }", "3: Wrong argument count or unexpected line ending after 'x'"),
];
