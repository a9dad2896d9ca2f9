//! TLS of the HTTP client: verified against the machine's certificate authorities, or those of a
//! file, or (only if told so) not at all.

use crate::document::Problem;
use rustls::client::WantsClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime, pem};
use rustls::{
    ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore, SignatureScheme,
    WantsVerifier,
};
use rustls_platform_verifier::BuilderVerifierExt;
use std::path::Path;
use std::sync::Arc;

/// Whose certificates are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust<'a> {
    /// Those that the machine's certificate authorities signed.
    Machine,
    /// Those that the authorities in a PEM file signed.
    File(&'a Path),
    /// All: the peer can be anybody.
    Anybody,
    /// None: the connection has no TLS.
    Nobody,
}

/// Configuration of a client that trusts as told.
pub(super) fn configuration(trust: Trust<'_>) -> Result<ClientConfig, Problem> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(no_authorities)?;
    let verified = match trust {
        Trust::Machine => builder.with_platform_verifier().map_err(no_authorities)?,
        Trust::File(path) => builder.with_root_certificates(authorities(path)?),
        Trust::Anybody => trusting_anybody(builder, provider),
        Trust::Nobody => builder.with_root_certificates(RootCertStore::empty()),
    };
    let mut configuration = verified.with_no_client_auth();
    configuration.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(configuration)
}

fn no_authorities(error: rustls::Error) -> Problem {
    let what = "the certificate authorities cannot be used";
    Problem::at("tls_ca", format!("{what}: {error}; install ca-certificates or name a file"))
}

fn authorities(path: &Path) -> Result<RootCertStore, Problem> {
    let shown = path.display();
    let unreadable = |error: pem::Error| {
        Problem::at("tls_ca", format!("cannot read certificates from {shown}: {error}"))
    };
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
        store.add(certificate.map_err(unreadable)?).map_err(no_authorities)?;
    }
    if store.is_empty() {
        let message = format!("{shown} holds no certificate (PEM, BEGIN CERTIFICATE)");
        return Err(Problem::at("tls_ca", message));
    }
    Ok(store)
}

fn trusting_anybody(
    builder: ConfigBuilder<ClientConfig, WantsVerifier>,
    provider: Arc<CryptoProvider>,
) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
}

/// Accepts every certificate; handshakes must still be signed with its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_refused_by_its_name() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = configuration(Trust::File(file.path())).unwrap_err().to_string();
        assert!(error.ends_with("holds no certificate (PEM, BEGIN CERTIFICATE)"), "{error}");
        let error = configuration(Trust::File(Path::new("/nowhere/ca.pem"))).unwrap_err();
        let expected = "tls_ca: cannot read certificates from /nowhere/ca.pem: ";
        assert!(error.to_string().starts_with(expected), "{error}");
    }

    #[test]
    fn without_tls_no_authorities_are_needed() {
        assert!(configuration(Trust::Nobody).is_ok() && configuration(Trust::Anybody).is_ok());
    }
}
