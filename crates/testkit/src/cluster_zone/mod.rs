//! DNS of a small cluster, as served by CoreDNS's kubernetes plugin: authoritative, TTL 5 s, an SOA
//! in negative responses; and a few external names as targets of ExternalName Services.
//!
//! [`table`] has the Services; this module makes records of them and looks them up.

pub mod table;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};

use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{CNAME, NS, PTR, SOA, SRV};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::upstream::{Script, ScriptStep, ServerOptions, Transport, Upstream, encode, reply_to};
use table::{CLUSTER_DOMAIN, EXTERNAL_NAMES, Pod, Port, SERVICES, Service, ServiceType};

/// TTL of cluster records and of their SOA's minimum, in seconds.
pub const CLUSTER_TTL: u32 = 5;
/// TTL of external records, in seconds.
pub const EXTERNAL_TTL: u32 = 300;
/// Serial of every SOA.
const SERIAL: u32 = 1_653_013_606;
/// Weight divided among the SRV records of one port.
const WEIGHT: u16 = 100;

/// Serves the zone with CoreDNS's connection options on UDP and TCP until dropped; port 0 takes a
/// free one.
///
/// # Errors
/// The address cannot be bound.
pub fn start(addr: SocketAddr) -> io::Result<Upstream> {
    Upstream::start_with(addr, ServerOptions::default(), Zone::new())
}

/// The records by name.
#[derive(Debug)]
pub struct Zone {
    records: BTreeMap<Name, Vec<Record>>, // names compare without case
    /// Zones with their SOA; the root, not authoritative, has the external names.
    zones: Vec<(Name, Record)>,
}

impl Default for Zone {
    fn default() -> Self {
        Self::new()
    }
}

impl Zone {
    /// All records of the [`table`].
    pub fn new() -> Self {
        let cluster = name(CLUSTER_DOMAIN);
        let zones = [cluster.clone(), name("in-addr.arpa."), name("ip6.arpa."), Name::root()];
        let mut zone = Self {
            records: BTreeMap::new(),
            zones: zones.into_iter().map(|apex| (apex.clone(), soa(&apex))).collect(),
        };
        zone.add(&cluster, RData::NS(NS(below("ns.dns", &cluster))));
        for service in SERVICES {
            zone.add_service(service, &cluster);
        }
        for (external, addresses) in EXTERNAL_NAMES {
            for address in *addresses {
                zone.insert(Record::from_rdata(name(external), EXTERNAL_TTL, RData::from(*address)));
            }
        }
        zone
    }

    /// The response to a query with one question.
    pub fn respond(&self, query: &Message) -> Message {
        let mut reply = reply_to(query);
        let Some(question) = query.queries.first() else { return reply };
        if query.metadata.op_code != OpCode::Query {
            reply.metadata.response_code = ResponseCode::NotImp;
            return reply;
        }
        let Some((apex, soa)) = self.zones.iter().find(|(apex, _)| apex.zone_of(&question.name)) else {
            return reply;
        };
        reply.metadata.authoritative = !apex.is_root();
        if question.name == *apex && question.query_type == RecordType::SOA {
            reply.answers.push(soa.clone());
            return reply;
        }
        reply.answers = self.chain(&question.name, question.query_type);
        // The owner has the case of QNAME, to which it is compressed.
        for record in reply.answers.iter_mut().filter(|record| record.name == question.name) {
            record.name = question.name.clone();
        }
        reply.additionals = self.addresses_of_targets(&reply.answers);
        if reply.answers.is_empty() {
            reply.authorities.push(soa.clone());
            if !self.exists(&question.name) {
                reply.metadata.response_code = ResponseCode::NXDomain;
            }
        }
        reply
    }

    /// The records of one name and type, or its CNAME and the target's records.
    fn chain(&self, name: &Name, wanted: RecordType) -> Vec<Record> {
        let of = |owner: &Name, wanted: RecordType| {
            let records = self.records.get(owner).into_iter().flatten();
            records.filter(move |record| record.record_type() == wanted).cloned()
        };
        let mut found: Vec<Record> = of(name, wanted).collect();
        if found.is_empty()
            && let Some(alias) = of(name, RecordType::CNAME).next()
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

    /// Whether the name or a descendant has records (RFC 8020 section 2).
    fn exists(&self, name: &Name) -> bool {
        self.zones.iter().any(|(apex, _)| apex == name)
            || self.records.keys().any(|owner| name.zone_of(owner))
    }

    fn add_service(&mut self, service: &Service, cluster: &Name) {
        let owner = below(&format!("{}.{}.svc", service.name, service.namespace), cluster);
        match service.service_type {
            ServiceType::ClusterIp(address) => {
                self.add_host(&owner, address);
                self.add_ports(&owner, service.ports, std::slice::from_ref(&owner));
            }
            ServiceType::Headless(pods) => {
                let hosts: Vec<Name> = pods.iter().map(|pod| self.add_pod(pod, &owner)).collect();
                self.add_ports(&owner, service.ports, &hosts);
            }
            ServiceType::ExternalName(target) => self.add(&owner, RData::CNAME(CNAME(name(target)))),
        }
    }

    fn add_pod(&mut self, pod: &Pod, service: &Name) -> Name {
        let host = below(pod.name, service);
        self.add(service, RData::from(pod.address));
        self.add_host(&host, pod.address);
        host
    }

    /// The address record of a name and the PTR record of its address.
    fn add_host(&mut self, owner: &Name, address: IpAddr) {
        self.add(owner, RData::from(address));
        self.add(&Name::from(address), RData::PTR(PTR(owner.clone())));
    }

    /// SRV records for each named port under `_port._protocol` (RFC 2782), and for all ports at the
    /// Service.
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
        vec![ScriptStep::Send(encode(&self.respond(query), transport))]
    }
}

fn soa(apex: &Name) -> Record {
    let ttl = if apex.is_root() { EXTERNAL_TTL } else { CLUSTER_TTL };
    let data = SOA::new(below("ns.dns", apex), below("hostmaster", apex), SERIAL, 7200, 1800, 86400, ttl);
    Record::from_rdata(apex.clone(), ttl, RData::SOA(data))
}

/// An absolute name of the table.
#[expect(
    clippy::expect_used,
    reason = "the names are constants, and every start of a zone reads all of them"
)]
fn name(text: &str) -> Name {
    Name::from_ascii(text).expect("names of the table are domain names")
}

/// Labels of the table before a name.
#[expect(
    clippy::expect_used,
    reason = "the names are constants, and every start of a zone reads all of them"
)]
fn below(labels: &str, parent: &Name) -> Name {
    Name::parse(labels, Some(parent)).expect("labels of the table make domain names")
}
