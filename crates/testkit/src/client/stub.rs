//! Stub resolver of a pod: `resolv.conf` with its search list, as in glibc (`res_nsearch`).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use resolver::action::Transport;

use super::error::ClientError;
use super::exchange::Client;
use super::query::QueryOptions;
use super::response::Response;

/// Maximum number of name servers in glibc (`MAXNS`).
const MAX_SERVERS: usize = 3;
/// Maximum `ndots` in glibc (`RES_MAXNDOTS`).
const MAX_NDOTS: usize = 15;

/// The settings of a `resolv.conf`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stub {
    /// Name servers, tried in order; at most three.
    pub servers: Vec<SocketAddr>,
    /// Search domains, in order.
    pub search: Vec<String>,
    /// A name with fewer dots is tried with the search domains first.
    pub ndots: usize,
    /// Timeout of one attempt at one server.
    pub timeout: Duration,
    /// Attempts per server.
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

/// An invalid line of `resolv.conf`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvConfError {
    /// Line number, from 1.
    pub line: usize,
    /// The line.
    pub text: String,
}

impl fmt::Display for ResolvConfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "resolv.conf:{}: invalid line {:?}", self.line, self.text)
    }
}

impl std::error::Error for ResolvConfError {}

/// One candidate of a lookup.
#[derive(Debug)]
pub struct CandidateResult {
    /// The absolute name, with the trailing dot.
    pub name: String,
    /// The response, or why there is none.
    pub result: Result<Response, ClientError>,
}

/// Result of a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupResult {
    /// The last candidate has records of the type.
    Found,
    /// A candidate exists; none has records of the type.
    NoData,
    /// No candidate exists.
    NxDomain,
    /// No server gave a usable response for a candidate.
    Failed,
}

impl Stub {
    /// The kubelet's `resolv.conf` for pods of a namespace, with kubespray's node-local cache.
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

    /// Parses a `resolv.conf`; servers get port 53.
    ///
    /// # Errors
    /// A server that is not an address, or an option with an invalid number. Unknown lines and
    /// options are ignored.
    pub fn parse(text: &str) -> Result<Self, ResolvConfError> {
        let mut stub = Self::default();
        for (index, line) in text.lines().enumerate() {
            let mut words = line.split_whitespace();
            let parsed = match words.next() {
                Some("nameserver") => words.next().and_then(|word| stub.add_server(word)),
                Some("search" | "domain") => {
                    stub.search = words.map(str::to_owned).collect();
                    Some(())
                }
                Some("options") => words.try_for_each(|word| stub.set_option(word)),
                _ => Some(()),
            };
            parsed.ok_or_else(|| ResolvConfError { line: index + 1, text: line.to_owned() })?;
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

    /// The absolute names tried for `name`, in order.
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
        let as_is = format!("{name}.");
        let dots = name.matches('.').count();
        if dots >= self.ndots {
            candidates.insert(0, as_is);
        } else {
            candidates.push(as_is);
        }
        candidates
    }

    /// Looks a name up; returns the candidates tried.
    pub fn look_up(&self, name: &str, record_type: RecordType) -> (LookupResult, Vec<CandidateResult>) {
        let mut candidates = Vec::new();
        let result = self.search(name, record_type, |candidate| candidates.push(candidate));
        (result, candidates)
    }

    /// Looks a name up and calls `each` after every candidate. NXDOMAIN, NODATA and SERVFAIL lead
    /// to the next candidate; no response ends the search.
    pub fn search(
        &self,
        name: &str,
        record_type: RecordType,
        mut each: impl FnMut(CandidateResult),
    ) -> LookupResult {
        let (mut no_data, mut failed) = (false, false);
        for candidate in self.candidates(name) {
            let result = self.query(&candidate, record_type);
            let code = result.as_ref().ok().map(|reply| reply.message.metadata.response_code);
            let found = result.as_ref().is_ok_and(|reply| has(reply, record_type));
            each(CandidateResult { name: candidate, result });
            match code {
                Some(ResponseCode::NoError) if found => return LookupResult::Found,
                Some(ResponseCode::NoError) => no_data = true,
                Some(ResponseCode::NXDomain) => {}
                Some(ResponseCode::ServFail) => failed = true,
                _ => return LookupResult::Failed,
            }
        }
        match (no_data, failed) {
            (true, _) => LookupResult::NoData,
            (false, true) => LookupResult::Failed,
            (false, false) => LookupResult::NxDomain,
        }
    }

    /// Queries one absolute name: each server in turn, up to `attempts` times, over TCP after TC.
    ///
    /// # Errors
    /// The error of the last attempt; [`ClientError::Timeout`] without servers.
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
    /// Servers, search list and `ndots` in the syntax of `resolv.conf`.
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
