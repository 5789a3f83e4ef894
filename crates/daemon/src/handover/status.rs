//! Status of a peer instance on this node, on request.

use std::net::IpAddr;

/// What an instance reports about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct InstanceStatus {
    /// It has replied; the state of one that has not is unknown.
    pub(crate) has_answered: bool,
    /// It runs in our PID namespace, hence in our container.
    pub(crate) same_pid_namespace: bool,
    /// Its readiness conditions that are not met.
    pub(crate) unmet: Vec<String>,
    /// The link that it maintains.
    pub(crate) link: Option<String>,
    /// The addresses that it maintains on that link.
    pub(crate) addresses: Vec<IpAddr>,
    /// It maintains the packet-filter rules.
    pub(crate) owns_rules: bool,
}

impl InstanceStatus {
    /// Octets of a `STATUS` message.
    pub(super) fn to_lines(&self) -> String {
        let mut lines: String = self.unmet.iter().map(|name| format!("awaits {name}\n")).collect();
        if let Some(link) = &self.link {
            lines += &format!("link {link}\n");
        }
        for address in &self.addresses {
            lines += &format!("address {address}\n");
        }
        if self.owns_rules {
            lines += "rules\n";
        }
        lines
    }

    pub(super) fn parse(&mut self, lines: &str) {
        self.has_answered = true;
        for line in lines.lines() {
            match line.split_once(' ').unwrap_or((line, "")) {
                ("awaits", name) => self.unmet.push(name.to_owned()),
                ("link", name) => self.link = Some(name.to_owned()),
                ("address", address) => self.addresses.extend(address.parse::<IpAddr>()),
                ("rules", _) => self.owns_rules = true,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_survives_its_encoding_and_unknown_lines_are_skipped() {
        let sent = InstanceStatus {
            has_answered: true,
            same_pid_namespace: false,
            unmet: vec!["link".to_owned(), "self-check".to_owned()],
            link: Some("nodelocaldns".to_owned()),
            addresses: vec![[169, 254, 25, 10].into()],
            owns_rules: true,
        };
        let mut received = InstanceStatus::default();
        received.parse(&sent.to_lines());
        assert_eq!(received, sent);
        received.parse("something new\n\naddress nonsense\n");
        assert_eq!(received, sent);
    }
}
