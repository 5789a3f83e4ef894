//! Fail-open rules: while no process serves an address, its DNS packets go to the Service of the
//! cluster's DNS servers.
//!
//! An address is alive while a packet that its server sent to itself (the heartbeat) has passed the
//! output chain within [`HEARTBEAT_TIMEOUT`], and until a packet finds no socket. Packets to an
//! address that is alive are not tracked. Of others the destination is rewritten before conntrack,
//! so that kube-proxy's rules translate them, in a conntrack zone of their own, so that a client may
//! query the Service from the same port, or with a mark. The source of the replies is restored.
//!
//! A TCP connection that was opened to the Service stays there until it is idle for 30 s.

use std::net::IpAddr;
use std::time::Duration;

use netlink_packet_netfilter::nftables::InetHookNumber;

use super::config::{Fallback, FilterConfig, FilteredAddress};
use super::counts::Counted;
use super::guard;
use super::notrack::{COMMENT, OUTPUT, PREROUTING};
use super::ruleset::Ruleset;
use super::tag::Tag;
use crate::nft::{Chain, ChainHook, Element, Family, Key, Rule, Set, SetOperation, Side};

/// An address is dead when its server has sent no heartbeat for so long.
pub const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(1);
/// An address is alive for so long after the rules have been installed, or until a packet finds no
/// socket: another process may serve it.
const INITIAL_TIMEOUT: Duration = Duration::from_secs(10);
/// A TCP connection to the Service is forgotten when it is idle for so long.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum number of TCP connections to the Service, per family; others are reset.
const MAX_CONNECTIONS: u32 = 65_535;
const MAX_ADDRESSES: u32 = 64;

/// NF_IP_PRI_NAT_SRC minus 5: before kube-proxy's masquerading, since the first NAT decision is
/// final.
const BEFORE_SOURCE_NAT: i32 = 95;
/// After conntrack has translated the source of a reply back to the Service.
const AFTER_SOURCE_NAT: i32 = 110;

/// NF_IP_PRI_MANGLE: conntrack knows the connection, and no route or address has been chosen yet.
const AFTER_TRACKING: i32 = -150;

/// UDP first: most queries.
const PROTOCOLS: [libc::c_int; 2] = [libc::IPPROTO_UDP, libc::IPPROTO_TCP];

const MARK_INPUT: &str = "mark_connections";
const MARK_OUTPUT: &str = "mark_local_connections";
const MASQUERADE: &str = "masquerade";
const REPLIES_TO_PODS: &str = "replies_to_pods";
const REPLIES_TO_NODE: &str = "replies_to_node";

/// The sets of one address family.
struct FamilySets {
    alive: Set,
    connections: Set,
}

impl FamilySets {
    fn new(family: Family) -> Self {
        let (alive, connections) = match family {
            Family::V4 => ("alive4", "fallback_tcp4"),
            Family::V6 => ("alive6", "fallback_tcp6"),
        };
        Self {
            alive: Set::of_addresses(alive, family, MAX_ADDRESSES),
            connections: Set::of_connections(connections, family, MAX_CONNECTIONS),
        }
    }
}

/// The rules of one address.
struct AddressRules<'a> {
    address: IpAddr,
    fallback: Fallback,
    tag: Tag,
    sets: &'a FamilySets,
    config: &'a FilterConfig,
    chains: ChainNames,
}

/// The chains of one address.
struct ChainNames {
    /// Packets to the address that come in.
    input: String,
    /// Queries among them.
    query: String,
    /// Packets to the address from this host.
    output: String,
    /// Queries among them.
    local_query: String,
    /// Packets from the address.
    reply: String,
    /// Packets to the fallback.
    fall_back: String,
}

impl ChainNames {
    fn new(index: usize) -> Self {
        let name = |subject| format!("{subject}_{index}");
        Self {
            input: name("input"),
            query: name("query"),
            output: name("output"),
            local_query: name("local_query"),
            reply: name("reply"),
            fall_back: name("fall_back"),
        }
    }
}

/// Adds the sets, chains and rules of addresses with a fallback.
pub(super) fn add_rules(config: &FilterConfig, ruleset: &mut Ruleset) {
    let open: Vec<(IpAddr, Fallback)> = config
        .addresses
        .iter()
        .filter_map(|FilteredAddress { address, fallback }| Some((*address, (*fallback)?)))
        .collect();
    if open.is_empty() {
        return;
    }
    if config.first_zone == 0 {
        ruleset.chains.extend([
            base_chain(MARK_INPUT, "filter", InetHookNumber::PreRouting, AFTER_TRACKING),
            base_chain(MARK_OUTPUT, "filter", InetHookNumber::LocalOut, AFTER_TRACKING),
        ]);
    }
    ruleset.chains.extend([
        base_chain(MASQUERADE, "nat", InetHookNumber::PostRouting, BEFORE_SOURCE_NAT),
        base_chain(REPLIES_TO_PODS, "filter", InetHookNumber::PostRouting, AFTER_SOURCE_NAT),
        base_chain(REPLIES_TO_NODE, "filter", InetHookNumber::LocalIn, AFTER_SOURCE_NAT),
    ]);
    for family in [Family::V4, Family::V6] {
        let sets = FamilySets::new(family);
        let addresses = open.iter().enumerate().filter(|(_, (address, _))| Family::of(*address) == family);
        for (index, (address, fallback)) in addresses {
            let Some(tag) = Tag::of(config, index) else { continue };
            let rules = AddressRules {
                address: *address,
                fallback: *fallback,
                tag,
                sets: &sets,
                config,
                chains: ChainNames::new(index),
            };
            let alive = Element::Address(*address, INITIAL_TIMEOUT);
            ruleset.elements.push((sets.alive.clone(), alive));
            rules.add_to(ruleset);
        }
        if open.iter().any(|(address, _)| Family::of(*address) == family) {
            ruleset.sets.extend([sets.alive, sets.connections]);
        }
    }
}

fn base_chain(name: &str, chain_type: &'static str, hook: InetHookNumber, priority: i32) -> Chain {
    Chain { name: name.to_owned(), hook: Some(ChainHook { chain_type, hook, priority }), rules: Vec::new() }
}

impl AddressRules<'_> {
    fn add_to(&self, ruleset: &mut Ruleset) {
        let ChainNames { input, query, output, local_query, reply, fall_back } = &self.chains;
        for (name, rules) in [
            (fall_back, self.fall_back_rules()),
            (query, self.query_rules()),
            (local_query, self.local_query_rules()),
            (input, self.input_rules()),
            (output, self.output_rules()),
            (reply, self.reply_rules()),
        ] {
            ruleset.chains.push(Chain { name: name.clone(), hook: None, rules });
        }
        // One rule per direction: every packet of the node comes here.
        let of = |side| Rule::new("our address").address(side, self.address);
        ruleset.add(PREROUTING, of(Side::Destination).goto(input));
        ruleset.add(OUTPUT, of(Side::Destination).goto(output));
        ruleset.add(OUTPUT, of(Side::Source).goto(reply));
        match self.fallback {
            Fallback::Service(service) => self.add_translation(service, ruleset),
            // A client on this host has the address as its source, too.
            Fallback::Itself => {
                let rule = Rule::new("clients on this host").address(Side::Source, self.address);
                ruleset.add(MASQUERADE, rule.output_interface_is_not("lo").masquerade());
            }
        }
    }

    fn input_rules(&self) -> Vec<Rule> {
        let guard = guard::rule(self.config, self.fallback);
        guard.into_iter().chain(self.queries().map(|query| query.goto(&self.chains.query))).collect()
    }

    fn output_rules(&self) -> Vec<Rule> {
        let mut rules: Vec<Rule> =
            self.queries().map(|query| query.goto(&self.chains.local_query)).into_iter().collect();
        if let Some(port) = self.config.health_port.filter(|_| self.config.notrack) {
            let request = Rule::new(COMMENT).port(libc::IPPROTO_TCP, Side::Destination, port);
            rules.push(self.is_alive(request).notrack());
        }
        // The source of a client on this host is the address, too.
        rules.push(Rule::new("replies to clients on this host").goto(&self.chains.reply));
        rules
    }

    fn reply_rules(&self) -> Vec<Rule> {
        if !self.config.notrack {
            return Vec::new();
        }
        let from = |protocol, port| Rule::new(COMMENT).port(protocol, Side::Source, port).notrack();
        let dns = PROTOCOLS.map(|protocol| from(protocol, self.config.dns_port));
        let health = self.config.health_port.map(|port| from(libc::IPPROTO_TCP, port));
        dns.into_iter().chain(health).collect()
    }

    /// Matches queries among packets to the address.
    fn queries(&self) -> [Rule; 2] {
        PROTOCOLS.map(|protocol| Rule::new("queries").port(protocol, Side::Destination, self.config.dns_port))
    }

    /// The source of a client on this host is the address itself, which must not leave the host;
    /// the source of replies is the Service.
    fn add_translation(&self, service: IpAddr, ruleset: &mut Ruleset) {
        for chain in [MARK_INPUT, MARK_OUTPUT] {
            if let Some(rule) = self.tag.mark_connection() {
                ruleset.add(chain, rule);
            }
        }
        let local = self.tag.matches(Rule::new("clients on this host"));
        ruleset.add(MASQUERADE, local.address(Side::Source, self.address).masquerade());
        for chain in [REPLIES_TO_PODS, REPLIES_TO_NODE] {
            let reply = self.tag.matches(Rule::new("replies of the fallback")).reply();
            let reply = reply.address(Side::Source, service);
            ruleset.add(chain, reply.set_address(Side::Source, self.address));
        }
    }

    /// Queries from the network, and those from this host that went to an address that was alive.
    fn query_rules(&self) -> Vec<Rule> {
        let from_host = |comment| Rule::new(comment).input_interface("lo");
        vec![
            self.connection_rule(),
            self.untracked(self.is_alive(Rule::new(COMMENT)).has_socket()).accept(),
            Rule::new("no socket: dead at once").element(
                &self.sets.alive,
                Key::Address(Side::Destination),
                SetOperation::Delete,
            ),
            from_host("SYN is sent again after 1 s").tcp_opening().drop(),
            from_host("refused, and sent again").accept(),
            Rule::new("dead").goto(&self.chains.fall_back),
        ]
    }

    fn local_query_rules(&self) -> Vec<Rule> {
        let heartbeat = Rule::new("heartbeat, which has done its work here")
            .port(libc::IPPROTO_UDP, Side::Source, self.config.dns_port)
            .address(Side::Source, self.address);
        let update = SetOperation::Update(HEARTBEAT_TIMEOUT);
        vec![
            heartbeat.element(&self.sets.alive, Key::Address(Side::Source), update).drop(),
            self.connection_rule(),
            self.untracked(self.is_alive(Rule::new(COMMENT))).accept(),
            Rule::new("dead").goto(&self.chains.fall_back),
        ]
    }

    /// A connection to the fallback goes on when the server is back.
    fn connection_rule(&self) -> Rule {
        let connections = &self.sets.connections;
        Rule::new("opened to the fallback")
            .protocol(libc::IPPROTO_TCP)
            .key(connections, Key::Connection, true)
            .element(connections, Key::Connection, SetOperation::Update(CONNECTION_TIMEOUT))
            .goto(&self.chains.fall_back)
    }

    fn fall_back_rules(&self) -> Vec<Rule> {
        let connections = &self.sets.connections;
        let add = SetOperation::Add(CONNECTION_TIMEOUT);
        let counted = |tcp| Counted::Fallback { address: self.address, tcp }.comment();
        let mut rules = vec![
            Rule::new("new connections").tcp_opening().element(connections, Key::Connection, add),
            Rule::new("connections to the server, which has gone")
                .protocol(libc::IPPROTO_TCP)
                .key(connections, Key::Connection, false)
                .reject_with_tcp_reset(),
            Rule::new(counted(false)).protocol(libc::IPPROTO_UDP).counter(),
            Rule::new(counted(true)).tcp_opening().counter(),
        ];
        if let Fallback::Service(service) = self.fallback {
            let readdress = self.tag.set(Rule::new("to the fallback"));
            rules.push(readdress.set_address(Side::Destination, service));
        }
        rules
    }

    fn untracked(&self, rule: Rule) -> Rule {
        if self.config.notrack { rule.notrack() } else { rule }
    }

    /// Packets to the address while it is alive.
    fn is_alive(&self, rule: Rule) -> Rule {
        rule.key(&self.sets.alive, Key::Address(Side::Destination), true)
    }
}
