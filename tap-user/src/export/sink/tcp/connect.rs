//! From an address to a connection.

use super::address::Address;
use super::connection::Connection;
use super::failure::{ConnectError, Ended};
use super::metered::Metered;
use super::settings::TcpSettings;
use super::tls::{TlsSetupError, client_config, explain};
use rustls::ProtocolVersion;
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// How long a collector that speaks TLS 1.3 is given to refuse the client before the first
/// record goes. Most send session tickets and are not waited for.
const OBJECTION: Duration = Duration::from_millis(200);

/// Connects within the time that the settings allow.
pub(super) async fn connect(
    address: &Address,
    settings: &TcpSettings,
) -> Result<Connection, ConnectError> {
    let limit = settings.timeout.0;
    match timeout(limit, connect_in_time(address, settings)).await {
        Ok(result) => result,
        Err(_) => Err(ConnectError::Timeout { address: address.clone(), limit }),
    }
}

async fn connect_in_time(
    address: &Address,
    settings: &TcpSettings,
) -> Result<Connection, ConnectError> {
    // Before connecting: it takes its time, and the collector should not be kept waiting.
    let connector = connector(address, settings).await?;
    let stream = Metered::new(open(address, settings.timeout.0).await?);
    match connector {
        None => Ok(Connection::Plain(stream)),
        Some((connector, name)) => shake_hands(address, connector, name, stream).await,
    }
}

async fn connector(
    address: &Address,
    settings: &TcpSettings,
) -> Result<Option<(TlsConnector, ServerName<'static>)>, ConnectError> {
    if !settings.tls {
        return Ok(None);
    }
    let name = settings.tls_sni.as_ref().unwrap_or(&address.host).clone();
    let server = ServerName::try_from(name.clone()).map_err(|_| TlsSetupError::Name(name))?;
    let settings = settings.clone();
    let config = tokio::task::spawn_blocking(move || client_config(&settings))
        .await
        .map_err(|error| tls(address, &io::Error::other(error)))??;
    Ok(Some((TlsConnector::from(Arc::new(config)), server)))
}

/// Connects to the first address that takes the connection.
async fn open(address: &Address, limit: Duration) -> Result<TcpStream, ConnectError> {
    let place = (address.host.as_str(), address.port);
    let found = lookup_host(place).await.map(Vec::from_iter);
    let addresses =
        found.map_err(|source| ConnectError::Resolve { address: address.clone(), source })?;
    // One that does not answer leaves time for the others.
    let share = limit.checked_div(u32::try_from(addresses.len()).unwrap_or(1)).unwrap_or(limit);
    let mut problem = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match open_one(address, share).await {
            Ok(stream) => return Ok(stream),
            Err(error) => problem = error,
        }
    }
    Err(ConnectError::Refused { address: address.clone(), source: problem })
}

async fn open_one(address: SocketAddr, limit: Duration) -> io::Result<TcpStream> {
    let stream = timeout(limit, TcpStream::connect(address)).await??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn shake_hands(
    address: &Address,
    connector: TlsConnector,
    name: ServerName<'static>,
    stream: Metered,
) -> Result<Connection, ConnectError> {
    let stream = connector.connect(name, stream).await.map_err(|error| tls(address, &error))?;
    let version = stream.get_ref().1.protocol_version();
    let mut connection = Connection::Tls(Box::new(stream));
    if version == Some(ProtocolVersion::TLSv1_3) {
        match timeout(OBJECTION, connection.heard()).await {
            Ok(Err(Ended::Tls(problem))) => {
                return Err(ConnectError::Tls { address: address.clone(), problem });
            }
            Ok(Err(ended)) => {
                let problem = format!("{ended} right after the handshake");
                return Err(ConnectError::Tls { address: address.clone(), problem });
            }
            Ok(Ok(())) | Err(_) => {}
        }
    }
    Ok(connection)
}

fn tls(address: &Address, error: &io::Error) -> ConnectError {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let problem = match inner {
        Some(inner) => explain(inner),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the collector closed the connection in the handshake: does it speak TLS?".to_owned()
        }
        None => error.to_string(),
    };
    ConnectError::Tls { address: address.clone(), problem }
}
