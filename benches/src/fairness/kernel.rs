//! Drops of a UDP socket's receive queue, as the kernel counts them.

use std::fs;

use crate::output::BenchError;

/// Datagrams that the sockets on `port` have dropped.
pub(super) fn drops(port: u16) -> Result<u64, BenchError> {
    let mut sum = 0;
    for file in ["/proc/net/udp", "/proc/net/udp6"] {
        let text = fs::read_to_string(file)?;
        sum += text.lines().filter_map(|line| drops_of(line, port)).sum::<u64>();
    }
    Ok(sum)
}

/// The last field of a line whose second field, `ADDRESS:PORT` in hexadecimal, has this port.
fn drops_of(line: &str, port: u16) -> Option<u64> {
    let local = line.split_whitespace().nth(1)?;
    let (_, hexadecimal) = local.rsplit_once(':')?;
    if u16::from_str_radix(hexadecimal, 16) != Ok(port) {
        return None;
    }
    line.split_whitespace().next_back()?.parse().ok()
}
