//! Another instance on this node, and what it says of itself when asked.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time;

use super::directory::{SocketDirectory, check};
use super::protocol::{Connection, MessageType, ProtocolError};

/// How long it may take to answer.
const STATUS_TIME: Duration = Duration::from_secs(1);

/// Another instance that can be met in our directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct InstanceStatus {
    /// It has answered; one that has not may be anything.
    pub(crate) has_answered: bool,
    /// It runs in our pid namespace, as the process that a probe asks about.
    pub(crate) same_pid_namespace: bool,
    /// What it still waits for before queries may come.
    pub(crate) awaits: Vec<String>,
    /// The link it looks after.
    pub(crate) link: Option<String>,
    /// The addresses that it looks after on that link.
    pub(crate) addresses: Vec<IpAddr>,
    /// It looks after the packet filter rules.
    pub(crate) owns_rules: bool,
}

impl InstanceStatus {
    /// Its lines.
    pub(super) fn lines(&self) -> String {
        let mut lines: String = self.awaits.iter().map(|what| format!("awaits {what}\n")).collect();
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

    fn hear(&mut self, lines: &str) {
        self.has_answered = true;
        for line in lines.lines() {
            match line.split_once(' ').unwrap_or((line, "")) {
                ("awaits", what) => self.awaits.push(what.to_owned()),
                ("link", name) => self.link = Some(name.to_owned()),
                ("address", address) => self.addresses.extend(address.parse::<IpAddr>()),
                ("rules", _) => self.owns_rules = true,
                _ => {}
            }
        }
    }
}

/// Who can be met at `directory`, if anybody. It must not be we.
pub(crate) async fn query_status(place: &SocketDirectory) -> Option<InstanceStatus> {
    let stream = place.connect().await.ok().flatten()?;
    let mut status = InstanceStatus {
        same_pid_namespace: check(&stream).is_ok_and(|pid| pid.is_some()),
        ..InstanceStatus::default()
    };
    let mut connection = Connection::new(stream);
    let asked = async {
        connection.send(MessageType::ASKED, &[]).await?;
        loop {
            let message = connection.receive().await?;
            if message.kind == MessageType::STATUS {
                return Ok::<_, ProtocolError>(message.octets);
            }
        }
    };
    if let Ok(Ok(octets)) = time::timeout(STATUS_TIME, asked).await {
        status.hear(&String::from_utf8_lossy(&octets));
    }
    Some(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_heard() {
        let said = InstanceStatus {
            has_answered: true,
            same_pid_namespace: false,
            awaits: vec!["link".to_owned(), "an answer of our own".to_owned()],
            link: Some("nodelocaldns".to_owned()),
            addresses: vec![[169, 254, 25, 10].into()],
            owns_rules: true,
        };
        let mut heard = InstanceStatus::default();
        heard.hear(&said.lines());
        assert_eq!(heard, said);
        heard.hear("something new\n\naddress nonsense\n");
        assert_eq!(heard, said);
    }
}
