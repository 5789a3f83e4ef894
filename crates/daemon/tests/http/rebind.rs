//! Binding, rebinding and closing of addresses.

use std::net::SocketAddr;
use std::sync::Arc;

use daemon::http::{Endpoints, HttpServer, Limits};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::client::{get, is_healthy, read_to_end};
use super::fixture::{TIMEOUT, bound, handler_state, local, with_server};

#[tokio::test]
async fn a_reload_keeps_unchanged_listeners_and_closes_removed_ones() {
    with_server(Limits::default(), async |mut server, _| {
        let first = Endpoints {
            health: vec![local(1)],
            ready: vec![local(2)],
            metrics: vec![local(1)],
            ..Endpoints::default()
        };
        server.rebind(&first).unwrap();
        let (kept, gone) = (bound(&server, local(1)), bound(&server, local(2)));
        let mut open = TcpStream::connect(kept).await.unwrap();
        let mut closed = TcpStream::connect(gone).await.unwrap();
        assert!(is_healthy(&mut open).await);
        assert_eq!(get(gone, "/ready").await.0, 200);

        let second = Endpoints { health: vec![local(1)], metrics: vec![local(3)], ..Endpoints::default() };
        server.rebind(&second).unwrap();
        assert!(is_healthy(&mut open).await);
        assert_eq!(bound(&server, local(1)), kept);
        assert_eq!(get(kept, "/metrics").await.0, 404);
        assert_eq!(get(bound(&server, local(3)), "/metrics").await.0, 200);
        assert_eq!(read_to_end(&mut closed).await, "");
        assert!(TcpStream::connect(gone).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn a_health_port_in_use_is_an_error_and_changes_nothing() {
    with_server(Limits::default(), async |mut server, _| {
        let occupied = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let occupied = (occupied.local_addr().unwrap(), occupied);
        let before = Endpoints { health: vec![local(1)], ..Endpoints::default() };
        server.rebind(&before).unwrap();

        for wrong in [
            Endpoints { health: vec![local(2), occupied.0], ..Endpoints::default() },
            Endpoints { metrics: vec![local(2)], ready: vec![occupied.0], ..Endpoints::default() },
        ] {
            let error = server.rebind(&wrong).unwrap_err();
            assert_eq!(error.address, occupied.0);
            assert_eq!(error.to_string(), format!("listen tcp {}: bind: address already in use", occupied.0));
            assert_eq!(server.addresses().map(|(configured, _)| configured).collect::<Vec<_>>(), [local(1)]);
        }
        assert_eq!(get(bound(&server, local(1)), "/health").await.0, 200);
    })
    .await;
}

#[tokio::test]
async fn prepared_endpoints_that_are_not_committed_change_nothing() {
    with_server(Limits::default(), async |mut server, _| {
        let (before, after) = ([local(1), local(2)], [local(2), local(3)]);
        server.rebind(&Endpoints { health: before.to_vec(), ..Endpoints::default() }).unwrap();
        let prepared = server.prepare(&Endpoints { ready: after.to_vec(), ..Endpoints::default() }).unwrap();
        for configured in before {
            assert_eq!(get(bound(&server, configured), "/health").await.0, 200);
        }
        drop(prepared);
        assert_eq!(server.addresses().map(|(configured, _)| configured).collect::<Vec<_>>(), before);
        assert_eq!(get(bound(&server, local(2)), "/ready").await.0, 404);
    })
    .await;
}

#[tokio::test]
async fn a_metrics_port_in_use_is_retried() {
    with_server(Limits::default(), async |mut server, _| {
        let occupied = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = occupied.local_addr().unwrap();
        let endpoints = Endpoints { health: vec![local(1)], metrics: vec![address], ..Endpoints::default() };
        server.rebind(&endpoints).unwrap();
        assert_eq!(server.addresses().map(|(configured, _)| configured).collect::<Vec<_>>(), [local(1)]);
        assert!(server.is_incomplete());
        drop(occupied);
        server.rebind(&endpoints).unwrap();
        assert!(!server.is_incomplete());
        assert_eq!(get(address, "/metrics").await.0, 200);
    })
    .await;
}

#[tokio::test]
async fn predecessor_and_successor_share_an_address() {
    with_server(Limits::default(), async |mut server, _| {
        server.rebind(&Endpoints { health: vec![local(1)], ..Endpoints::default() }).unwrap();
        let address = bound(&server, local(1));
        let mut successor = HttpServer::new(handler_state(&Arc::default()), Limits::default());
        successor.rebind(&Endpoints { health: vec![address], ..Endpoints::default() }).unwrap();
        server.close().await;
        assert_eq!(get(address, "/health").await.0, 200);
    })
    .await;
}

#[tokio::test]
async fn an_unspecified_address_is_bound_for_both_families() {
    with_server(Limits::default(), async |mut server, _| {
        for configured in ["[::]:0", "0.0.0.0:0"] {
            let configured: SocketAddr = configured.parse().unwrap();
            server.rebind(&Endpoints { health: vec![configured], ..Endpoints::default() }).unwrap();
            let port = bound(&server, configured).port();
            assert_eq!(get(SocketAddr::from(([127, 0, 0, 1], port)), "/health").await.0, 200);
            if std::net::TcpListener::bind("[::1]:0").is_ok() {
                let by_ipv6 = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port));
                assert_eq!(get(by_ipv6, "/health").await.0, 200);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn an_address_missing_on_the_node_is_bound_only_if_it_is_a_local_ip() {
    with_server(Limits::default(), async |mut server, _| {
        let absent: SocketAddr = "203.0.113.77:0".parse().unwrap();
        let endpoints = Endpoints { health: vec![absent], ..Endpoints::default() };
        let error = server.rebind(&endpoints).unwrap_err();
        assert_eq!(error.to_string(), format!("listen tcp {absent}: bind: cannot assign requested address"));
        server.rebind(&Endpoints { local_ips: vec![absent.ip()], ..endpoints }).unwrap();
        assert_eq!(bound(&server, absent).ip(), absent.ip());
    })
    .await;
}

#[tokio::test]
async fn closing_ends_connections_and_releases_the_address() {
    with_server(Limits::default(), async |mut server, _| {
        server.rebind(&Endpoints { health: vec![local(1)], ..Endpoints::default() }).unwrap();
        let address = bound(&server, local(1));
        let mut idle = TcpStream::connect(address).await.unwrap();
        assert!(is_healthy(&mut idle).await);
        timeout(TIMEOUT, server.close()).await.unwrap();
        assert_eq!(read_to_end(&mut idle).await, "");
        assert!(TcpStream::connect(address).await.is_err());
        std::net::TcpListener::bind(address).unwrap();
    })
    .await;
}
