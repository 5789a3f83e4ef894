//! A small cluster's DNS, answered as CoreDNS's kubernetes plugin answers: authoritative, five seconds to live,
//! an SOA where there is nothing, and a little of the world outside so that ExternalName has somewhere to point.
//!
//! What is in it stands in [`table`]; here the records are made of it and found again.

pub mod table;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};

use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{CNAME, NS, PTR, SOA, SRV};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::upstream::{Script, ScriptStep, ServerOptions, Transport, Upstream, encode, reply_to};
use table::{CLUSTER, Kind, OUTSIDE, Pod, Port, SERVICES, Service};

/// Seconds a record of the cluster lives, and seconds its absence may be remembered.
pub const CLUSTER_TTL: u32 = 5;
/// Seconds a record of the outside lives.
pub const OUTSIDE_TTL: u32 = 300;
/// The serial of every SOA.
const SERIAL: u32 = 1_653_013_606;
/// The share that the SRV records of one port divide among them.
const WEIGHT: u16 = 100;

/// Serves the zone in CoreDNS's manner on UDP and TCP until dropped; port 0 takes a free one.
///
/// # Errors
/// When the address cannot be bound.
pub fn start(addr: SocketAddr) -> io::Result<Upstream> {
    Upstream::start_with(addr, ServerOptions::default(), Zone::new())
}

/// The records by name.
#[derive(Debug)]
pub struct Zone {
    records: BTreeMap<Name, Vec<Record>>, // names compare without case
    /// Authoritative zones, each with its SOA; the root stands for the outside.
    zones: Vec<(Name, Record)>,
}

impl Default for Zone {
    fn default() -> Self {
        Self::new()
    }
}

impl Zone {
    /// All of the [`table`].
    pub fn new() -> Self {
        let cluster = name(CLUSTER);
        let zones = [cluster.clone(), name("in-addr.arpa."), name("ip6.arpa."), Name::root()];
        let mut zone = Self {
            records: BTreeMap::new(),
            zones: zones.into_iter().map(|apex| (apex.clone(), soa(&apex))).collect(),
        };
        zone.add(&cluster, RData::NS(NS(below("ns.dns", &cluster))));
        for service in SERVICES {
            zone.add_service(service, &cluster);
        }
        for (outside, addresses) in OUTSIDE {
            for address in *addresses {
                zone.insert(Record::from_rdata(name(outside), OUTSIDE_TTL, RData::from(*address)));
            }
        }
        zone
    }

    /// The answer to a query with one question.
    pub fn answer(&self, query: &Message) -> Message {
        let mut reply = reply_to(query);
        let Some(asked) = query.queries.first() else { return reply };
        if query.metadata.op_code != OpCode::Query {
            reply.metadata.response_code = ResponseCode::NotImp;
            return reply;
        }
        let Some((apex, soa)) = self.zones.iter().find(|(apex, _)| apex.zone_of(&asked.name)) else {
            return reply;
        };
        reply.metadata.authoritative = !apex.is_root();
        if asked.name == *apex && asked.query_type == RecordType::SOA {
            reply.answers.push(soa.clone());
            return reply;
        }
        reply.answers = self.chain(&asked.name, asked.query_type);
        // A record has the case of the question, as the name it compresses to.
        for record in reply.answers.iter_mut().filter(|record| record.name == asked.name) {
            record.name = asked.name.clone();
        }
        reply.additionals = self.addresses_of_targets(&reply.answers);
        if reply.answers.is_empty() {
            reply.authorities.push(soa.clone());
            if !self.exists(&asked.name) {
                reply.metadata.response_code = ResponseCode::NXDomain;
            }
        }
        reply
    }

    /// The records of one name and type, or its alias and what that leads to.
    fn chain(&self, asked: &Name, wanted: RecordType) -> Vec<Record> {
        let of = |owner: &Name, wanted: RecordType| {
            let records = self.records.get(owner).into_iter().flatten();
            records.filter(move |record| record.record_type() == wanted).cloned()
        };
        let mut found: Vec<Record> = of(asked, wanted).collect();
        if found.is_empty()
            && let Some(alias) = of(asked, RecordType::CNAME).next()
        {
            if let RData::CNAME(target) = &alias.data {
                found = of(&target.0, wanted).collect();
            }
            found.insert(0, alias);
        }
        found
    }

    fn addresses_of_targets(&self, answers: &[Record]) -> Vec<Record> {
        let targets = answers.iter().filter_map(|record| match &record.data {
            RData::SRV(srv) => Some(&srv.target),
            _ => None,
        });
        targets.flat_map(|target| self.chain(target, RecordType::A)).collect()
    }

    /// Whether the name or one below it has records (RFC 8020 section 2).
    fn exists(&self, asked: &Name) -> bool {
        self.zones.iter().any(|(apex, _)| apex == asked)
            || self.records.keys().any(|owner| asked.zone_of(owner))
    }

    fn add_service(&mut self, service: &Service, cluster: &Name) {
        let owner = below(&format!("{}.{}.svc", service.name, service.namespace), cluster);
        match service.kind {
            Kind::ClusterIp(address) => {
                self.add_host(&owner, address);
                self.add_ports(&owner, service.ports, std::slice::from_ref(&owner));
            }
            Kind::Headless(pods) => {
                let hosts: Vec<Name> = pods.iter().map(|pod| self.add_pod(pod, &owner)).collect();
                self.add_ports(&owner, service.ports, &hosts);
            }
            Kind::ExternalName(target) => self.add(&owner, RData::CNAME(CNAME(name(target)))),
        }
    }

    fn add_pod(&mut self, pod: &Pod, service: &Name) -> Name {
        let host = below(pod.name, service);
        self.add(service, RData::from(pod.address));
        self.add_host(&host, pod.address);
        host
    }

    /// The address of a name, and the name of the address.
    fn add_host(&mut self, owner: &Name, address: IpAddr) {
        self.add(owner, RData::from(address));
        self.add(&Name::from(address), RData::PTR(PTR(owner.clone())));
    }

    /// SRV records for each named port under `_port._protocol` (RFC 2782), and for all ports at the Service.
    fn add_ports(&mut self, service: &Name, ports: &[Port], hosts: &[Name]) {
        let weight = u16::try_from(hosts.len()).map_or(1, |count| (WEIGHT / count.max(1)).max(1));
        for port in ports {
            let named = (!port.name.is_empty())
                .then(|| below(&format!("_{}._{}", port.name, port.protocol), service));
            for host in hosts {
                let srv = RData::SRV(SRV::new(0, weight, port.number, host.clone()));
                self.add(service, srv.clone());
                if let Some(named) = &named {
                    self.add(named, srv);
                }
            }
        }
    }

    fn add(&mut self, owner: &Name, data: RData) {
        self.insert(Record::from_rdata(owner.clone(), CLUSTER_TTL, data));
    }

    fn insert(&mut self, record: Record) {
        self.records.entry(record.name.clone()).or_default().push(record);
    }
}

impl Script for Zone {
    fn steps(&self, query: &Message, transport: Transport) -> Vec<ScriptStep> {
        vec![ScriptStep::Send(encode(&self.answer(query), transport))]
    }
}

fn soa(apex: &Name) -> Record {
    let ttl = if apex.is_root() { OUTSIDE_TTL } else { CLUSTER_TTL };
    let data = SOA::new(below("ns.dns", apex), below("hostmaster", apex), SERIAL, 7200, 1800, 86400, ttl);
    Record::from_rdata(apex.clone(), ttl, RData::SOA(data))
}

/// A name of the table, absolute.
#[expect(
    clippy::expect_used,
    reason = "the names are constants, and every start of a zone reads all of them"
)]
fn name(text: &str) -> Name {
    Name::from_ascii(text).expect("a name of the table is a domain name")
}

/// Labels of the table in front of a name.
#[expect(
    clippy::expect_used,
    reason = "the names are constants, and every start of a zone reads all of them"
)]
fn below(labels: &str, parent: &Name) -> Name {
    Name::parse(labels, Some(parent)).expect("labels of the table make a domain name")
}
