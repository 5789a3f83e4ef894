//! DNS over TLS to upstreams (RFC 7858): certificates, names, client certificates.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use testkit::ResponseCode;
use testkit::upstream::{TlsProxy, Transport, Upstream};

use crate::fixture::{DNS, DaemonCommand, DaemonProcess, READY, loopback, upstream};
use crate::namespace::skip;
use crate::responses::{code, data, extended_error, with_edns};

const NAME: &str = "dns.test";
/// The name of an expired certificate.
const EXPIRED: &str = "expired.test";
/// RFC 8914: Network Error.
const NETWORK_ERROR: u16 = 23;

/// A certificate authority and the directory of its PEM files.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

impl Authority {
    /// `name` is the directory; tests must not share it.
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    /// Writes a certificate for `name`, expired for [`EXPIRED`], and its key; returns the paths.
    fn certify(&self, name: &str) -> (String, String) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        if name == EXPIRED {
            params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let written = |kind: &str, text: String| {
            let path = self.folder.join(format!("{name}.{kind}.pem"));
            fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        (written("certificate", certificate.pem()), written("key", key.serialize_pem()))
    }

    /// The file with the certificate of the authority.
    fn file(&self) -> String {
        self.folder.join("ca.pem").to_str().unwrap().to_owned()
    }

    /// A TLS server with a certificate for `name` in front of `upstream`; with `clients` it
    /// requires client certificates of that authority.
    fn tls_proxy(&self, upstream: &Upstream, name: &str, clients: Option<&Self>) -> TlsProxy {
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
        // What is left behind is in the target directory.
        fs::remove_dir_all(&self.folder).ok();
    }
}

fn corefile(to: &str, options: &str) -> String {
    format!(
        ".:{DNS} {{\n bind @\n errors\n forward . {to} {{\n {options}\n }}\n prometheus @:9253\n ready @:{READY}\n }}"
    )
}

/// The client gets SERVFAIL, and the log has the reason.
fn assert_rejected(daemon: &DaemonProcess, upstream: &Upstream, why: &str) {
    let response = daemon.query_with("ok-1.example.", &with_edns());
    assert_eq!(code(&response), ResponseCode::ServFail);
    assert_eq!(extended_error(&response), Some(NETWORK_ERROR));
    assert_eq!(upstream.queries().len(), 0, "an upstream without a valid certificate got a query");
    let line = daemon.wait_for_log("plugin/forward: tls://");
    assert!(line.starts_with("[WARNING]") && line.contains(why), "{line}");
    assert!(daemon.wait_for_log("plugin/errors").ends_with("tls: handshake failure"));
}

#[test]
fn an_upstream_with_a_valid_certificate_is_queried_over_tls() {
    let (upstream, authority) = (upstream(), Authority::new("proves"));
    let proxy = authority.tls_proxy(&upstream, NAME, None);
    let by_option = (format!("tls://{}", proxy.addr()), format!("tls_servername {NAME}\n"));
    let by_word = (format!("tls://127.0.0.1%{NAME}:{}", proxy.addr().port()), "prefer_udp\n".to_owned());
    for (to, options) in [by_option, by_word] {
        let daemon = DaemonProcess::start(&corefile(&to, &format!("{options} tls {}", authority.file())));
        for number in 0..5 {
            assert_eq!(data(&daemon.query(&format!("ok-{number}.example."))), ["192.0.2.1"]);
        }
        assert_eq!(data(&daemon.query("big-400-1.example.")).len().min(1), 1, "more than one record of TLS");
        let to = format!("to=\"{}\"", proxy.addr());
        let opened = format!("coredns_proxy_conn_cache_misses_total{{proto=\"tcp-tls\",{to}}}");
        let used = format!("coredns_proxy_conn_cache_hits_total{{proto=\"tcp-tls\",{to}}}");
        let (opened, used) = (daemon.metric(&opened), daemon.metric(&used));
        assert!(opened < 6 && opened + used == 6, "{opened} connections opened, {used} used again");
        assert_eq!(daemon.warnings(), Vec::<String>::new());
    }
    assert!(upstream.queries().iter().all(|query| query.transport == Transport::Tcp));
}

#[test]
fn without_tls_servername_the_certificate_must_have_the_address() {
    let (upstream, authority) = (upstream(), Authority::new("address"));
    let proxy = authority.tls_proxy(&upstream, "127.0.0.1", None);
    let to = format!("tls://{}", proxy.addr());
    let daemon = DaemonProcess::start(&corefile(&to, &format!("tls {}", authority.file())));
    assert_eq!(data(&daemon.query("ok-1.example.")), ["192.0.2.1"]);
}

#[test]
fn an_upstream_with_an_untrusted_certificate_gets_no_query() {
    let (upstream, authority, other) = (upstream(), Authority::new("wrong-ca"), Authority::new("other-ca"));
    let proxy = authority.tls_proxy(&upstream, NAME, None);
    let to = format!("tls://{}", proxy.addr());
    let daemon =
        DaemonProcess::start(&corefile(&to, &format!("tls {}\n tls_servername {NAME}", other.file())));
    assert_rejected(&daemon, &upstream, "the certificate is issued by an unknown CA: name the file");
}

/// The image has no files but the program.
#[test]
fn without_ca_files_of_the_system_public_cas_are_trusted_and_no_others() {
    let mount = ["--user", "--map-root-user", "--mount", "true"];
    let mounts = std::process::Command::new("unshare").args(mount).status();
    if !mounts.is_ok_and(|status| status.success()) {
        return skip("without_ca_files_of_the_system", "not allowed to create a user namespace");
    }
    let (upstream, authority) = (upstream(), Authority::new("private-ca"));
    let proxy = authority.tls_proxy(&upstream, NAME, None);
    let to = format!("tls://{}", proxy.addr());
    let daemon = DaemonCommand::new(&corefile(&to, &format!("tls_servername {NAME}")))
        .without_ca_files()
        .spawn()
        .wait_until_ready();
    assert_rejected(&daemon, &upstream, "the certificate is issued by an unknown CA: name the file");
    let roots = format!("/proc/{}/root/etc/ssl", daemon.id());
    assert_eq!(fs::read_dir(roots).map_or(0, Iterator::count), 0, "it sees no CA file");
}

#[test]
fn an_upstream_with_a_certificate_for_another_name_gets_no_query() {
    let (upstream, authority) = (upstream(), Authority::new("wrong-name"));
    let proxy = authority.tls_proxy(&upstream, NAME, None);
    let to = format!("tls://{}", proxy.addr());
    let daemon = DaemonProcess::start(&corefile(
        &to,
        &format!("tls {}\n tls_servername other.test", authority.file()),
    ));
    assert_rejected(&daemon, &upstream, "the certificate is for dns.test, but other.test is expected");
}

#[test]
fn an_upstream_with_an_expired_certificate_gets_no_query() {
    let (upstream, authority) = (upstream(), Authority::new("expired"));
    let proxy = authority.tls_proxy(&upstream, EXPIRED, None);
    let to = format!("tls://{}", proxy.addr());
    let options = format!("tls {}\n tls_servername {EXPIRED}", authority.file());
    let daemon = DaemonProcess::start(&corefile(&to, &options));
    assert_rejected(&daemon, &upstream, "days ago: renew it, or set the clock of this node");
}

#[test]
fn a_client_certificate_is_presented_on_request() {
    let (upstream, authority) = (upstream(), Authority::new("client"));
    let clients = Authority::new("clients");
    let proxy = authority.tls_proxy(&upstream, NAME, Some(&clients));
    let to = format!("tls://{}", proxy.addr());
    let (certificate, key) = clients.certify("node.test");
    let options = format!("tls {certificate} {key} {}\n tls_servername {NAME}", authority.file());
    let daemon = DaemonProcess::start(&corefile(&to, &options));
    assert_eq!(data(&daemon.query("ok-1.example.")), ["192.0.2.1"]);
    let without_certificate =
        DaemonProcess::start(&corefile(&to, &format!("tls {}\n tls_servername {NAME}", authority.file())));
    assert_eq!(code(&without_certificate.query("ok-2.example.")), ResponseCode::ServFail);
    assert_eq!(upstream.query_count("ok-2.example."), 0);
    // With TLS 1.3 the server rejects it after the handshake.
    let line = without_certificate.wait_for_log("plugin/forward: tls://");
    assert!(line.starts_with("[WARNING]"), "{line}");
    assert!(line.contains("does not accept the client certificate, or requires one"), "{line}");
}

#[test]
fn an_upstream_without_tls_fails() {
    let (upstream, authority) = (upstream(), Authority::new("plain"));
    let to = format!("tls://{}", upstream.addr());
    let daemon = DaemonProcess::start(&corefile(&to, &format!("tls {}", authority.file())));
    let response = daemon.query_with("ok-1.example.", &with_edns());
    assert_eq!(code(&response), ResponseCode::ServFail);
    assert_eq!(upstream.queries().len(), 0);
}

#[test]
fn an_invalid_certificate_file_is_a_startup_error() {
    let authority = Authority::new("bad");
    let bad = authority.folder.join("bad.pem");
    fs::write(&bad, "no certificate").unwrap();
    let daemon = DaemonCommand::new(&corefile("tls://192.0.2.1", &format!("tls {}", bad.display()))).spawn();
    let end = daemon.wait_for_exit();
    assert_eq!(end.code, Some(1));
    let output = [end.stdout, end.stderr].concat();
    let reported = output
        .iter()
        .any(|line| line.contains("Corefile:5") && line.contains("contains no certificate in PEM"));
    assert!(reported, "{output:?}");
}
