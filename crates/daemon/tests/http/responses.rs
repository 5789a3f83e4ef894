//! Status and body of each endpoint.

use std::time::Duration;

use daemon::http::{Endpoints, Limits};

use super::client::{get, request};
use super::fixture::{bound, first_health_request, local, metric, with_server};

#[tokio::test]
async fn each_address_serves_its_own_endpoints() {
    with_server(Limits::default(), async |mut server, _| {
        let endpoints = Endpoints {
            health: vec![local(1), local(5)],
            ready: vec![local(2), local(5)],
            metrics: vec![local(3), local(5)],
            process_metrics: Some(local(4)),
            ..Endpoints::default()
        };
        server.rebind(&endpoints).unwrap();
        for (number, health, ready, metrics) in [
            (1, 200, 404, 404),
            (2, 404, 200, 404),
            (3, 404, 404, 200),
            (4, 404, 404, 200),
            (5, 200, 200, 200),
        ] {
            let address = bound(&server, local(number));
            let mut statuses = Vec::new();
            for path in ["/health", "/ready", "/metrics", "/", "/health/", "/metrics/x"] {
                statuses.push(get(address, path).await.0);
            }
            assert_eq!(statuses, [health, ready, metrics, 404, 404, 404], "{number}");
        }
    })
    .await;
}

#[tokio::test]
async fn responses_equal_those_of_coredns() {
    with_server(Limits::default(), async |mut server, _| {
        let endpoints = Endpoints {
            health: vec![local(1)],
            metrics: vec![local(1)],
            process_metrics: Some(local(2)),
            ..Endpoints::default()
        };
        server.rebind(&endpoints).unwrap();
        for method in ["GET", "POST", "PUT"] {
            let response =
                request(bound(&server, local(1)), method, "/health?verbose").await.to_ascii_lowercase();
            assert!(response.starts_with("http/1.1 200 ok\r\n"), "{response}");
            assert!(response.contains("\r\ncontent-type: text/plain; charset=utf-8\r\n"), "{response}");
            assert!(response.ends_with("\r\n\r\nok"), "{response}");
        }
        let page = request(bound(&server, local(1)), "GET", "/metrics").await;
        let content_type =
            "\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8; escaping=underscores\r\n";
        assert!(page.to_ascii_lowercase().contains(content_type));
        assert!(page.contains("\ncoredns_panics_total 0\n"));
        assert!(!page.contains("promhttp_"));
        let (_, page) = get(bound(&server, local(2)), "/metrics").await;
        assert!(page.contains("\npromhttp_metric_handler_requests_in_flight 1\n"));
    })
    .await;
}

#[tokio::test]
async fn ready_lists_the_unmet_conditions() {
    with_server(Limits::default(), async |mut server, fixture| {
        let readiness = fixture.readiness;
        let (link, worker) = (readiness.add_condition("link"), readiness.add_condition("worker"));
        server.rebind(&Endpoints { ready: vec![local(1)], ..Endpoints::default() }).unwrap();
        let address = bound(&server, local(1));
        assert_eq!(get(address, "/ready").await, (503, "link\nworker\n".to_owned()));
        link.fulfil();
        assert_eq!(get(address, "/ready").await, (503, "worker\n".to_owned()));
        worker.fulfil();
        assert_eq!(get(address, "/ready").await, (200, "OK".to_owned()));
        link.revoke();
        assert_eq!(get(address, "/ready").await, (503, "link\n".to_owned()));
        readiness.withdraw();
        assert_eq!(get(address, "/ready").await, (503, "shutting down\nlink\n".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn local_health_requests_are_counted_and_timed() {
    let limits = Limits { health_request_period: Duration::from_millis(1), ..Limits::default() };
    with_server(limits, async |mut server, fixture| {
        server
            .rebind(&Endpoints { health: vec!["[::]:0".parse().unwrap()], ..Endpoints::default() })
            .unwrap();
        first_health_request(&fixture).await;
        assert!(metric(&fixture, "coredns_health_request_duration_seconds_sum ") > 0.0);
        assert_eq!(metric(&fixture, "coredns_health_request_failures_total ").to_bits(), 0.0_f64.to_bits());
        server.close().await;
    })
    .await;
}
