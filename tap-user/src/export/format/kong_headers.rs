//! What Kong says in the headers of its responses.

use crate::http::Response;

/// What the names of Kong's own headers begin with.
const PREFIX: &[u8] = b"x-kong-";

/// Values of the first header of each name; found in one go through all of them.
#[derive(Debug, Default)]
pub(super) struct KongHeaders<'a> {
    pub(super) request_id: Option<&'a [u8]>,
    pub(super) upstream_status: Option<&'a [u8]>,
    pub(super) proxy_latency: Option<&'a [u8]>,
    pub(super) upstream_latency: Option<&'a [u8]>,
    /// Only where Kong made the response itself.
    pub(super) response_latency: Option<&'a [u8]>,
}

impl<'a> KongHeaders<'a> {
    pub(super) fn of(response: &'a Response) -> Self {
        let mut headers = Self::default();
        for (name, value) in response.headers.iter() {
            if let Some(place) = own_part(name).and_then(|name| headers.place(name)) {
                place.get_or_insert(value);
            }
        }
        headers
    }

    fn place(&mut self, name: &[u8]) -> Option<&mut Option<&'a [u8]>> {
        let places: [(&[u8], _); 5] = [
            (b"request-id", &mut self.request_id),
            (b"upstream-status", &mut self.upstream_status),
            (b"proxy-latency", &mut self.proxy_latency),
            (b"upstream-latency", &mut self.upstream_latency),
            (b"response-latency", &mut self.response_latency),
        ];
        let named = |(other, _): &(&[u8], _)| name.eq_ignore_ascii_case(other);
        places.into_iter().find(named).map(|(_, place)| place)
    }

    /// Who made the response, where Kong's latency headers tell.
    pub(super) fn source(&self) -> Option<&'static str> {
        let upstream = self.upstream_latency.map(|_| "upstream");
        upstream.or_else(|| self.response_latency.map(|_| "kong"))
    }
}

/// What follows the prefix in a name of Kong's own.
fn own_part(name: &[u8]) -> Option<&[u8]> {
    let (prefix, own) = name.split_at_checked(PREFIX.len())?;
    prefix.eq_ignore_ascii_case(PREFIX).then_some(own)
}
