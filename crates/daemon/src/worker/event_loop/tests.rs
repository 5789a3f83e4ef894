//! Panics while a query is handled.

use resolver::counters::WorkerCounters;
use resolver::policy::ListenerId;

use super::super::fixture;
use super::*;

const QUERY: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\x04test\0\0\x01\0\x01";

fn client() -> Client {
    let peer = ([127, 0, 0, 1], 5353).into();
    Client { listener: ListenerId(0), peer, local: None, connection: None }
}

/// Requires a [`LocalSet`](tokio::task::LocalSet).
fn event_loop() -> (Rc<EventLoop>, Arc<WorkerCounters>) {
    let context = fixture::context();
    let counters = Arc::clone(&context.resolver.counters);
    (EventLoop::start(context, fixture::config()), counters)
}

#[tokio::test]
async fn a_panicking_query_gets_servfail_is_counted_and_fails_no_other_query() {
    let batch = async {
        let (event_loop, counters) = event_loop();
        let mut resolver = event_loop.resolver.borrow_mut();
        let mut outbox = Outbox::default();
        for panics in [false, true, false] {
            event_loop.handle_query(&mut resolver, (client(), QUERY), &mut outbox, |resolver, outbox| {
                resolver.on_panic(client(), QUERY, outbox);
                assert!(!panics, "as the test wants");
            });
        }
        assert_eq!(counters.panics.get(), 1);
        let responses = outbox.actions.iter().map(|action| match action {
            Action::Respond(response) => outbox.octets(response.message),
            _ => &[],
        });
        let mut servfail = QUERY.to_vec();
        servfail.splice(2..4, [0x81, 0x82]);
        assert_eq!(responses.collect::<Vec<_>>(), [servfail.as_slice(); 3]);
    };
    tokio::task::LocalSet::new().run_until(batch).await;
}

#[tokio::test]
async fn the_third_panicking_query_within_a_minute_ends_the_worker() {
    let failed = async {
        let (event_loop, counters) = event_loop();
        for _ in 0..3 {
            let (mut resolver, mut outbox) = (event_loop.resolver.borrow_mut(), Outbox::default());
            event_loop.handle_query(&mut resolver, (client(), QUERY), &mut outbox, |_, _| {
                assert!(std::hint::black_box(false), "as the test wants");
            });
            assert_eq!(outbox.actions.len(), 1, "a response");
        }
        assert_eq!(counters.panics.get(), 3);
        event_loop.tasks.failed().await
    };
    let failure = tokio::task::LocalSet::new().run_until(failed).await;
    assert_eq!(failure, super::super::tasks::WorkerFailure::RepeatedPanics);
}
