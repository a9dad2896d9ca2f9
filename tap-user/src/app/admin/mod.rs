//! What a running tap tells its keepers over HTTP: `/metrics`, `/healthz` and `/readyz`. On
//! loopback unless set otherwise; it answers questions and takes no orders.

mod address;
mod board;
mod metrics;

pub(crate) use address::AdminAddress;
pub(super) use board::Board;

use super::Failure;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use tokio::runtime::Handle;

/// Where the answers are given unless set otherwise. Only this host can ask.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(LOOPBACK, 9_464);
const LOOPBACK: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// OpenMetrics 1.0, as prometheus-client writes it.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Answers where the settings say from now on, on a task of `runtime`. Where they say nothing, an
/// address that is taken (by another tap on this host, say) is no reason not to watch.
///
/// # Errors
/// The address that the settings name cannot be listened on.
pub(super) fn start(
    runtime: &Handle,
    wanted: Option<AdminAddress>,
    board: &Arc<Board>,
) -> Result<(), Failure> {
    match wanted {
        Some(AdminAddress::Off) => Ok(()),
        Some(AdminAddress::At(address)) => listen(runtime, address, board).map(|_| ()),
        None => listen(runtime, DEFAULT_LISTEN, board).map(|_| ()).or_else(|failure| {
            tracing::warn!("{failure}; there are no metrics");
            Ok(())
        }),
    }
}

fn listen(
    runtime: &Handle,
    address: SocketAddr,
    board: &Arc<Board>,
) -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind(address).map_err(|error| {
        format!("admin.listen: cannot listen on {address}: {error}; choose another, or `off`")
    })?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let routes = routes(Arc::clone(board));
    let _guard = runtime.enter();
    let listener = tokio::net::TcpListener::from_std(listener)?;
    runtime.spawn(async move {
        if let Err(error) = axum::serve(listener, routes).await {
            tracing::error!(%error, "metrics and health are no longer told");
        }
    });
    Ok(address)
}

fn routes(board: Arc<Board>) -> Router {
    Router::new()
        .route("/", get(|| async { "gatetap: /metrics /healthz /readyz\n" }))
        .route("/metrics", get(tell_metrics))
        .route("/healthz", get(tell_health))
        .route("/readyz", get(tell_readiness))
        .with_state(board)
}

async fn tell_metrics(State(board): State<Arc<Board>>) -> impl IntoResponse {
    match metrics::encode(&board) {
        Ok(text) => Ok(([(CONTENT_TYPE, OPEN_METRICS)], text)),
        Err(error) => Err((StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n"))),
    }
}

/// The capture loop still turns.
async fn tell_health(State(board): State<Arc<Board>>) -> impl IntoResponse {
    verdict(
        board
            .stuck_for()
            .map(|time| format!("the capture loop has not turned for {:.1} s", time.as_secs_f64())),
    )
}

/// It is attached to its source.
async fn tell_readiness(State(board): State<Arc<Board>>) -> impl IntoResponse {
    verdict((!board.is_attached()).then(|| "not attached yet, or ending".to_owned()))
}

fn verdict(trouble: Option<String>) -> (StatusCode, String) {
    match trouble {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(trouble) => (StatusCode::SERVICE_UNAVAILABLE, trouble + "\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::time::Duration;

    fn ask(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn readiness_follows_the_source_and_health_the_loop() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let board = Arc::new(Board::default());
        let address = listen(runtime.handle(), "127.0.0.1:0".parse().unwrap(), &board).unwrap();
        assert!(ask(address, "/readyz").starts_with("HTTP/1.1 503"));
        board.attached();
        board.turned();
        assert!(ask(address, "/readyz").starts_with("HTTP/1.1 200"));
        assert!(ask(address, "/healthz").starts_with("HTTP/1.1 200"));
        board.ending();
        assert!(ask(address, "/readyz").starts_with("HTTP/1.1 503"));
        assert!(ask(address, "/nothing").starts_with("HTTP/1.1 404"));
    }

    #[test]
    fn an_address_in_use_is_told_with_its_key() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = listen(runtime.handle(), address, &Arc::default()).unwrap_err().to_string();
        assert!(error.starts_with("admin.listen: cannot listen on 127.0.0.1:"), "{error}");
    }
}
