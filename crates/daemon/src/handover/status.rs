//! Another instance on this node, and what it says of itself when asked.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time;

use super::directory::{Place, check};
use super::protocol::{Kind, Post, PostError};

/// How long it may take to answer.
const STATUS_TIME: Duration = Duration::from_secs(1);

/// Another instance that can be met in our directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Neighbour {
    /// It has answered; one that has not may be anything.
    pub(crate) has_spoken: bool,
    /// It runs in our pid namespace, as the process that a probe asks about.
    pub(crate) is_near: bool,
    /// What it still waits for before queries may come.
    pub(crate) awaits: Vec<String>,
    /// The link it looks after.
    pub(crate) link: Option<String>,
    /// The addresses that it looks after on that link.
    pub(crate) addresses: Vec<IpAddr>,
    /// It looks after the packet filter rules.
    pub(crate) keeps_rules: bool,
}

impl Neighbour {
    /// Its lines.
    pub(super) fn lines(&self) -> String {
        let mut lines: String = self.awaits.iter().map(|what| format!("awaits {what}\n")).collect();
        if let Some(link) = &self.link {
            lines += &format!("link {link}\n");
        }
        for address in &self.addresses {
            lines += &format!("address {address}\n");
        }
        if self.keeps_rules {
            lines += "rules\n";
        }
        lines
    }

    fn hear(&mut self, lines: &str) {
        self.has_spoken = true;
        for line in lines.lines() {
            match line.split_once(' ').unwrap_or((line, "")) {
                ("awaits", what) => self.awaits.push(what.to_owned()),
                ("link", name) => self.link = Some(name.to_owned()),
                ("address", address) => self.addresses.extend(address.parse::<IpAddr>()),
                ("rules", _) => self.keeps_rules = true,
                _ => {}
            }
        }
    }
}

/// Who can be met at `directory`, if anybody. It must not be we.
pub(crate) async fn neighbour(place: &Place) -> Option<Neighbour> {
    let stream = place.visit().await.ok().flatten()?;
    let mut neighbour =
        Neighbour { is_near: check(&stream).is_ok_and(|pid| pid.is_some()), ..Neighbour::default() };
    let mut post = Post::new(stream);
    let asked = async {
        post.send(Kind::ASKED, &[]).await?;
        loop {
            let message = post.receive().await?;
            if message.kind == Kind::STATUS {
                return Ok::<_, PostError>(message.octets);
            }
        }
    };
    if let Ok(Ok(octets)) = time::timeout(STATUS_TIME, asked).await {
        neighbour.hear(&String::from_utf8_lossy(&octets));
    }
    Some(neighbour)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_heard() {
        let said = Neighbour {
            has_spoken: true,
            is_near: false,
            awaits: vec!["link".to_owned(), "an answer of our own".to_owned()],
            link: Some("nodelocaldns".to_owned()),
            addresses: vec![[169, 254, 25, 10].into()],
            keeps_rules: true,
        };
        let mut heard = Neighbour::default();
        heard.hear(&said.lines());
        assert_eq!(heard, said);
        heard.hear("something new\n\naddress nonsense\n");
        assert_eq!(heard, said);
    }
}
