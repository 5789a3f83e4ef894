//! Cache hits of the resolver without sockets, in a loop whose instructions can be counted.

use std::net::SocketAddr;
use std::time::Instant;

use resolver::Resolver;
use resolver::action::{Action, Client, ClientResponse, Outbox};
use resolver::policy::ListenerId;
use testkit::fixture;

use crate::directives::Directives;
use crate::output::BenchError;
use crate::queries::TestQuery;

/// Fills the cache with `names` names and answers `hits` queries from it, in batches like a worker.
pub(crate) fn run(names: u16, hits: u32, directives: Directives) -> Result<(), BenchError> {
    let queries = TestQuery::several(names)?;
    let mut resolver = Resolver::new(fixture::resolver_config(directives.policy()?));
    let mut outbox = Outbox::default();
    let now = now();
    for query in &queries {
        if send_query(&mut resolver, now, query, &mut outbox)? {
            return Err(BenchError("the first query of a name was a hit".to_owned()));
        }
    }
    let mut turn = queries.iter().cycle().zip(0..hits).peekable();
    while turn.peek().is_some() {
        for (query, _) in turn.by_ref().take(linux::udp::BATCH_SIZE) {
            resolver.on_query(now, client(), &query.packet, &mut outbox);
        }
        if !outbox.actions.iter().all(|action| matches!(action, Action::Respond(_))) {
            return Err(BenchError("a query was not answered from the cache".to_owned()));
        }
        outbox.clear();
    }
    check(&mut resolver, now, &queries)
}

/// Sends one query, and the upstream's response to a miss; true for a hit.
pub(crate) fn send_query(
    resolver: &mut Resolver,
    now: Instant,
    query: &TestQuery,
    outbox: &mut Outbox,
) -> Result<bool, BenchError> {
    resolver.on_query(now, client(), &query.packet, outbox);
    let hit = match outbox.actions.pop() {
        Some(Action::Respond(_)) => true,
        Some(Action::SendQuery(action)) => {
            let [high, low, ..] = *outbox.octets(action.message) else { return Ok(false) };
            resolver.on_response(now, action.connection, &query.response([high, low]), outbox);
            false
        }
        _ => return Err(BenchError("a query was neither answered nor forwarded".to_owned())),
    };
    outbox.clear();
    Ok(hit)
}

/// Checks the responses, outside of the measured loop.
fn check(resolver: &mut Resolver, now: Instant, queries: &[TestQuery]) -> Result<(), BenchError> {
    let mut outbox = Outbox::default();
    for query in queries {
        resolver.on_query(now, client(), &query.packet, &mut outbox);
        let Some(Action::Respond(ClientResponse { message, .. })) = outbox.actions.pop() else {
            return Err(BenchError("a query was not answered from the cache".to_owned()));
        };
        if !query.is_answered_by(outbox.octets(message)) {
            return Err(BenchError("a response was wrong".to_owned()));
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "benchmarks measure time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

pub(crate) fn client() -> Client {
    let peer = SocketAddr::from(([10, 233, 64, 5], 40_000));
    Client { listener: ListenerId(0), peer, local: None, connection: None }
}
