//! What went wrong between two TLS peers, and which setting has to do with it.

use rustls::AlertDescription as Alert;
use rustls::CertificateError as Problem;
use rustls::{Error, InvalidMessage};

/// A sentence for whoever reads the log. It holds names from certificates, and nothing secret.
pub(in crate::export::sink::tcp) fn explain(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(problem) => explain_certificate(problem),
        Error::AlertReceived(alert) => explain_alert(*alert),
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "the collector does not speak TLS on this port".to_owned()
        }
        Error::PeerIncompatible(reason) => {
            format!("the collector and gatetap have no TLS version or cipher in common: {reason:?}")
        }
        error => error.to_string(),
    }
}

fn explain_certificate(problem: &Problem) -> String {
    let what = match problem {
        Problem::UnknownIssuer => {
            "is signed by an authority that is not trusted: name the authority with tls_ca"
                .to_owned()
        }
        Problem::Expired | Problem::ExpiredContext { .. } => {
            "has expired: renew it at the collector".to_owned()
        }
        Problem::NotValidYet | Problem::NotValidYetContext { .. } => {
            "is not valid yet: check the clocks of both machines".to_owned()
        }
        Problem::NotValidForNameContext { expected, presented } => format!(
            "is not for {}, but for {}: set tls_sni to a name that it is for",
            expected.to_str(),
            names(presented)
        ),
        Problem::NotValidForName => {
            "is for another name: set tls_sni to a name that it is for".to_owned()
        }
        problem => format!("is refused: {problem}"),
    };
    format!("the collector's certificate {what}")
}

/// A certificate may be for very many names.
fn names(presented: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<_> = presented.iter().take(SHOWN).map(String::as_str).collect();
    match presented.len().saturating_sub(SHOWN) {
        _ if shown.is_empty() => "no name at all".to_owned(),
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn explain_alert(alert: Alert) -> String {
    let advice = match alert {
        Alert::CertificateRequired => {
            "it asks for a client certificate: set tls_certificate and tls_key"
        }
        Alert::UnknownCA
        | Alert::BadCertificate
        | Alert::CertificateUnknown
        | Alert::UnsupportedCertificate
        | Alert::AccessDenied => "it does not accept the client certificate in tls_certificate",
        Alert::CertificateExpired | Alert::CertificateRevoked => {
            "the client certificate in tls_certificate is no longer valid"
        }
        Alert::UnrecognisedName => "it does not know the name that it was asked for: see tls_sni",
        Alert::HandshakeFailure => {
            "it may ask for a client certificate (tls_certificate and tls_key), or have no cipher \
             in common with gatetap"
        }
        Alert::ProtocolVersion => "it speaks neither TLS 1.2 nor TLS 1.3",
        _ => "see its log",
    };
    format!("the collector ended TLS with the alert {alert:?}: {advice}")
}
