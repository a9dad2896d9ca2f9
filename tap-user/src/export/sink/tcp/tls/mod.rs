//! TLS to a collector: whom to trust, what to show, and what to say when it fails.

mod explain;
mod unverified;

pub(super) use explain::explain;

use super::settings::TcpSettings;
use rustls::client::WantsClientCert;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, InconsistentKeys, RootCertStore, WantsVerifier};
use rustls_platform_verifier::BuilderVerifierExt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use unverified::Unverified;

/// What is wrong with the files that TLS needs. All texts name the file.
#[derive(Debug, thiserror::Error)]
pub(in crate::export) enum TlsSetupError {
    /// A file cannot be read.
    #[error("cannot read {key} {path}: {source}", path = path.display())]
    Read {
        /// The setting that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file is not PEM.
    #[error("{key} {path} is not a PEM file: {problem}", path = path.display())]
    NotPem {
        /// The setting that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What the reader says.
        problem: pem::Error,
    },
    /// A file holds no certificate.
    #[error(
        "{key} {path} holds no certificate: it must have a \"-----BEGIN CERTIFICATE-----\"",
        path = path.display()
    )]
    NoCertificate {
        /// The setting that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// The certificate of an authority cannot be used.
    #[error("a certificate in tls_ca {path} cannot be used: {source}", path = path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: rustls::Error,
    },
    /// A file holds no key that can be used.
    #[error(
        "tls_key {path} holds no private key in the clear: write it with \
         `openssl pkey -in {path} -out FILE`",
        path = path.display()
    )]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The key belongs to another certificate.
    #[error(
        "the key in tls_key {key} does not belong to the first certificate in tls_certificate \
         {certificate}",
        key = key.display(), certificate = certificate.display()
    )]
    Mismatch {
        /// The file with the key.
        key: PathBuf,
        /// The file with the certificate.
        certificate: PathBuf,
    },
    /// Certificate and key cannot be used.
    #[error(
        "tls_certificate {certificate} and tls_key {key} cannot be used: {source}",
        key = key.display(), certificate = certificate.display()
    )]
    Identity {
        /// The file with the key.
        key: PathBuf,
        /// The file with the certificate.
        certificate: PathBuf,
        /// Why not.
        source: rustls::Error,
    },
    /// The system's authorities cannot be used.
    #[error("the system's certificate authorities cannot be used ({0}): name them with tls_ca")]
    System(rustls::Error),
    /// A server name that is neither a DNS name nor an address.
    #[error("`{0}` is not a name that a certificate can be for: set tls_sni")]
    Name(String),
    /// The cryptography does not fit together: a defect of gatetap.
    #[error("TLS cannot be set up: {0}")]
    Provider(rustls::Error),
}

/// Reads the files that the settings name. Each connection does, so that renewed certificates
/// are used without a restart.
pub(super) fn client_config(settings: &TcpSettings) -> Result<ClientConfig, TlsSetupError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(TlsSetupError::Provider)?;
    let builder = trust(builder, settings, &provider)?;
    match (&settings.tls_certificate, &settings.tls_key) {
        (Some(certificate), Some(key)) => identify(builder, certificate, key),
        _ => Ok(builder.with_no_client_auth()),
    }
}

fn trust(
    builder: ConfigBuilder<ClientConfig, WantsVerifier>,
    settings: &TcpSettings,
    provider: &Arc<CryptoProvider>,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, TlsSetupError> {
    match &settings.tls_ca {
        _ if !settings.tls_verify => {
            let verifier = Arc::new(Unverified::new(Arc::clone(provider)));
            Ok(builder.dangerous().with_custom_certificate_verifier(verifier))
        }
        Some(path) => Ok(builder.with_root_certificates(authorities(path)?)),
        None => builder.with_platform_verifier().map_err(TlsSetupError::System),
    }
}

fn authorities(path: &Path) -> Result<RootCertStore, TlsSetupError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("tls_ca", path)? {
        roots
            .add(certificate)
            .map_err(|source| TlsSetupError::Authority { path: path.to_owned(), source })?;
    }
    Ok(roots)
}

fn identify(
    builder: ConfigBuilder<ClientConfig, WantsClientCert>,
    certificate: &Path,
    key: &Path,
) -> Result<ClientConfig, TlsSetupError> {
    let chain = certificates("tls_certificate", certificate)?;
    let private = private_key(key)?;
    builder.with_client_auth_cert(chain, private).map_err(|source| {
        let (key, certificate) = (key.to_owned(), certificate.to_owned());
        match source {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                TlsSetupError::Mismatch { key, certificate }
            }
            source => TlsSetupError::Identity { key, certificate, source },
        }
    })
}

fn certificates(
    key: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsSetupError> {
    let text = read(key, path)?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|problem| TlsSetupError::NotPem { key, path: path.to_owned(), problem })?;
    match certificates.is_empty() {
        true => Err(TlsSetupError::NoCertificate { key, path: path.to_owned() }),
        false => Ok(certificates),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsSetupError> {
    let path = path.to_owned();
    match PrivateKeyDer::from_pem_slice(&read("tls_key", &path)?) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) => Err(TlsSetupError::NoKey { path }),
        Err(problem) => Err(TlsSetupError::NotPem { key: "tls_key", path, problem }),
    }
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, TlsSetupError> {
    std::fs::read(path).map_err(|source| TlsSetupError::Read { key, path: path.to_owned(), source })
}
