//! Server blocks with and without directives that change or answer queries.

use std::sync::Arc;

use clap::ValueEnum;
use corefile::{Environment, Options};
use daemon::host::OsHost;
use resolver::policy::{Block, BlockId, Listener, Policy, Route, RouteId};
use testkit::fixture;
use wire::name::Name;

use crate::output::BenchError;
use crate::servers::TempDir;

/// They answer no name of a Service, and are asked about each miss.
const TEXT: &str = r#". {
 rewrite name exact old.test new.test
 rewrite name regex (.*)[.]hairpin[.]test {1}.default.svc.cluster.local answer auto
 template IN A wild.test {
  match ^[a-z]+[.]wild[.]test[.]$
  answer "{{ .Name }} 60 IN A 192.0.2.1"
  fallthrough
 }
 hosts {
  192.0.2.1 host.test
  fallthrough
 }
 forward . 192.0.2.1
}
"#;

/// They answer no name of a Service, and are asked about each query.
const IN_FRONT: &str = r#". {
 local
 acl {
  block net 192.0.2.0/24
  filter type MX
 }
 any
 chaos
 forward . 192.0.2.1
}
"#;

/// Where directives are, behind the cache or in front of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Directives {
    None,
    /// None, and another block, for comparison.
    EmptyBlock,
    OtherBlock,
    SameBlock,
    InFrontOfOther,
    InFrontOfSame,
}

impl Directives {
    /// The argument of the command line.
    pub(crate) fn argument(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::EmptyBlock => "empty-block",
            Self::OtherBlock => "other-block",
            Self::SameBlock => "same-block",
            Self::InFrontOfOther => "in-front-of-other",
            Self::InFrontOfSame => "in-front-of-same",
        }
    }

    /// For a row.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::None => "",
            Self::EmptyBlock => ", another block",
            Self::OtherBlock => ", another block with hosts, rewrite and template",
            Self::SameBlock => ", hosts, rewrite and template in their block",
            Self::InFrontOfOther => ", another block with local, acl, any and chaos",
            Self::InFrontOfSame => ", local, acl, any and chaos in their block",
        }
    }

    /// The configuration of `servers`: one listener, the root zone, `cache` and `forward`; with the
    /// directives in that block or another one.
    pub(crate) fn policy(self) -> Result<Arc<Policy>, BenchError> {
        let root = fixture::block();
        match self {
            Self::None => Ok(fixture::policy(root)),
            Self::SameBlock => Ok(fixture::policy(with_directives(TEXT, root)?)),
            Self::InFrontOfSame => Ok(fixture::policy(with_directives(IN_FRONT, root)?)),
            Self::EmptyBlock => two_blocks(root, other_block()),
            Self::OtherBlock => two_blocks(root, with_directives(TEXT, other_block())?),
            Self::InFrontOfOther => two_blocks(root, with_directives(IN_FRONT, other_block())?),
        }
    }
}

fn other_block() -> Block {
    Block { id: BlockId(1), ..fixture::block() }
}

/// One listener with two zones.
fn two_blocks(root: Block, other: Block) -> Result<Arc<Policy>, BenchError> {
    let zone = Name::parse("other.test").map_err(|error| BenchError(format!("{error:?}")))?;
    let routes = vec![route(0, Name::root(), root), route(1, zone, other)];
    let listener = Listener::new(routes, Arc::default(), RouteId(2));
    Ok(Arc::new(Policy { listeners: vec![Some(listener)] }))
}

fn route(id: u16, zone: Name, block: Block) -> Arc<Route> {
    let (block, counters) = (Arc::new(block), Some(Arc::default()));
    Arc::new(Route { id: RouteId(id), zone, block, counters, loop_detector: None })
}

/// Adds the directives of a Corefile's block to a block.
fn with_directives(text: &str, block: Block) -> Result<Block, BenchError> {
    let dir = TempDir::new()?;
    let path = dir.path().join("Corefile");
    std::fs::write(&path, text)?;
    let options = Options {
        local_ips: Vec::new(),
        base_corefile: String::new(),
        corefile: String::new(),
        conf: path.display().to_string(),
        kube_dns_config_map: String::new(),
        upstream_service: String::new(),
        prometheus_listen_address: String::new(),
        dns_port: 53,
        stale_on_outage: true,
    };
    let settings = corefile::load(&options, &Environment::default(), &OsHost::default());
    let mut settings = settings.map_err(|error| BenchError(error.to_string()))?;
    let parsed = settings.blocks.remove(0);
    Ok(Block { rewrites: parsed.rewrites, plugins: parsed.plugins, front: parsed.front, ..block })
}
