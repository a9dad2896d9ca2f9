//! The gateway that is watched and the upstream behind it.

use std::fmt;
use std::fs::{self, File};
use std::path::Path;

use anyhow::Result;
use xtask::rig::{Nginx, NginxConfig, free_port};

/// Size of the large download in bytes: well beyond the default body cap of 128 KiB.
const DOWNLOAD_SIZE: u64 = 8 * 1024 * 1024;

/// Two nginx servers on free ports of 127.0.0.1.
pub(super) struct Servers {
    gateway: Nginx,
    /// Kept only to keep it running.
    _upstream: Nginx,
    client_port: u16,
    upstream_port: u16,
}

impl Servers {
    /// Starts both and waits until they listen.
    ///
    /// # Errors
    /// When nginx does not start.
    pub(super) fn start() -> Result<Self> {
        let (client_port, upstream_port) = (free_port()?, free_port()?);
        let upstream = Nginx::start(NginxConfig {
            http: upstream_config(upstream_port),
            ..NginxConfig::default()
        })?;
        write_pages(&upstream.dir().join("html"))?;
        let gateway = Nginx::start(NginxConfig {
            workers: 2,
            http: gateway_config(client_port, upstream_port),
            ..NginxConfig::default()
        })?;
        Ok(Self { gateway, _upstream: upstream, client_port, upstream_port })
    }

    /// Process id of the gateway's master.
    pub(super) fn gateway_pid(&self) -> u32 {
        self.gateway.master_pid()
    }

    /// Where clients reach the gateway.
    pub(super) fn client_port(&self) -> u16 {
        self.client_port
    }
}

impl fmt::Display for Servers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (pid, workers) = (self.gateway.master_pid(), self.gateway.workers().len());
        write!(
            formatter,
            "client -> 127.0.0.1:{} nginx (process {pid}, {workers} workers) -> 127.0.0.1:{} nginx",
            self.client_port, self.upstream_port
        )
    }
}

fn gateway_config(client_port: u16, upstream_port: u16) -> String {
    format!(
        "access_log off;
upstream backend {{ server 127.0.0.1:{upstream_port}; keepalive 8; }}
server {{
    listen 127.0.0.1:{client_port};
    location / {{
        proxy_pass http://backend;
        proxy_http_version 1.1;
        proxy_set_header Connection '';
    }}
}}"
    )
}

/// Server-side includes make the length of a page unknown, so nginx sends it chunked.
fn upstream_config(port: u16) -> String {
    format!(
        "access_log off;
server {{
    listen 127.0.0.1:{port};
    default_type application/octet-stream;
    location = /hello {{ default_type text/plain; return 200 'hello from the upstream\\n'; }}
    location = /orders {{ default_type application/json; return 201 '{{\"order\":7,\"state\":\"new\"}}'; }}
    location = /page {{ default_type text/html; ssi on; try_files /page.html =404; }}
    location / {{ try_files $uri =404; }}
}}"
    )
}

fn write_pages(folder: &Path) -> Result<()> {
    let page = "<p>first part</p>\n<!--# set var=\"x\" value=\"1\" -->\n<p>last part</p>\n";
    fs::write(folder.join("page.html"), page)?;
    Ok(File::create(folder.join("download"))?.set_len(DOWNLOAD_SIZE)?)
}
