//! TLS errors of upstreams as reasons for the log, with the remedy.

use std::fmt;
use std::io;
use std::time::Duration;

use rustls::pki_types::{ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

const RENEW: &str = "renew it, or set the clock of this node";
const SERVER_NAME: &str = "name it in `tls_servername`";
const NO_TLS: &str = "the server does not speak TLS at this port; DNS over TLS has port 853";
const CLIENT_CERTIFICATE: &str =
    "the server does not accept the client certificate, or requires one: give it in `tls CERT KEY CA`";

/// The TLS handshake did not end before the deadline of the dial.
#[derive(Debug)]
pub(super) struct HandshakeTimeout;

impl fmt::Display for HandshakeTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the TLS handshake was not complete in time; does the server speak TLS at this port?")
    }
}

impl std::error::Error for HandshakeTimeout {}

/// Why dialling a TLS upstream failed, if TLS is the reason.
pub(super) fn reason(error: &io::Error) -> Option<String> {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return Some(format!("the connection was closed during the TLS handshake: {NO_TLS}"));
    }
    let inner = error.get_ref()?;
    if let Some(timeout) = inner.downcast_ref::<HandshakeTimeout>() {
        return Some(timeout.to_string());
    }
    inner.downcast_ref::<Error>().map(of_handshake)
}

fn of_handshake(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => of_certificate(error),
        Error::NoCertificatesPresented => "the server has no certificate".to_owned(),
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::MessageTooLarge
            | InvalidMessage::InvalidEmptyPayload,
        ) => NO_TLS.to_owned(),
        Error::AlertReceived(alert) => of_alert(*alert),
        Error::PeerIncompatible(error) => {
            format!("the server supports no TLS 1.2 or 1.3 with a cipher suite of ours ({error:?})")
        }
        other => format!("the TLS handshake failed: {other}"),
    }
}

fn of_certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer => {
            "the certificate is issued by an unknown CA: name the file with that CA in `tls CA`".to_owned()
        }
        CertificateError::BadSignature => {
            "the certificate is not signed by the CA of this name: has the CA been replaced? name its file in \
             `tls CA`"
                .to_owned()
        }
        CertificateError::ExpiredContext { time, not_after } => {
            format!("the certificate expired {} ago: {RENEW}", between(*not_after, *time))
        }
        CertificateError::Expired => format!("the certificate has expired: {RENEW}"),
        CertificateError::NotValidYetContext { time, not_before } => {
            format!("the certificate is not valid before {} from now: {RENEW}", between(*time, *not_before))
        }
        CertificateError::NotValidYet => format!("the certificate is not valid yet: {RENEW}"),
        CertificateError::NotValidForNameContext { expected, presented } => other_name(expected, presented),
        CertificateError::NotValidForName => {
            format!("the certificate is for another name: {SERVER_NAME}")
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the certificate is not one for a server (extended key usage)".to_owned()
        }
        CertificateError::Revoked => "the certificate has been revoked: renew it".to_owned(),
        other => format!("the certificate is invalid: {other}"),
    }
}

fn other_name(expected: &ServerName<'_>, presented: &[String]) -> String {
    let names: Vec<&str> = presented.iter().map(|name| plain(name)).collect();
    match (names.as_slice(), expected.to_str()) {
        ([], expected) => format!("the certificate is for no name, but {expected} is expected: replace it"),
        (names, expected) => {
            format!("the certificate is for {}, but {expected} is expected: {SERVER_NAME}", names.join(", "))
        }
    }
}

/// A name of a certificate, which rustls gives as `DnsName("dns.test")` or `IpAddress(192.0.2.1)`.
fn plain(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"')
}

fn of_alert(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired
        | AlertDescription::NoCertificate
        | AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied => CLIENT_CERTIFICATE.to_owned(),
        AlertDescription::UnrecognisedName => {
            format!("the server has no certificate for the expected name: {SERVER_NAME}")
        }
        AlertDescription::ProtocolVersion
        | AlertDescription::HandshakeFailure
        | AlertDescription::InsufficientSecurity => {
            format!("the server supports no TLS 1.2 or 1.3 with a cipher suite of ours ({alert:?})")
        }
        other => format!("the server ended the TLS handshake with the alert {other:?}"),
    }
}

/// The time between two moments in its largest unit.
fn between(from: UnixTime, to: UnixTime) -> String {
    const UNITS: [(u64, &str); 3] = [(86_400, "day"), (3600, "hour"), (60, "minute")];
    let seconds = Duration::from_secs(to.as_secs().saturating_sub(from.as_secs())).as_secs();
    let (number, unit) = UNITS
        .iter()
        .find(|(len, _)| seconds >= *len)
        .map_or((seconds, "second"), |(len, unit)| (seconds / len, *unit));
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
    use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

    use super::*;

    fn issuer(name: &str) -> CertifiedIssuer<'static, KeyPair> {
        let mut params = params(&[]);
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    /// The reason that a client which trusts `trusted` and expects dns.test gives for a server whose
    /// certificate has `params` and is issued by `by`.
    fn reason_for(
        params: &CertificateParams,
        by: &CertifiedIssuer<'static, KeyPair>,
        trusted: &CertifiedIssuer<'static, KeyPair>,
    ) -> Option<String> {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, by).unwrap().der().clone();
        let mut roots = RootCertStore::empty();
        roots.add(trusted.der().clone()).unwrap();
        let provider = || Arc::new(rustls::crypto::ring::default_provider());
        let ours = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let ours = ours.unwrap().with_root_certificates(roots).with_no_client_auth();
        let theirs = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let theirs = theirs.unwrap().with_no_client_auth();
        let theirs = theirs.with_single_cert(vec![certificate], key.serialize_der().try_into().unwrap());
        let mut server = ServerConnection::new(Arc::new(theirs.unwrap())).unwrap();
        let name = ServerName::try_from("dns.test").unwrap();
        let mut client = ClientConnection::new(Arc::new(ours), name).unwrap();
        let mut octets = Vec::new();
        client.write_tls(&mut octets).unwrap();
        server.read_tls(&mut octets.as_slice()).unwrap();
        server.process_new_packets().unwrap();
        octets.clear();
        while server.wants_write() {
            server.write_tls(&mut octets).unwrap();
        }
        let mut received = octets.as_slice();
        while !received.is_empty() {
            client.read_tls(&mut received).unwrap();
            if let Err(error) = client.process_new_packets() {
                return reason(&io::Error::new(io::ErrorKind::InvalidData, error));
            }
        }
        None
    }

    fn params(names: &[&str]) -> CertificateParams {
        CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn a_certificate_of_an_unknown_issuer_is_named() {
        let (by, other, replaced) = (issuer("one"), issuer("two"), issuer("one"));
        assert_eq!(reason_for(&params(&["dns.test"]), &by, &by), None);
        let named = reason_for(&params(&["dns.test"]), &by, &other).unwrap();
        assert_eq!(
            named,
            "the certificate is issued by an unknown CA: name the file with that CA in `tls CA`"
        );
        let named = reason_for(&params(&["dns.test"]), &by, &replaced).unwrap();
        assert!(named.contains("has the CA been replaced?"), "{named}");
    }

    #[test]
    fn an_expired_certificate_and_one_not_valid_yet_are_named() {
        let by = issuer("one");
        let mut expired = params(&["dns.test"]);
        expired.not_after = date_time_ymd(2020, 1, 1);
        let named = reason_for(&expired, &by, &by).unwrap();
        assert!(named.starts_with("the certificate expired "), "{named}");
        assert!(named.ends_with(" days ago: renew it, or set the clock of this node"), "{named}");
        let mut early = params(&["dns.test"]);
        early.not_before = date_time_ymd(4000, 1, 1);
        let named = reason_for(&early, &by, &by).unwrap();
        assert!(named.starts_with("the certificate is not valid before "), "{named}");
        assert!(named.ends_with(" days from now: renew it, or set the clock of this node"), "{named}");
    }

    #[test]
    fn both_names_are_given_when_they_differ() {
        let by = issuer("one");
        let of = |names: &[&str]| reason_for(&params(names), &by, &by).unwrap();
        assert_eq!(
            of(&["a.test", "192.0.2.1"]),
            "the certificate is for a.test, 192.0.2.1, but dns.test is expected: name it in `tls_servername`"
        );
        assert_eq!(of(&[]), "the certificate is for no name, but dns.test is expected: replace it");
    }

    #[test]
    fn a_peer_without_tls_is_named() {
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
        let config = Arc::new(config);
        // A DNS response with its length, an HTTP response, an SSH banner.
        for octets in [&b"\0\x0c\0\x07\x81\x80\0\0\0\0\0\0\0\0"[..], b"HTTP/1.1 400 Bad", b"SSH-2.0-OpenSSH"]
        {
            let name = ServerName::try_from("dns.test").unwrap();
            let mut client = ClientConnection::new(Arc::clone(&config), name).unwrap();
            client.read_tls(&mut &*octets).unwrap();
            let error = client.process_new_packets().unwrap_err();
            let named = reason(&io::Error::new(io::ErrorKind::InvalidData, error)).unwrap();
            assert_eq!(named, NO_TLS, "{octets:?}");
        }
        let closed = reason(&io::ErrorKind::UnexpectedEof.into()).unwrap();
        assert!(closed.contains("closed during the TLS handshake"), "{closed}");
    }

    #[test]
    fn a_handshake_timeout_is_named_and_other_dial_errors_are_not() {
        let timeout = io::Error::new(io::ErrorKind::TimedOut, HandshakeTimeout);
        assert!(reason(&timeout).unwrap().starts_with("the TLS handshake was not complete in time"));
        for kind in [io::ErrorKind::TimedOut, io::ErrorKind::ConnectionRefused, io::ErrorKind::InvalidData] {
            assert_eq!(reason(&kind.into()), None, "{kind}");
        }
    }

    #[test]
    fn alerts_are_named_with_their_remedy() {
        let of = |alert| reason(&io::Error::new(io::ErrorKind::InvalidData, Error::AlertReceived(alert)));
        assert_eq!(of(AlertDescription::CertificateRequired).as_deref(), Some(CLIENT_CERTIFICATE));
        assert!(of(AlertDescription::UnrecognisedName).unwrap().ends_with(SERVER_NAME));
        assert!(of(AlertDescription::ProtocolVersion).unwrap().contains("TLS 1.2 or 1.3"));
        assert!(of(AlertDescription::InternalError).unwrap().ends_with("alert InternalError"));
    }
}
