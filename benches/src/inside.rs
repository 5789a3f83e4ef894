//! Answers from the cache without sockets: what the resolver itself does, in a loop that can be counted.

use std::net::SocketAddr;
use std::time::Instant;

use resolver::Resolver;
use resolver::action::{Action, Client, ClientResponse, Outbox};
use resolver::policy::ListenerId;
use testkit::fixture;

use crate::Failed;
use crate::questions::Question;

/// Fills the cache with `names` names and answers `hits` queries from it, a batch at a time as a worker does.
pub(crate) fn run(names: u16, hits: u32) -> Result<(), Failed> {
    let questions = Question::several(names)?;
    let mut resolver = resolver();
    let mut outbox = Outbox::default();
    let now = now();
    for question in &questions {
        if ask(&mut resolver, now, question, &mut outbox)? {
            return Err(Failed("a miss did not ask the upstream".to_owned()));
        }
    }
    let mut turn = questions.iter().cycle().zip(0..hits).peekable();
    while turn.peek().is_some() {
        for (question, _) in turn.by_ref().take(linux::udp::BATCH_SIZE) {
            resolver.on_query(now, client(), &question.query, &mut outbox);
        }
        if !outbox.actions.iter().all(|action| matches!(action, Action::Respond(_))) {
            return Err(Failed("a hit was no answer".to_owned()));
        }
        outbox.clear();
    }
    check(&mut resolver, now, &questions)
}

/// Asks `question`, and answers what the upstream is asked; true for a hit.
pub(crate) fn ask(
    resolver: &mut Resolver,
    now: Instant,
    question: &Question,
    outbox: &mut Outbox,
) -> Result<bool, Failed> {
    resolver.on_query(now, client(), &question.query, outbox);
    let hit = match outbox.actions.pop() {
        Some(Action::Respond(_)) => true,
        Some(Action::SendQuery(ask)) => {
            let [high, low, ..] = *outbox.octets(ask.message) else { return Ok(false) };
            resolver.on_response(now, ask.attempt, &question.response([high, low]), outbox);
            false
        }
        _ => return Err(Failed("a query was neither answered nor asked upstream".to_owned())),
    };
    outbox.clear();
    Ok(hit)
}

/// True answers, outside of what is counted...
fn check(resolver: &mut Resolver, now: Instant, questions: &[Question]) -> Result<(), Failed> {
    let mut outbox = Outbox::default();
    for question in questions {
        resolver.on_query(now, client(), &question.query, &mut outbox);
        let Some(Action::Respond(ClientResponse { message, .. })) = outbox.actions.pop() else {
            return Err(Failed("a hit was no answer".to_owned()));
        };
        if !question.is_answered_by(outbox.octets(message)) {
            return Err(Failed("a hit was a wrong answer".to_owned()));
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a bench has a clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

fn client() -> Client {
    let peer = SocketAddr::from(([10, 233, 64, 5], 40_000));
    Client { listener: ListenerId(0), peer, local: None, connection: None }
}

/// One that obeys what `servers` writes into a Corefile: one listener, the root, `cache` and `forward`.
fn resolver() -> Resolver {
    Resolver::new(fixture::resolver_config(fixture::policy(fixture::block())))
}
