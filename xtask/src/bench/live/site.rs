//! The servers: an upstream, a gateway in front of it, and the same gateway with the in-proxy logger.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;
use xtask::rig::{Nginx, NginxConfig, free_port};

use super::super::content;

/// What a plugin inside the gateway does.
const LOGGER: &str = include_str!("logger.lua");
/// Worker processes of a gateway: as many as the machine of the bench has cores.
const GATEWAY_WORKERS: usize = 2;
/// Debian's places of the Lua module and of what it needs.
const LUA_MODULES: &str = "load_module /usr/lib/nginx/modules/ndk_http_module.so;
load_module /usr/lib/nginx/modules/ngx_http_lua_module.so;";

/// A gateway, the port that clients use, and the one that tells what it counted.
pub(super) struct Gateway {
    pub(super) nginx: Nginx,
    pub(super) port: u16,
    status_port: u16,
}

/// All servers of the bench.
pub(super) struct Site {
    pub(super) plain: Gateway,
    pub(super) logging: Gateway,
    /// Is watched in the case in which the gateway is not.
    pub(super) bystander: Gateway,
    _upstream: Nginx,
    _logger: TempDir,
}

impl Site {
    /// Starts everything; the logger sends to `collector_port`.
    ///
    /// # Errors
    /// When nginx or its Lua module is missing or refuses.
    pub(super) fn start(collector_port: u16) -> Result<Self> {
        let upstream_port = free_port()?;
        let upstream = start_upstream(upstream_port)?;
        let logger = write_logger(collector_port)?;
        Ok(Self {
            plain: Gateway::start(upstream_port, "", String::new())?,
            logging: Gateway::start(upstream_port, LUA_MODULES, logging(logger.path()))?,
            bystander: Gateway::start(upstream_port, "", String::new())?,
            _upstream: upstream,
            _logger: logger,
        })
    }
}

impl Gateway {
    fn start(upstream_port: u16, main: &str, http: String) -> Result<Self> {
        let (port, status_port) = (free_port()?, free_port()?);
        let nginx = Nginx::start(NginxConfig {
            workers: GATEWAY_WORKERS,
            main: main.to_owned(),
            http: gateway(port, status_port, upstream_port, &http),
        })?;
        Ok(Self { nginx, port, status_port })
    }

    /// Requests that it has read so far, by its own count.
    ///
    /// # Errors
    /// When it does not answer.
    pub(super) fn requests(&self) -> Result<u64> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.status_port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        requests_in(&answer).with_context(|| format!("no number of requests in: {answer}"))
    }
}

/// From the third line of `stub_status`: accepts, handled, requests (this one included).
fn requests_in(answer: &str) -> Option<u64> {
    let (_, body) = answer.split_once("\r\n\r\n")?;
    body.lines().nth(2)?.split_whitespace().nth(2)?.parse().ok()
}

fn start_upstream(port: u16) -> Result<Nginx> {
    let upstream = Nginx::start(NginxConfig {
        workers: 1,
        main: String::new(),
        http: format!(
            "access_log off; types {{ }} default_type application/json; keepalive_requests 1000000;
             client_body_buffer_size 1m; client_max_body_size 0;
             server {{ listen 127.0.0.1:{port}; root html;
               # A static file takes no POST; this one takes any.
               error_page 405 =200 $uri; }}"
        ),
    })?;
    let html = upstream.dir().join("html");
    for (name, length) in [("400", 400), ("4k", 4 * 1024), ("200k", 200 * 1024)] {
        fs::write(html.join(name), content::json(length))?;
    }
    Ok(upstream)
}

fn gateway(port: u16, status_port: u16, upstream_port: u16, http: &str) -> String {
    format!(
        "access_log off; sendfile off; tcp_nodelay on; keepalive_requests 1000000;
         client_body_buffer_size 1m; client_max_body_size 0; proxy_buffers 64 8k;
         upstream origin {{ server 127.0.0.1:{upstream_port}; keepalive 512; keepalive_requests 1000000; }}
         {http}
         server {{ listen 127.0.0.1:{port} reuseport backlog=16384;
           location / {{ proxy_pass http://origin; proxy_http_version 1.1;
             proxy_set_header Connection ''; proxy_set_header Host $host; }} }}
         server {{ listen 127.0.0.1:{status_port}; location / {{ stub_status; }} }}"
    )
}

/// The limits of timers and pooled sockets are those that Kong sets.
fn logging(folder: &Path) -> String {
    format!(
        "lua_package_path '{}/?.lua;;'; lua_max_running_timers 4096; lua_max_pending_timers 16384;
         lua_socket_pool_size 256; lua_socket_log_errors off;
         init_by_lua_block {{ logger = require 'logger' }}
         access_by_lua_block {{ logger.access() }}
         body_filter_by_lua_block {{ logger.body_filter() }}
         log_by_lua_block {{ logger.log() }}",
        folder.display()
    )
}

fn write_logger(collector_port: u16) -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("gatetap-logger-").tempdir()?;
    let source = LOGGER.replace("COLLECTOR_PORT", &collector_port.to_string());
    fs::write(folder.path().join("logger.lua"), source)?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_the_third_number() {
        let answer = "HTTP/1.1 200 OK\r\nServer: nginx\r\n\r\nActive connections: 291 \n\
                      server accepts handled requests\n 16630948 16630948 31070465 \n\
                      Reading: 6 Writing: 179 Waiting: 106 \n";
        assert_eq!(requests_in(answer), Some(31_070_465));
    }
}
