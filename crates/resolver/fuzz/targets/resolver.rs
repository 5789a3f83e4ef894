//! The resolver as a state machine: two workers with one cache, under a generated sequence of queries,
//! responses, failures, timers and reloads in virtual time. What must hold is in `simulation`:
//!
//! * every query that is accepted has exactly one response, by its deadline, with its ID and question, to
//!   its client and within the client's size;
//! * a response has records only of a response that an upstream of its server block sent for the same
//!   question with the same DO and CD, and none beyond its life or, where they may be stale, its window;
//! * queries, responses, hits and misses add up, and what is in flight returns to nothing;
//! * cache, waiting memory, connections and sockets stay within their caps.
#![no_main]

#[path = "../../../testkit/src/clock.rs"]
mod clock;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../../testkit/src/fixture.rs"]
mod fixture;
mod simulation;

use libfuzzer_sys::fuzz_target;
use simulation::{Input, Simulation};

/// Longer sequences find no more, and take longer.
const MAX_EVENTS: usize = 300;

fuzz_target!(|octets: &[u8]| {
    let mut input = Input::new(octets);
    let mut simulation = Simulation::new(&mut input);
    for _ in 0..MAX_EVENTS {
        let Some(event) = input.next() else { break };
        simulation.play(event, &mut input);
    }
    simulation.finish();
});
