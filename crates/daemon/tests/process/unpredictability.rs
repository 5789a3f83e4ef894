//! IDs and source ports of questions over UDP leave nothing to guess (RFC 5452 section 9.2).
//!
//! Each bound is one that chance oversteps less than once in a hundred thousand runs.

use std::collections::HashSet;
use std::net::{Ipv4Addr, UdpSocket};

use testkit::RecordType;
use testkit::client::QueryOptions;
use testkit::upstream::Transport;

use crate::fixture::{DNS, DaemonProcess, WAIT_LIMIT, upstream};

/// Questions that are looked at together.
const SAMPLE: usize = 10_000;
/// Asked at a time.
const WINDOW: usize = 64;
/// Bound of the correlation between one value and the next.
const CORRELATION: f64 = 0.02;
/// Samples after which the correlation is below its bound: chance alone leaves 1/√n.
const MOST_SAMPLES: usize = 5;

/// Asks for `count` names that nobody asked for before, and waits for all answers.
fn ask(daemon: &DaemonProcess, from: usize, count: usize) {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    socket.connect(daemon.addr(DNS)).unwrap();
    socket.set_read_timeout(Some(WAIT_LIMIT)).unwrap();
    let (mut sent, mut answered) = (0, 0);
    while answered < count {
        while sent < count && sent - answered < WINDOW {
            let name = format!("ok-{}.example.", from + sent);
            let query = QueryOptions::default().message(1, &name, RecordType::A).unwrap();
            socket.send(&query.to_vec().unwrap()).unwrap();
            sent += 1;
        }
        socket.recv(&mut [0; 512]).unwrap();
        answered += 1;
    }
}

/// χ² over `buckets` of equal size for values that lie in 0 to `range`.
fn chi_square(values: impl Iterator<Item = usize> + Clone, range: usize, buckets: usize) -> f64 {
    let expected = values.clone().count() as f64 / buckets as f64;
    let mut counts = vec![0_u32; buckets];
    values.for_each(|value| counts[value * buckets / range] += 1);
    counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum()
}

/// The bound of [`chi_square`]: its mean and six times its deviation.
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
fn ids_and_ports_of_ten_thousand_questions_are_chance() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "prefer_udp");
    let (mut ids, mut ports) = (Vec::new(), Vec::new());
    for sample in 0..MOST_SAMPLES {
        ask(&daemon, sample * SAMPLE, SAMPLE);
        let mut questions = upstream.queries();
        questions.retain(|question| question.transport == Transport::Udp);
        ids = questions.iter().map(|question| question.message.metadata.id).collect();
        ports = questions.iter().map(|question| question.peer.port()).collect();
        // On a busy machine a few are asked again early.
        assert!(ids.len() >= (sample + 1) * SAMPLE, "{} by UDP", ids.len());
        let pairs: HashSet<(u16, u16)> = ids.iter().copied().zip(ports.iter().copied()).collect();
        assert!(pairs.len() + 4 >= ids.len(), "{} of {} are distinct", pairs.len(), ids.len());
        if [&ids, &ports].iter().all(|values| serial_correlation(values).abs() < CORRELATION) {
            break;
        }
    }
    for values in [&ids, &ports] {
        assert!(serial_correlation(values).abs() < CORRELATION, "{}", serial_correlation(values));
    }
    for half in [|id: u16| id >> 8, |id: u16| id & 0xff] {
        let found = chi_square(ids.iter().map(|id| usize::from(half(*id))), 256, 256);
        assert!(found < bound(256), "IDs: {found}");
    }
    let (least, most) = (*ports.iter().min().unwrap(), *ports.iter().max().unwrap());
    assert!(most - least > 20_000, "the whole ephemeral range: {least} to {most}");
    let range = usize::from(most - least) + 1;
    let found = chi_square(ports.iter().map(|port| usize::from(port - least)), range, 32);
    assert!(found < bound(32), "ports: {found}");
}
