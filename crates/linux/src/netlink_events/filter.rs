//! Filters for netlink messages about links, addresses and nf_tables: parses just enough to skip
//! the thousands of events of a busy node that do not concern us.

use nix::net::if_::if_nametoindex;

use crate::netlink_message::{array, attribute, messages, text};

/// Octets of `struct ifinfomsg`.
const LINK_HEADER: usize = 16;
/// Octets of `struct nfgenmsg`.
const FILTER_HEADER: usize = 4;
const IFLA_IFNAME: u16 = 3;
/// The table's name in messages about tables (`NFTA_TABLE_NAME`) and their content
/// (`NFTA_CHAIN_TABLE` and others): all have the same number.
const TABLE_NAME: u16 = 1;
/// `NFPROTO_INET` in the first octet of a message.
const FAMILY_INET: u8 = 1;
const _: () = assert!(FAMILY_INET as libc::c_int == libc::NFPROTO_INET);

/// Matches messages about one link and its addresses.
#[derive(Debug)]
pub(super) struct LinkFilter {
    name: String,
    /// The interface index while the link exists: messages about addresses have no name.
    index: Option<u32>,
}

impl LinkFilter {
    pub(super) fn new(name: &str) -> Self {
        let mut filter = Self { name: name.to_owned(), index: None };
        filter.resync();
        filter
    }

    /// Looks up the index, which lost messages may have changed.
    pub(super) fn resync(&mut self) {
        self.index = if_nametoindex(self.name.as_str()).ok();
    }

    /// Whether any message of the datagram concerns the link or is malformed.
    pub(super) fn matches(&mut self, datagram: &[u8]) -> bool {
        messages(datagram).fold(false, |concerned, message| {
            let concerns =
                message.and_then(|message| self.concerns(message.kind, message.body)).unwrap_or(true);
            concerned || concerns
        })
    }

    /// Nothing when the message is malformed.
    fn concerns(&mut self, kind: u16, body: &[u8]) -> Option<bool> {
        let index = u32::from_ne_bytes(array(body, 4)?);
        let is_ours = self.index == Some(index);
        match kind {
            libc::RTM_NEWADDR | libc::RTM_DELADDR => Some(is_ours),
            libc::RTM_NEWLINK | libc::RTM_DELLINK => {
                let named = attribute(body.get(LINK_HEADER..)?, IFLA_IFNAME)
                    .is_some_and(|name| text(name) == self.name.as_bytes());
                // Messages of family AF_BRIDGE are about ports of a bridge, not about the bridge.
                if body.first() == Some(&0) {
                    if named && kind == libc::RTM_NEWLINK {
                        self.index = Some(index);
                    } else if is_ours {
                        // Deleted or renamed.
                        self.index = None;
                    }
                }
                Some(named || is_ours)
            }
            _ => Some(false),
        }
    }
}

/// Matches messages about one table of the family `inet`.
#[derive(Debug)]
pub(super) struct TableFilter {
    table: String,
}

impl TableFilter {
    pub(super) fn new(table: &str) -> Self {
        Self { table: table.to_owned() }
    }

    /// Whether any message of the datagram concerns the table or is malformed.
    pub(super) fn matches(&self, datagram: &[u8]) -> bool {
        messages(datagram).any(|message| {
            message.and_then(|message| self.concerns(message.kind, message.body)).unwrap_or(true)
        })
    }

    /// Nothing when the message is malformed.
    fn concerns(&self, kind: u16, body: &[u8]) -> Option<bool> {
        let [message, subsystem] = kind.to_le_bytes();
        let (family, attributes) = (*body.first()?, body.get(FILTER_HEADER..)?);
        let has_no_table = [libc::NFT_MSG_NEWGEN, libc::NFT_MSG_TRACE].contains(&libc::c_int::from(message));
        if libc::c_int::from(subsystem) != libc::NFNL_SUBSYS_NFTABLES || has_no_table || family != FAMILY_INET
        {
            return Some(false);
        }
        Some(text(attribute(attributes, TABLE_NAME)?) == self.table.as_bytes())
    }
}

/// Whether any message of the datagram concerns a default route or is malformed.
pub(super) fn has_default_route(datagram: &[u8]) -> bool {
    messages(datagram).any(|message| {
        let concerns = message.and_then(|message| {
            let is_route = matches!(message.kind, libc::RTM_NEWROUTE | libc::RTM_DELROUTE);
            // `rtm_dst_len` of `struct rtmsg`.
            Some(is_route && *message.body.get(1)? == 0)
        });
        concerns.unwrap_or(true)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE_HEADER: usize = 16;
    const ATTRIBUTE_HEADER: usize = 4;
    const DELETE_RULE: u16 = 10 << 8 | 8;
    const NEW_GENERATION: u16 = 10 << 8 | 15;

    fn message(kind: u16, header: &[u8], attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = header.to_vec();
        for (kind, value) in attributes {
            let length = u16::try_from(ATTRIBUTE_HEADER + value.len()).unwrap();
            body.extend(
                length.to_ne_bytes().into_iter().chain(kind.to_ne_bytes()).chain(value.iter().copied()),
            );
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let length = u32::try_from(MESSAGE_HEADER + body.len()).unwrap();
        let mut octets = length.to_ne_bytes().to_vec();
        octets.extend(kind.to_ne_bytes());
        octets.resize(MESSAGE_HEADER, 0);
        octets.extend(body);
        octets
    }

    fn link(kind: u16, family: u8, index: u32, name: &str) -> Vec<u8> {
        let mut header = vec![family, 0, 0, 0];
        header.extend(index.to_ne_bytes());
        header.resize(LINK_HEADER, 0);
        message(kind, &header, &[(1, &[0; 6]), (IFLA_IFNAME, format!("{name}\0").as_bytes())])
    }

    fn address(kind: u16, index: u32) -> Vec<u8> {
        let header = [[2, 32, 0, 0], index.to_ne_bytes()].concat();
        message(kind, &header, &[(1, &[169, 254, 25, 10])])
    }

    #[test]
    fn a_link_matches_by_name_and_then_by_index() {
        let mut filter = LinkFilter { name: "ours".into(), index: None };
        assert!(!filter.matches(&address(libc::RTM_NEWADDR, 7)));
        assert!(!filter.matches(&link(libc::RTM_NEWLINK, 0, 8, "ours2")));
        assert!(filter.matches(&link(libc::RTM_NEWLINK, 0, 7, "ours")));
        assert!(filter.matches(&address(libc::RTM_NEWADDR, 7)));
        assert!(filter.matches(&address(libc::RTM_DELADDR, 7)));
        assert!(!filter.matches(&address(libc::RTM_DELADDR, 8)));
        assert!(filter.matches(&link(libc::RTM_DELLINK, 7, 7, "ours")), "a port left the bridge");
        assert!(filter.matches(&address(libc::RTM_DELADDR, 7)), "and the bridge is still there");
        assert!(filter.matches(&link(libc::RTM_NEWLINK, 0, 7, "renamed")));
        assert!(!filter.matches(&address(libc::RTM_NEWADDR, 7)), "it was renamed");
        let burst = [
            link(libc::RTM_NEWLINK, 0, 9, "ours"),
            link(libc::RTM_DELLINK, 0, 9, "ours"),
            link(libc::RTM_NEWLINK, 0, 12, "ours"),
        ];
        assert!(filter.matches(&burst.concat()));
        assert_eq!(filter.index, Some(12), "all messages of a datagram are read, even if the first matches");
    }

    #[test]
    fn a_table_matches_by_family_and_name() {
        let filter = TableFilter::new("ours");
        let rule = |family: u8, table: &str| {
            message(
                DELETE_RULE,
                &[family, 0, 0, 0],
                &[(TABLE_NAME, format!("{table}\0").as_bytes()), (2, b"chain\0")],
            )
        };
        assert!(filter.matches(&rule(FAMILY_INET, "ours")));
        assert!(!filter.matches(&rule(FAMILY_INET, "ours2")));
        assert!(!filter.matches(&rule(2, "ours")), "the table of this name in family ip is not ours");
        let generation = message(NEW_GENERATION, &[FAMILY_INET, 0, 0, 0], &[(1, &[0, 0, 0, 9])]);
        assert!(!filter.matches(&generation));
        let foreign = rule(FAMILY_INET, "kube-proxy");
        assert!(!filter.matches(&[foreign.clone(), foreign.clone()].concat()));
        assert!(filter.matches(&[foreign.clone(), foreign, rule(FAMILY_INET, "ours")].concat()));
        assert!(filter.matches(&message(DELETE_RULE, &[FAMILY_INET, 0, 0, 0], &[])), "no table is named");
    }

    #[test]
    fn malformed_messages_match() {
        let (mut links, tables) = (LinkFilter { name: "ours".into(), index: None }, TableFilter::new("ours"));
        let whole = link(libc::RTM_NEWLINK, 0, 8, "other");
        for cut in 1..MESSAGE_HEADER + LINK_HEADER {
            assert!(links.matches(&whole[..cut]), "cut at {cut}");
        }
        assert!(!links.matches(&[]));
        for length in [0_u32, 3, 15, 17, u32::MAX] {
            let mut wrong = whole.clone();
            wrong[..4].copy_from_slice(&length.to_ne_bytes());
            assert!(links.matches(&wrong), "length {length}");
            assert!(tables.matches(&wrong) || length == 17, "length {length}");
        }
    }
}
