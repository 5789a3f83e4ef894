//! Unpredictability of message IDs over UDP (RFC 5452 section 9.2). Source ports are shared by some
//! queries; that the kernel chooses them at random is checked over many sockets.
//!
//! Random values exceed each bound less than once in a hundred thousand runs.

use std::collections::HashSet;

use testkit::client::QueryOptions;
use testkit::upstream::Transport;

use crate::fixture::{DaemonProcess, WAIT_LIMIT, query_names, upstream};

/// Queries that are examined together.
const SAMPLE: usize = 10_000;
/// Processes, each with a few sockets.
const DAEMONS: usize = 8;
/// Queries in flight.
const WINDOW: usize = 64;
/// Bound of the serial correlation.
const CORRELATION: f64 = 0.02;
/// Samples after which the correlation of random values, 1/√n, is below the bound.
const MAX_SAMPLES: usize = 5;

/// Queries `count` names that are not cached.
fn query_new_names(daemon: &DaemonProcess, from: usize, count: usize) {
    let names: Vec<String> = (from..from + count).map(|number| format!("ok-{number}.example.")).collect();
    query_names(&daemon.udp_socket(WAIT_LIMIT), &names, WINDOW, &QueryOptions::default());
}

/// χ² over `buckets` of equal size, for values from 0 to `range`.
fn chi_square(values: impl Iterator<Item = usize> + Clone, range: usize, buckets: usize) -> f64 {
    let expected = values.clone().count() as f64 / buckets as f64;
    let mut counts = vec![0_u32; buckets];
    values.for_each(|value| counts[value * buckets / range] += 1);
    counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum()
}

/// Bound of [`chi_square`]: its mean plus six standard deviations.
fn bound(buckets: usize) -> f64 {
    let freedom = (buckets - 1) as f64;
    freedom + 6.0 * (2.0 * freedom).sqrt()
}

/// The correlation of each value with the next.
fn serial_correlation(values: &[u16]) -> f64 {
    let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len() as f64;
    let off = |value: u16| f64::from(value) - mean;
    let together: f64 = values.windows(2).map(|pair| off(pair[0]) * off(pair[1])).sum();
    together / values.iter().map(|value| off(*value).powi(2)).sum::<f64>()
}

#[test]
fn ids_of_ten_thousand_queries_are_random() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "prefer_udp");
    let mut ids = Vec::new();
    for sample in 0..MAX_SAMPLES {
        query_new_names(&daemon, sample * SAMPLE, SAMPLE);
        let mut queries = upstream.queries();
        queries.retain(|query| query.transport == Transport::Udp);
        ids = queries.iter().map(|query| query.message.metadata.id).collect();
        // On a busy machine a few are retried.
        assert!(ids.len() >= (sample + 1) * SAMPLE, "{} by UDP", ids.len());
        if serial_correlation(&ids).abs() < CORRELATION {
            break;
        }
    }
    assert!(serial_correlation(&ids).abs() < CORRELATION, "{}", serial_correlation(&ids));
    for half in [|id: u16| id >> 8, |id: u16| id & 0xff] {
        let found = chi_square(ids.iter().map(|id| usize::from(half(*id))), 256, 256);
        assert!(found < bound(256), "IDs: {found}");
    }
}

#[test]
fn source_ports_are_of_the_whole_ephemeral_range() {
    let upstream = upstream();
    let daemons: Vec<DaemonProcess> =
        (0..DAEMONS).map(|_| DaemonProcess::forwarding_to(&upstream, "prefer_udp")).collect();
    for daemon in &daemons {
        query_new_names(daemon, 0, WINDOW);
    }
    let queries = upstream.queries();
    let ports: HashSet<u16> = queries
        .iter()
        .filter(|query| query.transport == Transport::Udp)
        .map(|query| query.peer.port())
        .collect();
    let (least, most) = (*ports.iter().min().unwrap(), *ports.iter().max().unwrap());
    assert!(ports.len() >= 2 * DAEMONS, "{} ports", ports.len());
    assert!(most - least > 10_000, "{least} to {most}");
}
