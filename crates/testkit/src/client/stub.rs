//! A pod's resolver: `resolv.conf` read and obeyed as glibc does it (`res_nsearch`).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::{Client, ClientError, QueryOptions, Response};
use crate::upstream::Transport;

/// The most name servers that glibc takes (`MAXNS`).
const MAX_SERVERS: usize = 3;
/// The largest `ndots` that glibc takes (`RES_MAXNDOTS`).
const MAX_NDOTS: usize = 15;

/// What `resolv.conf` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stub {
    /// Asked in turn, at most three.
    pub servers: Vec<SocketAddr>,
    /// Domains put behind names, in order.
    pub search: Vec<String>,
    /// A name with fewer dots goes through the search list first.
    pub ndots: usize,
    /// How long one attempt at one server may take.
    pub timeout: Duration,
    /// How often each server is asked.
    pub attempts: usize,
    /// TCP only (`use-vc`).
    pub tcp: bool,
    /// OPT with 1200 octets (`edns0`).
    pub edns: bool,
}

impl Default for Stub {
    /// glibc's defaults, without servers and domains.
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
            tcp: false,
            edns: false,
        }
    }
}

/// A line of `resolv.conf` that cannot be obeyed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadResolvConf {
    /// Its number, from 1.
    pub line: usize,
    /// What it says.
    pub text: String,
}

impl fmt::Display for BadResolvConf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "resolv.conf:{}: cannot obey {:?}", self.line, self.text)
    }
}

impl std::error::Error for BadResolvConf {}

/// A name that was tried on the way.
#[derive(Debug)]
pub struct CandidateResult {
    /// The absolute name, with the last dot.
    pub name: String,
    /// What came of it.
    pub result: Result<Response, ClientError>,
}

/// How a lookup ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The last try has records of the type.
    Found,
    /// Some tried name exists, none has records of the type.
    NoData,
    /// No tried name exists.
    NxDomain,
    /// No server gave a usable answer for some name.
    Failed,
}

impl Stub {
    /// What the kubelet gives the pods of a namespace where kubespray has installed the node cache.
    pub fn pod(namespace: &str) -> Self {
        Self {
            servers: vec![([169, 254, 25, 10], 53).into()],
            search: vec![
                format!("{namespace}.svc.cluster.local"),
                "svc.cluster.local".to_owned(),
                "cluster.local".to_owned(),
            ],
            ndots: 5,
            ..Self::default()
        }
    }

    /// Reads the text of a `resolv.conf`. Servers listen on port 53.
    ///
    /// # Errors
    /// A server that is no address, or an option whose number is none. Unknown lines and options are passed over.
    pub fn parse(text: &str) -> Result<Self, BadResolvConf> {
        let mut stub = Self::default();
        for (index, line) in text.lines().enumerate() {
            let mut words = line.split_whitespace();
            let read = match words.next() {
                Some("nameserver") => words.next().and_then(|word| stub.add_server(word)),
                Some("search" | "domain") => {
                    stub.search = words.map(str::to_owned).collect();
                    Some(())
                }
                Some("options") => words.try_for_each(|word| stub.set_option(word)),
                _ => Some(()),
            };
            read.ok_or_else(|| BadResolvConf { line: index + 1, text: line.to_owned() })?;
        }
        Ok(stub)
    }

    fn add_server(&mut self, word: &str) -> Option<()> {
        let address: IpAddr = word.parse().ok()?;
        if self.servers.len() < MAX_SERVERS {
            self.servers.push((address, 53).into());
        }
        Some(())
    }

    fn set_option(&mut self, word: &str) -> Option<()> {
        match word.split_once(':') {
            Some(("ndots", number)) => self.ndots = number.parse::<usize>().ok()?.min(MAX_NDOTS),
            Some(("timeout", seconds)) => self.timeout = Duration::from_secs(seconds.parse().ok()?),
            Some(("attempts", number)) => self.attempts = number.parse().ok()?,
            _ if word == "use-vc" => self.tcp = true,
            _ if word == "edns0" => self.edns = true,
            _ => {}
        }
        Some(())
    }

    /// The absolute names that are tried for `name`, in order.
    pub fn candidates(&self, name: &str) -> Vec<String> {
        if name.ends_with('.') {
            return vec![name.to_owned()];
        }
        let mut candidates: Vec<String> = self
            .search
            .iter()
            .map(|domain| format!("{name}.{}", domain.trim_end_matches('.')))
            .map(|candidate| format!("{}.", candidate.trim_end_matches('.')))
            .collect();
        let itself = format!("{name}.");
        let dots = name.matches('.').count();
        if dots >= self.ndots {
            candidates.insert(0, itself);
        } else {
            candidates.push(itself);
        }
        candidates
    }

    /// Looks a name up, as far as it takes, and says what was tried.
    pub fn look_up(&self, name: &str, record_type: RecordType) -> (Outcome, Vec<CandidateResult>) {
        let mut tries = Vec::new();
        let outcome = self.search(name, record_type, |tried| tries.push(tried));
        (outcome, tries)
    }

    /// Looks a name up, handing over each try as soon as it is made. NXDOMAIN, NODATA and SERVFAIL lead to the next
    /// candidate; a server that does not answer ends the search.
    pub fn search(
        &self,
        name: &str,
        record_type: RecordType,
        mut each: impl FnMut(CandidateResult),
    ) -> Outcome {
        let (mut no_data, mut failed) = (false, false);
        for candidate in self.candidates(name) {
            let result = self.query(&candidate, record_type);
            let code = result.as_ref().ok().map(|reply| reply.message.metadata.response_code);
            let found = result.as_ref().is_ok_and(|reply| has(reply, record_type));
            each(CandidateResult { name: candidate, result });
            match code {
                Some(ResponseCode::NoError) if found => return Outcome::Found,
                Some(ResponseCode::NoError) => no_data = true,
                Some(ResponseCode::NXDomain) => {}
                Some(ResponseCode::ServFail) => failed = true,
                _ => return Outcome::Failed,
            }
        }
        match (no_data, failed) {
            (true, _) => Outcome::NoData,
            (false, true) => Outcome::Failed,
            (false, false) => Outcome::NxDomain,
        }
    }

    /// Asks for one absolute name: each server in turn, as often as `attempts` says, over TCP after TC.
    ///
    /// # Errors
    /// What the last server's last attempt ended in; [`ClientError::Timeout`] if there is no server.
    pub fn query(&self, name: &str, record_type: RecordType) -> Result<Response, ClientError> {
        let transport = if self.tcp { Transport::Tcp } else { Transport::Udp };
        let edns = self.edns.then_some(1200);
        let options = QueryOptions { transport, edns, ..QueryOptions::default() };
        let mut last = Err(ClientError::Timeout);
        for _ in 0..self.attempts {
            for server in &self.servers {
                let client = Client { server: *server, timeout: self.timeout };
                last = client.query(name, record_type, &options);
                if last.as_ref().is_ok_and(|reply| reply.message.metadata.truncation) {
                    last = client.query(
                        name,
                        record_type,
                        &QueryOptions { transport: Transport::Tcp, ..options },
                    );
                }
                let failed = last.as_ref().map_or(true, |reply| {
                    let code = reply.message.metadata.response_code;
                    matches!(code, ResponseCode::ServFail | ResponseCode::NotImp | ResponseCode::Refused)
                });
                if !failed {
                    return last;
                }
            }
        }
        last
    }
}

impl fmt::Display for Stub {
    /// Servers, search list and `ndots` as `resolv.conf` has them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for server in &self.servers {
            writeln!(f, "nameserver {}", server.ip())?;
        }
        write!(f, "search {}\noptions ndots:{}", self.search.join(" "), self.ndots)
    }
}

fn has(reply: &Response, record_type: RecordType) -> bool {
    reply.message.answers.iter().any(|record| record.record_type() == record_type)
}
