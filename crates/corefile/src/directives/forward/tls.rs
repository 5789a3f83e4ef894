//! `tls [CERT KEY [CA] | CA]` of `forward`: whom we believe, and who we are.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use sha2::{Digest, Sha512};

use crate::error::ConfigError;
use crate::host::Host;
use crate::lexer::Token;
use crate::settings::Tls;
use crate::tree::Words;

/// Where distributions keep the certificates of public authorities; the first that is there is taken, as Go does.
const SYSTEM_ROOTS: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Reads the files that the option names. `needs` is the first upstream that is reached by TLS; without any, what is
/// written must still be right, and nothing comes of it.
pub(super) fn read(
    option: Option<&Words>,
    needs: Option<&Token>,
    names: Vec<(SocketAddr, ServerName<'static>)>,
    host: &dyn Host,
) -> Result<Option<Tls>, ConfigError> {
    let words = option.map_or(&[][..], |option| &option.args);
    let (pair, authority) = match words {
        [authority] => (None, Some(authority)),
        [certificate, key, rest @ ..] => (Some((certificate, key)), rest.first()),
        [] => (None, None),
    };
    let mut seen = Sha512::new();
    let roots = match (authority, needs) {
        (Some(file), _) => private_roots(&File::read(file, host)?, &mut seen)?,
        (None, Some(entry)) => system_roots(entry, host, &mut seen)?,
        (None, None) => RootCertStore::empty(),
    };
    let pair = match pair {
        Some((certificate, key)) => Some((File::read(certificate, host)?, File::read(key, host)?)),
        None => None,
    };
    let Some(place) = needs.or_else(|| words.first()) else { return Ok(None) };
    let config = config(roots, pair.as_ref(), place, &mut seen)?;
    let identity = seen.finalize().to_vec();
    Ok(needs.map(|_| Tls { identity, config: Arc::new(config), names }))
}

fn config(
    roots: RootCertStore,
    pair: Option<&(File<'_>, File<'_>)>,
    place: &Token,
    seen: &mut Sha512,
) -> Result<ClientConfig, ConfigError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ConfigError::at(place, format!("tls: {error}")))?
        .with_root_certificates(roots);
    let Some((certificate, key)) = pair else { return Ok(builder.with_no_client_auth()) };
    seen.update(&certificate.octets);
    seen.update(&key.octets);
    let private = PrivateKeyDer::from_pem_slice(&key.octets)
        .map_err(|error| key.refused(format!("holds no private key in PEM: {error}")))?;
    let (chain, file) = (certificate.certificates()?, certificate);
    builder
        .with_client_auth_cert(chain, private)
        .map_err(|error| file.refused(format!("does not go with {}: {error}", key.word.text)))
}

fn private_roots(file: &File<'_>, seen: &mut Sha512) -> Result<RootCertStore, ConfigError> {
    seen.update(&file.octets);
    let mut roots = RootCertStore::empty();
    for certificate in file.certificates()? {
        roots.add(certificate).map_err(|error| file.refused(format!("holds a bad certificate: {error}")))?;
    }
    Ok(roots)
}

fn system_roots(entry: &Token, host: &dyn Host, seen: &mut Sha512) -> Result<RootCertStore, ConfigError> {
    for path in SYSTEM_ROOTS {
        let Ok(octets) = host.read_file(Path::new(path)) else { continue };
        let mut roots = RootCertStore::empty();
        // A bundle may hold a certificate that we do not understand; the others count.
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&octets).filter_map(Result::ok));
        if !roots.is_empty() {
            seen.update(&octets);
            return Ok(roots);
        }
    }
    let reason = format!(
        "{} needs to know whom to believe, and there are no certificates of authorities here ({}): name a file with 'tls CA'",
        entry.text,
        SYSTEM_ROOTS.join(", ")
    );
    Err(ConfigError::at(entry, reason))
}

/// A file that the option names.
struct File<'a> {
    word: &'a Token,
    octets: Vec<u8>,
}

impl<'a> File<'a> {
    fn read(word: &'a Token, host: &dyn Host) -> Result<Self, ConfigError> {
        let octets = host
            .read_file(Path::new(&*word.text))
            .map_err(|error| ConfigError::at(word, format!("cannot read {:?}: {error}", word.text)))?;
        Ok(Self { word, octets })
    }

    fn refused(&self, reason: impl std::fmt::Display) -> ConfigError {
        ConfigError::at(self.word, format!("{} {reason}", self.word.text))
    }

    /// At least one.
    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
        let read = CertificateDer::pem_slice_iter(&self.octets).collect::<Result<Vec<_>, _>>();
        let certificates = read.map_err(|error| self.refused(format!("is not PEM: {error}")))?;
        if certificates.is_empty() {
            return Err(self.refused("holds no certificate in PEM"));
        }
        Ok(certificates)
    }
}
