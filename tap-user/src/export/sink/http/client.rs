//! The HTTP client that posts records, and its replies.

use super::super::failure::Failure;
use super::settings::ClientSettings;
use super::tls::{self, Trust};
use crate::document::Problem;
use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, Url, redirect, retry};
use std::error::Error;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Bytes of a reply that are read at most.
const REPLY_LIMIT: usize = 64 * 1024;
/// What a receiver sees of who posts.
const USER_AGENT: &str = concat!("gatetap/", env!("CARGO_PKG_VERSION"));

/// Posts bytes to one address.
#[derive(Debug)]
pub(super) struct JsonClient {
    client: Client,
    url: Url,
    timeout: Duration,
}

/// What a receiver answered.
#[derive(Debug)]
pub(in crate::export::sink) struct Reply {
    pub(super) status: u16,
    pub(super) retry_after: Option<HeaderValue>,
    pub(in crate::export::sink) body: ReplyBody,
}

/// What came of the body of a reply.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::export::sink) enum ReplyBody {
    /// All of it.
    Whole(Vec<u8>),
    /// More than is read.
    TooLong,
    /// The connection ended inside it.
    Cut,
    /// It did not end in time.
    Late,
}

impl JsonClient {
    pub(super) fn new(
        url: Url,
        headers: HeaderMap,
        settings: ClientSettings<'_>,
    ) -> Result<Self, Problem> {
        settings.check()?;
        let trust = match (url.scheme(), settings.tls_verify, settings.tls_ca) {
            ("http", _, _) => Trust::Nobody,
            (_, false, _) => Trust::Anybody,
            (_, true, Some(path)) => Trust::File(path),
            (_, true, None) => Trust::Machine,
        };
        let client = Client::builder()
            .user_agent(USER_AGENT)
            .default_headers(headers)
            .http1_only()
            .no_proxy()
            .referer(false)
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .tcp_nodelay(true)
            .pool_idle_timeout(settings.keepalive)
            .pool_max_idle_per_host(settings.connections)
            .tls_backend_preconfigured(tls::configuration(trust)?)
            .build()
            .map_err(|error| Problem::new(format!("cannot make an HTTP client: {error}")))?;
        Ok(Self { client, url, timeout: settings.timeout })
    }

    /// Posts JSON once and reads the reply; takes no longer than the timeout.
    pub(super) async fn post(&self, headers: HeaderMap, json: Bytes) -> Result<Reply, Failure> {
        let end = Instant::now() + self.timeout;
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .headers(headers)
            .body(json);
        let answered = timeout_at(end, request.send()).await;
        let mut response =
            answered.map_err(|_| Failure::Timeout(self.timeout))?.map_err(failure)?;
        let body = timeout_at(end, read(&mut response)).await.unwrap_or(ReplyBody::Late);
        Ok(Reply {
            status: response.status().as_u16(),
            retry_after: response.headers().get(RETRY_AFTER).cloned(),
            body,
        })
    }
}

async fn read(response: &mut Response) -> ReplyBody {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(None) => return ReplyBody::Whole(body),
            Ok(Some(chunk)) if body.len().saturating_add(chunk.len()) > REPLY_LIMIT => {
                return ReplyBody::TooLong;
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Err(_) => return ReplyBody::Cut,
        }
    }
}

/// What went wrong, told by the innermost cause: it names neither the address nor what was sent.
fn failure(error: reqwest::Error) -> Failure {
    let error = error.without_url();
    let causes = || std::iter::successors(Some(&error as Cause<'_>), cause);
    let text = causes().last().map(ToString::to_string).unwrap_or_default();
    if causes().any(is_tls) {
        Failure::Tls(text)
    } else if error.is_connect() {
        Failure::Connect(std::io::Error::other(text))
    } else {
        Failure::Http(text)
    }
}

type Cause<'a> = &'a (dyn Error + 'static);

fn cause<'a>(error: &Cause<'a>) -> Option<Cause<'a>> {
    (**error).source()
}

/// Whether the cause is an error of TLS; those of the operating system may be wrapped around it.
fn is_tls(error: Cause<'_>) -> bool {
    let inside = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    error.is::<rustls::Error>() || inside.is_some_and(|inner| is_tls(inner))
}
