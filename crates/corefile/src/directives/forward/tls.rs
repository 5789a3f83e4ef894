//! `tls [CERT KEY [CA] | CA]` of `forward`: client certificate and trusted CAs.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use sha2::{Digest, Sha512};

use crate::directives::DirectiveContext;
use crate::error::ConfigError;
use crate::host::Host;
use crate::settings::Tls;
use crate::token::Token;
use crate::tree::Line;

/// Bundles of public CA certificates in various distributions; the first that exists is used, as in
/// Go.
const SYSTEM_ROOTS: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Reads the files that the option names. `upstream` is the first upstream that uses TLS; without
/// one the files are validated all the same.
pub(super) fn parse_certificates(
    option: Option<&Line>,
    upstream: Option<&Token>,
    names: Vec<(SocketAddr, ServerName<'static>)>,
    context: &DirectiveContext<'_>,
) -> Result<Option<Tls>, ConfigError> {
    let host = context.host;
    let arguments = option.map_or(&[][..], |option| &option.args);
    let (pair, ca) = match arguments {
        [ca] => (None, Some(ca)),
        [certificate, key, rest @ ..] => (Some((certificate, key)), rest.first()),
        [] => (None, None),
    };
    let mut hash = Sha512::new();
    let roots = match (ca, upstream) {
        (Some(file), _) => roots_from(&PemFile::read(file, host)?, &mut hash)?,
        (None, Some(upstream)) => default_roots(upstream, context, &mut hash)?,
        (None, None) => RootCertStore::empty(),
    };
    let pair = match pair {
        Some((certificate, key)) => Some((PemFile::read(certificate, host)?, PemFile::read(key, host)?)),
        None => None,
    };
    let Some(token) = upstream.or_else(|| arguments.first()) else { return Ok(None) };
    let config = client_config(roots, pair.as_ref(), token, &mut hash)?;
    let identity = hash.finalize().to_vec();
    Ok(upstream.map(|_| Tls { identity, config: Arc::new(config), names }))
}

fn client_config(
    roots: RootCertStore,
    pair: Option<&(PemFile<'_>, PemFile<'_>)>,
    token: &Token,
    hash: &mut Sha512,
) -> Result<ClientConfig, ConfigError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ConfigError::at(token, format!("tls: {error}")))?
        .with_root_certificates(roots);
    let Some((certificate, key)) = pair else { return Ok(builder.with_no_client_auth()) };
    hash.update(&certificate.octets);
    hash.update(&key.octets);
    let private = PrivateKeyDer::from_pem_slice(&key.octets)
        .map_err(|error| key.error(format!("contains no private key in PEM: {error}")))?;
    let (chain, file) = (certificate.certificates()?, certificate);
    builder
        .with_client_auth_cert(chain, private)
        .map_err(|error| file.error(format!("does not match {}: {error}", key.argument.text)))
}

fn roots_from(file: &PemFile<'_>, hash: &mut Sha512) -> Result<RootCertStore, ConfigError> {
    hash.update(&file.octets);
    let mut roots = RootCertStore::empty();
    for certificate in file.certificates()? {
        roots
            .add(certificate)
            .map_err(|error| file.error(format!("contains an invalid certificate: {error}")))?;
    }
    Ok(roots)
}

/// The CAs of the system, or those compiled in if it has no bundle. A bundle without a usable
/// certificate is an error: it may have been meant to restrict the trust.
fn default_roots(
    upstream: &Token,
    context: &DirectiveContext<'_>,
    hash: &mut Sha512,
) -> Result<RootCertStore, ConfigError> {
    let mut unusable = Vec::new();
    let bundles = context.ca_file.map_or_else(|| SYSTEM_ROOTS.map(Path::new).to_vec(), |file| vec![file]);
    for path in bundles {
        let octets = match context.host.read_file(path) {
            Ok(octets) => octets,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => {
                unusable.push(format!("{} ({error})", path.display()));
                continue;
            }
        };
        let mut roots = RootCertStore::empty();
        // A bundle may contain unsupported certificates; the others are used.
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&octets).filter_map(Result::ok));
        if !roots.is_empty() {
            hash.update(&octets);
            return Ok(roots);
        }
        unusable.push(format!("{} (no certificate in PEM)", path.display()));
    }
    if unusable.is_empty() {
        return Ok(compiled_roots(hash));
    }
    let reason = format!(
        "{} needs CA certificates, and none can be read from {}: correct the file, or name another with 'tls CA'",
        upstream.text,
        unusable.join(", ")
    );
    Err(ConfigError::at(upstream, reason).of_combination())
}

/// The public CAs of Mozilla's list: the image has no files but the program.
fn compiled_roots(hash: &mut Sha512) -> RootCertStore {
    for anchor in webpki_roots::TLS_SERVER_ROOTS {
        hash.update(&anchor.subject);
        hash.update(&anchor.subject_public_key_info);
    }
    webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()
}

/// A PEM file that the option names.
struct PemFile<'a> {
    argument: &'a Token,
    octets: Vec<u8>,
}

impl<'a> PemFile<'a> {
    fn read(argument: &'a Token, host: &dyn Host) -> Result<Self, ConfigError> {
        let octets = host.read_file(Path::new(&*argument.text)).map_err(|error| {
            ConfigError::at(argument, format!("cannot read {:?}: {error}", argument.text))
        })?;
        Ok(Self { argument, octets })
    }

    fn error(&self, reason: impl std::fmt::Display) -> ConfigError {
        ConfigError::at(self.argument, format!("{} {reason}", self.argument.text))
    }

    /// The certificates in the file, at least one.
    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
        let read = CertificateDer::pem_slice_iter(&self.octets).collect::<Result<Vec<_>, _>>();
        let certificates = read.map_err(|error| self.error(format!("is not PEM: {error}")))?;
        if certificates.is_empty() {
            return Err(self.error("contains no certificate in PEM"));
        }
        Ok(certificates)
    }
}
