//! `process_*` from /proc, with the names of the Prometheus client libraries.
//!
//! The collector of the prometheus crate counts CPU in whole seconds and has seven of the nine.

use std::fs;

use super::family::Family;

/// Clock ticks per second in /proc: USER_HZ, 100 on every architecture Kubernetes runs on.
const TICKS: f64 = 100.0;

/// The files read. A file that cannot be read is empty, and its metrics are omitted.
#[derive(Debug, Default)]
struct ProcFiles {
    /// /proc/self/stat
    stat: String,
    /// /proc/self/status
    status: String,
    /// /proc/self/limits
    limits: String,
    /// /proc/stat
    system_stat: String,
    /// /proc/self/net/netstat
    netstat: String,
    open_fds: Option<usize>,
}

impl ProcFiles {
    fn read() -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self {
            stat: text("/proc/self/stat"),
            status: text("/proc/self/status"),
            limits: text("/proc/self/limits"),
            system_stat: text("/proc/stat"),
            netstat: text("/proc/self/net/netstat"),
            // One descriptor is the directory being listed.
            open_fds: fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count().saturating_sub(1)),
        }
    }
}

pub(super) fn families() -> Vec<Family> {
    families_of(&ProcFiles::read())
}

fn families_of(files: &ProcFiles) -> Vec<Family> {
    let (utime, stime) = (stat_field(&files.stat, 14), stat_field(&files.stat, 15));
    let started = stat_field(&files.stat, 22);
    let boot =
        files.system_stat.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse::<f64>().ok());
    let (received, sent) = octets(&files.netstat);
    let rows = [
        (
            Family::counter("process_cpu_seconds_total", "CPU time used, user and system, in seconds."),
            utime.zip(stime).map(|(user, system)| (user + system) / TICKS),
        ),
        (
            Family::gauge("process_open_fds", "Open file descriptors."),
            files.open_fds.map(|count| count as f64),
        ),
        (
            Family::gauge("process_max_fds", "The limit of open file descriptors."),
            limit(&files.limits, "Max open files"),
        ),
        (
            Family::gauge("process_virtual_memory_bytes", "Virtual memory in octets."),
            stat_field(&files.stat, 23),
        ),
        (
            Family::gauge("process_virtual_memory_max_bytes", "The limit of virtual memory in octets."),
            limit(&files.limits, "Max address space"),
        ),
        (
            Family::gauge("process_resident_memory_bytes", "Resident memory in octets."),
            kibibytes(&files.status, "VmRSS:").map(|kib| kib * 1024.0),
        ),
        (
            Family::gauge("process_start_time_seconds", "Start of the process in seconds since 1970."),
            boot.zip(started).map(|(boot, ticks)| boot + ticks / TICKS),
        ),
        (
            Family::counter(
                "process_network_receive_bytes_total",
                "Octets received over IP in the network namespace of this process.",
            ),
            received,
        ),
        (
            Family::counter(
                "process_network_transmit_bytes_total",
                "Octets sent over IP in the network namespace of this process.",
            ),
            sent,
        ),
    ];
    let known = rows.into_iter().filter_map(|(family, value)| Some((family, value?)));
    known
        .map(|(mut family, value)| {
            family.series(&[], value);
            family
        })
        .collect()
}

/// A field of proc_pid_stat(5), counted from 1; the second may contain spaces and parentheses.
fn stat_field(stat: &str, number: usize) -> Option<f64> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    behind_name.split_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
}

fn kibibytes(status: &str, field: &str) -> Option<f64> {
    status.lines().find_map(|line| line.strip_prefix(field)?.split_whitespace().next()?.parse().ok())
}

/// The soft limit; `unlimited` is the largest number, as the Go client library shows it.
fn limit(limits: &str, name: &str) -> Option<f64> {
    let soft = limits.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next())?;
    if soft == "unlimited" { Some(u64::MAX as f64) } else { soft.parse().ok() }
}

/// `InOctets` and `OutOctets` of the two `IpExt:` lines, names above values.
fn octets(netstat: &str) -> (Option<f64>, Option<f64>) {
    let mut lines = netstat.lines().filter(|line| line.starts_with("IpExt:"));
    let (Some(names), Some(values)) = (lines.next(), lines.next()) else { return (None, None) };
    let value_of = |field: &str| {
        let mut pairs = names.split_whitespace().zip(values.split_whitespace());
        pairs.find(|(name, _)| *name == field)?.1.parse().ok()
    };
    (value_of("InOctets"), value_of("OutOctets"))
}

#[cfg(test)]
mod tests {
    use prometheus::proto::MetricFamily;

    use super::*;

    fn values(files: &ProcFiles) -> Vec<(String, f64)> {
        let families = families_of(files).into_iter().map(MetricFamily::from);
        families
            .map(|family| {
                let metric = &family.get_metric()[0];
                let value = metric.get_counter().get_value() + metric.get_gauge().get_value();
                (family.name().to_owned(), value)
            })
            .collect()
    }

    #[test]
    fn parses_all_nine_metrics() {
        let files = ProcFiles {
            stat: "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 250 150 0 0 20 0 4 0 12345 8388608 300 18446744073709551615 1"
                .to_owned(),
            status: "Name:\tx\nVmRSS:\t    1200 kB\n".to_owned(),
            limits: "Limit  Soft Limit  Hard Limit  Units\nMax open files  1024  4096  files\n\
                     Max address space  unlimited  unlimited  bytes\n"
                .to_owned(),
            system_stat: "cpu 1 2\nbtime 1700000000\n".to_owned(),
            netstat: "TcpExt: A\nTcpExt: 1\nIpExt: InNoRoutes InOctets OutOctets\nIpExt: 0 11 22\n".to_owned(),
            open_fds: Some(9),
        };
        let expected = [
            ("process_cpu_seconds_total", 4.0),
            ("process_open_fds", 9.0),
            ("process_max_fds", 1024.0),
            ("process_virtual_memory_bytes", 8_388_608.0),
            ("process_virtual_memory_max_bytes", 18_446_744_073_709_551_615.0),
            ("process_resident_memory_bytes", 1_228_800.0),
            ("process_start_time_seconds", 1_700_000_123.45),
            ("process_network_receive_bytes_total", 11.0),
            ("process_network_transmit_bytes_total", 22.0),
        ];
        assert_eq!(values(&files), expected.map(|(name, value)| (name.to_owned(), value)));
    }

    #[test]
    fn metrics_of_unreadable_files_are_omitted() {
        assert_eq!(values(&ProcFiles::default()), []);
    }

    #[test]
    fn this_kernel_provides_all_nine_metrics() {
        assert_eq!(values(&ProcFiles::read()).len(), 9);
    }
}
