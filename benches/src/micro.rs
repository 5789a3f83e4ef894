//! Instructions and allocations of the parts of a hit and a miss, counted by valgrind: the difference
//! between a long and a short loop, so that preparation cancels out.

use clap::ValueEnum;
use resolver::Resolver;
use resolver::action::{Action, Outbox};
use resolver::policy::Block;
use testkit::fixture;
use wire::answer::{ResponseOptions, ResponseTtl};
use wire::name::NameBuffer;
use wire::{Answer, Query, Response};

use crate::instructions::Tool;
use crate::output::{BenchError, print};
use crate::queries::TestQuery;
use crate::resolver_loop::{client, now};
use crate::upstream::ADDRESS;

const SHORT: u32 = 5000;
const LONG: u32 = 15_000;
/// Names of hits.
const NAMES: usize = 50;

/// A part of a hit or a miss.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Operation {
    /// Parses a query
    ParseQuery,
    /// Parses a response of one address
    ParseResponse,
    /// Makes a cacheable answer of a response, with the positions of its TTLs
    MakeAnswer,
    /// Copies an answer into a response with other TTLs
    WriteAnswer,
    /// From a query to the response, from the cache
    Hit,
    /// From a query to the upstream query, and from the upstream's response to the client's
    Miss,
    /// The same of a server block without a cache: the difference is lookup and insertion
    MissUncached,
}

/// Prints a line for each operation.
pub(crate) fn measure() -> Result<(), BenchError> {
    print(&mut std::io::stdout(), &format!("{:<16}{:>14}{:>14}", "", "instructions", "allocations"));
    for operation in Operation::value_variants() {
        let name = operation.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        let count = |tool: Tool, count: u32| tool.count(&["micro-loop", &name, &count.to_string()]);
        let each = |tool: Tool| -> Result<f64, BenchError> {
            let difference = count(tool, LONG)?.saturating_sub(count(tool, SHORT)?);
            Ok(crate::figures::count(difference) / f64::from(LONG - SHORT))
        };
        let (instructions, allocations) = (each(Tool::Instructions)?, each(Tool::Allocations)?);
        print(&mut std::io::stdout(), &format!("{name:<16}{instructions:>14.0}{allocations:>14.2}"));
    }
    Ok(())
}

/// Prepares as many queries whatever the count, and repeats the operation `count` times.
pub(crate) fn run(operation: Operation, count: u32) -> Result<(), BenchError> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let long = usize::try_from(LONG).unwrap_or(usize::MAX);
    let distinct = if matches!(operation, Operation::Miss | Operation::MissUncached) { long } else { NAMES };
    let query = |number| TestQuery::named(&format!("n{number}.micro.example"), ADDRESS, number % 2 == 1);
    let queries = (0..distinct).map(query).collect::<Result<Vec<_>, _>>()?;
    let responses: Vec<Vec<u8>> = queries.iter().map(|query| query.response([0, 0])).collect();
    let turn = queries.iter().zip(&responses).cycle().take(count);
    match operation {
        Operation::Hit => hits(turn, queries.iter().zip(&responses)),
        Operation::Miss => Loop::new(true).misses(turn),
        Operation::MissUncached => Loop::new(false).misses(turn),
        Operation::WriteAnswer => {
            let answers = responses.iter().map(|response| answer(response)).collect::<Result<Vec<_>, _>>()?;
            write_answers(queries.iter().zip(&answers).cycle().take(count))
        }
        Operation::ParseQuery => turn.map(|(query, _)| query).try_for_each(parse_query),
        Operation::ParseResponse => turn.map(|(_, response)| response).try_for_each(|response| {
            std::hint::black_box(Response::parse(response).is_ok());
            Ok(())
        }),
        Operation::MakeAnswer => turn.map(|(_, response)| response).try_for_each(|response| {
            std::hint::black_box(answer(response)?);
            Ok(())
        }),
    }
}

fn parse_query(query: &TestQuery) -> Result<(), BenchError> {
    let mut buffer = NameBuffer::new();
    let parsed = Query::parse(&query.packet, &mut buffer);
    parsed.map(drop).map_err(|_| BenchError("a query is malformed".to_owned()))
}

fn answer(response: &[u8]) -> Result<Answer, BenchError> {
    let parsed = Response::parse(response);
    let parsed = parsed.map_err(|_| BenchError("a response is malformed".to_owned()))?;
    Ok(Answer::from_response(&parsed))
}

fn write_answers<'a>(turn: impl Iterator<Item = (&'a TestQuery, &'a Answer)>) -> Result<(), BenchError> {
    let options = ResponseOptions::new(ResponseTtl::Uniform(29), 1232);
    let mut out = Vec::with_capacity(4096);
    for (query, answer) in turn {
        let mut buffer = NameBuffer::new();
        let parsed = Query::parse(&query.packet, &mut buffer);
        let parsed = parsed.map_err(|_| BenchError("a query is malformed".to_owned()))?;
        out.clear();
        answer.write(&parsed.header, options, &mut out);
        std::hint::black_box(&out);
    }
    Ok(())
}

/// Hits of names that are cached first.
fn hits<'a>(
    turn: impl Iterator<Item = (&'a TestQuery, &'a Vec<u8>)>,
    names: impl Iterator<Item = (&'a TestQuery, &'a Vec<u8>)>,
) -> Result<(), BenchError> {
    let mut state = Loop::new(true);
    state.misses(names)?;
    for (query, _) in turn {
        state.resolver.on_query(state.now, client(), &query.packet, &mut state.outbox);
        if !matches!(*state.outbox.actions, [Action::Respond(_)]) {
            return Err(BenchError("a query was not answered from the cache".to_owned()));
        }
        state.outbox.clear();
    }
    Ok(())
}

/// A resolver and the time, which stands still.
struct Loop {
    resolver: Resolver,
    outbox: Outbox,
    now: std::time::Instant,
    response: Vec<u8>,
}

impl Loop {
    fn new(caches: bool) -> Self {
        let block = fixture::block();
        let block = Block { cache: block.cache.filter(|_| caches), ..block };
        let resolver = Resolver::new(fixture::resolver_config(fixture::policy(block)));
        Self { resolver, outbox: Outbox::default(), now: now(), response: Vec::new() }
    }

    fn misses<'a>(
        &mut self,
        turn: impl Iterator<Item = (&'a TestQuery, &'a Vec<u8>)>,
    ) -> Result<(), BenchError> {
        for (query, response) in turn {
            self.resolver.on_query(self.now, client(), &query.packet, &mut self.outbox);
            let Some(Action::SendQuery(action)) = self.outbox.actions.pop() else {
                return Err(BenchError("a query was not forwarded".to_owned()));
            };
            self.response.clone_from(response);
            let id = self.outbox.octets(action.message).get(..2).unwrap_or_default();
            self.response.splice(..2, id.iter().copied());
            self.outbox.clear();
            self.resolver.on_response(self.now, action.connection, &self.response, &mut self.outbox);
            self.outbox.clear();
        }
        Ok(())
    }
}
