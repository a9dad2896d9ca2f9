//! One record, one POST: the step that both sinks over HTTP share.

use super::super::attempt::Trouble;
use super::client::{JsonClient, Reply};
use super::settings::ClientSettings;
use super::standing::Standing;
use super::verdict::{self, Receiver, Verdict};
use crate::document::Problem;
use crate::export::record::Record;
use bytes::Bytes;
use reqwest::Url;
use reqwest::header::HeaderMap;

/// Posts records to one receiver.
#[derive(Debug)]
pub(in crate::export::sink) struct Poster {
    client: JsonClient,
    receiver: Receiver,
    standing: Standing,
}

impl Poster {
    /// `headers` go with every record.
    pub(in crate::export::sink) fn new(
        url: Url,
        headers: HeaderMap,
        receiver: Receiver,
        settings: ClientSettings<'_>,
    ) -> Result<Self, Problem> {
        let client = JsonClient::new(url, headers, settings)?;
        Ok(Self { client, receiver, standing: Standing::default() })
    }

    /// Posts the record once, with `headers` of its own; gives the reply if its status is a success.
    pub(in crate::export::sink) async fn post(
        &self,
        record: &Record,
        headers: HeaderMap,
    ) -> Result<Reply, Trouble> {
        let json = without_terminator(&record.bytes);
        let posted = self.client.post(headers, json).await;
        let reply = posted.map_err(|error| Trouble::Later { error, wait: None })?;
        match verdict::of(&reply, self.receiver) {
            Verdict::Taken => {
                self.standing.taken(&record.id);
                Ok(reply)
            }
            Verdict::Later(trouble) => Err(trouble),
            Verdict::Never(reason) => Err(Trouble::Rejected { reason }),
            Verdict::Refused(_, reason) if self.standing.refused(&record.id) => {
                Err(Trouble::Rejected { reason })
            }
            Verdict::Refused(error, _) => Err(Trouble::Later { error, wait: None }),
        }
    }
}

fn without_terminator(record: &Bytes) -> Bytes {
    let terminators = record.iter().rev().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    record.slice(..record.len().saturating_sub(terminators))
}
