//! Upstreams over TLS (RFC 7858): asked when they prove who they are, and not otherwise.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use testkit::ResponseCode;
use testkit::upstream::{TlsProxy, Transport, Upstream};

use crate::fixture::{DNS, DaemonCommand, DaemonProcess, READY, loopback, upstream};
use crate::responses::{code, data, extended_error, with_edns};

const NAME: &str = "dns.test";
/// RFC 8914: Network Error.
const NETWORK_ERROR: u16 = 23;

/// An authority that nobody else knows, and the files in which it is told.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

impl Authority {
    /// `name` keeps the files of tests apart.
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    /// Writes a certificate for `name` and its key, and says where.
    fn certify(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let written = |kind: &str, text: String| {
            let path = self.folder.join(format!("{name}.{kind}.pem"));
            fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        (written("certificate", certificate.pem()), written("key", key.serialize_pem()))
    }

    /// The file with its own certificate.
    fn file(&self) -> String {
        self.folder.join("ca.pem").to_str().unwrap().to_owned()
    }

    /// A server that proves to be `name`, in front of `upstream`; with `clients` it wants proof itself.
    fn veil(&self, upstream: &Upstream, name: &str, clients: Option<&Self>) -> TlsProxy {
        let (certificate, key) = self.certify(name);
        let chain = rustls::pki_types::CertificateDer::pem_file_iter(certificate).unwrap();
        let chain = chain.collect::<Result<_, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_file(key).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let config = config.with_safe_default_protocol_versions().unwrap();
        let config = match clients {
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.issuer.der().clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                config.with_client_cert_verifier(verifier.build().unwrap())
            }
            None => config.with_no_client_auth(),
        };
        let config = Arc::new(config.with_single_cert(chain, key).unwrap());
        TlsProxy::start(loopback(), upstream.addr(), config).unwrap()
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.folder));
    }
}

fn corefile(to: &str, options: &str) -> String {
    format!(
        ".:{DNS} {{\n bind @\n errors\n forward . {to} {{\n {options}\n }}\n prometheus @:9253\n ready @:{READY}\n }}"
    )
}

/// The client hears of a failure in time, and the operator why.
fn is_refused(daemon: &DaemonProcess, upstream: &Upstream, why: &str) {
    let answer = daemon.query_with("ok-1.example.", &with_edns());
    assert_eq!(code(&answer), ResponseCode::ServFail);
    assert_eq!(extended_error(&answer), Some(NETWORK_ERROR));
    assert!(answer.elapsed < Duration::from_secs(1), "{:?}", answer.elapsed);
    assert_eq!(upstream.queries().len(), 0, "nothing was told to an upstream that was not believed");
    let line = daemon.wait_for_log("plugin/forward: tls://");
    assert!(line.starts_with("[WARNING]") && line.contains(why), "{line}");
    assert!(daemon.wait_for_log("plugin/errors").ends_with("tls: handshake failure"));
}

#[test]
fn an_upstream_that_proves_its_name_is_asked_through_tls() {
    let (upstream, authority) = (upstream(), Authority::new("proves"));
    let veil = authority.veil(&upstream, NAME, None);
    let by_option = (format!("tls://{}", veil.addr()), format!("tls_servername {NAME}\n"));
    let by_word = (format!("tls://127.0.0.1%{NAME}:{}", veil.addr().port()), "prefer_udp\n".to_owned());
    for (round, (to, options)) in [by_option, by_word].into_iter().enumerate() {
        let daemon = DaemonProcess::start(&corefile(&to, &format!("{options} tls {}", authority.file())));
        for number in 0..5 {
            assert_eq!(data(&daemon.query(&format!("ok-{number}.example."))), ["192.0.2.1"]);
        }
        assert_eq!(data(&daemon.query("big-400-1.example.")).len().min(1), 1, "more than one record of TLS");
        let to = format!("to=\"{}\"", veil.addr());
        let opened = format!("coredns_proxy_conn_cache_misses_total{{proto=\"tcp-tls\",{to}}}");
        let used = format!("coredns_proxy_conn_cache_hits_total{{proto=\"tcp-tls\",{to}}}");
        assert_eq!((daemon.metric(&opened), daemon.metric(&used)), (1, 5));
        assert_eq!(upstream.connections().accepted, round as u64 + 1);
        assert_eq!(daemon.warnings(), Vec::<String>::new());
    }
    assert!(upstream.queries().iter().all(|question| question.transport == Transport::Tcp));
}

#[test]
fn an_upstream_without_a_name_proves_its_address() {
    let (upstream, authority) = (upstream(), Authority::new("address"));
    let veil = authority.veil(&upstream, "127.0.0.1", None);
    let to = format!("tls://{}", veil.addr());
    let daemon = DaemonProcess::start(&corefile(&to, &format!("tls {}", authority.file())));
    assert_eq!(data(&daemon.query("ok-1.example.")), ["192.0.2.1"]);
}

#[test]
fn an_upstream_of_another_authority_is_told_nothing() {
    let (upstream, authority, other) = (upstream(), Authority::new("wrong-ca"), Authority::new("other-ca"));
    let veil = authority.veil(&upstream, NAME, None);
    let to = format!("tls://{}", veil.addr());
    let daemon =
        DaemonProcess::start(&corefile(&to, &format!("tls {}\n tls_servername {NAME}", other.file())));
    is_refused(&daemon, &upstream, "invalid peer certificate");
}

#[test]
fn an_upstream_of_another_name_is_told_nothing() {
    let (upstream, authority) = (upstream(), Authority::new("wrong-name"));
    let veil = authority.veil(&upstream, NAME, None);
    let to = format!("tls://{}", veil.addr());
    let daemon = DaemonProcess::start(&corefile(
        &to,
        &format!("tls {}\n tls_servername other.test", authority.file()),
    ));
    is_refused(&daemon, &upstream, "not valid for name");
}

#[test]
fn an_upstream_that_wants_to_know_who_asks_is_told() {
    let (upstream, authority) = (upstream(), Authority::new("client"));
    let clients = Authority::new("clients");
    let veil = authority.veil(&upstream, NAME, Some(&clients));
    let to = format!("tls://{}", veil.addr());
    let (certificate, key) = clients.certify("node.test");
    let options = format!("tls {certificate} {key} {}\n tls_servername {NAME}", authority.file());
    let daemon = DaemonProcess::start(&corefile(&to, &options));
    assert_eq!(data(&daemon.query("ok-1.example.")), ["192.0.2.1"]);
    let stranger =
        DaemonProcess::start(&corefile(&to, &format!("tls {}\n tls_servername {NAME}", authority.file())));
    assert_eq!(code(&stranger.query("ok-2.example.")), ResponseCode::ServFail);
    assert_eq!(upstream.query_count("ok-2.example."), 0);
}

#[test]
fn an_upstream_that_speaks_no_tls_costs_no_more_than_a_stub_waits() {
    let (upstream, authority) = (upstream(), Authority::new("plain"));
    let to = format!("tls://{}", upstream.addr());
    let daemon = DaemonProcess::start(&corefile(&to, &format!("tls {}", authority.file())));
    let answer = daemon.query_with("ok-1.example.", &with_edns());
    assert_eq!(code(&answer), ResponseCode::ServFail);
    assert!(answer.elapsed < Duration::from_secs(5), "{:?}", answer.elapsed);
    assert_eq!(upstream.queries().len(), 0);
}

#[test]
fn certificates_that_are_none_are_refused_at_the_start() {
    let authority = Authority::new("bad");
    let bad = authority.folder.join("bad.pem");
    fs::write(&bad, "no certificate").unwrap();
    let daemon = DaemonCommand::new(&corefile("tls://192.0.2.1", &format!("tls {}", bad.display()))).spawn();
    let end = daemon.wait_for_exit();
    assert_eq!(end.code, Some(1));
    let said = [end.stdout, end.stderr].concat();
    let told = said
        .iter()
        .any(|line| line.contains("Corefile:5") && line.contains("contains no certificate in PEM"));
    assert!(told, "{said:?}");
}
